package clients_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// publicPEM is the public half of the named key.
func publicPEM(t testing.TB, name string) []byte {
	t.Helper()
	text, err := keystest.Key(name).Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// publicJWK is the public half of the named key as one JWK.
func publicJWK(t testing.TB, name string) string {
	t.Helper()
	document, err := keystest.Set(name).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.Unmarshal(document, &set); err != nil {
		t.Fatal(err)
	}
	return string(set.Keys[0])
}

// indent puts the text of a YAML block scalar n spaces deep.
func indent(text []byte, n int) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", "\n"+pad)
}

func digestOf(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// write puts text into a file of a new directory, beside the keys that registries name.
func write(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string][]byte{
		"registry.yaml":     []byte(text),
		"keys/client.pub":   publicPEM(t, keystest.ES256),
		"keys/client.pem":   keystest.PEM(keystest.ES256),
		"keys/weak.pub":     []byte(weakPublic(t)),
		"keys/truncated":    publicPEM(t, keystest.ES256)[:90],
		"keys/client.jwk":   []byte(publicJWK(t, keystest.RS256)),
		"keys/nothing.here": nil,
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "registry.yaml")
}

func TestReadFile(t *testing.T) {
	t.Parallel()
	path := write(t, `# every feature
resources:
  - audience: https://api.example.com
    scopes: [read, write]
  - audience: urn:example:legacy
    scopes: [use]
    algorithm: RS256
    token_type: JWT
    token_lifetime: 1h
  - audience: https://plain.example.com # knows no scopes
clients:
  - id: billing
    name: Billing, nightly
    enabled: true
    keys:
      - file: keys/client.pub
      - file: keys/client.jwk
      - jwk: `+publicJWK(t, keystest.ES256Other)+` # JSON is YAML: a mapping
      - pem: |
`+indent(publicPEM(t, keystest.RS256Other), 10)+`
    secrets:
      - sha256: `+digestOf("old")+`
        expires: 2027-01-31T00:00:00Z
      - sha256: `+strings.ToUpper(digestOf("new"))+`
      - sha256: `+digestOf("oldest")+`
        expires: 2026-11-23T12:00:00Z # this moment: the third secret is not live
    allow:
      - resource: https://api.example.com
        scopes: [read, write]
        default_scopes: [read]
      - resource: urn:example:legacy
        scopes: [use]
    default_resource: urn:example:legacy
  - id: 42 # is text, as all ids are
    enabled: false
    secrets: [{sha256: `+digestOf("x")+`}]
    allow: [{resource: 'https://plain.example.com'}]
  - id: publisher
    jwks_uri: https://publisher.example.com/jwks.json
    allow: [{resource: 'https://plain.example.com'}]
`)
	registry, err := clients.ReadFile(path, noon)
	if err != nil {
		t.Fatal(err)
	}
	billing := lookUp(t, registry, "billing")
	var kids []string
	for key := range billing.Keys.All() {
		kids = append(kids, key.ID())
	}
	wantKids := []string{
		keystest.Key(keystest.ES256).ID(), keystest.Key(keystest.RS256).ID(),
		keystest.Key(keystest.ES256Other).ID(), keystest.Key(keystest.RS256Other).ID(),
	}
	if diff := cmp.Diff(wantKids, kids); diff != "" {
		t.Errorf("keys of billing (-want +got):\n%s", diff)
	}
	billing.Keys = nil
	want := &clients.Client{
		ID: "billing", Name: "Billing, nightly", Enabled: true,
		Secrets: []clients.Secret{
			{Digest: sha256.Sum256([]byte("old")), Expires: time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)},
			{Digest: sha256.Sum256([]byte("new"))},
		},
		Grants: []clients.Grant{
			{Audience: "https://api.example.com", Scopes: clients.Scope{"read", "write"}, Default: clients.Scope{"read"}},
			{Audience: "urn:example:legacy", Scopes: clients.Scope{"use"}},
		},
		Default: "urn:example:legacy",
	}
	if diff := cmp.Diff(want, billing, ignoreUse); diff != "" {
		t.Errorf("billing (-want +got):\n%s", diff)
	}
	want = &clients.Client{
		ID:      "42",
		Secrets: []clients.Secret{{Digest: sha256.Sum256([]byte("x"))}},
		Grants:  []clients.Grant{{Audience: "https://plain.example.com"}},
		Default: "https://plain.example.com", // the only one
	}
	if diff := cmp.Diff(want, lookUp(t, registry, "42"), ignoreUse); diff != "" {
		t.Errorf("42 (-want +got):\n%s", diff)
	}
	want = &clients.Client{
		ID:      "publisher",
		Enabled: true,
		JWKSURI: "https://publisher.example.com/jwks.json",
		Grants:  []clients.Grant{{Audience: "https://plain.example.com"}},
		Default: "https://plain.example.com",
	}
	if diff := cmp.Diff(want, lookUp(t, registry, "publisher"), ignoreUse); diff != "" {
		t.Errorf("publisher (-want +got):\n%s", diff)
	}
	legacy, err := registry.Resource(t.Context(), "urn:example:legacy")
	if err != nil {
		t.Fatal(err)
	}
	wantLegacy := &clients.Resource{Audience: "urn:example:legacy", Enabled: true, Scopes: clients.Scope{"use"},
		Algorithm: keys.RS256, Type: keys.TypeJWT, Lifetime: time.Hour}
	if diff := cmp.Diff(wantLegacy, legacy); diff != "" {
		t.Errorf("legacy (-want +got):\n%s", diff)
	}
	plain, err := registry.Resource(t.Context(), "https://plain.example.com")
	if err != nil {
		t.Fatal(err)
	}
	wantPlain := &clients.Resource{Audience: "https://plain.example.com", Enabled: true,
		Algorithm: keys.ES256, Type: keys.TypeAccessToken, Lifetime: 10 * time.Minute}
	if diff := cmp.Diff(wantPlain, plain); diff != "" {
		t.Errorf("plain (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]keys.Algorithm{keys.ES256, keys.RS256}, registry.Algorithms()); diff != "" {
		t.Errorf("algorithms (-want +got):\n%s", diff)
	}
}

// A resource is served unless the file says otherwise, and is known all the same.
func TestReadFileResourceEnabled(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]bool{"": true, "enabled: true": true, "enabled: false": false} {
		text := strings.ReplaceAll(strings.Replace(goodFile, "    scopes: [read, write]\n",
			"    scopes: [read, write]\n    "+field+"\n", 1), "DIGEST", good)
		registry, err := clients.ReadFile(write(t, text), noon)
		if err != nil {
			t.Fatal(err)
		}
		for audience, want := range map[string]bool{"https://api.example.com": want, "https://other.example.com": true} {
			if resource, err := registry.Resource(t.Context(), audience); err != nil || resource.Enabled != want {
				t.Errorf("%q: %s: %+v, %v", field, audience, resource, err)
			}
		}
	}
	registry, err := clients.Development(keystest.Key(keystest.ES256).Public())
	if err != nil {
		t.Fatal(err)
	}
	if resource, err := registry.Resource(t.Context(), clients.DevelopmentAudience); err != nil || !resource.Enabled {
		t.Errorf("for development: %+v, %v", resource, err)
	}
}

// A name may be long and in any script.
func TestReadFileName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"x", strings.Repeat("x", 256), strings.Repeat("ü", 128), "für €1 \U0001F511", "夜間 請求", "a\u00a0b", "\ufffd", "' \\ <b> %s", "-", " ", "",
	} {
		text := strings.ReplaceAll(goodFile, "DIGEST", good)
		text = strings.Replace(text, "- id: billing", "- id: billing\n    name: '"+strings.ReplaceAll(name, "'", "''")+"'", 1)
		registry, err := clients.ReadFile(write(t, text), noon)
		if err != nil {
			t.Errorf("%q: %v", name, err)
		} else if got := lookUp(t, registry, "billing").Name; got != name {
			t.Errorf("%q was read as %q", name, got)
		}
	}
}

// ignoreUse passes over when the use of a secret was last noted.
var ignoreUse = cmpopts.IgnoreUnexported(clients.Secret{})

func lookUp(t *testing.T, registry *clients.Registry, id string) *clients.Client {
	t.Helper()
	client, err := registry.Client(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestRegistryDoesNotKnow(t *testing.T) {
	t.Parallel()
	registry, err := clients.Development(keystest.Key(keystest.ES256).Public())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"", "Demo", "demo ", "demo\x00", "other"} {
		if _, err := registry.Client(t.Context(), id); !errors.Is(err, clients.ErrUnknownClient) {
			t.Errorf("Client(%q): %v", id, err)
		}
	}
	for _, audience := range []string{"", clients.DevelopmentAudience + "/", strings.ToUpper(clients.DevelopmentAudience)} {
		if _, err := registry.Resource(t.Context(), audience); !errors.Is(err, clients.ErrUnknownResource) {
			t.Errorf("Resource(%q): %v", audience, err)
		}
	}
}

func TestReadFileMissing(t *testing.T) {
	t.Parallel()
	_, err := clients.ReadFile(filepath.Join(t.TempDir(), "nowhere.yaml"), time.Now())
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	_, err = clients.ReadFile(t.TempDir(), time.Now())
	if err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a directory: error %v", err)
	}
	pipe := filepath.Join(t.TempDir(), "registry.yaml")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = clients.ReadFile(pipe, time.Now()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a pipe that nobody writes to: error %v", err)
	}
}

func TestReadFileTooLong(t *testing.T) {
	t.Parallel()
	path := write(t, "")
	if err := os.Truncate(path, 64<<20+1); err != nil {
		t.Fatal(err)
	}
	_, err := clients.ReadFile(path, time.Now())
	if err == nil || !strings.HasSuffix(err.Error(), "longer than 67108864 octets") {
		t.Errorf("error %v", err)
	}
}

// checkQuiet fails when the text of an error has what a reader of it must not see: Go types, keys, secrets.
func checkQuiet(t *testing.T, text string) {
	t.Helper()
	private := bytes.Split(keystest.PEM(keystest.ES256), []byte("\n"))[1]
	for _, loud := range []string{"clients.", "yaml.", "!!", "scalar", "struct", theSecret, string(private[:12])} {
		if strings.Contains(text, loud) {
			t.Errorf("error %q says %q", text, loud)
		}
	}
}
