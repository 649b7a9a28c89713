package verify_test

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// BenchmarkDisturbed verifies tokens of a known kid while the JWK Set's address misbehaves and others send tokens with
// unknown kids all the time, at a cool-down so short that there is a fetch under way, or just over, at any moment. What
// counts is the metric p99-ns beside that of "undisturbed", where the address answers well and the same tokens come.
func BenchmarkDisturbed(b *testing.B) {
	huge := strings.Repeat(" ", 10<<20)
	for _, row := range []struct {
		name string
		fail http.HandlerFunc
	}{
		{"undisturbed", nil},
		{"hanging", hang},
		{"500", status(http.StatusInternalServerError)},
		{"10MB", answerWith(huge)},
	} {
		b.Run(row.name+"/no-cache", func(b *testing.B) { disturb(b, row.fail, -1) })
		b.Run(row.name+"/cache", func(b *testing.B) { disturb(b, row.fail, 0) })
	}
}

func disturb(b *testing.B, fail http.HandlerFunc, cacheSize int) {
	server := newServer(b, keystest.ES256)
	cfg := verify.Config{Issuer: server.Issuer(), CacheSize: cacheSize}
	cfg.Fetch.Cooldown, cfg.Fetch.Wait, cfg.Fetch.Timeout = 100*time.Millisecond, 50*time.Millisecond, 200*time.Millisecond
	v := newVerifier(b, cfg)
	ready(b, v)
	tokens := make([]string, 100)
	claims := keystest.AccessClaims(server.Issuer(), audience, time.Now())
	for i := range tokens {
		tokens[i] = keystest.AccessToken(keystest.ES256, claims.With("jti", strconv.Quote(rand.Text())))
		check(b, v, tokens[i], nil)
		check(b, v, tokens[i], nil)
	}
	server.Fail(fail)
	stop := floodWithUnknownKids(b, v, server.Issuer())
	took := make([]time.Duration, 0, 1<<20)
	for i := 0; b.Loop(); i++ {
		start := time.Now()
		if _, err := v.Verify(b.Context(), tokens[i%len(tokens)]); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
	stop()
	b.ReportMetric(steadily(took, 99), "p99-ns")
	b.ReportMetric(steadily(took, 50), "p50-ns")
	b.ReportMetric(float64(server.Fetches()), "fetches")
}

// steadily is a percentile of what came in a row, as the median of its values in many short stretches: what the machine
// does besides for a while is not in it.
func steadily(took []time.Duration, percent int) float64 {
	const stretch = 1000
	var all []time.Duration
	for part := range slices.Chunk(took, stretch) {
		part = slices.Sorted(slices.Values(part))
		all = append(all, part[len(part)*percent/100])
	}
	slices.Sort(all)
	return float64(all[len(all)/2])
}

// floodWithUnknownKids lets ten callers send a token with an unknown kid every millisecond each, unless they wait for
// a fetch.
func floodWithUnknownKids(b *testing.B, v *verify.Verifier, issuer string) (stop func()) {
	stranger := strangers(issuer, time.Now())
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 10 {
		wg.Go(func() {
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-done:
					return
				case <-tick.C:
					_, _ = v.Verify(b.Context(), stranger())
				}
			}
		})
	}
	return func() { close(done); wg.Wait() }
}
