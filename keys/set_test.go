package keys_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// The key and the thumbprint of RFC 7638 §3.1.
const (
	rfc7638Key = `{"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"}`
	rfc7638ID  = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
)

func TestThumbprint(t *testing.T) {
	t.Parallel()
	named, err := keys.ParseJWK([]byte(rfc7638Key))
	if err != nil {
		t.Fatal(err)
	}
	if named.ID() != "2011-04-29" {
		t.Errorf("kid %q is not the one that the JWK gives", named.ID())
	}
	derived, err := keys.ParsePublicKey(must(named.MarshalPEM())) // PEM names no kid, so it is derived
	if err != nil {
		t.Fatal(err)
	}
	if derived.ID() != rfc7638ID {
		t.Errorf("thumbprint %q, want %q", derived.ID(), rfc7638ID)
	}
	if derived.Equal(named) {
		t.Error("the same key under two names is Equal")
	}
}

func TestNewSetRefusesDuplicates(t *testing.T) {
	t.Parallel()
	a, b := keystest.Key(keystest.ES256).Public(), keystest.Key(keystest.RS256).Public()
	other, err := keys.ParseJWK([]byte(jwkWith(t, keystest.RS256Other, map[string]any{"kid": a.ID()})))
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name string
		keys []*keys.PublicKey
	}{
		{"the same key twice", []*keys.PublicKey{a, b, a}},
		{"two keys under one kid", []*keys.PublicKey{a, other}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			set, err := keys.NewSet(row.keys...)
			wantError(t, err, keys.ErrKey, "twice in one set")
			if set != nil {
				t.Error("a set beside the error")
			}
		})
	}
}

func TestSetOrderAndLookup(t *testing.T) {
	t.Parallel()
	names := []string{keystest.RS256, keystest.ES256Other, keystest.ES256}
	given := make([]*keys.PublicKey, 0, len(names))
	for _, name := range names {
		given = append(given, keystest.Key(name).Public())
	}
	set, err := keys.NewSet(given...)
	if err != nil {
		t.Fatal(err)
	}
	given[0] = nil // the caller's slice is the caller's
	if set.Len() != 3 || set.Key("unknown") != nil {
		t.Errorf("Len %d, unknown %v", set.Len(), set.Key("unknown"))
	}
	i := 0
	for key := range set.All() {
		if want := keystest.Key(names[i]).Public(); !key.Equal(want) || set.Key(want.ID()) != key {
			t.Errorf("key %d is %s, want %s", i, key, want)
		}
		i++
	}
}

func TestEmptySets(t *testing.T) {
	t.Parallel()
	token := keystest.Forge(keystest.ES256, header("ES256", keystest.ES256), testPayload)
	for name, set := range map[string]*keys.Set{"nil": nil, "zero": {}, "made of nothing": must(keys.NewSet())} {
		t.Run(name, func(t *testing.T) {
			if set.Len() != 0 || set.Key("") != nil || set.Key("x") != nil {
				t.Error("not empty")
			}
			for key := range set.All() {
				t.Errorf("yields %s", key)
			}
			if text, err := set.MarshalJSON(); err != nil || string(text) != `{"keys":[]}` {
				t.Errorf("marshals to %s, %v", text, err)
			}
			if _, err := set.Parse(token); err != nil {
				t.Errorf("parsing: %v", err)
			}
			_, err := set.Verify(token)
			wantError(t, err, keys.ErrUnknownKey, "kid is not in the set")
			_, err = set.VerifyParsed(keys.Unverified{}) // the zero value claims nothing and must prove nothing
			wantError(t, err, keys.ErrUnknownKey, "kid is not in the set")
		})
	}
}

func TestSetJSONRoundTrip(t *testing.T) {
	t.Parallel()
	set := keystest.Set(keystest.RS256, keystest.ES256, keystest.ES256Other)
	text := must(set.MarshalJSON())
	again, skipped, err := keys.ParseSet(text)
	if err != nil || skipped != nil {
		t.Fatal(err, skipped)
	}
	next := slices.Collect(again.All())
	for i, key := range slices.Collect(set.All()) {
		if !key.Equal(next[i]) || key.Algorithm() != next[i].Algorithm() {
			t.Errorf("key %d: %s became %s", i, key, next[i])
		}
	}
	if repeat := must(again.MarshalJSON()); !bytes.Equal(text, repeat) {
		t.Errorf("equal sets, other bytes:\n%s\n%s", text, repeat)
	}
	if std := must(json.Marshal(set)); !bytes.Equal(text, std) {
		t.Errorf("encoding/json writes it otherwise:\n%s\n%s", text, std)
	}
}

// The members are an allow-list, read back without any type of ours, so that a new one cannot slip out unseen.
func TestSetJSONMembers(t *testing.T) {
	t.Parallel()
	ec := []string{"alg", "crv", "kid", "kty", "use", "x", "y"}
	rsa := []string{"alg", "e", "kid", "kty", "n", "use"}
	var document map[string][]map[string]string
	text := must(keystest.Set(keystest.ES256, keystest.RS256).MarshalJSON())
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	if len(document) != 1 || len(document["keys"]) != 2 {
		t.Fatalf("not a keys array of two: %s", text)
	}
	for i, want := range [][]string{ec, rsa} {
		got := slices.Sorted(maps.Keys(document["keys"][i]))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("key %d: %s", i, diff)
		}
	}
	for _, name := range []string{keystest.ES256, keystest.RS256} {
		wantNoSecret(t, "the JWK Set", string(text), name)
	}
}

// RFC 7518 §6.2.1.2: the length of a coordinate is that of the field, leading zeros kept. One key in 256 has a zero
// first octet in x, and one in y, so 20,000 without both cannot be chance.
func TestSetJSONKeepsLeadingZeros(t *testing.T) {
	t.Parallel()
	var seenX, seenY bool
	for range 20_000 {
		key := must(keys.GenerateKey(keys.ES256))
		text := must(must(keys.NewSet(key.Public())).MarshalJSON())
		var document struct{ Keys []struct{ X, Y string } }
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		x := must(base64.RawURLEncoding.DecodeString(document.Keys[0].X))
		y := must(base64.RawURLEncoding.DecodeString(document.Keys[0].Y))
		if len(x) != 32 || len(y) != 32 {
			t.Fatalf("coordinates of %d and %d octets: %s", len(x), len(y), text)
		}
		if x[0] != 0 && y[0] != 0 {
			continue
		}
		again, skipped, err := keys.ParseSet(text)
		if err != nil || skipped != nil || !again.Key(key.ID()).Equal(key.Public()) {
			t.Fatalf("not read back: %v, %v", err, skipped)
		}
		seenX, seenY = seenX || x[0] == 0, seenY || y[0] == 0
		if seenX && seenY {
			return
		}
	}
	t.Fatal("no keys with a leading zero in x and in y among 20,000")
}

func TestAlgorithms(t *testing.T) {
	t.Parallel()
	keys.Algorithms()[0] = "none" // the caller's copy
	if diff := cmp.Diff([]keys.Algorithm{"ES256", "RS256"}, keys.Algorithms()); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"", "none", "None", "es256", "ES256 ", "ES384", "RS512", "PS256", "HS256", "EdDSA"} {
		alg, err := keys.ParseAlgorithm(name)
		wantError(t, err, keys.ErrAlgorithm, "is not one of [ES256 RS256]")
		if alg != "" {
			t.Errorf("%q: got %q beside the error", name, alg)
		}
	}
}

func TestSetEqual(t *testing.T) {
	t.Parallel()
	set := keystest.Set
	named := func(name, kid string) *keys.Set {
		return must(keys.NewSet(must(keys.ParseJWK([]byte(jwkWith(t, name, map[string]any{"kid": kid}))))))
	}
	rows := []struct {
		name string
		a, b *keys.Set
		want bool
	}{
		{"the same keys", set(keystest.ES256, keystest.RS256), set(keystest.ES256, keystest.RS256), true},
		{"one read from JSON", set(keystest.ES256), named(keystest.ES256, keystest.Key(keystest.ES256).ID()), true},
		{"another order", set(keystest.ES256, keystest.RS256), set(keystest.RS256, keystest.ES256), true},
		{"one more", set(keystest.ES256, keystest.RS256), set(keystest.ES256), false},
		{"another second key", set(keystest.ES256, keystest.RS256), set(keystest.ES256, keystest.RS256Other), false},
		{"another key of the same type", set(keystest.ES256), set(keystest.ES256Other), false},
		{"another RSA key", set(keystest.RS256), set(keystest.RS256Other), false},
		{"another type", set(keystest.ES256), set(keystest.RS256), false},
		{"another kid", set(keystest.ES256), named(keystest.ES256, "other"), false},
		{"another key under the same kid", named(keystest.ES256, "k"), named(keystest.ES256Other, "k"), false},
		{"another type under the same kid", named(keystest.ES256, "k"), named(keystest.RS256, "k"), false},
		{"nil and a key", nil, set(keystest.ES256), false},
		{"zero and a key", &keys.Set{}, set(keystest.ES256), false},
		{"nil and nil", nil, nil, true},
		{"nil and zero", nil, &keys.Set{}, true},
		{"nil and made of nothing", nil, must(keys.NewSet()), true},
		{"zero and made of nothing", &keys.Set{}, must(keys.NewSet()), true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if row.a.Equal(row.b) != row.want || row.b.Equal(row.a) != row.want {
				t.Errorf("Equal: %v, and the other way round %v", row.a.Equal(row.b), row.b.Equal(row.a))
			}
			if !row.a.Equal(row.a) || !row.b.Equal(row.b) {
				t.Error("not equal to itself")
			}
		})
	}
}
