package clients

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"time"

	"example.com/signet/keys"
)

// Client is a program that may obtain tokens. It is not changed once it is in a registry.
type Client struct {
	ID      string // as [CheckID] allows
	Name    string // for people; may be empty
	Enabled bool
	Keys    *keys.Set // verify its assertions; nil when it has none
	Secrets []Secret  // at most [MaxSecrets]
	Grants  []Grant   // what it may ask for, one for each resource
	Default string    // the audience of the resource that it gets when it names none; "" when it must name one
}

// MaxSecrets is how many secrets of a client may be live at once: the old and the new while they are exchanged.
const MaxSecrets = 2

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

// Secret is a client secret as it is kept: its SHA-256, never the secret. A secret is 256 random bits, which no guessing
// finds, so a slow hash would add nothing.
type Secret struct {
	Digest  [sha256.Size]byte
	Expires time.Time // zero: never
}

// nobody's digest is compared when there is no client, so that the answer takes as long as for a wrong secret.
var nobody = []Secret{{}}

// CheckSecret reports whether secret is one of the client's and has not expired at now. A nil or disabled client has
// none, and finding that out takes as long as finding a wrong secret.
func (c *Client) CheckSecret(secret string, now time.Time) bool {
	known := c != nil && c.Enabled && len(c.Secrets) > 0
	secrets := nobody
	if known {
		secrets = c.Secrets
	}
	digest := sha256.Sum256([]byte(secret))
	match := 0
	for i := range secrets {
		live := secrets[i].Expires.IsZero() || now.Before(secrets[i].Expires)
		equal := subtle.ConstantTimeCompare(digest[:], secrets[i].Digest[:])
		if live {
			match |= equal
		}
	}
	return known && match == 1
}

// ParseDigest reads a SHA-256 in 64 hexadecimal digits.
func ParseDigest(text string) (digest [sha256.Size]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(digest) {
		return digest, errors.New("not a SHA-256 in 64 hexadecimal digits")
	}
	copy(digest[:], raw)
	return digest, nil
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
