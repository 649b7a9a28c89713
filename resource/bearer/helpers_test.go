package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

// fake is a verifier that accepts the token "good" and gives its reason for refusing any other.
type fake struct {
	claims verify.Claims
	reason error
}

// claimsOf returns the claims that a payload has.
func claimsOf(payload string) verify.Claims {
	claims, err := verify.InsecureClaims([]byte(payload))
	if err != nil {
		panic(err)
	}
	return claims
}

func withScope(values ...string) verify.Claims {
	return claimsOf(`{"scope":"` + strings.Join(values, " ") + `"}`)
}

var errBad = errors.New("fake: a bad token")

func (f fake) Verify(_ context.Context, token string) (verify.Claims, error) {
	if token == "good" && f.reason == nil {
		return f.claims, nil
	}
	if f.reason != nil {
		return verify.Claims{}, f.reason
	}
	return verify.Claims{}, errBad
}

// call sends a request with these headers, given as name, value, name, value, through the middleware, and returns the
// answer, how often next was called, and the reasons that Refused saw.
type called struct {
	*http.Response
	body    string
	next    int
	reasons []error
}

func call(t *testing.T, v bearer.Verifier, inner func(http.Handler) http.Handler, headers ...string) called {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return send(t, v, inner, r)
}

func send(t *testing.T, v bearer.Verifier, inner func(http.Handler) http.Handler, r *http.Request) called {
	t.Helper()
	var c called
	guard := spy(v, &c.reasons)
	var next http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c.next++
		_, _ = w.Write([]byte("secret\n"))
	})
	if inner != nil {
		next = inner(next)
	}
	recorder := httptest.NewRecorder()
	guard.IsAuthorized(next).ServeHTTP(recorder, r)
	c.Response, c.body = recorder.Result(), recorder.Body.String()
	return c
}

// wantRefused checks that next was not called and that Refused saw exactly one reason.
func (c called) wantRefused(t *testing.T, reason error) {
	t.Helper()
	if c.next != 0 {
		t.Errorf("next was called %d times", c.next)
	}
	if len(c.reasons) != 1 || !errors.Is(c.reasons[0], reason) {
		t.Errorf("reasons %v, want %v once", c.reasons, reason)
	}
}
