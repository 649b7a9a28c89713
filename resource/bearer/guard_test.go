package bearer_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

// answerOf is how handler answers a request with a good token.
func answerOf(handler http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, question("", "Token", "good"))
	return w
}

func cacheHeaders(w *httptest.ResponseRecorder) map[string][]string {
	return map[string][]string{"Vary": w.Header()["Vary"], "Cache-Control": w.Header()["Cache-Control"]}
}

// No request can change the headers of another, whatever its handler does to its own. Under -race this finds a slice
// that two requests write to.
func TestGuardHeadersAreNotShared(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(h http.Header){
		"changed in place": func(h http.Header) { h["Vary"][0] += "x"; h["Cache-Control"][0] += "x" },
		"appended to": func(h http.Header) {
			_ = append(h["Vary"], "x")
			_ = append(h["Cache-Control"], "x")
		},
		"added to": func(h http.Header) { h.Add("Vary", "x"); h.Add("Cache-Control", "x") },
		"one by one": func(h http.Header) {
			h["Cache-Control"] = append(h["Cache-Control"], h["Vary"]...)
			h["Vary"][0] = "x"
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { spoil(w.Header()) })
			spoiling := bearer.IsAuthorized(fake{})(next)
			var all sync.WaitGroup
			for range 8 {
				all.Go(func() { answerOf(spoiling) })
			}
			all.Wait()
			want := map[string][]string{"Vary": {"Authorization, Token"}, "Cache-Control": {"no-store"}}
			later := answerOf(bearer.IsAuthorized(fake{})(http.NotFoundHandler()))
			if diff := cmp.Diff(want, cacheHeaders(later)); diff != "" {
				t.Errorf("a later request: %s", diff)
			}
		})
	}
}

// One header of a request does not run into the other when the handler appends to it.
func TestGuardHeadersAreApart(t *testing.T) {
	t.Parallel()
	w := answerOf(bearer.IsAuthorized(fake{})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Cache-Control"] = append(w.Header()["Cache-Control"], "private")
	})))
	want := map[string][]string{"Vary": {"Authorization, Token"}, "Cache-Control": {"no-store", "private"}}
	if diff := cmp.Diff(want, cacheHeaders(w)); diff != "" {
		t.Error(diff)
	}
}

func TestGuardKeepsVary(t *testing.T) {
	t.Parallel()
	const ours = "Authorization, Token"
	outer := func(vary ...string) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Vary"] = vary
				next.ServeHTTP(w, r)
			})
		}
	}
	guard := bearer.IsAuthorized(fake{claims: withScope("a")})
	refusing := func(next http.Handler) http.Handler { return guard(bearer.RequireScope("b")(next)) }
	forward := bearer.ForwardAuth{Guard: bearer.Guard{Verifier: fake{claims: billing}}}
	rows := []struct {
		name    string
		handler http.Handler
		want    []string
	}{
		{"let through", guard(http.NotFoundHandler()), []string{ours}},
		{"an outer one", outer("Origin")(guard(http.NotFoundHandler())), []string{"Origin", ours}},
		{"two outer ones", outer("Origin", "Accept")(guard(http.NotFoundHandler())),
			[]string{"Origin", "Accept", ours}},
		{"an outer one that is ours", outer(ours)(guard(http.NotFoundHandler())), []string{ours}},
		{"an outer one that is empty", outer()(guard(http.NotFoundHandler())), []string{ours}},
		{"refused behind the guard", refusing(http.NotFoundHandler()), []string{ours}},
		{"an outer one, refused behind the guard", outer("Origin")(refusing(http.NotFoundHandler())),
			[]string{"Origin", ours}},
		{"an inner one, refused behind it", guard(outer("Accept")(bearer.RequireScope("b")(http.NotFoundHandler()))),
			[]string{"Accept", ours}},
		{"two guards", guard(guard(http.NotFoundHandler())), []string{ours}},
		{"two guards and an outer one", outer("Origin")(guard(refusing(http.NotFoundHandler()))),
			[]string{"Origin", ours}},
		{"forward auth", outer("Origin")(forward), []string{"Origin", ours}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(row.want, answerOf(row.handler).Header()["Vary"]); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A middleware may set the same slice on every request, with room behind it. The guard does not write there.
func TestGuardDoesNotWriteIntoTheOutersSlice(t *testing.T) {
	t.Parallel()
	shared := []string{"Origin", "untouched"}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Vary"] = shared[:1]
		bearer.IsAuthorized(fake{})(http.NotFoundHandler()).ServeHTTP(w, r)
	})
	answerOf(handler)
	if !slices.Equal(shared, []string{"Origin", "untouched"}) {
		t.Errorf("%q", shared)
	}
}

// What others put into the context is there behind the guard, and the caller's going away is felt.
func TestGuardPassesTheContextOn(t *testing.T) {
	t.Parallel()
	type key struct{}
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "mine"))
	ctx, stop := context.WithDeadline(ctx, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
	t.Cleanup(stop)
	called := false
	next := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		called = true
		inner := r.Context()
		if got := inner.Value(key{}); got != "mine" {
			t.Errorf("value %v", got)
		}
		if got, ok := inner.Deadline(); !ok || got.Year() != 2100 {
			t.Errorf("deadline %v, %v", got, ok)
		}
		child, stop := context.WithTimeout(inner, time.Hour)
		defer stop()
		if inner.Err() != nil || child.Err() != nil {
			t.Errorf("over at once: %v", inner.Err())
		}
		cancel(gone)
		for name, done := range map[string]<-chan struct{}{"the context": inner.Done(), "a child": child.Done()} {
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Fatalf("%s does not notice that the caller is gone", name)
			}
		}
		if !errors.Is(inner.Err(), context.Canceled) || context.Cause(inner) != gone || context.Cause(child) != gone {
			t.Errorf("%v because of %v, child %v", inner.Err(), context.Cause(inner), context.Cause(child))
		}
		if claims, ok := bearer.ClaimsFrom(child); !ok || claims.Subject() != "alice" {
			t.Errorf("a context made from it has %v, %v", claims, ok)
		}
		if claims, ok := bearer.ClaimsFrom(context.WithoutCancel(inner)); !ok || claims.Subject() != "alice" {
			t.Errorf("a context that outlives it has %v, %v", claims, ok)
		}
	})
	r := question("", "Token", "good").WithContext(ctx)
	bearer.IsAuthorized(fake{claims: billing})(next).ServeHTTP(httptest.NewRecorder(), r)
	if !called {
		t.Fatal("next was not called")
	}
	if _, ok := bearer.ClaimsFrom(r.Context()); ok {
		t.Error("the outer request has claims")
	}
}

// What a handler keeps of one request does not change with the next.
func TestClaimsOutliveTheRequest(t *testing.T) {
	t.Parallel()
	var kept []context.Context
	handler := func(v fake) http.Handler {
		return bearer.IsAuthorized(v)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			kept = append(kept, r.Context())
		}))
	}
	answerOf(handler(fake{claims: billing}))
	answerOf(handler(fake{claims: withScope("a")}))
	if claims, ok := bearer.ClaimsFrom(kept[0]); !ok || claims.Subject() != "alice" {
		t.Errorf("%v, %v", claims, ok)
	}
}

// spy is a guard that remembers what it refused.
func spy(v bearer.Verifier, reasons *[]error) bearer.Guard {
	return bearer.Guard{Verifier: v, Refused: func(_ *http.Request, reason error) {
		*reasons = append(*reasons, reason)
	}}
}

// Of two guards, the inner one has the last word, and its own hook is called; the outer one's is not.
func TestNestedGuards(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name         string
		outer, inner bearer.Verifier
		status       int
		refusedOuter error
		refusedInner error
	}{
		{"both accept", fake{claims: billing}, fake{claims: billing}, 200, nil, nil},
		{"the outer refuses", fake{reason: verify.ErrExpired}, fake{claims: billing}, 401, verify.ErrExpired, nil},
		{"the inner refuses", fake{claims: billing}, fake{reason: verify.ErrExpired}, 401, nil, verify.ErrExpired},
		{"scope from the outer only", fake{claims: billing}, fake{}, 403, nil, bearer.ErrScope},
		{"scope from the inner only", fake{}, fake{claims: billing}, 200, nil, nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var outer, inner []error
			next := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {})
			scoped := bearer.RequireScope("orders:read")(next)
			w := answerOf(spy(row.outer, &outer).IsAuthorized(spy(row.inner, &inner).IsAuthorized(scoped)))
			if w.Code != row.status {
				t.Errorf("%d, want %d", w.Code, row.status)
			}
			for reason, got := range map[error][]error{row.refusedOuter: outer, row.refusedInner: inner} {
				if reason == nil {
					continue
				}
				if len(got) != 1 || !errors.Is(got[0], reason) {
					t.Errorf("reasons %v, want %v", got, reason)
				}
			}
			if n := len(outer) + len(inner); (n == 0) != (row.status == 200) || n > 1 {
				t.Errorf("outer %v, inner %v", outer, inner)
			}
		})
	}
}

// A rule of the application's own answers as the guard does.
func TestRefuse(t *testing.T) {
	t.Parallel()
	own := errors.New("a rule of our own")
	rows := []struct {
		name      string
		reason    error
		status    int
		challenge []string
	}{
		{"own", own, 401, []string{invalidToken}},
		{"expired meanwhile", verify.ErrExpired, 401, []string{invalidToken}},
		{"keys gone meanwhile", verify.ErrUnavailable, 503, nil},
		{"forged", bearer.ErrForged, 403, []string{"Bearer"}},
		{"identity", bearer.ErrIdentity, 403,
			[]string{`Bearer error="invalid_token", error_description="no header can carry the token's identity"`}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			var reasons []error
			w := answerOf(spy(fake{}, &reasons).IsAuthorized(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Cache-Control", "public, max-age=60")
				bearer.Refuse(w, r, row.reason)
			})))
			if diff := cmp.Diff(row.challenge, w.Header()["Www-Authenticate"]); w.Code != row.status || diff != "" {
				t.Errorf("%d: %s", w.Code, diff)
			}
			if len(reasons) != 1 || reasons[0] != row.reason {
				t.Errorf("reasons %v", reasons)
			}
			want := map[string][]string{"Vary": {"Authorization, Token"}, "Cache-Control": {"no-store"}}
			if diff := cmp.Diff(want, cacheHeaders(w)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Without a guard nobody has proved anything, whatever the reason.
func TestRefuseWithoutGuard(t *testing.T) {
	t.Parallel()
	for _, reason := range []error{nil, verify.ErrUnavailable, bearer.ErrScope, bearer.ErrForged, bearer.ErrAmbiguous,
		verify.ErrExpired} {
		w := httptest.NewRecorder()
		bearer.Refuse(w, question("", "Token", "good"), reason)
		if diff := cmp.Diff([]string{"Bearer"}, w.Header()["Www-Authenticate"]); w.Code != 401 || diff != "" {
			t.Errorf("%v: %d, %s", reason, w.Code, diff)
		}
		wantCacheHeaders(t, called{Response: w.Result()})
	}
}
