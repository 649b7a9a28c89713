package oauth

import (
	"context"
	"errors"

	"example.com/signet/issuer/internal/clients"
)

// decision is what a client gets.
type decision struct {
	client   *clients.Client
	method   method // by which it proved who it is
	resource *clients.Resource
	scope    clients.Scope
}

// decide finds the one resource that the token is for and the scope that it grants there.
func decide(ctx context.Context, client *clients.Client, a ask) (decision, *Error) {
	grant, refused := chooseGrant(client, a.resources)
	if refused != nil {
		return decision{}, refused
	}
	scope, refused := chooseScope(grant, a.scope)
	if refused != nil {
		return decision{}, refused
	}
	resource, err := a.registry.Resource(ctx, grant.Audience)
	if errors.Is(err, clients.ErrUnknownResource) {
		return decision{}, &Error{Code: InvalidTarget, Description: "the resource is unknown or not allowed", Cause: err}
	}
	if err != nil {
		return decision{}, unavailable("the resource cannot be looked up now", err)
	}
	if !resource.Enabled {
		return decision{}, &Error{
			Code: InvalidTarget, Description: "the resource is unknown or not allowed", Cause: errResourceDisabled,
		}
	}
	return decision{client, a.method, resource, scope}, nil
}

var errResourceDisabled = errors.New("resource is disabled")

// chooseGrant applies RFC 8707 §2. A token is for one resource: one that is good at several could be passed on by each
// of them to the others.
func chooseGrant(client *clients.Client, resources []string) (clients.Grant, *Error) {
	audience := client.Default
	switch {
	case len(resources) > 1:
		return clients.Grant{}, &Error{Code: InvalidTarget, Description: "a token is for one resource"}
	case len(resources) == 1:
		audience = resources[0]
	case audience == "":
		return clients.Grant{}, &Error{Code: InvalidTarget, Description: "the client has no default resource: name one"}
	}
	grant, ok := client.Grant(audience)
	if ok {
		return grant, nil
	}
	if clients.CheckAudience(audience) != nil { // whose error quotes what the caller wrote
		return clients.Grant{}, &Error{Code: InvalidTarget, Description: "the resource is not an absolute URI without fragment"}
	}
	return clients.Grant{}, &Error{Code: InvalidTarget, Description: "the resource is unknown or not allowed"}
}

// chooseScope applies RFC 6749 §3.3: all that is asked for, or the default, or a refusal.
func chooseScope(grant clients.Grant, asked string) (clients.Scope, *Error) {
	if asked == "" {
		if len(grant.Default) == 0 && len(grant.Scopes) > 0 {
			return nil, &Error{Code: InvalidScope, Description: "the client has no default scope: ask for one"}
		}
		return grant.Default, nil
	}
	scope, err := clients.ParseScope(asked)
	if err != nil {
		return nil, &Error{Code: InvalidScope, Description: "the scope is malformed", Cause: err}
	}
	if len(grant.Scopes.Missing(scope)) > 0 {
		return nil, &Error{Code: InvalidScope, Description: "a scope is unknown or not allowed"}
	}
	return scope, nil
}
