package bearer_test

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"hash"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"example.com/signet/keys/keystest"
)

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// input is the part of a token that its signature covers.
func input(header, claims keystest.Object) string {
	return keystest.Encode(header.String()) + "." + keystest.Encode(claims.String())
}

// cut splits a token into the part that is signed and the signature.
func cut(token string) (signed string, signature []byte) {
	i := strings.LastIndexByte(token, '.')
	return token[:i], must(base64.RawURLEncoding.DecodeString(token[i+1:]))
}

func (e *edge) algorithms(*testing.T) []hostile {
	_, kept := cut(e.genuine())
	var rows []hostile
	for _, alg := range []string{"none", "None", "nOnE", "NONE"} {
		header := e.header.With("alg", strconv.Quote(alg))
		rows = append(rows,
			bad(alg+" with an empty signature", input(header, e.claims)+"."),
			bad(alg+" with a kept signature", input(header, e.claims)+"."+keystest.Encode(kept)),
			bad(alg+" with a good signature over it", e.forge(header, e.claims)))
	}
	hashes := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}
	for alg, hash := range hashes { // the public key as a secret that both sides know: CVE-2015-9235
		for what, secret := range map[string][]byte{
			"PEM":     must(keystest.Key(keystest.RS256).Public().MarshalPEM()),
			"DER":     must(x509.MarshalPKIXPublicKey(keystest.Raw(keystest.RS256).Public())),
			"JWK Set": must(keystest.Set(keystest.RS256).MarshalJSON()),
			"modulus": keystest.Raw(keystest.RS256).Public().(*rsa.PublicKey).N.Bytes(),
			"nothing": nil,
		} {
			text := input(e.rsHeader.With("alg", strconv.Quote(alg)), e.claims)
			mac := hmac.New(hash, secret)
			mac.Write([]byte(text))
			rows = append(rows, bad(alg+" keyed with the public key: "+what, text+"."+keystest.Encode(mac.Sum(nil))))
		}
	}
	pss := func(alg string) string {
		text := input(e.rsHeader.With("alg", strconv.Quote(alg)), e.claims)
		digest := sha256.Sum256([]byte(text))
		signature := must(keystest.Raw(keystest.RS256).Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}))
		return text + "." + keystest.Encode(signature)
	}
	ecKid, rsKid := e.header[1].Value, e.rsHeader[1].Value
	return append(rows,
		fine("ES256", e.genuine()),
		fine("RS256", keystest.AccessToken(keystest.RS256, e.claims)),
		bad("PS256, and so signed", pss("PS256")),
		bad("RS256, but signed as PS256", pss("RS256")),
		bad("PS256, but signed as RS256", keystest.Forge(keystest.RS256, e.rsHeader.With("alg", `"PS256"`).String(), e.claims.String())),
		bad("ES256 by a P-384 key", keystest.Forge(keystest.WrongCurve, e.header.String(), e.claims.String())),
		bad("ES384 by a P-384 key", keystest.Forge(keystest.WrongCurve, e.header.With("alg", `"ES384"`).String(), e.claims.String())),
		bad("ES256K", e.withHeader("alg", `"ES256K"`)),
		bad("EdDSA", e.withHeader("alg", `"EdDSA"`)),
		bad("es256", e.withHeader("alg", `"es256"`)),
		bad("alg missing", e.forge(e.header.Without("alg"), e.claims)),
		bad("alg null", e.withHeader("alg", "null")),
		bad("alg a number", e.withHeader("alg", "256")),
		bad("alg an array", e.withHeader("alg", `["ES256"]`)),
		bad("alg empty", e.withHeader("alg", `""`)),
		bad("RS256, with the EC key's kid and signature", e.withHeader("alg", `"RS256"`)),
		bad("ES256, with the RSA key's kid and signature",
			keystest.Forge(keystest.RS256, e.rsHeader.With("alg", `"ES256"`).String(), e.claims.String())),
		bad("ES256, with the RSA key's kid", e.withHeader("kid", rsKid)),
		bad("RS256, with the EC key's kid", keystest.Forge(keystest.RS256, e.rsHeader.With("kid", ecKid).String(), e.claims.String())),
	)
}

func (e *edge) signatures(*testing.T) []hostile {
	signed, signature := cut(e.genuine())
	rsSigned, rsSignature := cut(keystest.AccessToken(keystest.RS256, e.claims))
	n := elliptic.P256().Params().N
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	pair := func(r, s *big.Int) string {
		return signed + "." + keystest.Encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	}
	flip := func(signed string, signature []byte, i int) string {
		flipped := bytes.Clone(signature)
		flipped[i] ^= 0x10
		return signed + "." + keystest.Encode(flipped)
	}
	digest := sha256.Sum256([]byte(signed))
	der := must(keystest.Raw(keystest.ES256).Sign(rand.Reader, digest[:], crypto.SHA256))
	admin := keystest.Encode(e.claims.With("sub", `"admin"`).String())
	head, _, _ := strings.Cut(signed, ".")
	_, ofAnother := cut(e.withClaim("sub", `"other"`))
	zero, one := new(big.Int), big.NewInt(1)
	return []hostile{
		// If (r, s) is an ECDSA signature, so is (r, n−s): anybody can make the second. It must not mean anything new.
		fine("s → n−s", pair(r, new(big.Int).Sub(n, s))),
		bad("empty", signed+"."),
		bad("claims exchanged, signature kept", head+"."+admin+"."+keystest.Encode(signature)),
		bad("of another token", signed+"."+keystest.Encode(ofAnother)),
		bad("by a stranger's key under our kid", keystest.Forge(keystest.ES256Other, e.header.String(), e.claims.String())),
		bad("by a stranger's RSA key under our kid", keystest.Forge(keystest.RS256Other, e.rsHeader.String(), e.claims.String())),
		bad("ECDSA, a bit in the first third", flip(signed, signature, 5)),
		bad("ECDSA, a bit in the second third", flip(signed, signature, 30)),
		bad("ECDSA, a bit in the last third", flip(signed, signature, 63)),
		bad("RSA, a bit in the first third", flip(rsSigned, rsSignature, 5)),
		bad("RSA, a bit in the second third", flip(rsSigned, rsSignature, 128)),
		bad("RSA, a bit in the last third", flip(rsSigned, rsSignature, 255)),
		bad("ECDSA in DER", signed+"."+keystest.Encode(der)),
		bad("r = s = 0", pair(zero, zero)), // CVE-2022-21449
		bad("r = s = 1", pair(one, one)),
		bad("r = 0", pair(zero, s)),
		bad("s = 0", pair(r, zero)),
		bad("r = n", pair(n, s)),
		bad("s = n", pair(r, n)),
		bad("r > n", pair(new(big.Int).Add(n, one), s)),
		bad("r and s exchanged", pair(s, r)),
		bad("63 octets", signed+"."+keystest.Encode(signature[:63])),
		bad("65 octets", signed+"."+keystest.Encode(append(bytes.Clone(signature), 0))),
		bad("65 octets, zero in front", signed+"."+keystest.Encode(append([]byte{0}, signature...))),
		bad("32 octets", signed+"."+keystest.Encode(signature[:32])),
		bad("RSA, 255 octets", rsSigned+"."+keystest.Encode(rsSignature[:255])),
		bad("RSA, 257 octets, zero in front", rsSigned+"."+keystest.Encode(append([]byte{0}, rsSignature...))),
		bad("RSA, by a key of 1024 bits", keystest.Forge(keystest.WeakRSA, e.rsHeader.String(), e.claims.String())),
		bad("RSA, all zero", rsSigned+"."+keystest.Encode(make([]byte, 256))),
		bad("RSA, one", rsSigned+"."+keystest.Encode(append(make([]byte, 255), 1))),
		bad("RSA, all ones", rsSigned+"."+keystest.Encode(bytes.Repeat([]byte{0xff}, 256))),
	}
}
