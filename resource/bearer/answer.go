package bearer

import (
	"errors"
	"net/http"
	"strings"

	"example.com/signet/resource/verify"
)

// answer is what a refused caller gets: fixed phrases, and nothing of the request.
type answer struct {
	status      int
	code        string // of RFC 6750 §3.1; empty when no credentials were presented
	scope       string // that is needed
	text        string
	unavailable bool // no fault of the caller: no challenge
}

// answerFor is the one table from reason to answer (RFC 6750 §3, §3.1).
func answerFor(reason error) answer {
	var scope *scopeError
	switch {
	case errors.Is(reason, ErrNoToken):
		return answer{status: http.StatusUnauthorized, text: "an access token is needed"}
	case errors.Is(reason, ErrAmbiguous):
		return answer{status: http.StatusBadRequest, code: "invalid_request", text: "send exactly one access token"}
	case errors.As(reason, &scope):
		return answer{status: http.StatusForbidden, code: "insufficient_scope", scope: scope.scope(),
			text: "the access token lacks a scope"}
	case errors.Is(reason, ErrQuestion):
		return answer{status: http.StatusForbidden, text: "the proxy asks for something that is no scope"}
	case errors.Is(reason, ErrForged):
		return answer{status: http.StatusForbidden, text: "the headers that tell who calls are not the caller's to set"}
	case errors.Is(reason, ErrIdentity):
		return answer{status: http.StatusForbidden, code: "invalid_token", text: "no header can carry the token's identity"}
	case errors.Is(reason, verify.ErrUnavailable):
		return answer{status: http.StatusServiceUnavailable, unavailable: true, text: "access tokens cannot be verified now"}
	}
	return answer{status: http.StatusUnauthorized, code: "invalid_token", text: "the access token is not valid"}
}

// retryAfter is how many seconds a caller is asked to wait when there are no keys: as long as between two attempts to
// get them.
const retryAfter = "5"

func (a answer) write(w http.ResponseWriter, metadata *Metadata) {
	if a.unavailable {
		w.Header().Set("Retry-After", retryAfter)
	} else {
		w.Header().Set("WWW-Authenticate", a.challenge(metadata))
	}
	http.Error(w, a.text, a.status)
}

// challenge is the value of WWW-Authenticate (RFC 6750 §3, RFC 9728 §5.1). None of its parts comes from the request.
func (a answer) challenge(metadata *Metadata) string {
	var parameters []string
	add := func(name, value string) {
		if value != "" {
			parameters = append(parameters, name+`="`+value+`"`)
		}
	}
	add("error", a.code)
	if a.code != "" {
		add("error_description", a.text)
	}
	add("scope", a.scope)
	if metadata != nil {
		add("resource_metadata", metadata.url)
	}
	if len(parameters) == 0 {
		return scheme
	}
	return scheme + " " + strings.Join(parameters, ", ")
}
