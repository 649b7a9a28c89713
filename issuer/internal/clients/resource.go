package clients

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"example.com/signet/keys"
)

// Resource is a resource server that tokens are for. It is not changed once it is in a registry.
type Resource struct {
	Audience  string         // an absolute URI without fragment: the aud of its tokens (RFC 8707 §2)
	Enabled   bool           // whether tokens are given for it
	Scopes    Scope          // the scopes that it knows
	Algorithm keys.Algorithm // signs its tokens
	Type      keys.Type      // the typ of its tokens
	Lifetime  time.Duration  // of its tokens, 1 s to [MaxLifetime]
}

// What a resource gets when its record is silent, and the longest lifetime that any may have.
const (
	DefaultAlgorithm = keys.ES256
	DefaultType      = keys.TypeAccessToken
	DefaultLifetime  = 10 * time.Minute
	MaxLifetime      = time.Hour
)

// CheckAudience reports whether audience is an absolute URI without fragment (RFC 8707 §2), not even an empty one, and
// has only the characters of a URI (RFC 3986 §2).
func CheckAudience(audience string) error {
	foreign := func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"#<>\\^`{|}", r) }
	u, err := url.Parse(audience)
	if err != nil || !u.IsAbs() || (u.Host == "" && u.Opaque == "") || strings.ContainsFunc(audience, foreign) {
		return fmt.Errorf("%q is no audience: an absolute URI without fragment is needed", audience)
	}
	return nil
}

// CheckLifetime reports whether d is from one second to [MaxLifetime], in whole seconds.
func CheckLifetime(d time.Duration) error {
	if d < time.Second || d > MaxLifetime || d%time.Second != 0 {
		return fmt.Errorf("%v is no token lifetime: whole seconds from 1s to %v are", d, MaxLifetime)
	}
	return nil
}

// ParseType returns the token type that name spells: at+jwt, or JWT for verifiers that read nothing more precise.
func ParseType(name string) (keys.Type, error) {
	switch typ := keys.Type(name); typ {
	case keys.TypeAccessToken, keys.TypeJWT:
		return typ, nil
	}
	return "", errors.New("a token type is at+jwt or JWT")
}
