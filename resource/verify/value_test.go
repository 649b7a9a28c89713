package verify_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// valueConfig is that of a verifier whose keys were given to it.
func valueConfig(t *testing.T) verify.Config {
	return verify.Config{
		Issuers:  []verify.Issuer{{ID: bubbleIssuer, JWKS: keystest.Set(keystest.ES256)}},
		Audience: audience,
		Fetch:    verify.Fetch{Client: noNetwork},
		OnFetch:  func(f verify.Fetched) { t.Errorf("fetched: %+v", f) },
	}
}

// Not parallel: it looks at all goroutines. Keys that were given need no goroutine, with and without Close.
func TestValueHasNoGoroutine(t *testing.T) {
	before := goleak.IgnoreCurrent()
	v, err := verify.New(valueConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		check(t, v, bubbleToken(keystest.ES256), nil)
		check(t, v, bubbleToken(keystest.RS256), verify.ErrUnknownKey)
	}
	goleak.VerifyNone(t, before)
	v.Close()
	v.Close()
	check(t, v, bubbleToken(keystest.ES256), nil)
	goleak.VerifyNone(t, before)
}

// They are there at once and for ever; an unknown kid is refused without waiting, whatever the caller's context.
func TestValue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		v := newVerifier(t, valueConfig(t))
		if err := v.Ready(); err != nil {
			t.Error(err)
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		for range 3 {
			start := time.Now()
			check(t, v, bubbleToken(keystest.ES256), nil)
			_, err := v.Verify(cancelled, bubbleToken(keystest.RS256))
			wantError(t, err, verify.ErrUnknownKey)
			if took := time.Since(start); took != 0 {
				t.Errorf("took %v", took)
			}
			time.Sleep(10 * 365 * 24 * time.Hour)
		}
		if err := v.Ready(); err != nil {
			t.Error(err)
		}
	})
}

// A JWK Set by URL is fetched from there; nobody reads the issuer's metadata.
func TestURL(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	mux := http.NewServeMux()
	document := jwksText(t, keystest.ES256)
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(document)) })
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	v := newVerifier(t, verify.Config{Issuers: []verify.Issuer{{ID: bubbleIssuer, JWKSURL: server.URL + "/keys"}}})
	check(t, v, bubbleToken(keystest.ES256), nil) // it waits for the first fetch
	check(t, v, bubbleToken(keystest.RS256), verify.ErrUnknownKey)
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d requests elsewhere", n)
	}
}
