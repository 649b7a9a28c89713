package remote_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/remote"
)

// sentinels are all the errors that the package promises, to show that an error wraps the right one and no other.
var sentinels = []error{
	remote.ErrURL, remote.ErrFetch, remote.ErrDocument, remote.ErrIssuer, keys.ErrNotSet, keys.ErrNoKeys,
}

func wantError(t *testing.T, err, want error, text string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	for _, sentinel := range sentinels {
		if is := errors.Is(err, sentinel); is != (sentinel == want) {
			t.Errorf("errors.Is(%q, %q) = %v", err, sentinel, is)
		}
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q does not say %q", err, text)
	}
}

// site is a server on loopback that counts what it is asked.
type site struct {
	*httptest.Server
	requests atomic.Int64
}

func serve(t *testing.T, h http.HandlerFunc) *site {
	t.Helper()
	s := &site{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		h(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// soon is a context for fetches that nobody answers: the test need not wait for the five seconds of a real fetch.
func soon(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// goodSet is the JWK Set document of one key.
func goodSet(t testing.TB) string {
	t.Helper()
	document, err := keystest.Set(keystest.ES256).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(document)
}

// answer writes a body with status 200.
func answer(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

// forever writes piece again and again until the reader has gone, and counts the octets.
func forever(piece []byte, pause time.Duration, written *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			n, err := w.Write(piece)
			written.Add(int64(n))
			if err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			if pause > 0 {
				select {
				case <-r.Context().Done():
				case <-time.After(pause):
				}
			}
		}
	}
}

// hang answers nothing until the reader has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// kidsOf are the kids of a fetched set.
func kidsOf(d *remote.Document) (kids []string) {
	for key := range d.Set.All() {
		kids = append(kids, key.ID())
	}
	return kids
}
