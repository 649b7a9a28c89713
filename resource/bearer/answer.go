package bearer

import (
	"errors"
	"net/http"

	"example.com/signet/resource/verify"
)

// answer is what a refused caller gets: fixed phrases, and nothing of the request.
type answer struct {
	status     int
	challenge  string
	retryAfter string
	text       string
}

// answerFor is the one table from reason to answer (RFC 6750 §3, §3.1).
func answerFor(reason error) answer {
	var scope *scopeError
	switch {
	case errors.Is(reason, ErrNoToken):
		return answer{status: http.StatusUnauthorized, challenge: scheme, text: "an access token is needed"}
	case errors.Is(reason, ErrAmbiguous):
		return challenge(http.StatusBadRequest, "invalid_request", "send exactly one access token")
	case errors.As(reason, &scope):
		a := challenge(http.StatusForbidden, "insufficient_scope", "the access token lacks a scope")
		a.challenge += `, scope="` + scope.scope + `"`
		return a
	case errors.Is(reason, verify.ErrUnavailable):
		return answer{status: http.StatusServiceUnavailable, retryAfter: "5", text: "access tokens cannot be verified now"}
	}
	return challenge(http.StatusUnauthorized, "invalid_token", "the access token is not valid")
}

func challenge(status int, code, text string) answer {
	return answer{
		status:    status,
		challenge: scheme + ` error="` + code + `", error_description="` + text + `"`,
		text:      text,
	}
}

func (a answer) write(w http.ResponseWriter) {
	if a.challenge != "" {
		w.Header().Set("WWW-Authenticate", a.challenge)
	}
	if a.retryAfter != "" {
		w.Header().Set("Retry-After", a.retryAfter)
	}
	http.Error(w, a.text, a.status)
}
