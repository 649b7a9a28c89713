package verify_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// The tests of this file are not parallel: they measure the whole process.

// mint makes many genuine tokens fast, by the key ES256.
type mint struct {
	key    *ecdsa.PrivateKey
	header string
	claims keystest.Object
}

func newMint(issuer string, now time.Time) mint {
	return mint{keystest.Raw(keystest.ES256).(*ecdsa.PrivateKey),
		keystest.Encode(keystest.AccessHeader(keystest.ES256).String()), keystest.AccessClaims(issuer, audience, now)}
}

// token is one with its own jti and one more claim, "" for none.
func (m mint) token(name, value string) string {
	claims := m.claims.With("jti", strconv.Quote(rand.Text()))
	if name != "" {
		claims = claims.With(name, value)
	}
	input := m.header + "." + keystest.Encode(claims.String())
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, m.key, digest[:])
	if err != nil {
		panic(err)
	}
	return input + "." + keystest.Encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// heap is how many octets are in use.
func heap() int {
	var stats runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// grown is how much the heap grows when a verifier with a cache of this size has seen tokens with one more claim each,
// n of them. It returns what tokens and claims would take without a limit, as text alone, as well.
func grown(t *testing.T, size, n int, name, value string) (growth, text int) {
	t.Helper()
	m := newMint(bubbleIssuer, time.Now())
	v := newVerifier(t, verify.Config{
		Issuers:   []verify.Issuer{{ID: bubbleIssuer, JWKS: keystest.Set(keystest.ES256)}},
		CacheSize: size,
	})
	check(t, v, m.token("", ""), nil)
	before := heap()
	for range n {
		token := m.token(name, value)
		for range 2 {
			if _, err := v.Verify(t.Context(), token); err != nil {
				t.Fatal(err)
			}
		}
		text += len(token) + len(lenientBase64(strings.Split(token, ".")[1]))
	}
	growth = heap() - before
	runtime.KeepAlive(v)
	return growth, text
}

// CacheSize is what the cache takes of the heap: with whatever tokens, it is no more than a quarter above that.
func TestCacheSizeBoundsMemory(t *testing.T) {
	const fixed = 64 << 10 // what does not depend on the size
	long := strconv.Quote(strings.Repeat("x", 5500))
	audiences := `["` + audience + `"` + strings.Repeat(`,"a"`, 1300) + `]`
	for _, row := range []struct {
		name        string
		size, n     int
		claim, with string
	}{
		{"64 KiB, small tokens", 64 << 10, 500, "", ""},
		{"1 MiB, small tokens", 1 << 20, 3000, "", ""},
		{"4 MiB, small tokens", 4 << 20, 10_000, "", ""},
		{"1 MiB, large tokens", 1 << 20, 300, "x", long},
		{"16 MiB, large tokens", 16 << 20, 2500, "x", long},
		{"1 MiB, claims with an escape", 1 << 20, 3000, "x", `"\n"`},
		{"1 MiB, large claims with an escape", 1 << 20, 300, "scope", `"\u0061` + long[1:]},
		{"1 MiB, 1,300 audiences", 1 << 20, 300, "aud", audiences},
	} {
		t.Run(row.name, func(t *testing.T) {
			growth, text := grown(t, row.size, row.n, row.claim, row.with)
			if text < row.size*3/2 {
				t.Fatalf("%d octets of tokens do not fill %d", text, row.size)
			}
			t.Logf("%d octets of tokens took %d, %.2f of the size", text, growth, float64(growth)/float64(row.size))
			if limit := row.size*5/4 + fixed; growth > limit {
				t.Errorf("the heap grew by %d, want at most %d", growth, limit)
			}
		})
	}
}

// What an entry takes besides its texts is what the cache says of it, or less.
func TestCacheOverhead(t *testing.T) {
	const n, stated = 4000, 600
	growth, text := grown(t, 1<<30, n, "", "")
	each := (growth - text) / n
	t.Logf("%d octets for each entry, besides %d of text", each, text/n)
	if each > stated {
		t.Errorf("%d octets of overhead for each entry, %d are stated", each, stated)
	}
}

// A cache that was emptied gives its memory back.
func TestCacheGivesMemoryBack(t *testing.T) {
	b := newSourceBench(t, keystest.ES256)
	m := newMint(b.server.Issuer(), b.clock.Now())
	before := heap()
	for range 2000 {
		token := m.token("", "")
		check(t, b.Verifier, token, nil)
		check(t, b.Verifier, token, nil)
	}
	full := heap() - before
	b.server.Publish(keystest.Set(keystest.RS256, keystest.ES256))
	b.clock.Advance(cooldown)
	check(t, b.Verifier, b.token(keystest.RS256), nil)
	if left := heap() - before; full < 1<<20 || left > full/4 {
		t.Errorf("%d octets, and %d after it was emptied", full, left)
	}
	runtime.KeepAlive(b)
}

// The token that came in may be cut out of something larger, which must not stay for it.
func TestCacheDoesNotPinTheRequest(t *testing.T) {
	m := newMint(bubbleIssuer, time.Now())
	v := newVerifier(t, verify.Config{Issuers: []verify.Issuer{{ID: bubbleIssuer, JWKS: keystest.Set(keystest.ES256)}}})
	check(t, v, m.token("", ""), nil)
	before := heap()
	const n, size = 200, 64 << 10
	for range n {
		token := m.token("", "")
		request := strings.Repeat(" ", size) + token
		for range 2 {
			check(t, v, request[size:], nil)
		}
	}
	if growth := heap() - before; growth > n*size/4 {
		t.Errorf("the heap grew by %d, the requests have %d", growth, n*size)
	}
	runtime.KeepAlive(v)
}

// What is refused before its signature, and what was seen before, costs next to nothing.
func TestAllocations(t *testing.T) {
	b := newBench(t, verify.Config{})
	seen := b.forge(b.header, b.claims)
	check(t, b.verifier, seen, nil)
	check(t, b.verifier, seen, nil)
	header := func(name, value string) string { return b.forge(b.header.With(name, value), b.claims) }
	hello := strings.Repeat("A", 600)
	for _, row := range []struct {
		name  string
		token string
		want  error
		most  float64
	}{
		{"seen before", seen, nil, 0},
		{"empty", "", verify.ErrMalformed, 0},
		{"no dots", hello, verify.ErrMalformed, 0},
		{"one dot", hello + "." + hello, verify.ErrMalformed, 0},
		{"four segments", seen + ".x", verify.ErrMalformed, 0},
		{"no signature", seen[:strings.LastIndexByte(seen, '.')+1], verify.ErrMalformed, 0},
		{"a line break", seen + "\n", verify.ErrMalformed, 0},
		{"too long", strings.Repeat("A", keys.MaxTokenSize+1), verify.ErrMalformed, 0},
		{"1 MB", strings.Repeat("A", 1<<20), verify.ErrMalformed, 0},
		{"alg none", header("alg", `"none"`), verify.ErrAlgorithm, 10},
		{"alg HS256", header("alg", `"HS256"`), verify.ErrAlgorithm, 10},
		{"unknown kid", header("kid", `"nobody"`), verify.ErrUnknownKey, 10},
		{"unknown kid, claims with an escape",
			b.forge(b.header.With("kid", `"nobody"`), b.claims.With("x", `"\n"`)), verify.ErrUnknownKey, 10},
		{"typ JWT", header("typ", `"JWT"`), verify.ErrType, 10},
	} {
		t.Run(row.name, func(t *testing.T) {
			check(t, b.verifier, row.token, row.want)
			got := testing.AllocsPerRun(200, func() { _, _ = b.verifier.Verify(t.Context(), row.token) })
			t.Logf("%v allocations", got)
			if got > row.most {
				t.Errorf("%v allocations, want at most %v", got, row.most)
			}
		})
	}
}

// The first sight of a token, with and without a cache, and with one issuer or several.
func TestAllocationsAtFirstSight(t *testing.T) {
	const runs = 300
	for _, row := range []struct {
		name string
		most float64
	}{{keystest.RS256, 40}, {keystest.ES256, 52}} {
		for _, size := range []int{0, -1} {
			for _, issuers := range []int{1, 3} {
				t.Run(fmt.Sprint(row.name, " ", size, " ", issuers), func(t *testing.T) {
					cfg := verify.Config{CacheSize: size}
					for _, id := range []string{bubbleIssuer, issuerA, issuerB}[:issuers] {
						cfg.Issuers = append(cfg.Issuers, verify.Issuer{ID: id, JWKS: keystest.Set(row.name)})
					}
					v, tokens := newVerifier(t, cfg), make([]string, runs+1)
					claims := keystest.AccessClaims(bubbleIssuer, audience, time.Now())
					for i := range tokens {
						tokens[i] = keystest.AccessToken(row.name, claims.With("jti", strconv.Quote(rand.Text())))
					}
					next := 0
					got := testing.AllocsPerRun(runs, func() {
						if _, err := v.Verify(t.Context(), tokens[next]); err != nil {
							t.Error(err)
						}
						next++
					})
					t.Logf("%v allocations", got)
					if got > row.most {
						t.Errorf("%v allocations, want at most %v", got, row.most)
					}
				})
			}
		}
	}
}
