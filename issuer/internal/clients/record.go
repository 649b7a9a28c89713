package clients

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// ErrRecord means that a record is none, or says what no registry may say.
var ErrRecord = errors.New("unusable record")

// The records of a database: a client and a resource as the registry file would have them, in JSON, which is YAML.
type (
	resourceRecord struct {
		Audience  string   `json:"audience"`
		Enabled   bool     `json:"enabled"`
		Scopes    []string `json:"scopes,omitempty"`
		Algorithm string   `json:"algorithm"`
		Type      string   `json:"token_type"`
		Lifetime  string   `json:"token_lifetime"`
	}
	clientRecord struct {
		ID      string         `json:"id"`
		Name    string         `json:"name,omitempty"`
		Enabled bool           `json:"enabled"`
		Keys    []keyRecord    `json:"keys,omitempty"`
		JWKSURI string         `json:"jwks_uri,omitempty"`
		Secrets []secretRecord `json:"secrets,omitempty"`
		Allow   []grantRecord  `json:"allow,omitempty"`
		Default string         `json:"default_resource,omitempty"`
	}
	keyRecord struct {
		PEM string `json:"pem"`
	}
	secretRecord struct {
		SHA256  string `json:"sha256"`
		Expires string `json:"expires,omitempty"`
	}
	grantRecord struct {
		Resource string   `json:"resource"`
		Scopes   []string `json:"scopes,omitempty"`
		Default  []string `json:"default_scopes,omitempty"`
	}
)

// Record returns the resource as a registry file would have it, in JSON, the same for the same resource.
func (r *Resource) Record() ([]byte, error) {
	return json.Marshal(resourceRecord{r.Audience, r.Enabled, r.Scopes, string(r.Algorithm), string(r.Type), r.Lifetime.String()})
}

// Record returns the client as a registry file would have it, in JSON, the same for the same client.
func (c *Client) Record() ([]byte, error) {
	record := clientRecord{ID: c.ID, Name: c.Name, Enabled: c.Enabled, JWKSURI: c.JWKSURI, Default: c.Default}
	for key := range c.Keys.All() {
		text, err := key.MarshalPEM()
		if err != nil {
			return nil, err
		}
		record.Keys = append(record.Keys, keyRecord{string(text)})
	}
	for _, secret := range c.Secrets {
		one := secretRecord{SHA256: fmt.Sprintf("%x", secret.Digest)}
		if !secret.Expires.IsZero() {
			one.Expires = secret.Expires.UTC().Format(time.RFC3339)
		}
		record.Secrets = append(record.Secrets, one)
	}
	for _, grant := range c.Grants {
		record.Allow = append(record.Allow, grantRecord{grant.Audience, grant.Scopes, grant.Default})
	}
	return json.Marshal(record)
}

// ParseResource reads what [Resource.Record] wrote. The error wraps [ErrRecord].
func ParseResource(text []byte) (*Resource, error) {
	b := &builder{}
	if list := b.records("resources", text); list != nil {
		b.buildResources(list.Resources)
	}
	if err := b.recordError(); err != nil {
		return nil, err
	}
	for _, resource := range b.resources {
		return resource, nil
	}
	return nil, ErrRecord
}

// ParseClient reads what [Client.Record] wrote, with secrets as a file of now would have them, and trusts that the resources
// are there. The error wraps [ErrRecord].
func ParseClient(text []byte, now time.Time) (*Client, error) {
	return parseClient(text, &builder{now: now, trusting: true, record: true})
}

// CheckClient reads a client as ParseClient does and sees that what it may ask for is there, by the rules of a registry
// file. The error wraps [ErrRecord].
func CheckClient(text []byte, resources map[string]*Resource, now time.Time) (*Client, error) {
	return parseClient(text, &builder{now: now, resources: resources, record: true})
}

func parseClient(text []byte, b *builder) (*Client, error) {
	if list := b.records("clients", text); list != nil {
		b.buildClients(list.Clients)
	}
	if err := b.recordError(); err != nil {
		return nil, err
	}
	for _, client := range b.clients {
		return client, nil
	}
	return nil, ErrRecord
}

// maxRecordSize is in octets; ten keys and all grants that somebody may need are a tenth of it.
const maxRecordSize = 256 << 10

// records reads a file that has one record, or returns nil.
func (b *builder) records(name string, text []byte) *fileYAML {
	var root yaml.Node
	if len(text) > maxRecordSize {
		b.add(0, "longer than %d octets", maxRecordSize)
		return nil
	}
	if !jsontext.Value(text).IsValid() {
		b.add(0, "not one JSON value")
		return nil
	}
	if err := yaml.Unmarshal(fmt.Appendf(nil, "{%q: [%s]}", name, text), &root); err != nil {
		b.add(0, "not YAML")
		return nil
	}
	return b.file(root.Content[0])
}

// maxNamed is how many problems of a record an error names.
const maxNamed = 5

// recordError joins what is wrong, without lines: a record has one.
func (b *builder) recordError() error {
	if len(b.problems) == 0 {
		return nil
	}
	var texts []string
	for _, problem := range b.problems[:min(len(b.problems), maxNamed)] {
		texts = append(texts, problem.Text)
	}
	return fmt.Errorf("%w: %s", ErrRecord, strings.Join(texts, "; "))
}
