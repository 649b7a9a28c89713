package verify_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// jwkText is the named key's public half as a JWK.
func jwkText(t testing.TB, name string) string {
	t.Helper()
	return strings.TrimSuffix(strings.TrimPrefix(jwksText(t, name), `{"keys":[`), "]}")
}

// jwkOf is a JWK of the members given as name and value.
func jwkOf(members ...string) string {
	var object keystest.Object
	for i := 0; i < len(members); i += 2 {
		object = object.With(members[i], `"`+members[i+1]+`"`)
	}
	return object.String()
}

func rsaJWK(name, kid, e string) string {
	key := keystest.Raw(name).Public().(*rsa.PublicKey)
	return jwkOf("kty", "RSA", "alg", "RS256", "kid", kid, "n", keystest.Encode(key.N.Bytes()), "e", e)
}

// oddKey is a JWK that must be skipped, and the kid and key of the tokens that it would have verified.
type oddKey struct{ name, jwk, kid, by string }

func oddKeys(t testing.TB) []oddKey {
	ec, rs := jwkText(t, keystest.ES256Other), jwkText(t, keystest.RS256)
	ecKid, rsKid := keystest.Key(keystest.ES256Other).ID(), keystest.Key(keystest.RS256).ID()
	raw := keystest.Raw(keystest.ES256Other).Public().(*ecdsa.PublicKey)
	point, err := raw.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := point[1:33], point[33:]
	off := new(big.Int).Xor(new(big.Int).SetBytes(y), big.NewInt(1)).FillBytes(make([]byte, 32))
	zero, p := make([]byte, 32), elliptic.P256().Params().P.Bytes()
	at := func(x, y []byte) string {
		return jwkOf("kty", "EC", "crv", "P-256", "alg", "ES256", "kid", ecKid,
			"x", keystest.Encode(x), "y", keystest.Encode(y))
	}
	more := func(jwk, member string) string { return strings.TrimSuffix(jwk, "}") + "," + member + "}" }
	instead := func(jwk, old, with string) string {
		if !strings.Contains(jwk, old) {
			t.Fatalf("no %s in %s", old, jwk)
		}
		return strings.Replace(jwk, old, with, 1)
	}
	odd := []oddKey{
		{"RSA of 1024 bits", rsaJWK(keystest.WeakRSA, "weak", "AQAB"), "weak", keystest.WeakRSA},
		{"e 1", rsaJWK(keystest.RS256, rsKid, "AQ"), rsKid, keystest.RS256},
		{"e 2", rsaJWK(keystest.RS256, rsKid, "Ag"), rsKid, keystest.RS256},
		{"e 0", rsaJWK(keystest.RS256, rsKid, "AA"), rsKid, keystest.RS256},
		{"e empty", rsaJWK(keystest.RS256, rsKid, ""), rsKid, keystest.RS256},
		{"e that overflows", rsaJWK(keystest.RS256, rsKid, "AQAAAAAAAQAB"), rsKid, keystest.RS256},
		{"n empty", jwkOf("kty", "RSA", "alg", "RS256", "kid", rsKid, "n", "", "e", "AQAB"), rsKid, keystest.RS256},
		{"P-384", instead(ec, `"P-256"`, `"P-384"`), ecKid, keystest.ES256Other},
		{"a point off the curve", at(x, off), ecKid, keystest.ES256Other},
		{"the point at infinity", at(zero, zero), ecKid, keystest.ES256Other},
		{"a coordinate beyond the field", at(p, y), ecKid, keystest.ES256Other},
		{"a coordinate too short", at(x[1:], y), ecKid, keystest.ES256Other},
		{"a coordinate padded", at(append([]byte{0}, x...), y), ecKid, keystest.ES256Other},
		{"no y", jwkOf("kty", "EC", "crv", "P-256", "alg", "ES256", "kid", ecKid, "x", keystest.Encode(x)), ecKid,
			keystest.ES256Other},
		{"use enc", instead(ec, `"sig"`, `"enc"`), ecKid, keystest.ES256Other},
		{"use in capitals", instead(ec, `"sig"`, `"SIG"`), ecKid, keystest.ES256Other},
		{"key_ops empty", more(ec, `"key_ops":[]`), ecKid, keystest.ES256Other},
		{"key_ops without verify", more(ec, `"key_ops":["sign","encrypt"]`), ecKid, keystest.ES256Other},
		{"key_ops a string", more(ec, `"key_ops":"verify"`), ecKid, keystest.ES256Other},
		{"symmetric", symmetric, "s", keystest.ES256Other},
		{"symmetric beside a point", more(ec, `"k":"AAAA"`), ecKid, keystest.ES256Other},
		{"oct with a point", instead(ec, `"EC"`, `"oct"`), ecKid, keystest.ES256Other},
		{"kty in small letters", instead(ec, `"EC"`, `"ec"`), ecKid, keystest.ES256Other},
		{"no kty", instead(ec, `"kty":"EC",`, ""), ecKid, keystest.ES256Other},
		{"no alg", instead(ec, `"alg":"ES256",`, ""), ecKid, keystest.ES256Other},
		{"alg none", instead(ec, `"ES256"`, `"none"`), ecKid, keystest.ES256Other},
		{"alg HS256", instead(rs, `"RS256"`, `"HS256"`), rsKid, keystest.RS256},
		{"alg PS256", instead(rs, `"RS256"`, `"PS256"`), rsKid, keystest.RS256},
		{"alg of the other kind", instead(ec, `"ES256"`, `"RS256"`), ecKid, keystest.ES256Other},
		{"no kid", instead(ec, `"kid":"`+ecKid+`",`, ""), ecKid, keystest.ES256Other},
		{"kid a number", instead(ec, `"`+ecKid+`"`, "7"), ecKid, keystest.ES256Other},
		{"kid with a line break", instead(ec, ecKid, `a\nb`), `a\nb`, keystest.ES256Other},
		{"kid twice", more(ec, `"kid":"x"`), ecKid, keystest.ES256Other},
		{"invalid UTF-8", more(ec, "\"x\":\"\xff\""), ecKid, keystest.ES256Other},
		{"a certificate alone", jwkOf("kty", "RSA", "alg", "RS256", "kid", rsKid, "x5u", "https://evil.example.com"),
			rsKid, keystest.RS256},
		{"a number", "7", ecKid, keystest.ES256Other},
		{"null", "null", ecKid, keystest.ES256Other},
		{"an empty object", "{}", ecKid, keystest.ES256Other},
		{"a set in the set", jwksText(t, keystest.ES256Other), ecKid, keystest.ES256Other},
		{"two keys under one kid", ec + "," + instead(jwkText(t, keystest.RS256), rsKid, ecKid), ecKid, keystest.ES256Other},
		{"two keys of one type under one kid", instead(jwkText(t, keystest.RS256Other),
			keystest.Key(keystest.RS256Other).ID(), rsKid) + "," + rs, rsKid, keystest.RS256},
	}
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth"} {
		odd = append(odd, oddKey{"private by " + member, more(rs, `"`+member+`":null`), rsKid, keystest.RS256})
	}
	return odd
}

// An odd key in the set costs that key alone, wherever it stands and whether the set is the first or a later one.
func TestOddKeyAmongGoodOnes(t *testing.T) {
	t.Parallel()
	good := jwkText(t, keystest.ES256)
	for _, odd := range oddKeys(t) {
		for where, list := range map[string]string{"first": odd.jwk + "," + good, "last": good + "," + odd.jwk} {
			t.Run(odd.name+" "+where, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { playOddKey(t, odd, `{"keys":[`+list+`]}`) })
			})
		}
	}
}

func playOddKey(t *testing.T, odd oddKey, document string) {
	answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(document)) }
	later, first := newBubble(keystest.ES256), newBubble()
	first.jwks = answer
	for _, b := range []*bubble{later, first} {
		v := startBubble(t, b.config())
		time.Sleep(cooldown)
		b.change(func(b *bubble) { b.jwks = answer })
		header := keystest.Object{{Name: "alg", Value: algOf(odd.by)}, {Name: "kid", Value: `"` + odd.kid + `"`},
			{Name: "typ", Value: `"at+jwt"`}}
		for range 3 {
			check(t, v, issuedAs(bubbleIssuer, odd.by, header), verify.ErrUnknownKey)
			check(t, v, issued(bubbleIssuer, keystest.ES256), nil)
		}
		if n := len(b.times()); n != 2 {
			t.Errorf("%d fetches", n)
		}
	}
}

func algOf(name string) string {
	if _, isRSA := keystest.Raw(name).Public().(*rsa.PublicKey); isRSA {
		return `"` + string(keys.RS256) + `"`
	}
	return `"` + string(keys.ES256) + `"`
}

// Sets at the limits of number and size are read whole; one key, or octet, more and the set from before stays.
func TestLimitsOfSets(t *testing.T) {
	t.Parallel()
	filler := func(n int) string { return strings.Repeat("{},", n) + jwkText(t, keystest.RS256) }
	wide := func(size int) string {
		text := jwksText(t, keystest.RS256)
		return text + strings.Repeat(" ", size-len(text))
	}
	for _, row := range []struct {
		name     string
		fetch    verify.Fetch
		document string
		want     error // of a token by the key in the document
	}{
		{"100 keys", verify.Fetch{}, `{"keys":[` + filler(99) + `]}`, nil},
		{"101 keys", verify.Fetch{}, `{"keys":[` + filler(100) + `]}`, verify.ErrUnknownKey},
		{"512 KiB", verify.Fetch{}, wide(512 << 10), nil},
		{"512 KiB and 1", verify.Fetch{}, wide(512<<10 + 1), verify.ErrUnknownKey},
		{"2 keys of 2", verify.Fetch{MaxKeys: 2}, `{"keys":[` + filler(1) + `]}`, nil},
		{"3 keys of 2", verify.Fetch{MaxKeys: 2}, `{"keys":[` + filler(2) + `]}`, verify.ErrUnknownKey},
		{"1,000 octets of 1,000", verify.Fetch{MaxSize: 1000}, wide(1000), nil},
		{"1,001 octets of 1,000", verify.Fetch{MaxSize: 1000}, wide(1001), verify.ErrUnknownKey},
		{"200 keys of 200", verify.Fetch{MaxKeys: 200}, `{"keys":[` + filler(199) + `]}`, nil},
		{"1 MiB of 1 MiB", verify.Fetch{MaxSize: 1 << 20}, wide(1 << 20), nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(keystest.ES256)
				cfg := b.config()
				cfg.Fetch.MaxKeys, cfg.Fetch.MaxSize = row.fetch.MaxKeys, row.fetch.MaxSize
				v := startBubble(t, cfg)
				time.Sleep(cooldown)
				b.change(func(b *bubble) {
					b.jwks = func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, row.document) }
				})
				check(t, v, bubbleToken(keystest.RS256), row.want)
			})
		})
	}
}

// badAnswers are answers that keep a fetch busy, over a real network. Each tells that it has begun.
func badAnswers(begun func()) map[string]http.HandlerFunc {
	stream := func(piece []byte, pause time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			begun()
			tick := time.NewTicker(pause)
			defer tick.Stop()
			for {
				if _, err := w.Write(piece); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		}
	}
	return map[string]http.HandlerFunc{
		"hangs":      func(_ http.ResponseWriter, r *http.Request) { begun(); <-r.Context().Done() },
		"trickles":   stream([]byte(" "), time.Millisecond),
		"never ends": stream(make([]byte, 64), time.Millisecond), // too slow to reach the limit of its size
	}
}

// While a fetch is under way that will not end well, known kids are verified as if there were none. Callers with
// unknown ones wait, and they alone.
func TestKnownKidsDoNotWait(t *testing.T) {
	t.Parallel()
	for name := range badAnswers(nil) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, clock := newServer(t, keystest.ES256), keystest.NewClock()
			ended := make(chan error, 10)
			cfg := verify.Config{Issuer: server.Issuer(), Now: clock.Now,
				OnFetch: func(f verify.Fetched) { ended <- f.Err }}
			cfg.Fetch.Timeout, cfg.Fetch.Wait = 2*time.Second, 10*time.Second
			b := sourceBench{server, clock, newVerifier(t, cfg)}
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			begun := make(chan struct{}, 10)
			server.Fail(badAnswers(func() { begun <- struct{}{} })[name])
			clock.Advance(cooldown)
			refused := make(chan error)
			unknown, good := b.unknown(), b.token(keystest.ES256)
			go func() {
				_, err := b.Verify(t.Context(), unknown)
				refused <- err
			}()
			<-begun
			for range 100 {
				check(t, b.Verifier, good, nil)
			}
			if len(refused)+len(ended) != 0 {
				t.Error("the fetch was over before the known kids were verified")
			}
			if err := <-ended; err == nil {
				t.Error("the fetch is said to have ended well")
			}
			wantError(t, <-refused, verify.ErrUnknownKey)
			check(t, b.Verifier, good, nil)
		})
	}
}
