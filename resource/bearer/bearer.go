// Package bearer lets only requests with a valid access token through to an http.Handler, and answers the others as
// RFC 6750 says.
//
//	r := chi.NewRouter()
//	r.Use(bearer.IsAuthorized(verifier))
//	r.With(bearer.RequireScope("orders:write")).Post("/orders", func(w http.ResponseWriter, r *http.Request) {
//		claims, _ := bearer.ClaimsFrom(r.Context())
//		…
//	})
//
// The token comes bare in the Token header or as Authorization: Bearer. Tokens in a query or a form are not read.
package bearer

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"example.com/signet/resource/verify"
)

// Verifier decides whether a token is valid; [verify.Verifier] is one. It is safe for concurrent use. An error that
// wraps [verify.ErrUnavailable] means that it cannot tell now; any other, that the token is not valid.
type Verifier interface {
	Verify(ctx context.Context, token string) (verify.Claims, error)
}

// Why a request is refused before its token is looked at, or after. [Guard.Refused] may see them.
var (
	ErrNoToken   = errors.New("no access token in the request")
	ErrAmbiguous = errors.New("more than one access token, or a malformed Authorization")
	ErrScope     = errors.New("token without the scope that is needed")
)

// IsAuthorized returns middleware that lets a request through when v accepts its token, with the claims in its context.
// It is Guard{Verifier: v}.IsAuthorized.
func IsAuthorized(v Verifier) func(http.Handler) http.Handler {
	return Guard{Verifier: v}.IsAuthorized
}

// Guard is IsAuthorized with a hook.
type Guard struct {
	Verifier Verifier
	// Refused, when not nil, is called once for each request that is not let through, with the reason, before the answer
	// is written. It is for logs and metrics. The reason holds no byte of the token.
	Refused func(r *http.Request, reason error)
}

// IsAuthorized returns next behind the guard. It panics when the guard has no verifier.
//
// Answers that go through say Cache-Control: no-store and Vary, unless next says otherwise: a shared cache that knows
// Authorization does not know the Token header, and would give one caller's answer to the next.
func (g Guard) IsAuthorized(next http.Handler) http.Handler {
	if g.Verifier == nil {
		panic("bearer: a guard without verifier")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Add("Vary", "Authorization, Token")
		token, err := credentials(r.Header)
		if err != nil {
			g.refuse(w, r, err)
			return
		}
		claims, err := g.Verifier.Verify(r.Context(), token)
		if err != nil {
			g.refuse(w, r, err)
			return
		}
		state := &authorized{claims: claims, guard: g}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), authorizedKey{}, state)))
	})
}

func (g Guard) refuse(w http.ResponseWriter, r *http.Request, reason error) {
	if g.Refused != nil {
		g.Refused(r, reason)
	}
	answerFor(reason).write(w)
}

// authorized is what the guard leaves in the context of a request that it lets through.
type authorized struct {
	claims verify.Claims
	guard  Guard
}

type authorizedKey struct{}

func authorizedFrom(ctx context.Context) *authorized {
	state, _ := ctx.Value(authorizedKey{}).(*authorized)
	return state
}

// ClaimsFrom returns the claims of the token that let the request through, and false when no guard did.
func ClaimsFrom(ctx context.Context) (verify.Claims, bool) {
	state := authorizedFrom(ctx)
	if state == nil {
		return verify.Claims{}, false
	}
	return state.claims, true
}

// RequireScope returns middleware that lets a request through when its token has every one of the scope values. It
// stands behind IsAuthorized; where it does not, it refuses every request. It panics without a value, and for a value
// that cannot be one (RFC 6749 §3.3).
func RequireScope(values ...string) func(http.Handler) http.Handler {
	if len(values) == 0 {
		panic("bearer: RequireScope without a scope")
	}
	for _, value := range values {
		if value == "" || strings.ContainsFunc(value, isNotScope) {
			panic("bearer: RequireScope with a value that is no scope")
		}
	}
	scope := strings.Join(values, " ")
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			state := authorizedFrom(r.Context())
			if state == nil {
				answerFor(ErrNoToken).write(w)
				return
			}
			for _, value := range values {
				if !state.claims.HasScope(value) {
					state.guard.refuse(w, r, &scopeError{scope})
					return
				}
			}
			next.ServeHTTP(w, r)
		})
	}
}

// isNotScope reports whether a scope value cannot have r: the value goes into a quoted string of the challenge.
func isNotScope(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }

// scopeError is an [ErrScope] that knows which scope was needed.
type scopeError struct{ scope string }

func (e *scopeError) Error() string { return ErrScope.Error() + ": " + e.scope }
func (e *scopeError) Unwrap() error { return ErrScope }
