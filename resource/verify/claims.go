package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/signet/keys"
)

// Claims are what a verified access token says (RFC 9068 §2.2). They are not shared: the reader may change them.
type Claims struct {
	Issuer    string
	Subject   string // on whose behalf; the client itself for client credentials
	ClientID  string // the client that obtained the token
	Audience  []string
	Scope     []string // may be empty
	ID        string   // jti
	Expires   time.Time
	IssuedAt  time.Time
	NotBefore time.Time // zero when the token has none

	payload []byte
}

// HasScope reports whether the token has the scope value, in this letter case (RFC 6749 §3.3). No token has the empty one.
func (c Claims) HasScope(value string) bool { return value != "" && slices.Contains(c.Scope, value) }

// Decode decodes all claims into the struct that v points to, as strictly as the token was read: names are matched
// exactly and each value has the type of its field. Use it for claims that Claims does not have.
func (c Claims) Decode(v any) error {
	if err := keys.DecodeObject(c.payload, v); err != nil {
		return fmt.Errorf("decoding claims: %w", err)
	}
	return nil
}

// rawClaims are the claims as they are written. Decoding it checks every type.
type rawClaims struct {
	Issuer       string           `json:"iss"`
	Subject      string           `json:"sub"`
	ClientID     string           `json:"client_id"`
	Audience     keys.Audience    `json:"aud"`
	Scope        string           `json:"scope"`
	ID           string           `json:"jti"`
	Expires      keys.NumericDate `json:"exp"`
	IssuedAt     keys.NumericDate `json:"iat"`
	NotBefore    keys.NumericDate `json:"nbf"`
	Confirmation jsontext.Value   `json:"cnf"`

	payload []byte
}

// refusal is a broken rule: made once, so that refusing costs no allocation.
type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string { return r.kind.Error() + ": " + r.text }
func (r *refusal) Unwrap() error { return r.kind }

func refuse(kind error, text string) error { return &refusal{kind, text} }

var (
	errType      = refuse(ErrType, "typ is not at+jwt")
	errClaims    = refuse(ErrClaims, "not one strict JSON object with claims of the right types")
	errIssuer    = refuse(ErrIssuer, "iss is not the configured issuer")
	errAudience  = refuse(ErrAudience, "aud does not contain this resource server")
	errNoExpiry  = refuse(ErrClaims, "no exp")
	errExpired   = refuse(ErrExpired, "exp is past")
	errNotBefore = refuse(ErrNotYetValid, "nbf is in the future")
	errIssuedAt  = refuse(ErrNotYetValid, "iat is in the future")
	errMissing   = refuse(ErrClaims, "sub, client_id, jti or iat is missing")
	errBound     = refuse(ErrConfirmation, "cnf cannot be checked")
)

func readClaims(payload []byte) (*rawClaims, error) {
	c := &rawClaims{payload: payload}
	if err := keys.DecodeObject(payload, c); err != nil {
		return nil, errClaims
	}
	return c, nil
}

// check applies the rules that stand after the signature.
func (c *rawClaims) check(cfg Config, now time.Time) error {
	latest := now.Add(cfg.Leeway)
	switch {
	case c.Issuer != cfg.Issuer:
		return errIssuer
	case !c.Audience.Contains(cfg.Audience):
		return errAudience
	case c.Expires == 0:
		return errNoExpiry
	case !now.Before(c.Expires.Time().Add(cfg.Leeway)): // RFC 7519 §4.1.4: on or after is too late
		return errExpired
	case c.NotBefore.Time().After(latest):
		return errNotBefore
	case c.IssuedAt.Time().After(latest):
		return errIssuedAt
	case c.Subject == "" || c.ClientID == "" || c.ID == "" || c.IssuedAt == 0:
		return errMissing
	case c.Confirmation != nil:
		return errBound
	}
	return nil
}

func (c *rawClaims) export() Claims {
	claims := Claims{
		Issuer:    c.Issuer,
		Subject:   c.Subject,
		ClientID:  c.ClientID,
		Audience:  c.Audience,
		ID:        c.ID,
		Expires:   c.Expires.Time(),
		IssuedAt:  c.IssuedAt.Time(),
		NotBefore: c.NotBefore.Time(),
		payload:   c.payload,
	}
	if c.Scope != "" {
		claims.Scope = strings.Split(c.Scope, " ")
	}
	return claims
}
