package bearer_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

const (
	invalidRequest = `Bearer error="invalid_request", error_description="send exactly one access token"`
	invalidToken   = `Bearer error="invalid_token", error_description="the access token is not valid"`
)

// The answers word for word: nothing of the request or of the reason is in them (V32 to V35).
func TestAnswers(t *testing.T) {
	t.Parallel()
	good := []string{"Token", "good"}
	type answer struct {
		Status                int
		Challenge, RetryAfter []string
		Body                  string
	}
	refused := func(status int, challenge, body string) answer {
		return answer{status, []string{challenge}, nil, body}
	}
	away := answer{http.StatusServiceUnavailable, nil, []string{"5"}, "access tokens cannot be verified now\n"}
	invalid := refused(401, invalidToken, "the access token is not valid\n")
	rows := []struct {
		name    string
		reason  error
		headers []string
		want    answer
	}{
		{"none presented", nil, nil, refused(401, "Bearer", "an access token is needed\n")},
		{"more than one", nil, []string{"Token", "good", "Authorization", "Bearer good"},
			refused(400, invalidRequest, "send exactly one access token\n")},
		{"malformed", verify.ErrMalformed, good, invalid},
		{"algorithm", verify.ErrAlgorithm, good, invalid},
		{"type", verify.ErrType, good, invalid},
		{"claims", verify.ErrClaims, good, invalid},
		{"issuer", verify.ErrIssuer, good, invalid},
		{"unknown key", verify.ErrUnknownKey, good, invalid},
		{"signature", verify.ErrSignature, good, invalid},
		{"audience", verify.ErrAudience, good, invalid},
		{"expired", verify.ErrExpired, good, invalid},
		{"not yet valid", verify.ErrNotYetValid, good, invalid},
		{"cnf", verify.ErrConfirmation, good, invalid},
		{"wrapped", fmt.Errorf("x: %w", verify.ErrExpired), good, invalid},
		{"an error that nobody foresaw", fmt.Errorf("secret \"cause\"\r\nX: y"), good, invalid},
		{"a cancelled verification", context.Canceled, good, invalid},
		{"no keys", verify.ErrUnavailable, good, away},
		{"no keys, wrapped", fmt.Errorf("x: %w: %w", verify.ErrUnavailable, context.Canceled), good, away},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := call(t, fake{reason: row.reason}, nil, row.headers...)
			got := answer{c.StatusCode, c.Header["Www-Authenticate"], c.Header["Retry-After"], c.body}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
			if c.next != 0 || len(c.reasons) != 1 {
				t.Errorf("next %d times, reasons %v", c.next, c.reasons)
			}
			wantCacheHeaders(t, c)
			if got := c.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
				t.Errorf("Content-Type %q", got)
			}
		})
	}
}

func wantCacheHeaders(t *testing.T, c called) {
	t.Helper()
	if diff := cmp.Diff([]string{"no-store"}, c.Header["Cache-Control"]); diff != "" {
		t.Errorf("Cache-Control: %s", diff)
	}
	if diff := cmp.Diff([]string{"Authorization, Token"}, c.Header["Vary"]); diff != "" {
		t.Errorf("Vary: %s", diff)
	}
}

func TestAnswerThatGoesThrough(t *testing.T) {
	t.Parallel()
	c := call(t, fake{}, nil, "Token", "good")
	wantCacheHeaders(t, c)
	if c.StatusCode != http.StatusOK || c.Header["Www-Authenticate"] != nil {
		t.Errorf("%d, %v", c.StatusCode, c.Header)
	}
	own := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Cache-Control", "private, max-age=60")
			w.Header().Add("Vary", "Accept")
		})
	}
	c = call(t, fake{}, own, "Token", "good")
	if diff := cmp.Diff([]string{"private, max-age=60"}, c.Header["Cache-Control"]); diff != "" {
		t.Errorf("next decides about its own answer: %s", diff)
	}
	if diff := cmp.Diff([]string{"Authorization, Token", "Accept"}, c.Header["Vary"]); diff != "" {
		t.Error(diff)
	}
}

func TestClaimsFrom(t *testing.T) {
	t.Parallel()
	want := claimsOf(`{"sub":"alice","client_id":"billing","scope":"a"}`)
	var got verify.Claims
	var ok bool
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, ok = bearer.ClaimsFrom(r.Context()) })
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Token", "good")
	bearer.IsAuthorized(fake{claims: want})(next).ServeHTTP(httptest.NewRecorder(), r)
	if !ok || got != want || got.Subject() != "alice" {
		t.Errorf("%+v, %v", got, ok)
	}
	if claims, ok := bearer.ClaimsFrom(t.Context()); ok || claims != (verify.Claims{}) {
		t.Errorf("without a guard: %+v, %v", claims, ok)
	}
	// Nobody else can put claims there, for the key is not exported; a look-alike does not count.
	type authorizedKey struct{}
	if _, ok := bearer.ClaimsFrom(context.WithValue(t.Context(), authorizedKey{}, want)); ok {
		t.Error("a look-alike key gave claims")
	}
}

// The verifier gets the request's own context: when the caller goes, waiting for a key ends.
func TestVerifierGetsTheContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	r := httptest.NewRequest(http.MethodGet, "/", nil).WithContext(context.WithValue(t.Context(), key{}, "mine"))
	r.Header.Set("Token", "good")
	var seen any
	spy := verifierFunc(func(ctx context.Context, token string) (verify.Claims, error) {
		seen = ctx.Value(key{})
		return verify.Claims{}, errBad
	})
	bearer.IsAuthorized(spy)(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	if seen != "mine" {
		t.Errorf("the context has %v", seen)
	}
}

type verifierFunc func(ctx context.Context, token string) (verify.Claims, error)

func (f verifierFunc) Verify(ctx context.Context, token string) (verify.Claims, error) {
	return f(ctx, token)
}

func TestGuardWithoutVerifierPanics(t *testing.T) {
	t.Parallel()
	wantPanic(t, "bearer: a guard without verifier", func() { bearer.IsAuthorized(nil)(http.NotFoundHandler()) })
	wantPanic(t, "bearer: a guard without verifier", func() { bearer.Guard{}.IsAuthorized(http.NotFoundHandler()) })
}

func wantPanic(t *testing.T, want string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if got := recover(); got != want {
			t.Errorf("panic %v, want %q", got, want)
		}
	}()
	f()
}
