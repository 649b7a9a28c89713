package verifytest

import (
	"bytes"
	"crypto"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"slices"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func (m maker) signatures() []row {
	return slices.Concat(m.transplants(), m.flips(), m.ecSignatures(), m.rsSignatures())
}

// transplants are good signatures of something else, or by somebody else.
func (m maker) transplants() []row {
	head, payload, signature := segments(m.token)
	admin := keystest.Encode(m.claims.With("sub", `"admin"`).String())
	_, _, ofAnother := segments(m.with("sub", `"other"`))
	spaced := keystest.Encode("{ " + m.header.String()[1:])
	reordered := keystest.Encode(keystest.Object{m.header[2], m.header[1], m.header[0]}.String())
	escaped := keystest.Encode(m.claims.With("sub", `"b\u0069lling"`).String())
	idToken, _, ofIDToken := segments(m.head("typ", `"JWT"`))
	over := func(text string) string { return keystest.Encode(keystest.SignRaw(keystest.ES256, text)) }
	by := func(name string, header keystest.Object) string {
		return keystest.Forge(name, header.String(), m.claims.String())
	}
	return []row{
		{"empty", head + "." + payload + ".", verify.ErrMalformed},
		{"claims exchanged, signature kept", head + "." + admin + "." + signature, verify.ErrSignature},
		{"claims spelled otherwise, signature kept", head + "." + escaped + "." + signature, verify.ErrSignature},
		{"header with space, signature kept", spaced + "." + payload + "." + signature, verify.ErrSignature},
		{"header in another order, signature kept", reordered + "." + payload + "." + signature, verify.ErrSignature},
		{"over the header encoded anew", spaced + "." + payload + "." + over(head+"."+payload), verify.ErrSignature},
		{"of another token", head + "." + payload + "." + ofAnother, verify.ErrSignature},
		{"of another type of token", head + "." + payload + "." + ofIDToken, verify.ErrSignature},
		{"of this token, under another type", idToken + "." + payload + "." + signature, verify.ErrType},
		{"over the payload alone", head + "." + payload + "." + over(payload), verify.ErrSignature},
		{"over the decoded text", head + "." + payload + "." + over(m.header.String()+"."+m.claims.String()),
			verify.ErrSignature},
		{"over a dot too many", head + "." + payload + "." + over(head+"."+payload+"."), verify.ErrSignature},
		{"over nothing", head + "." + payload + "." + over(""), verify.ErrSignature},
		{"by a stranger's key under our kid", by(keystest.ES256Other, m.header), verify.ErrSignature},
		{"by a stranger's RSA key under our kid", by(keystest.RS256Other, m.rsHeader), verify.ErrSignature},
		{"by an RSA key of 1024 bits under our kid", by(keystest.WeakRSA, m.rsHeader), verify.ErrSignature},
	}
}

// flips have one bit changed, in each third of signature and payload.
func (m maker) flips() (rows []row) {
	for _, key := range []named{{"ECDSA", m.token}, {"RSA", m.rsToken}} {
		signed, signature := cut(key.value)
		head, payload, kept := segments(key.value)
		for third := range 3 {
			name := fmt.Sprintf("%s, a bit in third %d of the ", key.name, third+1)
			rows = append(rows,
				row{name + "signature", signed + "." + flipped(signature, third), verify.ErrSignature},
				row{name + "payload", head + "." + flipped([]byte(m.claims.String()), third) + "." + kept,
					verify.ErrSignature})
		}
		last := bytes.Clone(signature)
		last[len(last)-1] ^= 1
		rows = append(rows, row{key.name + ", the last bit", head + "." + payload + "." + keystest.Encode(last),
			verify.ErrSignature})
	}
	return rows
}

// flipped encodes the octets with a bit in the middle of a third changed.
func flipped(octets []byte, third int) string {
	changed := bytes.Clone(octets)
	changed[len(octets)*(2*third+1)/6] ^= 0x10
	return keystest.Encode(changed)
}

func (m maker) ecSignatures() []row {
	signed, signature := cut(m.token)
	n := elliptic.P256().Params().N
	zero, one := new(big.Int), big.NewInt(1)
	r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	full := new(big.Int).Sub(new(big.Int).Lsh(one, 256), one)
	octets := func(parts ...[]byte) string { return signed + "." + keystest.Encode(slices.Concat(parts...)) }
	pair := func(r, s *big.Int) string { return octets(fixed(r, 32), fixed(s, 32)) }
	plus := func(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }
	minus := func(a, b *big.Int) *big.Int { return new(big.Int).Sub(a, b) }
	digest := sha256.Sum256([]byte(signed))
	der := must(keystest.Raw(keystest.ES256).Sign(rand.Reader, digest[:], crypto.SHA256))
	_, rsa := cut(m.rsToken)
	return []row{
		// If (r, s) is an ECDSA signature, so is (r, n−s): anybody can make the second. It must not mean anything new.
		{"s → n−s", pair(r, minus(n, s)), nil},
		{"r → n−r", pair(minus(n, r), s), verify.ErrSignature},
		{"r → n−r, s → n−s", pair(minus(n, r), minus(n, s)), verify.ErrSignature},
		{"ECDSA in DER", octets(der), verify.ErrSignature},
		{"r = s = 0", pair(zero, zero), verify.ErrSignature}, // CVE-2022-21449
		{"r = s = 1", pair(one, one), verify.ErrSignature},
		{"r = 0", pair(zero, s), verify.ErrSignature},
		{"s = 0", pair(r, zero), verify.ErrSignature},
		{"r = n", pair(n, s), verify.ErrSignature},
		{"s = n", pair(r, n), verify.ErrSignature},
		{"r = s = n", pair(n, n), verify.ErrSignature},
		{"r = n−1, s = n−1", pair(minus(n, one), minus(n, one)), verify.ErrSignature},
		{"r > n", pair(plus(n, one), s), verify.ErrSignature},
		{"s > n", pair(r, plus(n, one)), verify.ErrSignature},
		{"r and s as large as can be", pair(full, full), verify.ErrSignature},
		{"r and s exchanged", pair(s, r), verify.ErrSignature},
		{"r twice", pair(r, r), verify.ErrSignature},
		{"63 octets", octets(signature[:63]), verify.ErrSignature},
		{"63 octets, the first gone", octets(signature[1:]), verify.ErrSignature},
		{"65 octets", octets(signature, []byte{0}), verify.ErrSignature},
		{"65 octets, zero in front", octets([]byte{0}, signature), verify.ErrSignature},
		{"66 octets, zero before each number", octets(fixed(r, 33), fixed(s, 33)), verify.ErrSignature},
		{"96 octets, as of P-384", octets(fixed(r, 48), fixed(s, 48)), verify.ErrSignature},
		{"32 octets", octets(signature[:32]), verify.ErrSignature},
		{"one octet", octets([]byte{0}), verify.ErrSignature},
		{"twice in a row", octets(signature, signature), verify.ErrSignature},
		{"octets of each number the other way round", octets(backwards(signature[:32]), backwards(signature[32:])),
			verify.ErrSignature},
		{"an RSA signature for the EC key", octets(rsa), verify.ErrSignature},
	}
}

func (m maker) rsSignatures() []row {
	signed, signature := cut(m.rsToken)
	key := keystest.Raw(keystest.RS256)
	n := key.Public().(*rsa.PublicKey).N
	one, number := big.NewInt(1), new(big.Int).SetBytes(signature)
	octets := func(parts ...[]byte) string { return signed + "." + keystest.Encode(slices.Concat(parts...)) }
	digest := sha256.Sum256([]byte(signed))
	bare := must(key.Sign(rand.Reader, digest[:], crypto.Hash(0))) // the digest, and nothing that says which
	_, ec := cut(m.token)
	return []row{
		{"RSA, 255 octets", octets(signature[:255]), verify.ErrSignature},
		{"RSA, 255 octets, the first gone", octets(signature[1:]), verify.ErrSignature},
		{"RSA, 257 octets", octets(signature, []byte{0}), verify.ErrSignature},
		{"RSA, 257 octets, zero in front", octets([]byte{0}, signature), verify.ErrSignature},
		{"RSA, 512 octets, zeros in front", octets(make([]byte, 256), signature), verify.ErrSignature},
		{"RSA, plus the modulus", octets(new(big.Int).Add(number, n).Bytes()), verify.ErrSignature},
		{"RSA, modulus minus it", octets(fixed(new(big.Int).Sub(n, number), 256)), verify.ErrSignature},
		{"RSA, modulus − 1", octets(new(big.Int).Sub(n, one).Bytes()), verify.ErrSignature},
		{"RSA, the modulus", octets(n.Bytes()), verify.ErrSignature},
		{"RSA, all zero", octets(make([]byte, 256)), verify.ErrSignature},
		{"RSA, one", octets(fixed(one, 256)), verify.ErrSignature},
		{"RSA, all ones", octets(bytes.Repeat([]byte{0xff}, 256)), verify.ErrSignature},
		{"RSA, without the name of the hash", octets(bare), verify.ErrSignature},
		{"RSA, octets the other way round", octets(backwards(signature)), verify.ErrSignature},
		{"an EC signature for the RSA key", octets(ec), verify.ErrSignature},
	}
}

// fixed is a number in so many octets.
func fixed(number *big.Int, size int) []byte { return number.FillBytes(make([]byte, size)) }

func backwards(octets []byte) []byte {
	reversed := bytes.Clone(octets)
	slices.Reverse(reversed)
	return reversed
}
