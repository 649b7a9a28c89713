package verify_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

const audience = keystest.Audience

// sentinels are all the errors that the package promises, to show that an error wraps the right one and no other.
var sentinels = []error{
	verify.ErrMalformed, verify.ErrAlgorithm, verify.ErrType, verify.ErrClaims, verify.ErrIssuer, verify.ErrUnknownKey,
	verify.ErrSignature, verify.ErrAudience, verify.ErrExpired, verify.ErrNotYetValid, verify.ErrConfirmation,
	verify.ErrUnavailable,
}

func wantError(t testing.TB, err, want error) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %q", want)
	}
	for _, sentinel := range sentinels {
		if is := errors.Is(err, sentinel); is != (sentinel == want) {
			t.Errorf("errors.Is(%q, %q) = %v", err, sentinel, is)
		}
	}
}

// check verifies a token and compares the outcome; want nil means accepted.
func check(t testing.TB, v *verify.Verifier, token string, want error) {
	t.Helper()
	_, err := v.Verify(t.Context(), token)
	if want != nil {
		wantError(t, err, want)
	} else if err != nil {
		t.Errorf("refused: %v", err)
	}
}

// eventually waits until a condition holds: for what another goroutine does over a real network. No test waits for time
// to pass this way.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not in 10 s: %s", what)
}

// newServer is an issuer on loopback that publishes the named keys.
func newServer(t testing.TB, names ...string) *keystest.Server {
	t.Helper()
	server := keystest.NewServer(keystest.Set(names...))
	t.Cleanup(server.Close)
	return server
}

// newVerifier makes a verifier that the test closes, and waits for nothing.
func newVerifier(t testing.TB, cfg verify.Config) *verify.Verifier {
	t.Helper()
	if cfg.Audience == "" {
		cfg.Audience = audience
	}
	v, err := verify.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// ready waits until the verifier has keys.
func ready(t testing.TB, v *verify.Verifier) {
	t.Helper()
	eventually(t, "the verifier has keys", func() bool { return v.Ready() == nil })
}

// wired is a network inside the process. With it, and in a synctest bubble, time passes only when nothing else happens,
// so that seconds and days cost nothing and are exact.
type wired struct{ http.Handler }

func (w wired) RoundTrip(r *http.Request) (*http.Response, error) {
	recorder := httptest.NewRecorder()
	w.ServeHTTP(recorder, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return recorder.Result(), nil
}

const bubbleIssuer = "https://issuer.example.com"

// bubble is an issuer on a wired network.
type bubble struct {
	mu           sync.Mutex
	set          *keys.Set
	cacheControl string
	metadata     http.HandlerFunc // nil answers well
	jwks         http.HandlerFunc // nil answers well
	fetches      []time.Time      // of the JWK Set, when each came in
}

func newBubble(names ...string) *bubble {
	return &bubble{set: keystest.Set(names...), cacheControl: "public, max-age=300"}
}

func (b *bubble) client() *http.Client { return &http.Client{Transport: wired{b}} }

// config is that of a verifier that trusts this issuer.
func (b *bubble) config() verify.Config {
	return verify.Config{Issuer: bubbleIssuer, Audience: audience, Fetch: verify.Fetch{Client: b.client()}}
}

// change changes the issuer while it serves.
func (b *bubble) change(f func(b *bubble)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f(b)
}

func (b *bubble) times() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]time.Time(nil), b.fetches...)
}

func (b *bubble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	metadata, jwks, set, cacheControl := b.metadata, b.jwks, b.set, b.cacheControl
	isMetadata := r.URL.Path == "/.well-known/oauth-authorization-server"
	if !isMetadata {
		b.fetches = append(b.fetches, time.Now())
	}
	b.mu.Unlock()
	switch {
	case isMetadata && metadata != nil:
		metadata(w, r)
	case isMetadata:
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":"%s/jwks"}`, bubbleIssuer, bubbleIssuer)
	case jwks != nil:
		jwks(w, r)
	default:
		if cacheControl != "" {
			w.Header().Set("Cache-Control", cacheControl)
		}
		document, _ := set.MarshalJSON()
		_, _ = w.Write(document)
	}
}

func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// answerWith writes a body with status 200.
func answerWith(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// slowly answers well after d.
func (b *bubble) slowly(d time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		time.Sleep(d) // of the bubble's time
		b.mu.Lock()
		set := b.set
		b.mu.Unlock()
		document, _ := set.MarshalJSON()
		_, _ = w.Write(document)
	}
}

// bubbleToken is a genuine token of the bubble's issuer by the named key, valid for two weeks from now.
func bubbleToken(name string) string {
	claims := keystest.AccessClaims(bubbleIssuer, audience, time.Now())
	return keystest.AccessToken(name, claims.With("exp", fmt.Sprint(time.Now().Add(14*24*time.Hour).Unix())))
}
