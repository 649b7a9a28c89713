package doctor_test

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"example.com/signet/keys/keystest"
)

// first changes the first key of the set, which is for ES256.
func first(change func(keystest.Object) keystest.Object) func(*fake) {
	return func(f *fake) { f.keys[0] = change(f.keys[0]) }
}

// second changes the second, which is for RS256.
func second(change func(keystest.Object) keystest.Object) func(*fake) {
	return func(f *fake) { f.keys[1] = change(f.keys[1]) }
}

func member(name, value string) func(keystest.Object) keystest.Object {
	return func(key keystest.Object) keystest.Object { return key.With(name, value) }
}

func lacking(name string) func(keystest.Object) keystest.Object {
	return func(key keystest.Object) keystest.Object { return key.Without(name) }
}

// more adds keys to the set.
func more(keys ...keystest.Object) func(*fake) {
	return func(f *fake) { f.keys = append(f.keys, keys...) }
}

// only leaves these keys in the set.
func only(keys ...keystest.Object) func(*fake) {
	return func(f *fake) { f.keys = keys }
}

func number(n *big.Int) string { return strconv.Quote(keystest.Encode(n.Bytes())) }

// rsaJWK is a key with a made-up modulus, of which nobody but a factorizer sees that it is none.
func rsaJWK(bits int) keystest.Object {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return publicJWK(keystest.RS256).With("n", number(n.SetBit(n, 0, 1))).With("kid", strconv.Quote("rsa-"+strconv.Itoa(bits)))
}

// weakJWK is a real key of 1024 bits.
func weakJWK() keystest.Object {
	raw := keystest.Raw(keystest.WeakRSA).Public().(*rsa.PublicKey)
	return rsaJWK(1024).With("n", number(raw.N))
}

// p384JWK is a key on another curve.
func p384JWK() keystest.Object {
	point, err := keystest.Raw(keystest.WrongCurve).Public().(*ecdsa.PublicKey).Bytes()
	if err != nil {
		panic(err)
	}
	return keystest.Object(nil).With("kty", `"EC"`).With("crv", `"P-384"`).With("kid", `"p384"`).With("alg", `"ES384"`).
		With("x", strconv.Quote(keystest.Encode(point[1:49]))).With("y", strconv.Quote(keystest.Encode(point[49:])))
}

// bare is an object of members, name and value in turn.
func bare(pairs ...string) keystest.Object {
	var o keystest.Object
	for i := 0; i < len(pairs); i += 2 {
		o = o.Twice(pairs[i], pairs[i+1])
	}
	return o
}

func many(n int) func(*fake) {
	return func(f *fake) {
		for i := range n {
			f.keys = append(f.keys, bare("kty", `"oct"`, "kid", strconv.Quote(strconv.Itoa(i)), "k", `"AQ"`))
		}
	}
}

func TestJWKSDocument(t *testing.T) {
	set := func(change func(*page)) func(*fake) { return at(change, jwksPlace) }
	runRows(t, []row{
		{"not there", set(status(404)), []string{"error jwks.status"}, "404 (Not Found)"},
		{"server error", set(status(502)), []string{"error jwks.status"}, ""},
		{"no content", set(status(204)), []string{"error jwks.status"}, ""},
		{"not modified since never", set(serving(notModified)), []string{"error jwks.status"}, "304"},
		{"a page of HTML", set(body("<html>")), []string{"error jwks.html"}, ""},
		{"too large", set(body(`{"keys":[]` + strings.Repeat(" ", 512<<10) + `}`)), []string{"error jwks.size"}, "more than 512 KiB"},
		{"redirect elsewhere", set(redirectTo("http://issuer.example.com/jwks")), []string{"error jwks.redirect"}, ""},
		{"redirect to another port", set(redirectTo("http://127.0.0.1:1/jwks")), []string{"error jwks.redirect"}, `to "http://127.0.0.1:1/jwks"`},
		{"redirect for ever", set(redirectTo(jwksPlace)), []string{"error jwks.redirect"}, ""},
		{"redirect on the spot", redirect(jwksPlace, "/jwks"), []string{"warning jwks.redirect"}, `/jwks"`},
		{"no content type", set(without("Content-Type")), []string{"warning jwks.content_type"}, "no Content-Type"},
		{"octets", set(having("Content-Type", "application/octet-stream")), []string{"warning jwks.content_type"}, ""},
		{"JSON", set(having("Content-Type", "application/json; charset=utf-8")), nil, ""},

		{"not JSON", set(body("keys")), []string{"error jwks.json"}, "the document is not a JWK Set: "},
		{"an array", set(body("[]")), []string{"error jwks.json"}, ""},
		{"no keys", set(body("{}")), []string{"error jwks.json"}, "no keys array"},
		{"keys an object", set(body(`{"keys":{}}`)), []string{"error jwks.json"}, ""},
		{"keys null", set(body(`{"keys":null}`)), []string{"error jwks.json"}, ""},
		{"no key", only(), []string{"error jwks.usable"}, "the set is empty"},
		{"keys twice", func(f *fake) {
			f.pages[jwksPlace].body = strings.TrimSuffix(f.jwks(), "}\n") + `,"keys":[]}`
		}, []string{"error jwks.json", "error jwks.usable"}, ""},
		{"something behind it", func(f *fake) { f.pages[jwksPlace].body = f.jwks() + "{}" }, []string{"error jwks.json"}, ""},
		{"100 keys", many(96), []string{"error jwks.symmetric"}, "and 91 more"},
		{"101 keys", many(97), []string{"error jwks.count", "error jwks.symmetric", "error jwks.usable"}, "101 keys; the first 100"},
	})
}

func TestJWKSKeys(t *testing.T) {
	alone := []string{"warning cache.next_key"}
	unused := func(faults ...string) []string {
		return slices.Sorted(slices.Values(append(faults, "note cache.next_key")))
	}
	long := strconv.Quote(strings.Repeat("k", 257))
	runRows(t, []row{
		{"private, EC", first(member("d", `"AQ"`)), unused("error jwks.private"), "private members d"},
		{"private, RSA", second(member("qi", `"AQ"`)), unused("error jwks.private"), "private members qi"},
		{"private, RSA, all", more(bare("kty", `"RSA"`, "kid", `"k"`, "p", `"AQ"`, "q", `"AQ"`, "dp", `"AQ"`, "dq", `"AQ"`, "d", `"AQ"`,
			"oth", "[]")), []string{"error jwks.private"}, `"k": private members d, p, q, dp, dq, oth`},
		{"private, a type to come", more(bare("kty", `"AKP"`, "kid", `"k"`, "priv", `"AQ"`)), []string{"error jwks.private"}, ""},
		{"private, for encryption", more(bare("kty", `"EC"`, "use", `"enc"`, "d", `"AQ"`)), []string{"error jwks.private"}, "key 5: private"},
		{"private, of another type", more(bare("kty", `"EC"`, "d", "1", "d", "2")), []string{"error jwks.private"}, ""},
		{"symmetric", more(bare("kty", `"oct"`, "kid", `"k"`, "k", `"AQ"`)), []string{"error jwks.symmetric"}, `"k": symmetric`},
		{"symmetric, without value", more(bare("kty", `"oct"`, "kid", `"k"`)), []string{"error jwks.symmetric"}, ""},
		{"symmetric, in disguise", first(member("k", `"AQ"`)), unused("error jwks.symmetric"), ""},

		{"not an object", func(f *fake) { f.pages[jwksPlace].body = strings.Replace(f.jwks(), "[{", "[1,{", 1) },
			[]string{"error jwks.key_json"}, "key 1: not a JSON object"},
		{"member twice", first(func(key keystest.Object) keystest.Object { return key.Twice("use", `"sig"`) }),
			unused("error jwks.key_json"), `duplicate object member name "use"`},
		{"escaped name", first(member(`\u007a`, "1")), unused("error jwks.key_json"), "member name with an escape"},
		{"bad UTF-8", first(member("z", "\"\xff\"")), unused("error jwks.key_json"), ""},

		{"no kid", first(lacking("kid")), unused("error jwks.kid_missing"), "key 1: no kid, in a set of more than one key"},
		{"no kid, two", all(first(lacking("kid")), second(lacking("kid"))), unused("error jwks.kid_missing"), "; key 2: no kid"},
		{"kid a number", first(member("kid", "1")), unused("error jwks.kid_missing"), ""},
		{"no kid, one key", only(publicJWK(keystest.ES256).Without("kid")), []string{"error jwks.usable", "warning jwks.kid_missing"}, ""},
		{"no kid, one key beside one for encryption", only(publicJWK(keystest.ES256).Without("kid"), rsaJWK(2048).With("use", `"enc"`)),
			[]string{"error jwks.usable", "warning jwks.kid_missing"}, ""},
		{"long kid", first(member("kid", long)), unused("error jwks.kid"), "a kid of 257 octets"},
		{"kid with escape", first(member("kid", `"\u001b[2J"`)), unused("error jwks.kid"), `"\x1b[2J": a kid that is not printable`},
		{"kid from right to left", first(member("kid", `"\u202ek"`)), unused("error jwks.kid"), ""},

		{"RSA of 1024 bits", more(weakJWK()), []string{"error jwks.key_size"}, `"rsa-1024": RSA of 1024 bits`},
		{"RSA of 2047 bits", more(rsaJWK(2047)), []string{"error jwks.key_size"}, ""},
		{"RSA of 4096 bits", more(rsaJWK(4096)), nil, ""},
		{"RSA of 4097 bits", more(rsaJWK(4097)), []string{"note jwks.key_size"}, ""},
		{"RSA of 8192 bits", more(rsaJWK(8192)), []string{"note jwks.key_size"}, ""},
		{"RSA of 8193 bits", more(rsaJWK(8193)), []string{"warning jwks.key_size"}, ""},
		{"RSA of 400,000 bits", more(rsaJWK(400_000)), []string{"warning jwks.key_size"}, ""},
		{"even exponent", second(member("e", `"AQAA"`)), unused("error jwks.exponent"), "an even exponent"},
		{"exponent 1", second(member("e", `"AQ"`)), unused("error jwks.exponent"), "exponent 1"},
		{"exponent of 33 bits", second(member("e", `"AQAAAAE"`)), unused("warning jwks.exponent"), "an exponent of 33 bits"},
		{"even modulus", second(member("n", number(new(big.Int).Lsh(big.NewInt(1), 2047)))), unused("error jwks.exponent"), "an even modulus"},
		{"exponent with leading zero", second(member("e", `"AAEAAQ"`)), unused("error jwks.encoding"), ""},
		{"exponent padded", second(member("e", `"AQ=="`)), unused("error jwks.encoding"), ""},
		{"exponent in two lines", more(rsaJWK(2048).With("e", `"AQ\nAB"`)), []string{"error jwks.encoding"}, ""},
		{"exponent with stray bits", second(member("e", `"AR"`)), unused("error jwks.encoding"), ""},
		{"no modulus", second(lacking("n")), unused("error jwks.encoding"), ""},
		{"point off the curve", first(member("y", strconv.Quote(keystest.Encode(strings.Repeat("\x01", 32))))), unused("error jwks.point"),
			"not on P-256"},
		{"short coordinate", first(member("x", `"AQ"`)), unused("error jwks.encoding"), "not 32 octets"},
		{"no coordinate", first(lacking("y")), unused("error jwks.encoding"), ""},

		{"no alg", first(lacking("alg")), unused("warning jwks.alg_missing"), "only one usable key for ES256"},
		{"no alg anywhere", only(publicJWK(keystest.ES256).Without("alg"), publicJWK(keystest.RS256).Without("alg")),
			[]string{"error jwks.usable", "warning jwks.alg_missing"}, "none of 2 keys can be used by Signet"},
		{"alg of the other type", first(member("alg", `"RS256"`)), unused("error jwks.alg"), `alg "RS256" with a key of type "EC P-256"`},
		{"alg of another curve", first(member("alg", `"ES384"`)), unused("error jwks.alg"), ""},
		{"alg symmetric", second(member("alg", `"HS256"`)), unused("error jwks.alg"), ""},
		{"alg none", second(member("alg", `"none"`)), unused("error jwks.alg"), ""},
		{"PS256", second(member("alg", `"PS256"`)), unused("note jwks.alg_unsupported"), ""},
		{"ES384", more(p384JWK()), []string{"note jwks.alg_unsupported"}, ""},
		{"ES256 with P-384", more(p384JWK().With("alg", `"ES256"`)), []string{"error jwks.alg"}, ""},
		{"EdDSA", more(bare("kty", `"OKP"`, "crv", `"Ed25519"`, "kid", `"k"`, "alg", `"EdDSA"`)), []string{"note jwks.alg_unsupported"}, ""},
		{"unknown alg", more(bare("kty", `"AKP"`, "kid", `"k"`, "alg", `"ML-DSA-44"`)), []string{"note jwks.alg_unsupported"}, ""},
		{"no key that we can use", only(p384JWK()), []string{"error jwks.usable", "note jwks.alg_unsupported"},
			"the only key cannot be used by Signet"},

		{"for encryption", more(rsaJWK(2048).With("use", `"enc"`)), nil, ""},
		{"for encryption, by alg", more(rsaJWK(2048).Without("use").With("alg", `"RSA-OAEP-256"`)), nil, ""},
		{"for something else", first(member("use", `"tls"`)), unused("note jwks.use"), `use is "tls"`},
		{"key_ops without verify", first(member("key_ops", `["sign"]`)), unused("note jwks.use"), "key_ops is without verify"},
		{"key_ops with verify", first(member("key_ops", `["verify"]`)), nil, ""},
		{"kty in small letters", first(member("kty", `"ec"`)), unused("error jwks.alg"), ""},
		{"key_ops of another type", first(member("key_ops", "1")), unused("note jwks.use"), ""},
		{"x a null", first(member("x", "null")), unused("error jwks.encoding"), ""},
		{"oth a null", second(member("oth", "null")), unused("warning jwks.key_unusable"), ""},
		{"certificate", first(member("x5c", `["MII="]`)), []string{"note jwks.x5"}, ""},
		{"certificate elsewhere", first(member("x5u", `"https://issuer.example.com/c"`)), []string{"note jwks.x5"}, ""},

		{"different keys under one kid", func(f *fake) {
			f.keys = append(f.keys, rsaJWK(2048).With("kid", strconv.Quote(keystest.Key(keystest.ES256).ID())))
		}, unused("error jwks.duplicate_kid"), "keys 1 and 5 are both "},
		{"different keys under one kid, one unusable", func(f *fake) {
			f.keys = append(f.keys, weakJWK().With("kid", strconv.Quote(keystest.Key(keystest.ES256).ID())))
		}, []string{"error jwks.duplicate_kid", "error jwks.key_size"}, ""},
		{"the same key twice", more(publicJWK(keystest.ES256)), []string{"note jwks.same_key"}, "keys 1 and 5"},
		{"the same key under two kids", more(publicJWK(keystest.ES256).With("kid", `"k"`)), []string{"note jwks.same_key"}, ""},
		{"one key", only(publicJWK(keystest.ES256)), unused(), "only one usable key for ES256"},
		{"one key of each", only(publicJWK(keystest.RS256), publicJWK(keystest.ES256)), unused(), "only one usable key for ES256 and for RS256"},
		{"one key, kept for an hour", all(only(publicJWK(keystest.ES256)), at(having("Cache-Control", "max-age=3600"), jwksPlace)), alone,
			"and verifiers keep the set for up to 60 minutes"},
	})
}

// The worst comes first, and a hundred faults of one kind are one finding.
func TestJWKSOrder(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	all(first(lacking("alg")), more(p384JWK()))(f)
	for i := range 30 {
		f.keys = append(f.keys, weakJWK().With("kid", strconv.Quote("weak-"+strconv.Itoa(i))).With("n", number(big.NewInt(int64(2*i+1)))))
	}
	more(publicJWK(keystest.ES256).With("kid", `"leak"`).With("d", `"AQ"`), rsaJWK(2048).With("kid", `"p384"`))(f)
	var order []string
	for _, finding := range f.examine().Findings {
		if strings.HasPrefix(finding.Check, "jwks.") {
			order = append(order, finding.Grade.String()+" "+finding.Check+": "+finding.Says)
		}
	}
	got := strings.Join(order, "\n")
	want := `error jwks.private: "leak": private members d
error jwks.key_size: "weak-0": RSA of 1 bits; "weak-1": RSA of 2 bits; "weak-2": RSA of 3 bits; "weak-3": RSA of 3 bits; ` +
		`"weak-4": RSA of 4 bits; and 25 more
error jwks.duplicate_kid: different keys have one kid: keys 5 and 37 are both "p384"
warning jwks.alg_missing: "` + keystest.Key(keystest.ES256).ID() + `": no alg
note jwks.alg_unsupported: "p384": alg "ES384"
note jwks.same_key: the same key more than once: keys 1 and 36
ok jwks.usable: 4 of 37 keys can be used by Signet: 1 ES256, 3 RS256`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
