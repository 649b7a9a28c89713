package oauth

import (
	"context"
	"errors"

	"example.com/signet/issuer/internal/clients"
)

// Why authentication failed; only the log sees it.
var (
	errNoCredentials = errors.New("no credentials")
	errOtherScheme   = errors.New("the Authorization header is not Basic")
	errBasic         = errors.New("malformed Basic credentials")
	errDisabled      = errors.New("client is disabled")
	errWrongSecret   = errors.New("wrong or expired secret")
)

// authenticate returns the client that asks.
func (e *Endpoint) authenticate(ctx context.Context, a ask, record *Record) (*clients.Client, *Error) {
	if a.method == privateKeyJWT {
		return e.authenticateAssertion(ctx, a, record)
	}
	client, refused := lookUp(ctx, a.registry, a.clientID, record)
	if refused != nil && refused.Code != InvalidClient {
		return nil, refused
	}
	// The secret is compared even when there is no such client: both answers must take the same time.
	now := e.cfg.Now()
	secret := client.MatchSecret(a.secret, now)
	switch {
	case refused != nil:
		return nil, refused
	case secret == nil:
		return nil, notAuthenticated(errWrongSecret)
	}
	record.Credential = secret.Name()
	if refused := e.limit(client); refused != nil {
		return nil, refused
	}
	if secret.Use(now) {
		e.cfg.SecretUsed(client.ID, secret.Digest, now)
	}
	return client, nil
}

// lookUp returns the enabled client named id. With an [InvalidClient] the client is nil.
func lookUp(ctx context.Context, registry Registry, id string, record *Record) (*clients.Client, *Error) {
	client, err := registry.Client(ctx, id)
	switch {
	case errors.Is(err, clients.ErrUnknownClient):
		return nil, notAuthenticated(err)
	case err != nil:
		return nil, unavailable("the client cannot be looked up now", err)
	}
	record.ClientID = client.ID
	if !client.Enabled {
		return nil, notAuthenticated(errDisabled)
	}
	return client, nil
}

// limit is asked only once a client has proved who it is: nobody can use up another's share.
func (e *Endpoint) limit(client *clients.Client) *Error {
	wait := e.cfg.Limit(client.ID)
	if wait <= 0 {
		return nil
	}
	return &Error{Code: TemporarilyUnavailable, Description: "too many requests", Cause: ErrLimited, RetryAfter: wait}
}
