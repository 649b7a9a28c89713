package keys_test

import (
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// jwkSet joins JWKs to a document.
func jwkSet(jwks ...string) []byte { return []byte(`{"keys":[` + strings.Join(jwks, ",") + `]}`) }

// member is a change to a JWK.
type member = map[string]any

// coordinate returns x of the named key in so many octets: zeros before it, or its end cut off.
func coordinate(name string, size int) string {
	x := must(rawEC(name).PublicKey.Bytes())[1:33]
	return keystest.Encode(append(make([]byte, max(0, size-32)), x[:min(32, size)]...))
}

func p384JWK(kid, alg string) string {
	point := must(rawEC(keystest.WrongCurve).PublicKey.Bytes())
	return string(must(json.Marshal(member{"kty": "EC", "crv": "P-384", "alg": alg, "kid": kid,
		"x": keystest.Encode(point[1:49]), "y": keystest.Encode(point[49:])})))
}

func modulus(name string) string {
	return keystest.Encode(keystest.Raw(name).Public().(*rsa.PublicKey).N.Bytes())
}

// Each of these keys stands before and behind a good one, which must survive; it must itself be left out, and the one
// error must say why.
func TestParseSetSkipsOddKeys(t *testing.T) {
	t.Parallel()
	const ec, rs = keystest.ES256Other, keystest.RS256
	with := func(name string, changes member) string { return jwkWith(t, name, changes) }
	exponent := func(octets ...byte) string { return with(rs, member{"e": keystest.Encode(octets)}) }
	raw := func(name, extra string) string { return withMember(with(name, nil), extra) }
	even := new(big.Int).Sub(rawRSA(rs).N, big.NewInt(1))

	rows := []struct {
		name string
		jwk  string
		say  string
	}{
		{"symmetric", `{"kty":"oct","alg":"HS256","kid":"k","k":"c2VjcmV0"}`, "symmetric"},
		{"symmetric without k", `{"kty":"oct","alg":"HS256","kid":"k"}`, "symmetric"},
		{"EC with k", with(ec, member{"k": "c2VjcmV0"}), "symmetric"},
		{"private EC", with(ec, member{"d": "AQ"}), "private"},
		{"private RSA", with(rs, member{"d": "AQ", "p": "AQ", "q": "AQ"}), "private"},
		{"d of another type", with(rs, member{"d": 1}), "private"},
		{"d null", raw(ec, `"d":null`), "private"},
		{"p alone", with(rs, member{"p": "AQ"}), "private"},
		// Each of these gives the whole key away as surely as d does (RFC 7518 §6.3.2).
		{"q alone", with(rs, member{"q": "AQ"}), "private"},
		{"dp alone", with(rs, member{"dp": "AQ"}), "private"},
		{"dq alone", with(rs, member{"dq": "AQ"}), "private"},
		{"qi alone", with(rs, member{"qi": "AQ"}), "private"},
		{"oth alone", with(rs, member{"oth": []any{}}), "private"},

		{"RSA of 1024 bits", with(rs, member{"n": modulus(keystest.WeakRSA)}), "RSA of 1024 bits"},
		{"RSA of 8193 bits", with(rs, member{"n": keystest.Encode(append([]byte{1}, make([]byte, 1024)...))}), "RSA of 8193 bits"},
		{"even modulus", with(rs, member{"n": keystest.Encode(even.Bytes())}), "exponent or modulus out of range"},
		{"modulus with a leading zero", with(rs, member{"n": keystest.Encode(fixed(rawRSA(rs).N, 257))}), "RSA modulus"},
		{"modulus missing", with(rs, member{"n": nil}), "RSA modulus or exponent is missing"},
		{"modulus empty", with(rs, member{"n": ""}), "RSA modulus or exponent is missing"},
		{"line break in e", with(rs, member{"e": "AQ\nAB"}), "malformed"},
		{"line break in x", with(ec, member{"x": "\r\n" + coordinate(ec, 32)}), "32 octets"},
		{"e = 1", exponent(1), "exponent or modulus out of range"},
		{"e = 0", exponent(0), "exponent is missing, malformed or out of range"},
		{"e = 2", exponent(2), "exponent or modulus out of range"},
		{"e even", exponent(1, 0, 2), "exponent or modulus out of range"},
		{"e with a leading zero", exponent(0, 1, 0, 1), "exponent is missing, malformed or out of range"},
		{"e missing", with(rs, member{"e": nil}), "exponent is missing"},
		{"e = 2^31+1", exponent(0x80, 0, 0, 1), "exponent out of range"},
		{"e = 2^32-1", exponent(0xff, 0xff, 0xff, 0xff), "exponent out of range"},
		{"e = 2^32+3, 3 in 32 bits", exponent(1, 0, 0, 0, 3), "out of range"},
		{"e = 2^64+65537, 65537 in 64 bits", exponent(1, 0, 0, 0, 0, 0, 1, 0, 1), "out of range"},
		{"e a number", with(rs, member{"e": 65537}), "not a strict JSON object"},

		{"point off the curve", with(ec, member{"x": keystest.Encode(make([]byte, 32))}), "point not on P-256"},
		{"point (0, 0)", with(ec, member{"x": keystest.Encode(make([]byte, 32)), "y": keystest.Encode(make([]byte, 32))}),
			"point not on P-256"},
		{"coordinates exchanged", with(ec, member{"x": jwkOf(t, ec)["y"], "y": jwkOf(t, ec)["x"]}), "point not on P-256"},
		{"coordinate beyond the field", with(ec, member{"x": keystest.Encode(slices.Repeat([]byte{0xff}, 32))}), "point not on"},
		{"coordinate of 31 octets", with(ec, member{"x": coordinate(ec, 31)}), "two times 32 octets"},
		{"coordinate of 33 octets", with(ec, member{"x": coordinate(ec, 33)}), "two times 32 octets"},
		{"x missing", with(ec, member{"x": nil}), "two times 32 octets"},
		{"y missing", with(ec, member{"y": nil}), "two times 32 octets"},
		{"x padded", with(ec, member{"x": jwkOf(t, ec)["x"].(string) + "="}), "two times 32 octets"},
		{"x in the other alphabet", with(ec, member{"x": base64.RawStdEncoding.EncodeToString(slices.Repeat([]byte{0xfb}, 32))}),
			"two times 32 octets"},
		{"x with stray last bits", with(ec, member{"x": strayBits(jwkOf(t, ec)["x"].(string))}), "two times 32 octets"},
		{"curve missing", with(ec, member{"crv": nil}), "not a P-256 point"},
		{"curve in lower case", with(ec, member{"crv": "p-256"}), "not a P-256 point"},
		{"P-384", p384JWK("k", "ES384"), "not a P-256 point"},
		{"P-384 for ES256", p384JWK("k", "ES256"), "not a P-256 point"},
		{"secp256k1", with(ec, member{"crv": "secp256k1"}), "not a P-256 point"},
		{"OKP", `{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","kid":"k","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`,
			`kty is "OKP", neither EC nor RSA`},
		{"kty missing", with(ec, member{"kty": nil}), `kty is ""`},
		{"kty in lower case", with(ec, member{"kty": "ec"}), `kty is "ec"`},
		{"kty of the other type", with(ec, member{"kty": "RSA"}), "RSA modulus or exponent is missing"},

		{"use enc", with(ec, member{"use": "enc"}), `use is "enc", not sig`},
		{"use in upper case", with(ec, member{"use": "SIG"}), `use is "SIG", not sig`},
		{"use long", with(ec, member{"use": strings.Repeat("u", 5000)}), `use is "uuuuuuuuuuuuuuuuuuuu", not sig`},
		{"key_ops to sign", with(ec, member{"key_ops": []string{"sign"}}), "key_ops is without verify"},
		{"key_ops empty", with(ec, member{"key_ops": []string{}}), "key_ops is without verify"},
		{"key_ops a string", with(ec, member{"key_ops": "verify"}), "not a strict JSON object"},
		{"alg missing", with(ec, member{"alg": nil}), "alg is missing"},
		{"alg null", withMember(with(ec, member{"alg": nil}), `"alg":null`), "alg is missing"},
		{"alg none", with(ec, member{"alg": "none"}), `alg "none" does not fit a key for ES256`},
		{"alg HS256", with(rs, member{"alg": "HS256"}), `alg "HS256" does not fit a key for RS256`},
		{"alg PS256", with(rs, member{"alg": "PS256"}), `alg "PS256" does not fit a key for RS256`},
		{"alg of RSA for EC", with(ec, member{"alg": "RS256"}), `alg "RS256" does not fit a key for ES256`},
		{"alg of EC for RSA", with(rs, member{"alg": "ES256"}), `alg "ES256" does not fit a key for RS256`},
		{"alg in lower case", with(ec, member{"alg": "es256"}), `alg "es256" does not fit`},

		{"kid missing", with(ec, member{"kid": nil}), "kid is missing"},
		{"kid empty", with(ec, member{"kid": ""}), "kid is missing"},
		{"kid null", withMember(with(ec, member{"kid": nil}), `"kid":null`), "kid is missing"},
		{"kid a number", with(ec, member{"kid": 7}), "not a strict JSON object"},
		{"kid with a line break", with(ec, member{"kid": "a\nlevel=INFO"}), "not printable"},
		{"kid with a terminal escape", with(rs, member{"kid": "a\u009b2J"}), "not printable"},
		{"kid that turns the text around", with(rs, member{"kid": "a\u202eb"}), "not printable"},
		{"kid of 257 octets", with(ec, member{"kid": strings.Repeat("k", 257)}), "too long"},
		{"kid of 86 characters and 258 octets", with(ec, member{"kid": strings.Repeat("€", 86)}), "too long"},

		{"duplicate member", raw(ec, `"kid":"again"`), "not a strict JSON object"},
		{"duplicate unknown member", raw(ec, `"z":1,"z":2`), "not a strict JSON object"},
		{"escaped member name", raw(ec, `"\u006bey_ops":["verify"]`), "not a strict JSON object"},
		{"invalid UTF-8", raw(ec, "\"z\":\"\xff\""), "not a strict JSON object"},
		{"lone surrogate", raw(ec, `"z":"\ud800"`), "not a strict JSON object"},
		{"null", `null`, "not a strict JSON object"},
		{"number", `17`, "not a strict JSON object"},
		{"string", `"key"`, "not a strict JSON object"},
		{"array", `[]`, "not a strict JSON object"},
		{"array of a good key", `[` + with(ec, nil) + `]`, "not a strict JSON object"},
		{"empty object", `{}`, "kid is missing"},
	}
	good := jwkWith(t, keystest.ES256, nil)
	want := keystest.Key(keystest.ES256).Public()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, document := range [][]byte{jwkSet(good, row.jwk), jwkSet(row.jwk, good)} {
				set, skipped, err := keys.ParseSet(document)
				if err != nil {
					t.Fatal(err)
				}
				if set.Len() != 1 || set.Key(want.ID()) == nil || !set.Key(want.ID()).Equal(want) {
					t.Errorf("the good key is not the only one left: %v", slices.Collect(set.All()))
				}
				if len(skipped) != 1 {
					t.Fatalf("skipped %v, want one error", skipped)
				}
				wantError(t, skipped[0], keys.ErrKey, row.say)
				if len(skipped[0].Error()) > 300 {
					t.Errorf("a reason of %d octets", len(skipped[0].Error()))
				}
			}
			set, skipped, err := keys.ParseSet(jwkSet(row.jwk))
			wantError(t, err, keys.ErrNoKeys, "none of the 1 keys of the set is usable")
			if set != nil || len(skipped) != 1 {
				t.Errorf("alone: set %v, skipped %v", set, skipped)
			}
		})
	}
}

func TestParseSetAccepts(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name    string
		changes member
	}{
		{"as Signet writes it", nil},
		{"use missing", member{"use": nil}},
		{"key_ops with verify", member{"key_ops": []string{"verify"}}},
		{"key_ops with more", member{"key_ops": []string{"sign", "verify"}}},
		{"unknown members", member{"x5t": "abc", "x5c": []string{"abc"}, "nested": member{"d": "AQ", "k": "AQ"}}},
		{"members in another case", member{"D": "AQ", "K": "AQ", "ALG": "none"}},
		{"kid of 256 octets", member{"kid": strings.Repeat("k", 256)}},
		{"kid of any printable characters", member{"kid": "../../<script>€ \"\\"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, name := range []string{keystest.ES256, keystest.RS256} {
				set, skipped, err := keys.ParseSet(jwkSet(jwkWith(t, name, row.changes)))
				if err != nil || skipped != nil || set.Len() != 1 {
					t.Errorf("%s: %v, %v, %v", name, set, skipped, err)
				}
			}
		})
	}
}

func TestParseSetOneKidManyKeys(t *testing.T) {
	t.Parallel()
	const kid = "shared"
	named := func(name string) string { return jwkWith(t, name, member{"kid": kid}) }
	good := jwkWith(t, keystest.ES256, nil)
	a, b, c := named(keystest.ES256), named(keystest.ES256Other), named(keystest.RS256)

	rows := []struct {
		name     string
		document []byte
		left     int
		skipped  int
		has      bool // whether the shared kid is left
	}{
		{"two keys", jwkSet(good, a, b), 1, 1, false},
		{"two keys of two types", jwkSet(a, good, c), 1, 1, false},
		{"three keys", jwkSet(a, b, c, good), 1, 1, false},
		{"one twice, then another", jwkSet(a, a, b, good), 1, 1, false},
		{"another, then one twice", jwkSet(b, a, a, good), 1, 1, false},
		{"the same key twice", jwkSet(a, good, a), 2, 0, true},
		{"the same key three times", jwkSet(a, a, a), 1, 0, true},
		{"an unusable key takes no kid", jwkSet(`{"kty":"oct","kid":"shared","k":"AQ"}`, a), 1, 1, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			set, skipped, err := keys.ParseSet(row.document)
			if err != nil {
				t.Fatal(err)
			}
			if set.Len() != row.left || (set.Key(kid) != nil) != row.has || len(skipped) != row.skipped {
				t.Errorf("left %v, skipped %v", slices.Collect(set.All()), skipped)
			}
			for _, reason := range skipped {
				wantError(t, reason, keys.ErrKey, "")
			}
		})
	}
	_, skipped, err := keys.ParseSet(jwkSet(a, b))
	wantError(t, err, keys.ErrNoKeys, "none of the 2 keys of the set is usable")
	if len(skipped) != 1 {
		t.Fatalf("skipped %v", skipped)
	}
	wantError(t, skipped[0], keys.ErrKey, `kid "shared" names different keys`)
}

func TestParseSetRefusesDocuments(t *testing.T) {
	t.Parallel()
	good := jwkWith(t, keystest.ES256, nil)
	document := string(jwkSet(good))
	long := document + strings.Repeat(" ", keys.MaxSetSize-len(document))
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	many := func(n int) string { return string(jwkSet(slices.Repeat([]string{good}, n)...)) }
	const strict, array = "not strict JSON", "no keys array"

	rows := []struct {
		name string
		text string
		want error
		say  string
	}{
		{"empty", "", keys.ErrNotSet, strict},
		{"blank", " \n", keys.ErrNotSet, strict},
		{"HTML", "<!DOCTYPE html><html><body>502 Bad Gateway</body></html>", keys.ErrNotSet, strict},
		{"array", "[" + good + "]", keys.ErrNotSet, strict},
		{"null", "null", keys.ErrNotSet, array},
		{"string", `"keys"`, keys.ErrNotSet, strict},
		{"truncated", document[:len(document)-1], keys.ErrNotSet, strict},
		{"one key without a set", good, keys.ErrNotSet, array},
		{"no members", "{}", keys.ErrNotSet, array},
		{"keys null", `{"keys":null}`, keys.ErrNotSet, array},
		{"keys an object", `{"keys":` + good + `}`, keys.ErrNotSet, strict},
		{"keys a string", `{"keys":"x"}`, keys.ErrNotSet, strict},
		{"keys a number", `{"keys":1}`, keys.ErrNotSet, strict},
		{"KEYS", strings.Replace(document, "keys", "KEYS", 1), keys.ErrNotSet, array},
		{"escaped keys", strings.Replace(document, "keys", `\u006beys`, 1), keys.ErrNotSet, strict},
		{"duplicate keys", `{"keys":[` + good + `],"keys":[` + good + `]}`, keys.ErrNotSet, strict},
		{"duplicate keys by an escape", `{"keys":[` + good + `],"\u006beys":[]}`, keys.ErrNotSet, strict},
		{"duplicate of another member", withMember(document, `"x":1,"x":2`), keys.ErrNotSet, strict},
		{"something behind it", document + "x", keys.ErrNotSet, strict},
		{"two documents", document + "\n" + document, keys.ErrNotSet, strict},
		{"NUL behind it", document + "\x00", keys.ErrNotSet, strict},
		{"byte order mark", "\ufeff" + document, keys.ErrNotSet, strict},
		{"UTF-16", "{\x00}\x00", keys.ErrNotSet, strict},
		{"invalid UTF-8 in another member", withMember(document, "\"x\":\"\xff\""), keys.ErrNotSet, strict},
		{"depth 10,000", `{"keys":` + deep + `}`, keys.ErrNotSet, strict},
		{"depth 10,000 in another member", withMember(document, `"x":`+deep), keys.ErrNotSet, strict},
		{"512 KiB and 1", long + " ", keys.ErrNotSet, "longer than 524288 octets"},
		{"101 keys", many(101), keys.ErrNotSet, "101 keys, at most 100 are read"},
		{"no keys", `{"keys":[]}`, keys.ErrNoKeys, "none of the 0 keys of the set is usable"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			set, skipped, err := keys.ParseSet([]byte(row.text))
			wantError(t, err, row.want, row.say)
			if set != nil || skipped != nil {
				t.Errorf("set %v and skipped %v beside the error", set, skipped)
			}
		})
	}
	for name, text := range map[string]string{"512 KiB exactly": long, "100 keys": many(100), "space around": "\n\t" + document + "\r\n"} {
		if set, _, err := keys.ParseSet([]byte(text)); err != nil || set.Len() != 1 {
			t.Errorf("%s: %v, %v", name, set, err)
		}
	}
}

// Both limits are what the settings say, lower or higher than those of ParseSet, and each for itself.
func TestSetLimits(t *testing.T) {
	t.Parallel()
	good := jwkWith(t, keystest.ES256, nil)
	document := func(n int) []byte { return jwkSet(slices.Repeat([]string{good}, n)...) }
	padded := func(size int) []byte { return append(document(1), strings.Repeat(" ", size-len(document(1)))...) }
	const odd = `{"kty":"oct","kid":"k","k":"AQ"}`

	rows := []struct {
		name     string
		limits   keys.SetLimits
		document []byte
		want     error
		say      string
	}{
		{"as many keys as may be", keys.SetLimits{Keys: 2}, document(2), nil, ""},
		{"one key too many", keys.SetLimits{Keys: 2}, document(3), keys.ErrNotSet, "3 keys, at most 2 are read"},
		{"odd keys count", keys.SetLimits{Keys: 2}, jwkSet(good, odd, odd), keys.ErrNotSet, "3 keys, at most 2 are read"},
		{"more keys than ParseSet reads", keys.SetLimits{Keys: 200}, document(200), nil, ""},
		{"more than that", keys.SetLimits{Keys: 200}, document(201), keys.ErrNotSet, "201 keys, at most 200 are read"},
		{"as long as may be", keys.SetLimits{Size: 1000}, padded(1000), nil, ""},
		{"one octet too long", keys.SetLimits{Size: 1000}, padded(1001), keys.ErrNotSet, "longer than 1000 octets"},
		{"longer than ParseSet reads", keys.SetLimits{Size: 1 << 20}, padded(1 << 20), nil, ""},
		{"longer than that", keys.SetLimits{Size: 1 << 20}, padded(1<<20 + 1), keys.ErrNotSet, "longer than 1048576 octets"},
		{"a limit of keys leaves that of the size", keys.SetLimits{Keys: 1}, padded(keys.MaxSetSize + 1), keys.ErrNotSet,
			"longer than 524288 octets"},
		{"a limit of the size leaves that of keys", keys.SetLimits{Size: 1 << 20}, document(101), keys.ErrNotSet,
			"101 keys, at most 100 are read"},
		{"no limits: as ParseSet", keys.SetLimits{}, padded(keys.MaxSetSize), nil, ""},
		{"no limits: too long", keys.SetLimits{}, padded(keys.MaxSetSize + 1), keys.ErrNotSet, "longer than 524288 octets"},
		{"no limits: too many", keys.SetLimits{}, document(101), keys.ErrNotSet, "101 keys, at most 100 are read"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			set, skipped, err := row.limits.Parse(row.document)
			if row.want != nil {
				wantError(t, err, row.want, row.say)
				if set != nil || skipped != nil {
					t.Errorf("set %v and skipped %v beside the error", set, skipped)
				}
			} else if err != nil || set.Len() != 1 {
				t.Errorf("%v, %v", set, err)
			}
		})
	}
}
