package clients

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

// builder turns a decoded file into a registry and collects every mistake on the way.
type builder struct {
	dir       string    // where key files are looked for
	now       time.Time // secrets that have expired by then are left out, unless all have
	problems  []Problem
	resources map[string]*Resource
	clients   map[string]*Client
	lines     map[string]int // of each id and audience, to name the first when it comes twice
	files     []string       // the key files that were read, as they were opened
	shared    map[string][]Grant
	trusting  bool // whether resources are there, and have the scopes, is not asked
	record    bool // it is of a database, whose rows name no files of this machine
}

var (
	errEnabled = errors.New("enabled is true or false")
	errName    = errors.New("name is at most 256 octets of characters that can be seen")
	errExpires = errors.New("expires is a moment like 2027-01-31T00:00:00Z")
)

func (b *builder) add(line int, format string, args ...any) {
	b.problems = append(b.problems, Problem{line, fmt.Sprintf(format, args...)})
}

// check notes err, if any, at the line of s.
func (b *builder) check(s scalar, err error) bool {
	if err != nil && !s.wrong {
		b.add(s.line, "%v", err)
	}
	return err == nil && !s.wrong
}

func (b *builder) build(file *fileYAML) *Registry {
	b.buildResources(file.Resources)
	b.buildClients(file.Clients)
	return b.registry()
}

func (b *builder) buildResources(all []resourceYAML) {
	b.resources = make(map[string]*Resource, len(all))
	b.lines = make(map[string]int)
	for _, r := range all {
		b.resource(r)
	}
	if len(all) == 0 {
		b.add(0, "no resources")
	}
}

func (b *builder) buildClients(all []clientYAML) {
	b.clients = make(map[string]*Client, len(all))
	b.lines = make(map[string]int, len(all))
	for _, c := range all {
		b.client(c)
	}
	if len(all) == 0 {
		b.add(0, "no clients")
	}
}

// registry returns what has been built. Each key file is in it once.
func (b *builder) registry() *Registry {
	slices.Sort(b.files)
	return &Registry{NewResources(b.resources), b.clients, slices.Compact(b.files)}
}

func (b *builder) resource(y resourceYAML) {
	if !y.Audience.present() {
		b.add(y.line, "a resource without audience")
		return
	}
	if !b.check(y.Audience, CheckAudience(y.Audience.text)) || b.duplicate("resource", y.Audience) {
		return
	}
	r := &Resource{
		Audience:  y.Audience.text,
		Enabled:   b.enabled(y.Enabled),
		Scopes:    b.scope(y.Scopes),
		Algorithm: DefaultAlgorithm,
		Type:      DefaultType,
		Lifetime:  DefaultLifetime,
	}
	var err error
	if y.Algorithm.present() {
		r.Algorithm, err = keys.ParseAlgorithm(y.Algorithm.text)
		b.check(y.Algorithm, err)
	}
	if y.Type.present() {
		r.Type, err = ParseType(y.Type.text)
		b.check(y.Type, err)
	}
	if y.Lifetime.present() {
		r.Lifetime, err = time.ParseDuration(y.Lifetime.text)
		if b.check(y.Lifetime, err) {
			b.check(y.Lifetime, CheckLifetime(r.Lifetime))
		}
	}
	b.resources[r.Audience] = r
}

func (b *builder) client(y clientYAML) {
	if !y.ID.present() {
		b.add(y.line, "a client without id")
		return
	}
	if !b.check(y.ID, CheckID(y.ID.text)) || b.duplicate("client", y.ID) {
		return
	}
	c := &Client{ID: y.ID.text, Name: y.Name.text, Enabled: b.enabled(y.Enabled)}
	b.check(y.Name, checkName(c.Name))
	c.Keys = b.keys(y)
	c.Secrets = b.secrets(y)
	c.JWKSURI = b.jwksURI(y)
	if len(y.Keys) == 0 && len(y.Secrets) == 0 && !y.JWKSURI.present() {
		b.add(y.ID.line, "client %q has no credentials: give it keys, jwks_uri or secrets", c.ID)
	}
	c.Grants = b.grants(y)
	c.Default = b.defaultResource(y, c)
	b.clients[c.ID] = c
}

// maxNameSize is in octets.
const maxNameSize = 256

// checkName refuses what would make a mess of a terminal or of a line.
func checkName(name string) error {
	if len(name) > maxNameSize || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return errName
	}
	return nil
}

// enabled is true unless the file says otherwise.
func (b *builder) enabled(y scalar) bool {
	if y.present() && y.text != "true" && y.text != "false" {
		b.check(y, errEnabled)
	}
	return y.text != "false"
}

// duplicate notes that a name was there before.
func (b *builder) duplicate(kind string, name scalar) bool {
	if first, seen := b.lines[name.text]; seen {
		b.add(name.line, "%s %q is there already, at line %d", kind, name.text, first)
		return true
	}
	b.lines[name.text] = name.line
	return false
}

func (b *builder) keys(y clientYAML) *keys.Set {
	if len(y.Keys) > MaxKeys {
		b.add(y.Keys[MaxKeys].line, "client %q has %d keys, at most %d are kept", y.ID.text, len(y.Keys), MaxKeys)
		return nil
	}
	var all []*keys.PublicKey
	seen := make(map[string]bool)
	for _, k := range y.Keys {
		key := b.key(y.ID, k)
		if key == nil {
			continue
		}
		if seen[key.ID()] {
			b.add(k.line, "client %q has a key %q already", y.ID.text, key.ID())
			continue
		}
		seen[key.ID()] = true
		all = append(all, key)
	}
	if len(all) == 0 {
		return nil
	}
	set, err := keys.NewSet(all...)
	b.check(y.ID, err)
	return set
}

func (b *builder) key(client scalar, y keyYAML) *keys.PublicKey {
	var key *keys.PublicKey
	var err error
	var at scalar
	switch given := y.given(); {
	case len(given) != 1:
		b.add(y.line, "a key of client %q needs one of pem, jwk and file", client.text)
		return nil
	case y.PEM.present():
		at = y.PEM
		key, err = keys.ParsePublicKey([]byte(y.PEM.text))
	case y.JWK.present():
		at = y.JWK
		key, err = keys.ParseJWK([]byte(y.JWK.text))
	case b.record:
		b.add(y.line, "a key of client %q is in a file, and a record names none", client.text)
		return nil
	default:
		at = y.File
		path := b.relative(y.File.text)
		b.files = append(b.files, path)
		key, err = keys.ReadPublicKey(path)
	}
	if !b.check(at, err) {
		return nil
	}
	return key
}

func (y keyYAML) given() []scalar {
	return slices.DeleteFunc([]scalar{y.PEM, y.JWK, y.File}, func(s scalar) bool { return !s.present() })
}

func (b *builder) relative(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(b.dir, path)
}

// jwksURI returns the address where the client publishes its keys. One place for keys is enough: with two, nobody could
// tell which of them has to be changed to take a key away.
func (b *builder) jwksURI(y clientYAML) string {
	if !y.JWKSURI.present() || !b.check(y.JWKSURI, remote.CheckURL(y.JWKSURI.text)) {
		return ""
	}
	if len(y.Keys) > 0 {
		b.add(y.JWKSURI.line, "client %q has keys and jwks_uri: give it one of them", y.ID.text)
	}
	return y.JWKSURI.text
}

// secrets returns those that are live: the others will never match again, for the clock goes forward. When none is, one
// stays, and the client one that has a secret.
func (b *builder) secrets(y clientYAML) []Secret {
	var all []Secret
	var expired Secret
	for _, s := range y.Secrets {
		if !s.SHA256.present() {
			b.add(s.line, "a secret of client %q has no sha256", y.ID.text)
			continue
		}
		digest, err := ParseDigest(s.SHA256.text)
		b.check(s.SHA256, err)
		secret := Secret{Digest: digest, noted: new(atomic.Int64)}
		if s.Expires.present() {
			secret.Expires, err = parseExpires(s.Expires.text)
			b.check(s.Expires, err)
		}
		expired = secret
		if !s.Expires.present() || b.now.Before(secret.Expires) {
			all = append(all, secret)
		}
	}
	if len(all) == 0 && len(y.Secrets) > 0 {
		all = append(all, expired)
	}
	if len(all) > MaxSecrets {
		b.add(y.ID.line, "client %q has %d live secrets, at most %d may be", y.ID.text, len(all), MaxSecrets)
	}
	return all
}

// parseExpires reads a moment that a record can tell: in whole seconds, and not the one that to Go means never.
func parseExpires(text string) (time.Time, error) {
	moment, err := time.Parse(time.RFC3339, text)
	moment = moment.UTC().Truncate(time.Second)
	if err != nil || moment.Year() < 1970 || moment.Year() > 9999 {
		return time.Time{}, errExpires
	}
	return moment, nil
}

func (b *builder) grants(y clientYAML) []Grant {
	if len(y.Allow) == 0 {
		b.add(y.ID.line, "client %q may ask for nothing: allow it a resource", y.ID.text)
	}
	var all []Grant
	seen := make(map[string]bool)
	for _, a := range y.Allow {
		audience := a.Resource.text
		resource := b.resources[audience]
		switch {
		case !a.Resource.present():
			b.add(a.line, "client %q has an allow without resource", y.ID.text)
			continue
		case resource == nil && !b.trusting:
			b.check(a.Resource, fmt.Errorf("no resource has the audience %q", audience))
			continue
		case seen[audience]:
			b.add(a.Resource.line, "client %q is allowed %q twice", y.ID.text, audience)
			continue
		}
		seen[audience] = true
		if !b.trusting {
			b.within(a.Scopes, "resource "+audience+" has no scope", resource.Scopes)
		}
		grant := Grant{Audience: audience, Scopes: b.scope(a.Scopes), Default: b.scope(a.Default)}
		b.within(a.Default, "client "+y.ID.text+" may not ask for its default scope", grant.Scopes)
		all = append(all, grant)
	}
	return b.share(all)
}

// share returns the grants that an earlier client has when they are the same. Most clients of a large registry may ask for
// one of few things, and what is there once is neither held nor looked through by the garbage collector many times.
func (b *builder) share(grants []Grant) []Grant {
	var key strings.Builder
	for _, grant := range grants {
		for _, text := range []string{grant.Audience, grant.Scopes.String(), grant.Default.String()} {
			key.WriteString(text)
			key.WriteByte('\n') // which none of them has
		}
	}
	if earlier, ok := b.shared[key.String()]; ok {
		return earlier
	}
	if b.shared == nil {
		b.shared = make(map[string][]Grant)
	}
	b.shared[key.String()] = grants
	return grants
}

// within notes each value that is not among allowed.
func (b *builder) within(values []scalar, complaint string, allowed Scope) {
	for _, v := range values {
		if !slices.Contains(allowed, v.text) {
			b.check(v, fmt.Errorf("%s %q", complaint, v.text))
		}
	}
}

func (b *builder) scope(values []scalar) Scope {
	var scope Scope
	for _, v := range values {
		one, err := NewScope(v.text)
		if b.check(v, err) && len(scope.Missing(one)) > 0 {
			scope = append(scope, v.text)
		}
	}
	return scope
}

// defaultResource returns the resource that the client gets when it names none: the one that is declared, or the only
// one that it may ask.
func (b *builder) defaultResource(y clientYAML, c *Client) string {
	if y.Default.present() {
		if _, ok := c.Grant(y.Default.text); !ok {
			b.check(y.Default, fmt.Errorf("client %q may not ask for its default resource %q", c.ID, y.Default.text))
		}
		return y.Default.text
	}
	if len(c.Grants) == 1 {
		return c.Grants[0].Audience
	}
	return ""
}
