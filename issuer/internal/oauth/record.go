package oauth

import (
	"context"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
)

// Record is what the audit trail may say of a request, as far as it became known: no credential, no token, and nothing
// that the caller wrote but what the registry knows. A client that swaps its id and its secret would else have the secret
// written down.
type Record struct {
	ClientID   string // as the request names it; proved unless the request was refused with invalid_client
	Method     string // how the client authenticates, as the metadata name it
	Credential string // which of its credentials proved it: a kid, or the first 8 digits of a secret's SHA-256
	Audience   string // of the token, or what was asked for
	Scope      string // of the token, or what was asked for

	Algorithm keys.Algorithm // of the token, as the rest is
	KeyID     string         // kid
	TokenID   string         // jti
}

// asked notes what a refused request asked for.
func (r *Record) asked(ctx context.Context, a ask) {
	r.Method = string(a.method)
	if len(a.resources) != 1 {
		return
	}
	resource, err := a.registry.Resource(ctx, a.resources[0])
	if err != nil {
		return
	}
	r.Audience = resource.Audience
	if scope, err := clients.ParseScope(a.scope); err == nil && len(resource.Scopes.Missing(scope)) == 0 {
		r.Scope = scope.String()
	}
}

func (r *Record) issued(d decision, key *keys.PrivateKey, c claims) {
	r.Method = string(d.method)
	r.Audience, r.Scope = c.Audience, c.Scope
	r.Algorithm, r.KeyID, r.TokenID = key.Algorithm(), key.ID(), c.ID
}
