package oauth

import (
	"errors"
	"time"
)

// Code is an error code of the token endpoint (RFC 6749 §5.2; invalid_target is RFC 8707 §2).
type Code string

// The codes. The last two are for what is not the client's fault; RFC 6749 §4.1.2.1 has the names.
const (
	InvalidRequest         Code = "invalid_request"
	InvalidClient          Code = "invalid_client"
	UnsupportedGrantType   Code = "unsupported_grant_type"
	InvalidScope           Code = "invalid_scope"
	InvalidTarget          Code = "invalid_target"
	ServerError            Code = "server_error"
	TemporarilyUnavailable Code = "temporarily_unavailable"
)

// Error is a refused request. Description is for the caller: printable ASCII without quote and backslash, and nothing
// of the request in it. Cause is for the log; it may be nil and holds no credential.
type Error struct {
	Code        Code
	Description string
	Cause       error
	RetryAfter  time.Duration // how long to wait before asking again; zero: not said
}

// ErrLimited is the cause of a refusal because the client has asked too often.
var ErrLimited = errors.New("too many requests of this client")

func (e *Error) Error() string {
	text := string(e.Code) + ": " + e.Description
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

func (e *Error) Unwrap() error { return e.Cause }

func invalidRequest(description string) *Error {
	return &Error{Code: InvalidRequest, Description: description}
}

// notAuthenticated is the one answer to every failed authentication, so that it tells nobody what was wrong.
func notAuthenticated(cause error) *Error {
	return &Error{Code: InvalidClient, Description: "client authentication failed", Cause: cause}
}

func unavailable(description string, cause error) *Error {
	return &Error{Code: TemporarilyUnavailable, Description: description, Cause: cause}
}
