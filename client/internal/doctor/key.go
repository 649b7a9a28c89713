package doctor

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/signet/keys"
)

// Names of keys are short; Signet refuses longer ones.
const maxKeyID = 256

var (
	privateKey = rule{"jwks.private", Error,
		"THE KEY IS COMPROMISED: its private half is published, so whoever has read the set can sign tokens in the " +
			"issuer's name (RFC 7517 §9.2). Taking the private members out does not mend it.",
		"Now: stop signing with the key, take it out of the set, let another one sign, and find out who has read " +
			"the set since when. Then mend the program that wrote it."}
	symmetricKey = rule{"jwks.symmetric", Error,
		"A symmetric key signs as well as it verifies (RFC 7518 §3.2): whoever has read the set can sign with it.",
		"Take it out of the set, replace it wherever it is used, and publish public keys only."}
	keyNotStrict = rule{"jwks.key_json", Error,
		"A key is a JSON object with no member twice (RFC 7517 §4): otherwise readers may see different keys. " +
			"Signet leaves it out.",
		"Have the document made by a program that writes JSON."}
	kidMissing = rule{"jwks.kid_missing", Error,
		"Where there is more than one key, tokens name theirs by kid (RFC 7517 §4.5); this key is never found. " +
			"Signet leaves it out.",
		"Give the key a kid, such as its RFC 7638 thumbprint, and name it in the header of each token."}
	kidOdd = rule{"jwks.kid", Error,
		"A kid is found in logs and compared byte by byte (RFC 7517 §4.5). Signet leaves out a key whose kid is " +
			"longer than 256 octets or not printable: it could forge a line of a log.",
		"Give the key a short, plain kid, such as its RFC 7638 thumbprint."}
	algMissing = rule{"jwks.alg_missing", Warning,
		"A key should be used with one algorithm (RFC 8725 §3.1), and alg says which (RFC 7517 §4.4). Signet leaves " +
			"out a key that does not.",
		"Add alg to the key: ES256 or RS256."}
	algMismatch = rule{"jwks.alg", Error,
		"The algorithm is not one for a key of this type and curve (RFC 7518 §3.1), so what is signed with it " +
			"verifies nowhere, or worse: where the algorithm is symmetric, with a key that everybody knows (RFC " +
			"8725 §2.1).",
		"Set alg to that which the key signs with."}
	algForeign = rule{"jwks.alg_unsupported", Note,
		"Signet verifies ES256 and RS256 and leaves other keys out. That is no fault while tokens for Signet's " +
			"resource servers are signed with a key that it can use.",
		"Have such tokens signed with ES256 or RS256."}
	otherUse = rule{"jwks.use", Note,
		"use and key_ops say what a key is for (RFC 7517 §4.2, §4.3); one that is not for verifying is left out.",
		`Set use to "sig" and leave key_ops out if the key verifies tokens.`}
	certificateThere = rule{"jwks.x5", Note,
		"A certificate beside a key (RFC 7517 §4.6, §4.7) makes the set longer, expires on its own, and some " +
			"readers take the key from it. Signet reads the key alone.",
		"Leave x5c and x5u out unless a reader needs them."}
	keyRefused = rule{"jwks.key_unusable", Warning, "Signet leaves such a key out; what it signs does not verify.",
		"Mend the key, or take it out of the set."}
)

// publishedKey is an element of a JWK Set.
type publishedKey struct {
	document
	number   int // in the set, from 1
	source   jsontext.Value
	isObject bool
}

// name is how people find the key.
func (k publishedKey) name() string {
	if kid := k.text("kid"); kid != "" {
		return quote(kid)
	}
	return fmt.Sprintf("key %d", k.number)
}

func (k publishedKey) fault(r rule, format string, args ...any) keyFault {
	return keyFault{r, []string{k.name() + ": " + fmt.Sprintf(format, args...)}}
}

func (k publishedKey) isForEncryption() bool {
	alg := k.text("alg")
	return k.text("use") == "enc" || strings.HasPrefix(alg, "RSA-OAEP") || strings.HasPrefix(alg, "ECDH-ES") || alg == "RSA1_5"
}

// faults examines a key. A key that Signet refuses has at least one, unless it is for encryption.
func (k publishedKey) faults(among bool) (found []keyFault) {
	private := k.privateMembers()
	switch {
	case !k.isObject:
		return []keyFault{k.fault(keyNotStrict, "not a JSON object")}
	case k.has("k") || k.text("kty") == "oct":
		return []keyFault{k.fault(symmetricKey, "symmetric")}
	case len(private) > 0:
		return []keyFault{k.fault(privateKey, "private members %s", strings.Join(private, ", "))}
	case k.isForEncryption():
		return nil
	}
	var strict map[string]jsontext.Value
	if err := keys.DecodeObject(k.source, &strict); err != nil {
		found = append(found, k.fault(keyNotStrict, "%s", because(err)))
	}
	found = slices.Concat(found, k.kidFaults(among), k.useFaults(), k.materialFaults(), k.algFaults())
	if _, err := keys.ParseJWK(k.source); err != nil && len(found) == 0 {
		found = append(found, k.fault(keyRefused, "%s", because(err)))
	}
	if k.has("x5c") || k.has("x5u") {
		found = append(found, k.fault(certificateThere, "x5c or x5u"))
	}
	return found
}

// privateMembers returns the members that give a key away (RFC 7518 §6.2.2, §6.3.2; priv is that of newer types).
func (k publishedKey) privateMembers() (private []string) {
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "priv"} {
		if k.has(name) {
			private = append(private, name)
		}
	}
	return private
}

func (k publishedKey) kidFaults(among bool) []keyFault {
	isOdd := func(r rune) bool { return !unicode.IsPrint(r) }
	kid := k.text("kid")
	switch {
	case kid == "" && among:
		return []keyFault{k.fault(kidMissing, "no kid, in a set of more than one key")}
	case kid == "":
		return []keyFault{k.fault(kidMissing.at(Warning), "no kid")}
	case len(kid) > maxKeyID:
		return []keyFault{k.fault(kidOdd, "a kid of %d octets", len(kid))}
	case strings.ContainsFunc(kid, isOdd):
		return []keyFault{k.fault(kidOdd, "a kid that is not printable")}
	}
	return nil
}

func (k publishedKey) useFaults() []keyFault {
	use, ops := k.text("use"), k.list("key_ops")
	switch {
	case k.has("use") && use != "sig":
		return []keyFault{k.fault(otherUse, "use is %s", quote(use))}
	case k.has("key_ops") && !slices.Contains(ops, "verify"):
		return []keyFault{k.fault(otherUse, "key_ops is without verify")}
	}
	return nil
}

// fitting says which key each signature algorithm is for (RFC 7518 §3.1, RFC 8037 §3.1, RFC 8812 §3.2, RFC 9864 §2).
var fitting = map[string][]string{
	"RS256": {"RSA"}, "RS384": {"RSA"}, "RS512": {"RSA"}, "PS256": {"RSA"}, "PS384": {"RSA"}, "PS512": {"RSA"},
	"ES256": {"EC P-256"}, "ES384": {"EC P-384"}, "ES512": {"EC P-521"}, "ES256K": {"EC secp256k1"},
	"EdDSA": {"OKP Ed25519", "OKP Ed448"}, "Ed25519": {"OKP Ed25519"}, "Ed448": {"OKP Ed448"},
	"HS256": {}, "HS384": {}, "HS512": {}, "none": {},
}

func (k publishedKey) algFaults() []keyFault {
	alg := k.text("alg")
	fits, known := fitting[alg]
	ours := slices.Contains(keys.Algorithms(), keys.Algorithm(alg))
	switch {
	case alg == "":
		return []keyFault{k.fault(algMissing, "no alg")}
	case known && !slices.Contains(fits, k.kind()):
		return []keyFault{k.fault(algMismatch, "alg %s with a key of type %s", quote(alg), quote(k.kind()))}
	case !ours:
		return []keyFault{k.fault(algForeign, "alg %s", quote(alg))}
	}
	return nil
}

// kind is the type of the key, and its curve if it has one.
func (k publishedKey) kind() string {
	kty, crv := k.text("kty"), k.text("crv")
	if crv == "" || kty == "RSA" {
		return kty
	}
	return kty + " " + crv
}
