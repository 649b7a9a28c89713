package doctor

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/base64"
	"math/big"
	"slices"
)

var (
	tooShort = rule{"jwks.key_size", Error,
		"RSA keys have at least 2048 bits (RFC 7518 §3.3). Shorter ones can be broken, and then anybody can sign in " +
			"the issuer's name. Signet leaves the key out.",
		"Sign with another key: ES256, or RSA of 2048 bits; take this one out of the set."}
	tooLong = rule{"jwks.key_size", Warning,
		"Verifying takes long, and a stranger's token costs as much as a good one. Signet leaves out RSA keys " +
			"beyond 8192 bits.",
		"Use ES256, or RSA of 2048 bits."}
	slow = rule{"jwks.key_size", Note,
		"Verifying takes several times as long as with 2048 bits, for every token on every resource server.",
		"Use ES256, or RSA of 2048 to 4096 bits."}
	badExponent = rule{"jwks.exponent", Error,
		"With an exponent that is 1 or even, or an even modulus, this is no RSA key (RFC 8017 §3.1): signatures can " +
			"be forged or do not verify.",
		"Replace the key; the exponent is usually 65537, AQAB in base64url."}
	longExponent = rule{"jwks.exponent", Warning,
		"Many libraries, and Signet, refuse an RSA exponent of more than 31 bits, which would be slow to verify " +
			"with.",
		"Replace the key; the exponent is usually 65537, AQAB in base64url."}
	badEncoding = rule{"jwks.encoding", Error,
		"Numbers are base64url without padding; those of RSA have no leading zero octet (RFC 7518 §2, §6.3.1), " +
			"those of a curve the full length of the curve (§6.2.1). Strict readers, and Signet, leave the key out.",
		"Have the key written by a JOSE library."}
	offCurve = rule{"jwks.point", Error,
		"The point is not on the curve: no signature verifies with it, and a careless library can be attacked " +
			"through it (RFC 8725 §3.4).",
		"Replace the key; find out what damaged it."}
)

// materialFaults examines the numbers of a key.
func (k publishedKey) materialFaults() []keyFault {
	switch k.kind() {
	case "RSA":
		return k.rsaFaults()
	case "EC P-256":
		return k.pointFaults(elliptic.P256())
	case "EC P-384":
		return k.pointFaults(elliptic.P384())
	case "EC P-521":
		return k.pointFaults(elliptic.P521())
	}
	return nil
}

// octets returns a member that is strict base64url, otherwise nil.
func (k publishedKey) octets(name string) []byte {
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(k.text(name))
	if err != nil || len(decoded) == 0 || len(k.text(name)) != base64.RawURLEncoding.EncodedLen(len(decoded)) {
		return nil
	}
	return decoded
}

func (k publishedKey) rsaFaults() (found []keyFault) {
	n, e := k.octets("n"), k.octets("e")
	if n == nil || e == nil || n[0] == 0 || e[0] == 0 {
		return []keyFault{k.fault(badEncoding, "n or e is missing, no base64url or has a leading zero")}
	}
	modulus := new(big.Int).SetBytes(n)
	switch bits := modulus.BitLen(); {
	case bits < 2048:
		found = append(found, k.fault(tooShort, "RSA of %d bits", bits))
	case bits > 8192:
		found = append(found, k.fault(tooLong, "RSA of %d bits", bits))
	case bits > 4096:
		found = append(found, k.fault(slow, "RSA of %d bits", bits))
	}
	exponent := new(big.Int).SetBytes(e)
	switch {
	case exponent.IsInt64() && exponent.Int64() == 1:
		found = append(found, k.fault(badExponent, "exponent 1"))
	case exponent.Bit(0) == 0:
		found = append(found, k.fault(badExponent, "an even exponent"))
	case modulus.Bit(0) == 0:
		found = append(found, k.fault(badExponent, "an even modulus"))
	case exponent.BitLen() > 31:
		found = append(found, k.fault(longExponent, "an exponent of %d bits", exponent.BitLen()))
	}
	return found
}

func (k publishedKey) pointFaults(curve elliptic.Curve) []keyFault {
	size := (curve.Params().BitSize + 7) / 8
	x, y := k.octets("x"), k.octets("y")
	if len(x) != size || len(y) != size {
		return []keyFault{k.fault(badEncoding, "x or y is not %d octets of base64url", size)}
	}
	uncompressed := slices.Concat([]byte{4}, x, y) // SEC 1 §2.3.3
	if _, err := ecdsa.ParseUncompressedPublicKey(curve, uncompressed); err != nil {
		return []keyFault{k.fault(offCurve, "the point is not on %s", curve.Params().Name)}
	}
	return nil
}
