package verify_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// startBubble makes a verifier in a bubble, which the test closes, and lets its first fetch end.
func startBubble(t *testing.T, cfg verify.Config) *verify.Verifier {
	t.Helper()
	v := newVerifier(t, cfg)
	synctest.Wait()
	return v
}

// within checks that d is what the schedule says, give or take the tenth that is left to chance.
func within(t *testing.T, what string, d, want time.Duration) {
	t.Helper()
	if d < want*9/10 || d > want*11/10 {
		t.Errorf("%s after %v, want %v give or take a tenth", what, d, want)
	}
}

func TestRefreshSchedule(t *testing.T) {
	t.Parallel()
	for cacheControl, want := range map[string]time.Duration{
		"max-age=300": 4 * time.Minute, "max-age=3600": 48 * time.Minute, "max-age=4500": time.Hour, "max-age=315360000": time.Hour,
		"max-age=60": time.Minute, "max-age=1": time.Minute, "max-age=0": time.Minute, "no-store": time.Minute,
		"": 4 * time.Minute, "max-age=-1": 4 * time.Minute, "max-age=99999999999999999999": 4 * time.Minute,
	} {
		t.Run(cacheControl, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(keystest.ES256)
				b.cacheControl = cacheControl
				startBubble(t, b.config())
				time.Sleep(3 * want)
				times := b.times()
				if len(times) < 3 {
					t.Fatalf("%d fetches in %v", len(times), 3*want)
				}
				within(t, "the second fetch", times[1].Sub(times[0]), want)
				within(t, "the third fetch", times[2].Sub(times[1]), want)
			})
		})
	}
}

// An issuer that is away is asked again soon, then less and less often; one that was never there is noticed in 5 s.
func TestRetrySchedule(t *testing.T) {
	t.Parallel()
	s := time.Second
	rows := []struct {
		name     string
		isUp     bool // at first
		attempts []time.Duration
	}{
		{"before the first keys", false, []time.Duration{s / 4, s / 2, s, 2 * s, 4 * s, 5 * s, 5 * s, 5 * s}},
		{"with keys that last", true, []time.Duration{s / 4, s / 2, s, 2 * s, 4 * s, 8 * s, 16 * s, 32 * s, 60 * s, 60 * s}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(keystest.ES256)
				if !row.isUp {
					b.jwks = status(500)
				}
				startBubble(t, b.config())
				if row.isUp {
					b.change(func(b *bubble) { b.jwks = status(500); b.fetches = nil })
					time.Sleep(5 * time.Minute) // the refresh that was due anyway
				}
				time.Sleep(5 * time.Minute)
				times := b.times()
				for i, want := range row.attempts {
					within(t, fmt.Sprintf("attempt %d", i+2), times[i+1].Sub(times[i]), want)
				}
			})
		})
	}
}

// While the issuer is well its keys never grow stale, however short the time and whatever the issuer says.
func TestShortMaxStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		b.cacheControl = "max-age=86400"
		cfg := b.config()
		cfg.Fetch.MaxStale = 2 * time.Minute
		v := startBubble(t, cfg)
		for range 1000 {
			time.Sleep(5 * time.Second)
			if err := v.Ready(); err != nil {
				t.Fatalf("after %v: %v", time.Since(b.times()[0]), err)
			}
		}
		b.change(func(b *bubble) { b.jwks = status(500) })
		time.Sleep(2*time.Minute + time.Second)
		wantError(t, v.Ready(), verify.ErrUnavailable)
	})
}

// 304 keeps the keys and makes them good for longer.
func TestNotModified(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256)
		document, err := b.set.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		full := 0
		b.jwks = func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			if r.Header.Get("If-None-Match") == `"1"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			full++
			_, _ = w.Write(document)
		}
		v := startBubble(t, b.config())
		good := bubbleToken(keystest.ES256)
		time.Sleep(3 * 24 * time.Hour)
		check(t, v, good, nil)
		if full != 1 {
			t.Errorf("the document was sent %d times", full)
		}
	})
}

// A revoked key's tokens are refused from the next refresh on, though nobody sent an unknown kid.
func TestRevokedKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(keystest.ES256, keystest.RS256)
		v := startBubble(t, b.config())
		revoked, other := bubbleToken(keystest.ES256), bubbleToken(keystest.RS256)
		check(t, v, revoked, nil)
		b.change(func(b *bubble) { b.set = keystest.Set(keystest.RS256) })
		time.Sleep(4*time.Minute + 24*time.Second) // 80 % of max-age, and the tenth that is left to chance
		synctest.Wait()
		check(t, v, revoked, verify.ErrUnknownKey)
		check(t, v, other, nil)
	})
}

// Bad metadata keep the address from before: the keys that are published there go on being fetched.
func TestBadMetadataKeepTheAddress(t *testing.T) {
	t.Parallel()
	write := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	for name, metadata := range map[string]http.HandlerFunc{
		"500": status(500), "404": status(404), "HTML": write("<html>"), "hangs": hang,
		"another issuer": write(`{"issuer":"https://evil.example.com","jwks_uri":"https://evil.example.com/jwks"}`),
		"no jwks_uri":    write(`{"issuer":"` + bubbleIssuer + `"}`),
		"plain http":     write(`{"issuer":"` + bubbleIssuer + `","jwks_uri":"http://evil.example.com/jwks"}`),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(keystest.ES256)
				v := startBubble(t, b.config())
				good, fresh := bubbleToken(keystest.ES256), bubbleToken(keystest.RS256)
				b.change(func(b *bubble) { b.metadata = metadata })
				time.Sleep(2 * time.Hour)
				check(t, v, good, nil)
				b.change(func(b *bubble) { b.set = keystest.Set(keystest.RS256) })
				time.Sleep(5 * time.Minute)
				check(t, v, fresh, nil)
				check(t, v, good, verify.ErrUnknownKey)
			})
		})
	}
}

// An issuer that moves its keys says so in its metadata. A token of a new key is enough to look there, and so is the
// old address when it fails; otherwise they are read once an hour.
func TestKeysMove(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		old  http.HandlerFunc // what the old address does afterwards
		wait time.Duration
	}{
		"the old address is gone":       {status(404), 5 * time.Minute},
		"it goes on with the old keys":  {nil, time.Hour + 5*time.Minute},
		"the same, and somebody asks":   {nil, cooldown},
		"it is gone, and somebody asks": {status(404), cooldown},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBubble(keystest.ES256)
				v := startBubble(t, b.config())
				moved := newBubble(keystest.RS256)
				b.change(func(b *bubble) {
					b.jwks = func(w http.ResponseWriter, r *http.Request) {
						switch {
						case r.URL.Path == "/moved":
							moved.ServeHTTP(w, r)
						case row.old != nil:
							row.old(w, r)
						default:
							document, _ := keystest.Set(keystest.ES256).MarshalJSON()
							w.Header().Set("Cache-Control", "max-age=300")
							_, _ = w.Write(document)
						}
					}
					b.metadata = func(w http.ResponseWriter, _ *http.Request) {
						fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":"%s/moved"}`, bubbleIssuer, bubbleIssuer)
					}
				})
				token := bubbleToken(keystest.RS256)
				time.Sleep(row.wait)
				check(t, v, token, nil)
				if row.wait > cooldown && len(moved.times()) == 0 {
					t.Error("nobody asked at the new address before the token came")
				}
			})
		})
	}
}
