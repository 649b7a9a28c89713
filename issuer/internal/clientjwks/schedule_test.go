package clientjwks_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/keys/keystest"
)

// sinceFetch moves a bubble's clock on to d after start.
func sinceFetch(start time.Time, d time.Duration) { time.Sleep(time.Until(start.Add(d))) }

// A key that the client withdrew while nobody asked is not accepted once more.
func TestOldKeysAreNotUsedUnasked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}, cacheControl: "max-age=300"}
		k := inBubble(t, clientjwks.Config{}, s)
		start := time.Now()
		get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
		s.change(func(s *site) { s.names = []string{keystest.RS256}; s.slow = time.Second })
		sinceFetch(start, 5*time.Minute+1)
		asked := time.Now()
		get(t, k, bubbleURI, kid(keystest.ES256), keystest.RS256)
		took(t, asked, time.Second)
		wantFetches(t, s, 2)
	})
}

// While a uri hangs or fails, the old keys serve up to MaxStale, and not a moment longer.
func TestMaxStale(t *testing.T) {
	t.Parallel()
	for maxStale, want := range map[time.Duration]time.Duration{
		0: 24 * time.Hour, -1: 24 * time.Hour, 7 * time.Hour: 7 * time.Hour,
	} {
		t.Run(maxStale.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &site{names: []string{keystest.ES256}}
				k := inBubble(t, clientjwks.Config{MaxStale: maxStale}, s)
				start := time.Now()
				get(t, k, bubbleURI, "", keystest.ES256)
				s.change(func(s *site) { s.fail = status(500) })
				sinceFetch(start, want)
				get(t, k, bubbleURI, "", keystest.ES256)
				sinceFetch(start, want+1)
				_, err := k.Keys(t.Context(), bubbleURI, "")
				wantUnavailable(t, err)
				time.Sleep(time.Minute)
				s.change(func(s *site) { s.fail = nil })
				get(t, k, bubbleURI, "", keystest.ES256)
			})
		})
	}
}

// A hanging uri delays the callers with old keys by 2 s, and nobody any more when the fetch has failed.
func TestOldKeysWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}}
		k := inBubble(t, clientjwks.Config{}, s)
		get(t, k, bubbleURI, "", keystest.ES256)
		s.change(func(s *site) { s.fail = hang })
		time.Sleep(2 * time.Hour)
		start := time.Now()
		get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
		took(t, start, 2*time.Second)
		get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
		took(t, start, 4*time.Second)
		get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
		took(t, start, 5*time.Second) // the limit of a fetch
		for range 30 {
			get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
			time.Sleep(time.Second)
		}
		took(t, start, 35*time.Second)
		wantFetches(t, s, 2)
		get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
		took(t, start, 37*time.Second)
		wantFetches(t, s, 3)
	})
}

// Between 80 % of max-age and max-age nobody waits: one fetch follows in the background, with the ETag.
func TestRefreshInTheBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}, etag: `"1"`, cacheControl: "max-age=600"}
		k := inBubble(t, clientjwks.Config{}, s)
		start := time.Now()
		first := get(t, k, bubbleURI, "", keystest.ES256)
		s.change(func(s *site) { s.slow = time.Second })
		sinceFetch(start, 9*time.Minute)
		asked := time.Now()
		for range 10 {
			get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
		}
		took(t, asked, 0)
		time.Sleep(time.Second)
		synctest.Wait()
		wantFetches(t, s, 2)
		if s.asked[1] != `"1"` {
			t.Errorf("asked with ETag %q", s.asked[1])
		}
		sinceFetch(asked, 7*time.Minute) // young again by the 304
		if again := get(t, k, bubbleURI, "", keystest.ES256); again != first {
			t.Error("another set after a 304")
		}
		synctest.Wait()
		wantFetches(t, s, 2)
	})
}

// A background fetch that fails is not repeated within the cool-down.
func TestFailedRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, j := &site{names: []string{keystest.ES256}, cacheControl: "max-age=3600"}, &journal{}
		k := inBubble(t, clientjwks.Config{Log: j.log()}, s)
		get(t, k, bubbleURI, "", keystest.ES256)
		s.change(func(s *site) { s.fail = status(500) })
		time.Sleep(54 * time.Minute)
		start := time.Now()
		for range 59 {
			get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
			synctest.Wait()
			time.Sleep(time.Second)
		}
		took(t, start, 59*time.Second)
		wantFetches(t, s, 3)
		if n := j.count("level=WARN"); n != 2 || j.count("status 500") != 2 || j.count("uri="+bubbleURI) != 3 {
			t.Errorf("the log: %s", j.text.String())
		}
	})
}

// Fetches follow max-age, clamped, with a spread of a tenth that each uri keeps.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, cacheControl string
		maxStale           time.Duration
		maxAge             time.Duration
	}{
		{"never to be kept", "no-store", 0, 75 * time.Second},
		{"zero", "max-age=0", 0, 75 * time.Second},
		{"short", "max-age=10", 0, 75 * time.Second},
		{"plain", "max-age=600", 0, 10 * time.Minute},
		{"absent", "", 0, 5 * time.Minute},
		{"unreadable", "max-age=-5", 0, 5 * time.Minute},
		{"an hour", "max-age=3600", 0, time.Hour},
		{"a day", "max-age=86400", 0, 75 * time.Minute},
		{"the largest", "max-age=2147483647", 0, 75 * time.Minute},
		{"longer than MaxStale", "max-age=3600", 10 * time.Minute, 10 * time.Minute},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &site{names: []string{keystest.ES256}, cacheControl: row.cacheControl}
				k := inBubble(t, clientjwks.Config{MaxStale: row.maxStale}, s)
				const sources = 100
				start := time.Now()
				ask := func(at time.Duration) int {
					sinceFetch(start, at)
					for i := range sources {
						get(t, k, fmt.Sprint(bubbleURI, i), "", keystest.ES256)
						synctest.Wait()
					}
					took(t, start, at)
					return s.fetches() - sources
				}
				ask(0)
				early, late := row.maxAge*8/10*9/10, row.maxAge*8/10*11/10
				if n := ask(early - 1); n != 0 {
					t.Errorf("%d fetches before the first is due", n)
				}
				if n := ask((early + late) / 2); n < sources/5 || n > sources*4/5 {
					t.Errorf("%d fetches at half time of the spread", n)
				}
				if n := ask(late + 1); n != sources {
					t.Errorf("%d fetches when all are due", n)
				}
			})
		})
	}
}

// The injected clock is the one that counts.
func TestInjectedClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, clock := &site{names: []string{keystest.ES256}}, keystest.NewClock()
		k := inBubble(t, clientjwks.Config{Now: clock.Now}, s)
		get(t, k, bubbleURI, "", keystest.ES256)
		time.Sleep(48 * time.Hour)
		get(t, k, bubbleURI, "", keystest.ES256)
		wantFetches(t, s, 1)
		clock.Advance(5*time.Minute + 1)
		get(t, k, bubbleURI, "", keystest.ES256)
		wantFetches(t, s, 2)
		clock.Advance(-time.Hour) // a clock that is set back
		get(t, k, bubbleURI, "", keystest.ES256)
		wantFetches(t, s, 2)
	})
}

// Of more uris than are remembered, the one that was not used for longest is forgotten.
func TestForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}}
		k := inBubble(t, clientjwks.Config{}, s)
		for i := range clientjwks.MaxSources {
			get(t, k, fmt.Sprint(bubbleURI, i), "", keystest.ES256)
		}
		get(t, k, bubbleURI+"0", "", keystest.ES256)
		wantFetches(t, s, clientjwks.MaxSources)
		get(t, k, bubbleURI, "", keystest.ES256)     // instead of 1
		get(t, k, bubbleURI+"0", "", keystest.ES256) // still there
		wantFetches(t, s, clientjwks.MaxSources+1)
		get(t, k, bubbleURI+"1", "", keystest.ES256)
		wantFetches(t, s, clientjwks.MaxSources+2)
	})
}
