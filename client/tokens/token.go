package tokens

import (
	"fmt"
	"io"
	"time"
)

// Token is an access token. Printing it does not show it.
type Token struct {
	value   *string   // behind a pointer, because fmt prints the unexported fields of others' structs as they are
	Expires time.Time // when the issuer says it ends; zero: it did not say
	Scope   string    // what was granted; empty: what was asked for
}

// NewToken returns a token that was obtained elsewhere. A value that does not fit into a header is an [ErrAnswer].
func NewToken(value string, expires time.Time, scope string) (Token, error) {
	if !isHeaderValue(value) {
		return Token{}, fmt.Errorf("%w: no access token that fits into a header", ErrAnswer)
	}
	return Token{value: &value, Expires: expires, Scope: scope}, nil
}

// AccessToken returns the token itself, for the header of a request. To a client it is opaque.
func (t Token) AccessToken() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// is reports whether both are the same token.
func (t Token) is(other Token) bool {
	return t.value != nil && other.value != nil && *t.value == *other.value
}

// Hide returns text without the token, a beginning of it, or anything that looks like one: the words of a server may quote
// what it was sent, and must not bring it into an error or a log.
func (t Token) Hide(text string) string { return hide(text, []string{t.AccessToken()}) }

// String says when the token ends, and nothing of the token.
func (t Token) String() string {
	switch {
	case t.value == nil:
		return "no access token"
	case t.Expires.IsZero():
		return "access token, end unknown"
	}
	return "access token until " + t.Expires.Format(time.RFC3339)
}

// Format writes String for every verb, %#v and %d too.
func (t Token) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, t.String()) }

// Header is which header carries the token.
type Header int

const (
	TokenHeader         Header = iota // Token: …
	AuthorizationHeader               // Authorization: Bearer …
)

// name of the header field that carries a token.
func (h Header) name() string {
	if h == AuthorizationHeader {
		return "Authorization"
	}
	return "Token"
}

// value of that field.
func (h Header) value(token Token) string {
	if h == AuthorizationHeader {
		return "Bearer " + token.AccessToken()
	}
	return token.AccessToken()
}
