package verify

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"example.com/signet/keys"
)

// Claims are what a verified access token says (RFC 9068 §2.2). They cannot be changed, so that any number of requests
// may share them; they are safe for concurrent use. The zero value has no claims.
type Claims struct{ c *claims }

var noClaims claims

func (c Claims) claims() *claims {
	if c.c == nil {
		return &noClaims
	}
	return c.c
}

// Issuer returns iss, one of the configured issuers.
func (c Claims) Issuer() string { return string(c.claims().Issuer) }

// Subject returns sub, on whose behalf the client calls; with client credentials the client itself.
func (c Claims) Subject() string { return string(c.claims().Subject) }

// ClientID returns client_id, the client that obtained the token.
func (c Claims) ClientID() string { return string(c.claims().ClientID) }

// ID returns jti, which no other token of the issuer has.
func (c Claims) ID() string { return string(c.claims().ID) }

// Audience returns the values of aud, in a slice of the caller's own.
func (c Claims) Audience() []string { return slices.Clone([]string(c.claims().Audience)) }

// Expires returns exp, in UTC.
func (c Claims) Expires() time.Time { return c.claims().Expires.Time() }

// IssuedAt returns iat, in UTC.
func (c Claims) IssuedAt() time.Time { return c.claims().IssuedAt.Time() }

// NotBefore returns nbf, in UTC, and the zero time when the token has none.
func (c Claims) NotBefore() time.Time { return c.claims().NotBefore.Time() }

// Scope returns scope as it is written: values separated by spaces (RFC 6749 §3.3); "" when the token has none.
func (c Claims) Scope() string { return string(c.claims().Scope) }

// Scopes yields the scope values one by one.
func (c Claims) Scopes() iter.Seq[string] {
	return func(yield func(string) bool) {
		for value := range strings.SplitSeq(c.Scope(), " ") {
			if value != "" && !yield(value) { // nothing is between two spaces
				return
			}
		}
	}
}

// HasScope reports whether the token has the scope value and all of more, in this letter case (RFC 6749 §3.3). No token
// has the empty one.
func (c Claims) HasScope(value string, more ...string) bool {
	for _, other := range more {
		if !c.hasScope(other) {
			return false
		}
	}
	return c.hasScope(value)
}

func (c Claims) hasScope(value string) bool {
	for one := range c.Scopes() {
		if one == value {
			return true
		}
	}
	return false
}

// Decode decodes all claims into the struct that v points to, as strictly as the token was read: names are matched
// exactly and each value has the type of its field, or is null, which is the field's zero. Use it for claims that
// Claims does not have. What v has for claims that are not in the token stays.
func (c Claims) Decode(v any) error {
	if err := keys.DecodeObject([]byte(c.claims().payload), v); err != nil {
		return fmt.Errorf("decoding claims: %w", err)
	}
	return nil
}

// String names the client and the token, which it does not show.
func (c Claims) String() string { return fmt.Sprintf("token %q of client %q", c.ID(), c.ClientID()) }

// Format prints String whatever the verb, and nothing else of the claims.
func (c Claims) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// InsecureClaims returns the claims of payload, the JSON text of a token's claims, without any proof that they are
// genuine: for tests of code that is given Claims. The error wraps [ErrClaims].
func InsecureClaims(payload []byte) (Claims, error) {
	c, err := readClaims(string(payload))
	if err != nil {
		return Claims{}, err
	}
	return Claims{c}, nil
}
