package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
)

// grantType is the only grant (RFC 6749 §4.4).
const grantType = "client_credentials"

// GrantTypes returns the grants of the endpoint.
func GrantTypes() []string { return []string{grantType} }

// Registry finds clients and resources. Both methods are safe for concurrent use and return clients.ErrUnknownClient
// and clients.ErrUnknownResource for what is not there; another error means that it could not be looked up.
type Registry interface {
	Client(ctx context.Context, id string) (*clients.Client, error)
	Resource(ctx context.Context, audience string) (*clients.Resource, error)
}

// Keys finds the key that signs at a time; [keys.Ring] is one. It is safe for concurrent use.
type Keys interface {
	Active(alg keys.Algorithm, now time.Time) (*keys.PrivateKey, error)
}

// RemoteKeys finds the keys that a client publishes at its jwks_uri. Keys returns the set as it is there, a newer one
// perhaps when it knows no kid of that name, and an error when it has none that can be relied on. It is safe for
// concurrent use and waits a few seconds at most.
type RemoteKeys interface {
	Keys(ctx context.Context, uri, kid string) (*keys.Set, error)
}

// Config is what an [Endpoint] needs. Issuer, Registry, Keys and Spent are required.
type Config struct {
	Issuer     string          // the issuer identifier: iss of every token, aud of every assertion
	Registry   func() Registry // the registry as it is now; a request sees one
	Keys       Keys
	Spent      Spent
	RemoteKeys RemoteKeys    // nil: a client with a jwks_uri is refused as temporarily unavailable
	Leeway     time.Duration // how far a client's clock may be off; zero: not at all

	// Limit is asked once for each client that has proved who it is, and says how long it has to wait before it may ask
	// again; zero: not at all. It is safe for concurrent use. Nil: no limit.
	Limit func(clientID string) (wait time.Duration)

	// SecretUsed hears of the use of a secret, once a minute at most while the client stays in memory. It must not wait
	// for anything, and is safe for concurrent use. Nil: nobody does.
	SecretUsed func(clientID string, digest [sha256.Size]byte, at time.Time)

	Now   func() time.Time // nil: time.Now
	NewID func() string    // makes a token's jti, at least 128 random bits; nil: crypto/rand.Text
}

// Endpoint is the token endpoint. It is safe for concurrent use. Make it with [New].
type Endpoint struct{ cfg Config }

// New returns an endpoint, or an error that names the first field that is missing.
func New(cfg Config) (*Endpoint, error) {
	switch {
	case cfg.Issuer == "":
		return nil, errors.New("oauth: no issuer")
	case cfg.Registry == nil:
		return nil, errors.New("oauth: no registry")
	case cfg.Keys == nil:
		return nil, errors.New("oauth: no keys")
	case cfg.Spent == nil:
		return nil, errors.New("oauth: no memory of spent assertions")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.NewID == nil {
		cfg.NewID = rand.Text
	}
	if cfg.SecretUsed == nil {
		cfg.SecretUsed = func(string, [sha256.Size]byte, time.Time) {}
	}
	if cfg.Limit == nil {
		cfg.Limit = func(string) time.Duration { return 0 }
	}
	return &Endpoint{cfg}, nil
}

// Token answers one request: who asks, what may they have, sign it. The record says what became known of the request,
// granted or refused. The error, when there is one, is an [*Error].
func (e *Endpoint) Token(ctx context.Context, r Request) (Response, Record, error) {
	var record Record
	a, refused := parse(r)
	a.registry = e.cfg.Registry()
	if refused != nil {
		record.asked(ctx, a)
		return Response{}, record, refused
	}
	response, refused := e.answer(ctx, a, &record)
	if refused != nil {
		record.asked(ctx, a)
		return Response{}, record, refused
	}
	return response, record, nil
}

func (e *Endpoint) answer(ctx context.Context, a ask, record *Record) (Response, *Error) {
	client, refused := e.authenticate(ctx, a, record)
	if refused != nil {
		return Response{}, refused
	}
	switch a.grantType {
	case grantType:
	case "":
		return Response{}, invalidRequest("grant_type is missing")
	default:
		return Response{}, &Error{Code: UnsupportedGrantType, Description: "the only grant_type is client_credentials"}
	}
	d, refused := decide(ctx, client, a)
	if refused != nil {
		return Response{}, refused
	}
	return e.issue(d, record)
}

func (e *Endpoint) issue(d decision, record *Record) (Response, *Error) {
	now := e.cfg.Now()
	key, err := e.cfg.Keys.Active(d.resource.Algorithm, now)
	if err != nil {
		return Response{}, &Error{Code: ServerError, Description: "no key can sign this token now", Cause: err}
	}
	c := claims{
		Issuer:   e.cfg.Issuer,
		Subject:  d.client.ID,
		Audience: d.resource.Audience,
		Expires:  now.Add(d.resource.Lifetime).Unix(),
		IssuedAt: now.Unix(),
		ID:       e.cfg.NewID(),
		ClientID: d.client.ID,
		Scope:    d.scope.String(),
	}
	token, err := sign(key, d.resource.Type, c)
	if err != nil {
		return Response{}, &Error{Code: ServerError, Description: "the token cannot be signed now", Cause: err}
	}
	record.issued(d, key, c)
	return Response{
		AccessToken: token,
		TokenType:   "Bearer",
		ExpiresIn:   int64(time.Unix(c.Expires, 0).Sub(now) / time.Second), // whole seconds: never past exp
		Scope:       c.Scope,
	}, nil
}

func sign(key *keys.PrivateKey, typ keys.Type, c claims) (string, error) {
	payload, err := c.encode()
	if err != nil {
		return "", err
	}
	token, err := key.Sign(typ, payload)
	if err == nil && len(token) > keys.MaxTokenSize {
		return "", errTokenTooLong
	}
	return token, err
}

// errTokenTooLong means that names and scopes in the registry add up to a token that no verifier accepts.
var errTokenTooLong = errors.New("the token would be longer than 8 KiB")
