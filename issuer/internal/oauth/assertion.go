package oauth

import (
	"context"
	"errors"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
)

// Bounds on client assertions.
const (
	maxAssertionLife = 5 * time.Minute
	maxJTISize       = 256 // octets
)

// assertionClaims are the claims of a client assertion that are read (RFC 7523 §3).
type assertionClaims struct {
	Issuer    string           `json:"iss"`
	Subject   string           `json:"sub"`
	Audience  keys.Audience    `json:"aud"`
	Expires   keys.NumericDate `json:"exp"`
	NotBefore keys.NumericDate `json:"nbf"`
	IssuedAt  keys.NumericDate `json:"iat"`
	ID        string           `json:"jti"`
}

// Which rule an assertion broke; only the log sees it.
var (
	errAssertionType     = errors.New("assertion: typ is not client-authentication+jwt or JWT")
	errAssertionClaims   = errors.New("assertion: claims are not strict JSON of the right types")
	errAssertionIssuer   = errors.New("assertion: iss, sub and client_id are not the same client")
	errAssertionNoKeys   = errors.New("assertion: client has no keys")
	errAssertionAudience = errors.New("assertion: aud is not the issuer alone")
	errAssertionNoExp    = errors.New("assertion: no exp")
	errAssertionExpired  = errors.New("assertion: expired")
	errAssertionTooLong  = errors.New("assertion: exp is more than 5 minutes ahead")
	errAssertionFuture   = errors.New("assertion: nbf or iat is in the future")
	errAssertionJTI      = errors.New("assertion: jti is missing or too long")
	errAssertionReplayed = errors.New("assertion: jti was used before")
)

// authenticateAssertion is private_key_jwt (RFC 7521 §4.2, RFC 7523 §2.2, §3). The claims are read before the signature
// is checked only to learn which client's keys to check it with; nothing else is decided on them until it is.
func (e *Endpoint) authenticateAssertion(ctx context.Context, a ask, record *Record) (*clients.Client, *Error) {
	token, err := keys.ParseAssertion(a.assertion)
	if err != nil {
		return nil, notAuthenticated(err)
	}
	if typ := token.Header().Type; typ != "" && !keys.TypeClientAssertion.Is(typ) && !keys.TypeJWT.Is(typ) {
		return nil, notAuthenticated(errAssertionType)
	}
	var claims assertionClaims
	if err := keys.DecodeObject([]byte(token.InsecurePayload()), &claims); err != nil {
		return nil, notAuthenticated(errAssertionClaims)
	}
	if claims.Issuer == "" || claims.Subject != claims.Issuer || (a.clientID != "" && a.clientID != claims.Issuer) {
		return nil, notAuthenticated(errAssertionIssuer)
	}
	client, refused := lookUp(ctx, a.registry, claims.Issuer, record)
	if refused != nil {
		return nil, refused
	}
	if refused := e.verify(ctx, client, token, record); refused != nil {
		return nil, refused
	}
	if refused := e.checkAssertion(claims); refused != nil {
		return nil, refused
	}
	if refused := e.spend(ctx, client.ID, claims); refused != nil {
		return nil, refused
	}
	return client, e.limit(client) // after that: whoever replays an assertion uses up nothing of the client's
}

// verify checks the signature with the keys of the client.
func (e *Endpoint) verify(ctx context.Context, client *clients.Client, token keys.Unverified, record *Record) *Error {
	set, refused := e.keysOf(ctx, client, token.Header().KeyID)
	if refused != nil {
		return refused
	}
	verified, err := set.VerifyAny(token)
	if err != nil {
		return notAuthenticated(err)
	}
	record.Credential = verified.Key.ID()
	return nil
}

// keysOf returns the keys that the client may sign with: those of its record, or those that it publishes.
func (e *Endpoint) keysOf(ctx context.Context, client *clients.Client, kid string) (*keys.Set, *Error) {
	switch {
	case client.Keys != nil:
		return client.Keys, nil
	case client.JWKSURI == "":
		return nil, notAuthenticated(errAssertionNoKeys)
	case e.cfg.RemoteKeys == nil:
		return nil, unavailable(noRemoteKeys, nil)
	}
	set, err := e.cfg.RemoteKeys.Keys(ctx, client.JWKSURI, kid)
	if err != nil {
		return nil, unavailable(noRemoteKeys, err)
	}
	return set, nil
}

const noRemoteKeys = "the client's keys cannot be fetched now"

// checkAssertion checks the claims of an assertion whose signature has been verified.
func (e *Endpoint) checkAssertion(c assertionClaims) *Error {
	now, leeway := e.cfg.Now(), e.cfg.Leeway
	expires, latest := c.Expires.Time(), now.Add(leeway)
	switch {
	case !c.Audience.Is(e.cfg.Issuer):
		// The client has proved who it is, so it may be told what to write.
		description := "the audience of the client assertion must be " + e.cfg.Issuer + " alone"
		return &Error{Code: InvalidClient, Description: description, Cause: errAssertionAudience}
	case c.Expires == 0:
		return notAuthenticated(errAssertionNoExp)
	case !now.Before(expires.Add(leeway)):
		return notAuthenticated(errAssertionExpired)
	case expires.After(latest.Add(maxAssertionLife)):
		return notAuthenticated(errAssertionTooLong)
	case c.NotBefore.Time().After(latest) || c.IssuedAt.Time().After(latest):
		return notAuthenticated(errAssertionFuture)
	case c.ID == "" || len(c.ID) > maxJTISize:
		return notAuthenticated(errAssertionJTI)
	}
	return nil
}

// spend uses the assertion up. Its id is remembered for as long as the assertion would be accepted.
func (e *Endpoint) spend(ctx context.Context, clientID string, c assertionClaims) *Error {
	first, err := e.cfg.Spent.Spend(ctx, clientID, c.ID, c.Expires.Time().Add(e.cfg.Leeway))
	switch {
	case err != nil:
		return unavailable("the client assertion cannot be checked now", err)
	case !first:
		return notAuthenticated(errAssertionReplayed)
	}
	return nil
}
