package verifytest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"hash"
	"strings"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func (m maker) algorithms() []row {
	rows := []row{
		{"ES256", m.token, nil},
		{"RS256", m.rsToken, nil},
		{"ES256, spelled with an escape", m.head("alg", `"\u0045S256"`), nil}, // in a value it changes nothing
	}
	rows = append(rows, m.unsigned()...)
	rows = append(rows, m.keyConfusion()...)
	rows = append(rows, m.otherAlgorithms()...)
	return append(rows, m.crossed()...)
}

// unsigned are the tokens of RFC 7519 §6, in every letter case (CVE-2015-9235).
func (m maker) unsigned() (rows []row) {
	_, _, kept := segments(m.token)
	for _, alg := range []string{"none", "None", "nOnE", "NONE"} {
		header := m.header.With("alg", quote(alg))
		rows = append(rows,
			row{alg + " with an empty signature", input(header, m.claims) + ".", verify.ErrMalformed},
			row{alg + " with a kept signature", input(header, m.claims) + "." + kept, verify.ErrAlgorithm},
			row{alg + " with a good signature over it", m.forge(header, m.claims), verify.ErrAlgorithm},
			row{alg + " without kid", m.forge(header.Without("kid"), m.claims), verify.ErrAlgorithm})
	}
	return rows
}

// keyConfusion are MACs keyed with what everybody knows: a verifier that asks the token for its algorithm takes the
// public key for the secret.
func (m maker) keyConfusion() (rows []row) {
	hashes := []struct {
		alg string
		new func() hash.Hash
	}{{"HS256", sha256.New}, {"HS384", sha512.New384}, {"HS512", sha512.New}}
	for _, key := range []struct {
		name   string
		header keystest.Object
	}{{keystest.ES256, m.header}, {keystest.RS256, m.rsHeader}} {
		for _, secret := range secrets(key.name) {
			what := "keyed with the " + secret.what + " of " + key.name
			for _, hash := range hashes {
				header := key.header.With("alg", quote(hash.alg))
				rows = append(rows, row{hash.alg + " " + what, m.mac(header, hash.new, secret.octets),
					verify.ErrAlgorithm})
			}
			rows = append(rows, row{"a MAC under the key's own alg, " + what,
				m.mac(key.header, sha256.New, secret.octets),
				verify.ErrSignature})
		}
	}
	return rows
}

type secret struct {
	what   string
	octets []byte
}

// secrets are the spellings of a public key, and other octets that are no secret.
func secrets(name string) []secret {
	public, raw := keystest.Key(name).Public(), keystest.Raw(name).Public()
	pem := must(public.MarshalPEM())
	all := []secret{
		{"PEM", pem}, {"PEM without its last line break", bytes.TrimSpace(pem)},
		{"PEM with CR LF", bytes.ReplaceAll(pem, []byte("\n"), []byte("\r\n"))},
		{"DER", must(x509.MarshalPKIXPublicKey(raw))}, {"JWK", []byte(jwkOf(name))},
		{"JWK Set", must(keystest.Set(name).MarshalJSON())}, {"kid", []byte(public.ID())}, {"emptiness", nil},
	}
	switch raw := raw.(type) {
	case *rsa.PublicKey:
		all = append(all, secret{"modulus", raw.N.Bytes()}, secret{"PKCS #1 DER", x509.MarshalPKCS1PublicKey(raw)})
	case *ecdsa.PublicKey:
		all = append(all, secret{"point", must(raw.Bytes())})
	}
	return all
}

func (m maker) mac(header keystest.Object, hash func() hash.Hash, secret []byte) string {
	text := input(header, m.claims)
	mac := hmac.New(hash, secret)
	mac.Write([]byte(text))
	return text + "." + keystest.Encode(mac.Sum(nil))
}

// jwkOf is the named key's public half as a JWK.
func jwkOf(name string) string {
	set := string(must(keystest.Set(name).MarshalJSON()))
	return strings.TrimSuffix(strings.TrimPrefix(set, `{"keys":[`), "]}")
}

// otherAlgorithms say something else than ES256 and RS256; all but a MAC would verify if nobody looked.
func (m maker) otherAlgorithms() (rows []row) {
	for _, alg := range []string{"", "ES384", "ES512", "ES256K", "RS384", "RS512", "PS384", "EdDSA", "Ed25519",
		"ML-DSA-44", "dir", "RSA1_5", "RSA-OAEP", "A128KW", "PBES2-HS256+A128KW", "es256", "Es256", "ES256 ", " ES256",
		`ES256\t`, `ES256\n`, `ES256\u0000`, `\u0000ES256`, `\ufeffES256`, "ES256,RS256", "ES256;", "ES25", "ES2566",
		"SHA256withECDSA", "1.2.840.10045.4.3.2", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "ＥＳ256",
		"ЕS256", "E\u017f256", "ES256\u0301", "ES２56", "ES²56"} {
		rows = append(rows, row{"alg " + `"` + alg + `"`, m.head("alg", `"`+alg+`"`), verify.ErrAlgorithm})
	}
	return append(rows,
		row{"alg missing", m.forge(m.header.Without("alg"), m.claims), verify.ErrAlgorithm},
		row{"alg null", m.head("alg", "null"), verify.ErrAlgorithm},
		row{"alg a number", m.head("alg", "256"), verify.ErrMalformed},
		row{"alg an array", m.head("alg", `["ES256"]`), verify.ErrMalformed},
		row{"alg an array with none", m.head("alg", `["none","ES256"]`), verify.ErrMalformed},
		row{"alg an object", m.head("alg", `{"alg":"ES256"}`), verify.ErrMalformed},
		row{"alg true", m.head("alg", "true"), verify.ErrMalformed},
		row{"alg PBES2 with two thousand million rounds", m.forge(
			m.header.With("alg", `"PBES2-HS256+A128KW"`).With("p2c", "2147483647").With("p2s", `"AAAA"`), m.claims),
			verify.ErrAlgorithm},
	)
}

// crossed are algorithms and keys that do not belong together (RFC 8725 §3.1).
func (m maker) crossed() []row {
	ecKid, rsKid := value(m.header, "kid"), value(m.rsHeader, "kid")
	ps, claims := m.rsHeader.With("alg", `"PS256"`), m.claims.String()
	by := func(name string, header keystest.Object) string { return keystest.Forge(name, header.String(), claims) }
	return []row{
		{"PS256, and so signed", pss(input(ps, m.claims)), verify.ErrAlgorithm},
		{"RS256, but signed as PS256", pss(input(m.rsHeader, m.claims)), verify.ErrSignature},
		{"PS256, but signed as RS256", by(keystest.RS256, ps), verify.ErrAlgorithm},
		{"RS256, but signed as RS512", rsWith(m, crypto.SHA512, "RS256"), verify.ErrSignature},
		{"RS512, and so signed", rsWith(m, crypto.SHA512, "RS512"), verify.ErrAlgorithm},
		{"RS256, but signed over SHA-1", rsWith(m, crypto.SHA1, "RS256"), verify.ErrSignature},
		{"ES256 by a P-384 key", by(keystest.WrongCurve, m.header), verify.ErrSignature},
		{"ES384 by a P-384 key", by(keystest.WrongCurve, m.header.With("alg", `"ES384"`)), verify.ErrAlgorithm},
		{"RS256 said; the EC key named and used", m.head("alg", `"RS256"`), verify.ErrAlgorithm},
		{"ES256 said; the RSA key named and used", by(keystest.RS256, m.rsHeader.With("alg", `"ES256"`)),
			verify.ErrAlgorithm},
		{"ES256 said, the RSA key named, the EC key used", m.head("kid", rsKid), verify.ErrAlgorithm},
		{"RS256 said, the EC key named, the RSA key used", by(keystest.RS256, m.rsHeader.With("kid", ecKid)),
			verify.ErrAlgorithm},
		{"RS256 said and named, the EC key used", by(keystest.ES256, m.rsHeader), verify.ErrSignature},
		{"ES256 said and named, the RSA key used", by(keystest.RS256, m.header), verify.ErrSignature},
	}
}

func pss(input string) string {
	digest := sha256.Sum256([]byte(input))
	options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	return input + "." + keystest.Encode(must(keystest.Raw(keystest.RS256).Sign(rand.Reader, digest[:], options)))
}

// rsWith is signed with RSASSA-PKCS1-v1_5 over another hash than RS256 has.
func rsWith(m maker, hash crypto.Hash, alg string) string {
	text := input(m.rsHeader.With("alg", quote(alg)), m.claims)
	h := hash.New()
	h.Write([]byte(text))
	return text + "." + keystest.Encode(must(keystest.Raw(keystest.RS256).Sign(rand.Reader, h.Sum(nil), hash)))
}
