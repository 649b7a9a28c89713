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
// [ForwardAuth] does the same for a proxy that asks whether it may let a request through, and [Metadata] tells clients
// where to get a token.
package bearer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"example.com/signet/resource/verify"
)

// Verifier decides whether a token is valid; [verify.Verifier] is one. It is safe for concurrent use. An error that
// wraps [verify.ErrUnavailable] means that it cannot tell now; any other, that the token is not valid.
type Verifier interface {
	Verify(ctx context.Context, token string) (verify.Claims, error)
}

var _ Verifier = (*verify.Verifier)(nil)

// Why a request is refused before its token is looked at, or after. [Guard].Refused may see them.
var (
	ErrNoToken   = errors.New("no access token in the request")
	ErrAmbiguous = errors.New("more than one access token, or a malformed Authorization")
	ErrScope     = errors.New("token without the scope that is needed")
	ErrIdentity  = errors.New("identity that no header can carry")
	ErrForged    = errors.New("identity headers of the caller's making")
	ErrQuestion  = errors.New("proxy asks for something other than scope values")
)

// IsAuthorized returns middleware that lets a request through when v accepts its token, with the claims in its context.
// It is Guard{Verifier: v}.IsAuthorized.
func IsAuthorized(v Verifier) func(http.Handler) http.Handler {
	return Guard{Verifier: v}.IsAuthorized
}

// Guard is IsAuthorized with more to say.
type Guard struct {
	Verifier Verifier
	// Metadata, when not nil, are named in each challenge (RFC 9728 §5.1), so that a client that was refused finds out
	// where to get a token. They have to be served too: see [Metadata].
	Metadata *Metadata
	// Refused, when not nil, is called once for each request that is not let through, with the reason, before the
	// answer is written. It is for logs and metrics. The reason holds no byte of the token.
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
		state := &authorized{Context: r.Context(), claims: claims, guard: &g}
		state.setHeaders(w.Header())
		next.ServeHTTP(w, r.WithContext(state))
	})
}

// refuse is where every request ends that is not let through.
func (g *Guard) refuse(w http.ResponseWriter, r *http.Request, reason error) {
	if g.Refused != nil {
		g.Refused(r, reason)
	}
	new(authorized).setHeaders(w.Header())
	answerFor(reason).write(w, g.Metadata)
}

// authorized is the context of a request that the guard let through. One allocation holds all that the guard adds.
type authorized struct {
	context.Context
	claims  verify.Claims
	guard   *Guard
	headers [2]string
}

// varyOn are the headers that an answer depends on.
const varyOn = "Authorization, Token"

// setHeaders says that the answer is one caller's alone. A slice of the state itself spares two allocations; with no
// room behind it, whoever appends gets a slice of their own.
func (a *authorized) setHeaders(h http.Header) {
	a.headers = [2]string{"no-store", varyOn}
	h["Cache-Control"] = a.headers[0:1:1]
	switch vary := h["Vary"]; {
	case vary == nil:
		h["Vary"] = a.headers[1:2:2]
	case !slices.Contains(vary, varyOn):
		h["Vary"] = append(slices.Clip(vary), varyOn)
	}
}

// Format prints none of the claims.
func (*authorized) Format(f fmt.State, _ rune) {
	_, _ = io.WriteString(f, "bearer: an authorized request's context")
}

type authorizedKey struct{}

// Value implements [context.Context].
func (a *authorized) Value(key any) any {
	if key == (authorizedKey{}) {
		return a
	}
	return a.Context.Value(key)
}

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

// Refuse answers a request that a guard let through and that a rule behind it forbids, as the guard would: it calls
// [Guard].Refused, and answers as the reason demands. Without a guard in front, the reason is [ErrNoToken].
func Refuse(w http.ResponseWriter, r *http.Request, reason error) {
	if state := authorizedFrom(r.Context()); state != nil {
		state.guard.refuse(w, r, reason)
		return
	}
	new(Guard).refuse(w, r, ErrNoToken)
}

// RequireScope returns middleware that lets a request through when its token has every one of the scope values. It
// stands behind IsAuthorized; where it does not, it refuses every request. It panics without a value, and for a value
// that cannot be one (RFC 6749 §3.3).
func RequireScope(values ...string) func(http.Handler) http.Handler {
	if len(values) == 0 {
		panic("bearer: RequireScope without a scope")
	}
	for _, value := range values {
		if !isScope(value) {
			panic("bearer: RequireScope with a value that is no scope")
		}
	}
	needed := &scopeError{values}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if claims, _ := ClaimsFrom(r.Context()); !needed.isIn(claims) {
				Refuse(w, r, needed)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// CheckScope returns an error for values that cannot be scope values (RFC 6749 §3.3), upon which [RequireScope] panics.
func CheckScope(values ...string) error {
	for _, value := range values {
		if !isScope(value) {
			return fmt.Errorf("bearer: %.100q is no scope value", value)
		}
	}
	return nil
}

// isScope reports whether value can be a scope value. It goes into a quoted string of the challenge.
func isScope(value string) bool {
	return value != "" && !strings.ContainsFunc(value, func(r rune) bool {
		return r <= ' ' || r > '~' || r == '"' || r == '\\'
	})
}

// scopeError is an [ErrScope] that knows which values were needed.
type scopeError struct{ values []string }

func (e *scopeError) Error() string { return ErrScope.Error() + ": " + e.scope() }
func (e *scopeError) Unwrap() error { return ErrScope }
func (e *scopeError) scope() string { return strings.Join(e.values, " ") }

func (e *scopeError) isIn(claims verify.Claims) bool {
	for _, value := range e.values {
		if !claims.HasScope(value) {
			return false
		}
	}
	return true
}
