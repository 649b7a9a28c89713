package oauth

import (
	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
)

// Record is what the audit trail may say of a request, as far as it became known: no credential, no token, and nothing
// that the caller wrote but what has the form of a client id, an audience or a scope.
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

// maxRecorded is how many octets of what a caller asks for are kept.
const maxRecorded = 256

// asked notes what a request says of itself before anything is proved.
func (r *Record) asked(a ask) {
	r.Method = string(a.method)
	r.claimed(a.clientID)
	if len(a.resources) == 1 && len(a.resources[0]) <= maxRecorded && clients.CheckAudience(a.resources[0]) == nil {
		r.Audience = a.resources[0]
	}
	if len(a.scope) > maxRecorded {
		return
	}
	if scope, err := clients.ParseScope(a.scope); err == nil {
		r.Scope = scope.String()
	}
}

// claimed notes whom a request says that it comes from.
func (r *Record) claimed(clientID string) {
	if clients.CheckID(clientID) == nil {
		r.ClientID = clientID
	}
}

func (r *Record) issued(key *keys.PrivateKey, c claims) {
	r.Audience, r.Scope = c.Audience, c.Scope
	r.Algorithm, r.KeyID, r.TokenID = key.Algorithm(), key.ID(), c.ID
}
