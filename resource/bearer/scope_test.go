package bearer_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"example.com/signet/resource/bearer"
)

func TestRequireScope(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		has  []string
		need []string
		ok   bool
	}{
		{"the one", []string{"orders:read"}, []string{"orders:read"}, true},
		{"among others", []string{"a", "orders:read", "b"}, []string{"orders:read"}, true},
		{"both", []string{"b", "a"}, []string{"a", "b"}, true},
		{"none", nil, []string{"a"}, false},
		{"another", []string{"b"}, []string{"a"}, false},
		{"one of two", []string{"a"}, []string{"a", "b"}, false},
		{"the other of two", []string{"b"}, []string{"a", "b"}, false},
		{"another letter case", []string{"Orders:Read"}, []string{"orders:read"}, false},
		{"part", []string{"orders"}, []string{"orders:read"}, false},
		{"more than it", []string{"orders:read:all"}, []string{"orders:read"}, false},
		{"a tab is no space", []string{"a\\tb"}, []string{"a"}, false},
		{"empty values", []string{"", "", ""}, []string{"a"}, false},
		{"a wildcard", []string{"*"}, []string{"a"}, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := call(t, fake{claims: withScope(row.has...)}, bearer.RequireScope(row.need...), "Token", "good")
			if row.ok {
				if c.StatusCode != http.StatusOK || c.next != 1 || c.reasons != nil {
					t.Errorf("%d, next %d times, reasons %v", c.StatusCode, c.next, c.reasons)
				}
				return
			}
			c.wantRefused(t, bearer.ErrScope)
			if c.StatusCode != http.StatusForbidden || c.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d, %v", c.StatusCode, c.Header)
			}
		})
	}
}

func TestInsufficientScopeAnswer(t *testing.T) {
	t.Parallel()
	c := call(t, fake{}, bearer.RequireScope("orders:read", "orders:write"), "Token", "good")
	const want = `Bearer error="insufficient_scope", error_description="the access token lacks a scope", ` +
		`scope="orders:read orders:write"`
	if got := c.Header.Get("WWW-Authenticate"); got != want || c.body != "the access token lacks a scope\n" {
		t.Errorf("%s, %q; want %s", got, c.body, want)
	}
}

// A route that somebody put in front of the guard stays shut.
func TestRequireScopeWithoutGuard(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Token", "good")
	recorder := httptest.NewRecorder()
	bearer.RequireScope("a")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("next was called")
	})).ServeHTTP(recorder, r)
	if recorder.Code != http.StatusUnauthorized || recorder.Header().Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("%d, %v", recorder.Code, recorder.Header())
	}
}

// Two guards, one in the other: the inner one's claims count, so that an outer token cannot lend its scope.
func TestInnerGuardCounts(t *testing.T) {
	t.Parallel()
	inner := bearer.IsAuthorized(fake{claims: withScope("b")})
	c := call(t, fake{claims: withScope("a")}, func(next http.Handler) http.Handler {
		return inner(bearer.RequireScope("a")(next))
	}, "Token", "good")
	if c.next != 0 || c.StatusCode != http.StatusForbidden {
		t.Errorf("%d, next %d times", c.StatusCode, c.next)
	}
}

func TestRequireScopePanics(t *testing.T) {
	t.Parallel()
	wantPanic(t, "bearer: RequireScope without a scope", func() { bearer.RequireScope() })
	if err := bearer.CheckScope(); err != nil {
		t.Error(err)
	}
	// What can never be a scope value (RFC 6749 §3.3) could never be met, and would break the challenge open.
	for name, value := range map[string]string{
		"empty": "", "two in one": "a b", "quote": `a", realm="x`, "backslash": `a\`, "line break": "a\r\nX-Evil: 1",
		"tab": "a\tb", "tab before": "\ta", "not ASCII": "ä", "DEL": "\x7f", "NUL": "\x00",
	} {
		t.Run(name, func(t *testing.T) {
			want := fmt.Sprintf("bearer: %q is no scope value", value)
			if err := bearer.CheckScope("ok", value); err == nil || err.Error() != want {
				t.Errorf("%v, want %s", err, want)
			}
			wantPanic(t, "bearer: RequireScope with a value that is no scope", func() { bearer.RequireScope("ok", value) })
		})
	}
	if !errors.Is(call(t, fake{}, bearer.RequireScope("!#[]~:/."), "Token", "good").reasons[0], bearer.ErrScope) {
		t.Error("a value with every kind of character is not taken")
	}
}
