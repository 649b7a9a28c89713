package tokens

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"example.com/signet/keys"
)

const (
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 §2.2
	assertionLife = time.Minute
	maxCredential = 16 << 10 // octets of a file
)

// Credential is how a client proves who it is to the issuer. Printing it shows nothing secret.
type Credential interface {
	fmt.Formatter
	check(clientID string) error
	prove(r *proof) error
}

// proof is the part of a token request that says who asks.
type proof struct {
	cfg     *Config
	now     time.Time
	methods []string // that the metadata list; nil: they do not say
	form    url.Values
	header  http.Header
	secrets []string // what must not be seen in an error
}

var (
	errNoClientID = errors.New("no client id")
	errTooLong    = fmt.Errorf("longer than %d octets", maxCredential)
)

// PrivateKey proves the client by an assertion that is signed with its key for each request: private_key_jwt of OpenID
// Connect Core §9, as RFC 7523 §3 says; the issuer identifier is its only audience, and it is good once, for a minute.
// The issuer has the public half. Read key with [keys.ReadClientKey], from PEM or a JWK, or make it of any
// [crypto.Signer] with [keys.NewPrivateKey].
func PrivateKey(key *keys.PrivateKey) Credential { return privateKey{key} }

type privateKey struct{ key *keys.PrivateKey }

func (c privateKey) Format(w fmt.State, _ rune) {
	if c.key == nil {
		_, _ = io.WriteString(w, "no key")
		return
	}
	_, _ = io.WriteString(w, "private key "+c.key.String())
}

func (c privateKey) check(clientID string) error {
	switch {
	case c.key == nil:
		return errors.New("no key")
	case clientID == "":
		return errNoClientID
	}
	return nil
}

func (c privateKey) prove(p *proof) error {
	payload, err := json.Marshal(struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}{p.cfg.ClientID, p.cfg.ClientID, p.cfg.Issuer, rand.Text(), p.now.Unix(), p.now.Add(assertionLife).Unix()})
	if err != nil {
		return fmt.Errorf("%w: writing the client assertion: %w", ErrCredential, err)
	}
	assertion, err := c.key.Sign(keys.TypeClientAssertion, payload)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrCredential, err)
	}
	p.assert(assertion)
	return nil
}

// assert puts a client assertion into the form (RFC 7523 §2.2).
func (p *proof) assert(assertion string) {
	p.form.Set("client_assertion_type", assertionType)
	p.form.Set("client_assertion", assertion)
	p.secrets = append(p.secrets, assertion)
}

// AssertionFile proves the client by the assertion in a file, a JWT that somebody else signs and replaces in time, such
// as a projected service account token of Kubernetes. The file is read for each request. The client id, when there is
// one, is sent beside it.
func AssertionFile(path string) Credential { return assertionFile{path} }

type assertionFile struct{ path string }

func (c assertionFile) Format(w fmt.State, _ rune) { _, _ = fmt.Fprintf(w, "assertion in %q", c.path) }

func (c assertionFile) check(string) error {
	if c.path == "" {
		return errors.New("no assertion file")
	}
	return nil
}

func (c assertionFile) prove(p *proof) error {
	assertion, err := readCredential(c.path, 0)
	if err == nil && strings.ContainsRune(assertion, ' ') {
		err = errors.New("more than one word")
	}
	if err != nil {
		return fmt.Errorf("%w: reading the assertion %s: %w", ErrCredential, c.path, err)
	}
	p.assert(assertion)
	if p.cfg.ClientID != "" {
		p.form.Set("client_id", p.cfg.ClientID)
	}
	return nil
}

// Secret proves the client by a secret that the issuer gave it (RFC 6749 §2.3.1): by HTTP Basic, or in the form where
// the issuer's metadata list client_secret_post without client_secret_basic.
func Secret(secret string) Credential { return clientSecret{&secret} }

type clientSecret struct {
	value *string // behind a pointer, for the same reason as in [Token]
}

func (c clientSecret) Format(w fmt.State, _ rune) { _, _ = io.WriteString(w, "client secret") }

func (c clientSecret) check(clientID string) error {
	if clientID == "" {
		return errNoClientID
	}
	if err := checkCredential(*c.value); err != nil {
		return fmt.Errorf("client secret: %w", err)
	}
	return nil
}

func (c clientSecret) prove(p *proof) error {
	const basic, post = "client_secret_basic", "client_secret_post"
	p.secrets = append(p.secrets, *c.value, url.QueryEscape(*c.value))
	if p.cfg.SecretInForm || (slices.Contains(p.methods, post) && !slices.Contains(p.methods, basic)) {
		p.form.Set("client_id", p.cfg.ClientID)
		p.form.Set("client_secret", *c.value)
		return nil
	}
	r := http.Request{Header: p.header}
	r.SetBasicAuth(url.QueryEscape(p.cfg.ClientID), url.QueryEscape(*c.value))
	p.secrets = append(p.secrets, strings.TrimPrefix(p.header.Get("Authorization"), "Basic "))
	return nil
}

// SecretFile is [Secret] with the secret in a file, which is read for each request, so that it can be replaced while
// the program runs. A line break at its end does not count. A file that everybody on the machine may read is refused; a
// volume of Kubernetes secrets needs defaultMode: 0440 or less.
func SecretFile(path string) Credential { return secretFile{path} }

type secretFile struct{ path string }

func (c secretFile) Format(w fmt.State, _ rune) { _, _ = fmt.Fprintf(w, "client secret in %q", c.path) }

func (c secretFile) check(clientID string) error {
	switch {
	case c.path == "":
		return errors.New("no secret file")
	case clientID == "":
		return errNoClientID
	}
	return nil
}

func (c secretFile) prove(p *proof) error {
	const others = 0o007
	secret, err := readCredential(c.path, others)
	if err != nil {
		return fmt.Errorf("%w: reading the client secret %s: %w", ErrCredential, c.path, err)
	}
	return clientSecret{&secret}.prove(p)
}

// readCredential reads a small text file without the line break at its end. It is refused when its mode has one of the
// forbidden bits.
func readCredential(path string, forbidden os.FileMode) (string, error) {
	if info, err := os.Stat(path); err != nil {
		return "", err
	} else if !info.Mode().IsRegular() { // opening a pipe or a device might not return
		return "", errors.New("not a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	info, err := file.Stat() // of what was opened, which nobody can swap
	if err != nil {
		return "", err
	}
	if mode := info.Mode().Perm(); mode&forbidden != 0 {
		return "", keys.WithHint(fmt.Errorf("%w: mode is %04o", keys.ErrLooseMode, mode),
			"if nobody has read it: chmod 600 "+path+" (otherwise have a new one made)")
	}
	text, err := io.ReadAll(io.LimitReader(file, maxCredential+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxCredential { // the rest of it might be anything
		return "", errTooLong
	}
	credential := strings.TrimRight(string(text), "\r\n")
	return credential, checkCredential(credential)
}

// checkCredential holds a secret or an assertion against RFC 6749 §A.2, so that a wrong file is found here and not by
// the issuer, who would see its content.
func checkCredential(text string) error {
	switch {
	case text == "":
		return errors.New("empty")
	case len(text) > maxCredential:
		return errTooLong
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return errors.New("not one line of printable ASCII")
	}
	return nil
}
