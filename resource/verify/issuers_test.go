package verify_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// The issuers of these tests. Each has its own keys; the names of the tests' variables are a and b.
const (
	issuerA = "https://a.example.com"
	issuerB = "https://b.example.com"
)

// world is a wired network with one issuer at each host.
type world map[string]*bubble

func (w world) ServeHTTP(rw http.ResponseWriter, r *http.Request) { w[r.URL.Host].ServeHTTP(rw, r) }

// newWorld has issuer A with the key ES256 and issuer B with the key ES256Other.
func newWorld() (w world, a, b *bubble) {
	a, b = newBubble(keystest.ES256), newBubble(keystest.ES256Other)
	return world{"a.example.com": a, "b.example.com": b}, a, b
}

func (w world) config() verify.Config {
	return verify.Config{
		Issuers: []verify.Issuer{
			{ID: issuerA, JWKSURL: issuerA + "/jwks"},
			{ID: issuerB, JWKSURL: issuerB + "/jwks"},
		},
		Audience: audience,
		Fetch:    verify.Fetch{Client: &http.Client{Transport: wired{w}}},
	}
}

// issued is a token with this iss, whose header is that of the named key and which that key signed.
func issued(iss, by string) string { return issuedAs(iss, by, keystest.AccessHeader(by)) }

func issuedAs(iss, by string, header keystest.Object) string {
	return keystest.Forge(by, header.String(), keystest.AccessClaims(iss, audience, time.Now()).String())
}

// What one issuer's key signed is good under that issuer's name alone (RFC 8725 §3.8, RFC 9068 §4). Each token comes
// three times, so that those which were accepted come from the cache as well.
func TestIssuersAreNotPooled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _, _ := newWorld()
		v := startBubble(t, w.config())
		kidA, kidB := keystest.AccessHeader(keystest.ES256), keystest.AccessHeader(keystest.ES256Other)
		claims := keystest.AccessClaims(issuerA, audience, time.Now())
		with := func(claims keystest.Object) string { return keystest.AccessToken(keystest.ES256, claims) }
		for range 3 {
			for _, row := range []row{
				{"A's key under B's name", issued(issuerB, keystest.ES256), verify.ErrUnknownKey},
				{"B's key under A's name", issued(issuerA, keystest.ES256Other), verify.ErrUnknownKey},
				{"A's kid under A's name, by B's key", issuedAs(issuerA, keystest.ES256Other, kidA), verify.ErrSignature},
				{"B's kid under B's name, by A's key", issuedAs(issuerB, keystest.ES256, kidB), verify.ErrSignature},
				{"A's kid under B's name, by B's key", issuedAs(issuerB, keystest.ES256Other, kidA), verify.ErrUnknownKey},
				{"a stranger's name", issued("https://c.example.com", keystest.ES256), verify.ErrIssuer},
				{"A's name with a slash", issued(issuerA+"/", keystest.ES256), verify.ErrIssuer},
				{"A's name in capitals", issued(strings.ToUpper(issuerA), keystest.ES256), verify.ErrIssuer},
				{"no name", with(claims.Without("iss")), verify.ErrIssuer},
				{"both names", with(claims.With("iss", `["`+issuerA+`","`+issuerB+`"]`)), verify.ErrIssuer},
				{"one name after the other", with(claims.Twice("iss", `"`+issuerB+`"`)), verify.ErrClaims},
				{"one name before the other", with(claims.With("iss", `"`+issuerB+`"`).Twice("iss", `"`+issuerA+`"`)),
					verify.ErrUnknownKey},
				{"a null name", with(claims.With("iss", "null")), verify.ErrIssuer},
				{"A", issued(issuerA, keystest.ES256), nil},
				{"B", issued(issuerB, keystest.ES256Other), nil},
			} {
				t.Log(row.name)
				check(t, v, row.token, row.want)
			}
		}
		claimed, err := v.Verify(t.Context(), issued(issuerB, keystest.ES256Other))
		if err != nil || claimed.Issuer() != issuerB {
			t.Errorf("issuer %q, %v", claimed.Issuer(), err)
		}
	})
}

// A kid says something within one issuer only: both may have a "key-1" (RFC 7515 §4.1.4).
func TestIssuersWithOneKid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, a, b := newWorld()
		for name, issuer := range map[string]*bubble{keystest.ES256: a, keystest.ES256Other: b} {
			document := strings.Replace(jwksText(t, name), keystest.Key(name).ID(), "key-1", 1)
			issuer.jwks = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(document)) }
		}
		v := startBubble(t, w.config())
		header := keystest.AccessHeader(keystest.ES256).With("kid", `"key-1"`)
		for range 3 {
			check(t, v, issuedAs(issuerA, keystest.ES256, header), nil)
			check(t, v, issuedAs(issuerB, keystest.ES256Other, header), nil)
			check(t, v, issuedAs(issuerA, keystest.ES256Other, header), verify.ErrSignature)
			check(t, v, issuedAs(issuerB, keystest.ES256, header), verify.ErrSignature)
		}
	})
}

// An issuer that publishes another's public key too lets that other one speak in its name; so it says itself. The other
// loses nothing by it: no token in its own name gets good, and its keys stay when the first one drops them.
func TestIssuerPublishesAnothersKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, _, b := newWorld()
		b.set = keystest.Set(keystest.ES256Other, keystest.ES256)
		v := startBubble(t, w.config())
		for iss, by := range map[string]string{issuerA: keystest.ES256, issuerB: keystest.ES256} {
			claims, err := v.Verify(t.Context(), issued(iss, by))
			if err != nil || claims.Issuer() != iss {
				t.Errorf("A's key under the name %s: %v, issuer %q", iss, err, claims.Issuer())
			}
		}
		check(t, v, issued(issuerA, keystest.ES256Other), verify.ErrUnknownKey)

		lent, own := issued(issuerB, keystest.ES256), issued(issuerA, keystest.ES256)
		for range 3 {
			check(t, v, lent, nil)
			check(t, v, own, nil)
		}
		b.change(func(b *bubble) { b.set = keystest.Set(keystest.ES256Other) })
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		check(t, v, lent, verify.ErrUnknownKey)
		check(t, v, own, nil)
	})
}

// One issuer that is away does nothing to the other, whose tokens pass without delay.
func TestOneIssuerAway(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{"500": status(500), "hangs": hang} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, _, b := newWorld()
				b.jwks = answer
				v := startBubble(t, w.config())
				start := time.Now()
				for range 3 {
					check(t, v, issued(issuerA, keystest.ES256), nil)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("A's tokens took %v", took)
				}
				check(t, v, issued(issuerB, keystest.ES256Other), verify.ErrUnavailable)
				check(t, v, issued(issuerA, keystest.ES256Other), verify.ErrUnknownKey)
				if err := v.Ready(); err != nil {
					t.Errorf("not ready with A's keys: %v", err)
				}
				b.change(func(b *bubble) { b.jwks = nil })
				time.Sleep(11 * time.Second) // a hanging fetch ends after 5 s, and the next attempt is 5 s away at most
				synctest.Wait()
				check(t, v, issued(issuerB, keystest.ES256Other), nil)
			})
		})
	}
}

// Unknown kids under one issuer's name cost a fetch of that issuer's keys and no other's.
func TestUnknownKidOfOneIssuer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, a, b := newWorld()
		v := startBubble(t, w.config())
		time.Sleep(cooldown)
		for range 100 {
			check(t, v, issued(issuerA, keystest.RS256), verify.ErrUnknownKey)
			check(t, v, issued("https://c.example.com", keystest.RS256), verify.ErrIssuer)
		}
		if len(a.times()) != 2 || len(b.times()) != 1 {
			t.Errorf("%d fetches of A's keys, want 2; %d of B's, want 1", len(a.times()), len(b.times()))
		}
		b.change(func(b *bubble) { b.set = keystest.Set(keystest.RS256) })
		check(t, v, issued(issuerB, keystest.RS256), nil) // A's cool-down is not B's
	})
}

// Ready means that at least one issuer has usable keys: before any came, and after those of one or both grew too old.
func TestReadyWithSeveralIssuers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w, a, b := newWorld()
		a.jwks, b.jwks = status(500), status(500)
		v := startBubble(t, w.config())
		wantError(t, v.Ready(), verify.ErrUnavailable)
		for _, up := range []*bubble{a, b} {
			up.change(func(b *bubble) { b.jwks = nil })
			time.Sleep(6 * time.Second)
			synctest.Wait()
			if err := v.Ready(); err != nil {
				t.Error(err)
			}
		}
		a.change(func(b *bubble) { b.jwks = status(500) })
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		if err := v.Ready(); err != nil {
			t.Errorf("B is well: %v", err)
		}
		check(t, v, issued(issuerA, keystest.ES256), verify.ErrUnavailable)
		check(t, v, issued(issuerB, keystest.ES256Other), nil)
		b.change(func(b *bubble) { b.jwks = status(500) })
		time.Sleep(25 * time.Hour)
		synctest.Wait()
		wantError(t, v.Ready(), verify.ErrUnavailable)
	})
}

// Not parallel: it looks at all goroutines. Close ends the fetches of every issuer, at once.
func TestCloseSeveralIssuers(t *testing.T) {
	before := goleak.IgnoreCurrent()
	well, failing, hanging := newServer(t, keystest.ES256), newServer(t, keystest.ES256), newServer(t, keystest.ES256)
	failing.Fail(status(500))
	hanging.Fail(hang)
	transport := &http.Transport{}
	cfg := verify.Config{Audience: audience, Fetch: verify.Fetch{Client: &http.Client{Transport: transport}}}
	servers := []*keystest.Server{well, failing, hanging}
	for _, server := range servers {
		cfg.Issuers = append(cfg.Issuers, verify.Issuer{ID: server.Issuer()})
	}
	v, err := verify.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range servers {
		eventually(t, "a fetch", func() bool { return server.Fetches() > 0 })
	}
	start := time.Now()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(v.Close)
	}
	wg.Wait()
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("closing took %v", took)
	}
	transport.CloseIdleConnections()
	for _, server := range servers {
		server.Close()
	}
	goleak.VerifyNone(t, before)
}

// jwksText is the JWK Set document of the named keys.
func jwksText(t testing.TB, names ...string) string {
	t.Helper()
	document, err := keystest.Set(names...).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(document)
}
