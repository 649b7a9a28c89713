package keys_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// privateMembers are the private members of the named key's JWK, all that RFC 7518 has.
func privateMembers(name string) member {
	encode := func(n *big.Int) string { return keystest.Encode(n.Bytes()) }
	if raw, isRSA := keystest.Raw(name).(*rsa.PrivateKey); isRSA {
		return member{"d": encode(raw.D), "p": encode(raw.Primes[0]), "q": encode(raw.Primes[1]),
			"dp": encode(raw.Precomputed.Dp), "dq": encode(raw.Precomputed.Dq), "qi": encode(raw.Precomputed.Qinv)}
	}
	return member{"d": keystest.Encode(must(rawEC(name).Bytes()))}
}

// clientJWK is the named key's private JWK with members replaced; nil takes a member away.
func clientJWK(t testing.TB, name string, changes member) string {
	t.Helper()
	members := privateMembers(name)
	for name, value := range changes {
		members[name] = value
	}
	return jwkWith(t, name, members)
}

// smallEC is the private JWK, without kid, of a P-256 key whose d is a small number.
func smallEC(t testing.TB, d int64) (jwk string, raw *ecdsa.PrivateKey) {
	t.Helper()
	octets := fixed(big.NewInt(d), 32)
	raw = must(ecdsa.ParseRawPrivateKey(elliptic.P256(), octets))
	point := must(raw.PublicKey.Bytes())
	return string(must(json.Marshal(member{"kty": "EC", "crv": "P-256", "d": keystest.Encode(octets),
		"x": keystest.Encode(point[1:33]), "y": keystest.Encode(point[33:])}))), raw
}

func TestParseClientKey(t *testing.T) {
	t.Parallel()
	ec, rs := keystest.ES256, keystest.RS256
	kid := func(name string) string { return keystest.Key(name).ID() }
	bare := member{"alg": nil, "use": nil, "kid": nil}
	small, smallRaw := smallEC(t, 7)
	for _, row := range []struct {
		name string
		text string
		key  *ecdsa.PrivateKey // nil: keystest's
		alg  string
		kid  string
	}{
		{"EC", clientJWK(t, ec, nil), nil, ec, kid(ec)},
		{"EC, its own kid", clientJWK(t, ec, member{"kid": "billing-2026"}), nil, ec, "billing-2026"},
		{"EC, the fewest members", clientJWK(t, ec, bare), nil, ec, kid(ec)},
		{"EC, d with leading zeros", small, smallRaw, ec, must(keys.NewPrivateKey(smallRaw)).ID()},
		{"RSA", clientJWK(t, rs, nil), nil, rs, kid(rs)},
		{"RSA, its own kid", clientJWK(t, rs, member{"kid": "billing-2026"}), nil, rs, "billing-2026"},
		{"RSA, the fewest members", clientJWK(t, rs, member{"alg": nil, "use": nil, "kid": nil, "dp": nil, "dq": nil, "qi": nil}), nil, rs, kid(rs)},
		{"RSA, primes the other way round",
			clientJWK(t, rs, member{"p": privateMembers(rs)["q"], "q": privateMembers(rs)["p"]}), nil, rs, kid(rs)},
		{"kid empty", clientJWK(t, ec, member{"kid": ""}), nil, ec, kid(ec)},
		{"kid of 256 octets", clientJWK(t, ec, member{"kid": strings.Repeat(`"`, 256)}), nil, ec, strings.Repeat(`"`, 256)},
		{"kid with what JSON escapes", clientJWK(t, ec, member{"kid": `a"b\c/ é <&>`}), nil, ec, `a"b\c/ é <&>`},
		{"key_ops", clientJWK(t, ec, member{"use": nil, "key_ops": []string{"verify", "sign"}}), nil, ec, kid(ec)},
		{"members unknown", clientJWK(t, ec, member{"x5t": "AQ", "ext": true, "note": member{"a": []int{1}}}), nil, ec, kid(ec)},
		{"white space around", "\r\n\t " + clientJWK(t, ec, nil) + "\n", nil, ec, kid(ec)},
		{"PEM, EC", string(keystest.PEM(ec)), nil, ec, kid(ec)},
		{"PEM, RSA", string(keystest.PEM(rs)), nil, rs, kid(rs)},
		{"PEM, SEC 1", string(pemBlock("EC PRIVATE KEY", sec1())), nil, ec, kid(ec)},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			key, err := keys.ParseClientKey([]byte(row.text))
			if err != nil {
				t.Fatal(err)
			}
			if key.ID() != row.kid {
				t.Errorf("kid %q, want %q", key.ID(), row.kid)
			}
			token, err := key.Sign(keys.TypeClientAssertion, []byte(testPayload))
			if err != nil {
				t.Fatal(err)
			}
			public := keystest.Raw(row.alg).Public()
			if row.key != nil {
				public = row.key.Public()
			}
			if !verifyAlone(public, token) {
				t.Error("the public half does not verify what the key signs")
			}
			got, err := must(keys.NewSet(key.Public())).Verify(token)
			if err != nil || got.Header.KeyID != row.kid || got.Header.Algorithm != keystest.Key(row.alg).Algorithm() {
				t.Errorf("header %+v, error %v", got.Header, err)
			}
		})
	}
}

// A public JWK with the kid of the private one verifies: that is how an issuer knows the key.
func TestClientKeyFitsItsPublicJWK(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		key := must(keys.ParseClientKey([]byte(clientJWK(t, name, member{"kid": "billing"}))))
		public := must(keys.ParseJWK([]byte(jwkWith(t, name, member{"kid": "billing"}))))
		token := must(key.Sign(keys.TypeClientAssertion, []byte(testPayload)))
		if _, err := must(keys.NewSet(public)).Verify(token); err != nil || !key.Public().Equal(public) {
			t.Errorf("%s: %v; the public half is %v", name, err, key.Public())
		}
	}
}

func TestParseClientKeyRefuses(t *testing.T) {
	t.Parallel()
	ec, rs := keystest.ES256, keystest.RS256
	raw, private := rawRSA(rs), privateMembers(rs)
	number := func(n *big.Int) string { return keystest.Encode(n.Bytes()) }
	order := elliptic.P256().Params().N
	phi := new(big.Int).Mul(new(big.Int).Sub(raw.Primes[0], big.NewInt(1)), new(big.Int).Sub(raw.Primes[1], big.NewInt(1)))
	dTimes := new(big.Int).Add(raw.D, new(big.Int).Lsh(phi, 2)) // as good as d, and larger than n
	huge := must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 8200)))
	huge.SetBit(huge.SetBit(huge, 8200, 1), 0, 1)
	const (
		strict   = "not a strict JSON object of JWK members"
		isPublic = "this is a public key, a private key is needed"
		ecD      = "d is not 32 octets"
		range0   = "d is out of range"
		point    = "not a P-256 point of two times 32 octets"
		pair     = "x and y are not of the key that d is"
		rsaForm  = "RSA without d, p or q, or with one that is malformed"
		rsaFit   = "the RSA numbers do not fit one another"
		badN     = "RSA modulus or exponent is missing, malformed or out of range"
		kid      = "kid is too long or not printable"
	)
	change := func(name, of string, value any) string { return clientJWK(t, of, member{name: value}) }
	d := private["d"].(string)
	weak := privateMembers(keystest.WeakRSA)
	weak["n"] = modulus(keystest.WeakRSA)
	for _, row := range []struct {
		name string
		text string
		want string
	}{
		{"empty", "", "not PEM"},
		{"white space", " \n", "not PEM"},
		{"HTML", "<html>", "not PEM"},
		{"byte order mark", "\ufeff" + clientJWK(t, ec, nil), "not PEM"},
		{"array", "[" + clientJWK(t, ec, nil) + "]", "not PEM"},
		{"string", `"` + d + `"`, "not PEM"},
		{"empty object", "{}", isPublic},
		{"JWK Set", string(jwkSet(clientJWK(t, ec, nil))), isPublic},
		{"truncated", strings.TrimSuffix(clientJWK(t, ec, nil), "}"), strict},
		{"two JWKs", clientJWK(t, ec, nil) + clientJWK(t, ec, nil), strict},
		{"trailing byte", clientJWK(t, ec, nil) + "x}", strict},
		{"trailing NUL", clientJWK(t, ec, nil) + "\x00", strict},
		{"PEM behind it", clientJWK(t, ec, nil) + "\n" + string(keystest.PEM(ec)), strict},
		{"d twice", withMember(clientJWK(t, ec, nil), `"d":"AQ"`), strict},
		{"d twice, the same", withMember(clientJWK(t, ec, nil), `"d":"`+privateMembers(ec)["d"].(string)+`"`), strict},
		{"d twice, spelled apart", withMember(clientJWK(t, ec, nil), `"\u0064":"AQ"`), strict},
		{"kid twice", withMember(clientJWK(t, ec, nil), `"kid":"x"`), strict},
		{"unknown member twice", withMember(clientJWK(t, ec, nil), `"a":1,"a":1`), strict},
		{"kty a number", change("kty", ec, 1), strict},
		{"kid a number", change("kid", ec, 1), strict},
		{"key_ops a string", change("key_ops", ec, "sign"), strict},
		{"not UTF-8", withMember(clientJWK(t, ec, nil), "\"a\":\"\xff\""), strict},

		{"public EC", jwkWith(t, ec, nil), isPublic},
		{"public RSA", jwkWith(t, rs, nil), isPublic},
		{"RSA with its primes only", clientJWK(t, rs, member{"d": nil}), isPublic},
		{"oct", `{"kty":"oct","kid":"k","k":"` + d + `"}`, "symmetric"},
		{"oct with a d", `{"kty":"oct","d":"` + d + `"}`, "symmetric"},
		{"k beside an EC key", change("k", ec, "AQ"), "symmetric"},
		{"OKP", `{"kty":"OKP","crv":"Ed25519","d":"` + d[:43] + `","x":"AQ"}`, `kty is "OKP", neither EC nor RSA`},
		{"kty in small letters", change("kty", ec, "ec"), `kty is "ec", neither EC nor RSA`},
		{"kty of the other", change("kty", ec, "RSA"), badN},
		{"kty of the other, RSA", change("kty", rs, "EC"), point},
		{"no kty", change("kty", ec, nil), `kty is "", neither EC nor RSA`},

		{"alg of RSA", change("alg", ec, "RS256"), "alg \"RS256\" does not fit a key for ES256"},
		{"alg of EC", change("alg", rs, "ES256"), "alg \"ES256\" does not fit a key for RS256"},
		{"alg PS256", change("alg", rs, "PS256"), "alg \"PS256\" does not fit a key for RS256"},
		{"alg of encryption", change("alg", rs, "RSA-OAEP"), "alg \"RSA-OAEP\" does not fit a key for RS256"},
		{"alg none", change("alg", ec, "none"), "alg \"none\" does not fit a key for ES256"},
		{"alg in small letters", change("alg", ec, "es256"), "alg \"es256\" does not fit a key for ES256"},
		{"use enc", change("use", ec, "enc"), `use is "enc", not sig`},
		{"use SIG", change("use", ec, "SIG"), `use is "SIG", not sig`},
		{"use hostile", change("use", ec, "\x1b[2J"), `use is "\x1b[2J", not sig`},
		{"key_ops without sign", change("key_ops", ec, []string{"verify", "decrypt"}), "key_ops is without sign"},
		{"key_ops empty", change("key_ops", ec, []string{}), "key_ops is without sign"},
		{"kid of 257 octets", change("kid", ec, strings.Repeat("k", 257)), kid},
		{"kid with a line break", change("kid", ec, "a\nb"), kid},
		{"kid with an escape sequence", change("kid", ec, "\x1b[31m"), kid},
		{"kid with a mark that turns text round", change("kid", ec, "a\u202eb"), kid},

		{"P-384", p384Private(), point},
		{"crv P-384", change("crv", ec, "P-384"), point},
		{"crv in small letters", change("crv", ec, "p-256"), point},
		{"no crv", change("crv", ec, nil), point},
		{"no x", change("x", ec, nil), point},
		{"x of 31 octets", change("x", ec, coordinate(ec, 31)), point},
		{"x with a zero before it", change("x", ec, coordinate(ec, 33)), point},
		{"x with padding", change("x", ec, coordinate(ec, 32)+"="), point},
		{"x with stray bits", change("x", ec, strayBits(coordinate(ec, 32))), point},
		{"x with a line break", change("x", ec, coordinate(ec, 32)+"\n"), point},
		{"modulus with a line break", change("n", rs, "\n"+number(raw.N)), badN},
		{"x of another key", change("x", ec, coordinate(keystest.ES256Other, 32)), "point not on P-256"},
		{"d of another key", change("d", ec, privateMembers(keystest.ES256Other)["d"]), pair},
		{"x and y swapped", clientJWK(t, ec, member{"x": jwkOf(t, ec)["y"], "y": jwkOf(t, ec)["x"]}), "point not on P-256"},
		{"d and x swapped", clientJWK(t, ec, member{"d": jwkOf(t, ec)["x"], "x": privateMembers(ec)["d"]}), "point not on P-256"},
		{"the other y", change("y", ec, number(new(big.Int).Sub(elliptic.P256().Params().P, decoded(t, jwkOf(t, ec)["y"])))), pair},
		{"d zero", change("d", ec, keystest.Encode(make([]byte, 32))), range0},
		{"d the order", change("d", ec, number(order)), range0},
		{"d larger than the order", change("d", ec, keystest.Encode(bytes.Repeat([]byte{0xff}, 32))), range0},
		{"d empty", change("d", ec, ""), ecD},
		{"d null", withMember(clientJWK(t, ec, member{"d": nil}), `"d":null`), ecD},
		{"d a number", change("d", ec, 7), ecD},
		{"d a list", change("d", ec, []string{"AQ"}), ecD},
		{"d of 31 octets", change("d", ec, keystest.Encode(make([]byte, 31))), ecD},
		{"d with a zero before it", change("d", ec, keystest.Encode(append([]byte{0}, must(rawEC(ec).Bytes())...))), ecD},
		{"d with padding", change("d", ec, privateMembers(ec)["d"].(string)+"="), ecD},
		{"d with stray bits", change("d", ec, strayBits(privateMembers(ec)["d"].(string))), ecD},
		{"d with a line break", change("d", ec, privateMembers(ec)["d"].(string)+"\r\n"), ecD},
		{"d nothing but a line break", change("d", ec, "\n"), ecD},
		{"d in standard base64", change("d", ec, "+/+/"+privateMembers(ec)["d"].(string)[4:]), ecD},

		{"RSA of 1024 bits", clientJWK(t, rs, weak), "RSA of 1024 bits, want 2048 to 8192"},
		{"RSA of 8201 bits", change("n", rs, number(huge)), "RSA of 8201 bits, want 2048 to 8192"},
		{"exponent 1", change("e", rs, "AQ"), "RSA exponent or modulus out of range"},
		{"exponent even", change("e", rs, "BA"), "RSA exponent or modulus out of range"},
		{"exponent of 5 octets", change("e", rs, "AQAAAAE"), badN},
		{"exponent with leading zero", change("e", rs, "AAEAAQ"), badN},
		{"modulus with leading zero", change("n", rs, keystest.Encode(append([]byte{0}, raw.N.Bytes()...))), badN},
		{"modulus even", change("n", rs, number(new(big.Int).Sub(raw.N, big.NewInt(1)))), "RSA exponent or modulus out of range"},
		{"modulus of another key", change("n", rs, number(rawRSA(keystest.RS256Other).N)), rsaFit},
		{"exponent of another key", change("e", rs, "Aw"), rsaFit},
		{"RSA without p", change("p", rs, nil), rsaForm},
		{"RSA without q", change("q", rs, nil), rsaForm},
		{"RSA without both", clientJWK(t, rs, member{"p": nil, "q": nil}), rsaForm},
		{"RSA with d alone", clientJWK(t, rs, member{"p": nil, "q": nil, "dp": nil, "dq": nil, "qi": nil}), rsaForm},
		{"oth", change("oth", rs, []member{{"r": "AQ", "d": "AQ", "t": "AQ"}}), "RSA of more than two primes"},
		{"oth empty", change("oth", rs, []member{}), "RSA of more than two primes"},
		{"RSA d with leading zero", change("d", rs, keystest.Encode(append([]byte{0}, raw.D.Bytes()...))), rsaForm},
		{"p with leading zero", change("p", rs, keystest.Encode(append([]byte{0}, raw.Primes[0].Bytes()...))), rsaForm},
		{"q with leading zero", change("q", rs, keystest.Encode(append([]byte{0}, raw.Primes[1].Bytes()...))), rsaForm},
		{"q with padding", change("q", rs, private["q"].(string)+"=="), rsaForm},
		{"q with a line break", change("q", rs, private["q"].(string)+"\n"), rsaForm},
		{"q nothing but a line break", change("q", rs, "\n"), rsaForm},
		{"p a number", change("p", rs, 7), rsaForm},
		{"RSA d zero", change("d", rs, "AA"), rsaForm},
		{"RSA d one", change("d", rs, "AQ"), rsaFit},
		{"RSA d of another key", change("d", rs, privateMembers(keystest.RS256Other)["d"]), rsaFit},
		{"RSA d larger than n", change("d", rs, number(dTimes)), rsaFit},
		{"RSA d too long", change("d", rs, strings.Repeat("_", 1400)), rsaForm},
		{"d and p swapped", clientJWK(t, rs, member{"d": private["p"], "p": private["d"]}), rsaFit},
		{"n and d swapped", clientJWK(t, rs, member{"n": private["d"], "d": number(raw.N)}), "RSA of 2045 bits"},
		{"p twice", change("q", rs, private["p"]), rsaFit},
		{"p one", clientJWK(t, rs, member{"p": "AQ", "q": number(raw.N)}), rsaFit},
		{"p two", change("p", rs, "Ag"), rsaFit},
		{"p zero", change("p", rs, "AA"), rsaForm},
		{"p even", change("p", rs, number(new(big.Int).Add(raw.Primes[0], big.NewInt(1)))), rsaFit},
		{"p of another key", change("p", rs, privateMembers(keystest.RS256Other)["p"]), rsaFit},
		{"primes of another key", clientJWK(t, rs, member{"p": privateMembers(keystest.RS256Other)["p"],
			"q": privateMembers(keystest.RS256Other)["q"]}), rsaFit},

		{"encrypted PEM", legacyEncrypted, "encrypted"},
		{"public PEM", string(must(keystest.Key(ec).Public().MarshalPEM())), "a private key is needed"},
		{"P-384 in PEM", string(keystest.PEM(keystest.WrongCurve)), "curve is not P-256"},
		{"weak RSA in PEM", string(keystest.PEM(keystest.WeakRSA)), "RSA of 1024 bits"},
		{"JWK behind PEM", string(keystest.PEM(ec)) + clientJWK(t, ec, nil), "something follows the PEM block"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			key, err := keys.ParseClientKey([]byte(row.text))
			wantError(t, err, keys.ErrKey, row.want)
			if strings.Count(err.Error(), keys.ErrKey.Error()) != 1 {
				t.Errorf("error %q says what it is twice", err)
			}
			if key != nil {
				t.Error("a key beside the error")
			}
			for _, name := range []string{ec, rs} {
				wantNoSecret(t, "the error", err.Error(), name)
			}
		})
	}
}

func p384Private() string {
	return withMember(p384JWK("k", "ES384"), `"d":"`+privateMembers(keystest.WrongCurve)["d"].(string)+`"`)
}

func decoded(t testing.TB, text any) *big.Int {
	t.Helper()
	return new(big.Int).SetBytes(must(base64.RawURLEncoding.DecodeString(text.(string))))
}

// A number that got into the member of a name must not be read in an error.
func TestClientKeyInTheWrongMember(t *testing.T) {
	t.Parallel()
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		for number, secret := range privateMembers(name) {
			for _, wrong := range []string{"kty", "use", "alg", "crv", "x", "y", "n", "e", "k", "oth", "p", "q", "d"} {
				for _, value := range []any{secret, []any{secret}} {
					_, err := keys.ParseClientKey([]byte(clientJWK(t, name, member{wrong: value})))
					if err != nil {
						wantNoSecret(t, number+" in "+wrong, err.Error(), name)
					}
				}
			}
			_, err := keys.ParseClientKey([]byte(clientJWK(t, name, member{"key_ops": []any{secret}})))
			wantError(t, err, keys.ErrKey, "key_ops is without sign")
			wantNoSecret(t, number+" in key_ops", err.Error(), name)
		}
	}
}

func TestReadClientKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	jwk := []byte(clientJWK(t, keystest.ES256, member{"kid": "billing"}))
	file := func(name string, text []byte, mode os.FileMode) string {
		return writeFile(t, filepath.Join(dir, name), text, mode)
	}
	for _, row := range []struct {
		name string
		path string
		want error // nil: the key
		text string
	}{
		{"open to the group", file("group", jwk, 0o640), keys.ErrLooseMode, "0640"},
		{"open to others", file("others", jwk, 0o604), keys.ErrLooseMode, "0604"},
		{"PEM open to others", file("pem others", keystest.PEM(keystest.ES256), 0o644), keys.ErrLooseMode, "0644"},
		{"damaged", file("damaged", jwk[:len(jwk)-1], 0o600), keys.ErrKey, "not a strict JSON object"},
		{"public", file("public", []byte(jwkWith(t, keystest.ES256, nil)), 0o600), keys.ErrKey, "this is a public key"},
		{"64 KiB and 1", file("long", append(jwk, bytes.Repeat([]byte(" "), 64<<10+1-len(jwk))...), 0o600), keys.ErrKey, "longer than 65536"},
		{"directory", dir, keys.ErrKey, "not a regular file"},
		{"FIFO that nobody writes to", fifo, keys.ErrKey, "not a regular file"},
		{"missing", filepath.Join(dir, "missing"), os.ErrNotExist, "missing"},
		{"JWK", file("jwk", slices.Concat(jwk, []byte("\n")), 0o600), nil, "billing"},
		{"JWK that nobody can write", file("0400", jwk, 0o400), nil, "billing"},
		{"PEM", file("pem", keystest.PEM(keystest.ES256), 0o600), nil, keystest.Key(keystest.ES256).ID()},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			key, err := keys.ReadClientKey(row.path)
			if row.want == nil {
				if err != nil || key.ID() != row.text {
					t.Errorf("got %v, %v, want %q", key, err, row.text)
				}
				return
			}
			if !os.IsNotExist(err) {
				wantError(t, err, row.want, row.text)
				wantNoSecret(t, "the error", err.Error(), keystest.ES256)
			}
			if key != nil || err == nil || !strings.Contains(err.Error(), row.path) {
				t.Errorf("got %v, %v, want an error with the path", key, err)
			}
		})
	}
}
