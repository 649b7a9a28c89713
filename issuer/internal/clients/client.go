package clients

import (
	"fmt"
	"regexp"

	"example.com/signet/keys"
)

// Client is a program that may obtain tokens. It is not changed once it is in a registry.
type Client struct {
	ID      string // as [CheckID] allows
	Name    string // for people; may be empty
	Enabled bool
	Keys    *keys.Set // verify its assertions, at most [MaxKeys]; nil when it has none, or publishes them
	JWKSURI string    // where it publishes its keys; "" when it does not
	Secrets []Secret  // at most [MaxSecrets]; one that had expired when it was read only when all had
	Grants  []Grant   // what it may ask for, one for each resource
	Default string    // the audience of the resource that it gets when it names none; "" when it must name one
}

// MaxSecrets is how many secrets of a client may be live at once: the old and the new while they are exchanged.
const MaxSecrets = 2

// MaxKeys is how many keys of a client are kept: an assertion that does not name its key may be tried with each.
const MaxKeys = 10

// Grant is what a client may ask of one resource.
type Grant struct {
	Audience string // the resource
	Scopes   Scope  // may be empty: a token without scope
	Default  Scope  // granted when no scope is asked for; empty when the client must ask
}

// Grant returns what the client may ask of the resource, and whether it may ask anything.
func (c *Client) Grant(audience string) (Grant, bool) {
	for _, g := range c.Grants {
		if g.Audience == audience {
			return g, true
		}
	}
	return Grant{}, false
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~@/-]{0,127}$`)

// CheckID reports whether id can be a client's: 1 to 128 letters, digits and . _ ~ @ / - and no sign first. There is no colon,
// because clients that do not encode their Basic credentials would be cut in two at it.
func CheckID(id string) error {
	if !idPattern.MatchString(id) {
		return fmt.Errorf("%q is no client id: use 1 to 128 letters, digits and ._~@/- and start with a letter or digit", id)
	}
	return nil
}
