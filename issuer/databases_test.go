package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/keystest/pgtest"
)

// common is the issuer identifier of all issuers that share a database: those who ask choose among them by address.
const common = "http://127.0.0.1:8080"

// onEachDatabase runs a test in a home whose registry and keys are in SQLite, and in one where they are in PostgreSQL.
func onEachDatabase(t *testing.T, registry string, test func(*home)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(newDatabaseHome(t, "sqlite:"+t.TempDir()+"/issuer.db", registry))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(newDatabaseHome(t, pgtest.Shared(t).NewDatabase(t), registry))
	})
}

// newDatabaseHome is a home with a master key, where an ES256 key that signs, its standby and the registry are in the
// database.
func newDatabaseHome(t *testing.T, database, registry string) *home {
	t.Helper()
	h := newEmptyHome(t, database, registry)
	h.ok("keys", "generate", "--alg", "ES256")
	h.ok("registry", "apply", "-f", h.path("registry.yaml"))
	return h
}

// newEmptyHome is one whose database is empty.
func newEmptyHome(t *testing.T, database, registry string) *home {
	t.Helper()
	h := newHome(t, registry)
	h.settings = []string{"--database", database, "--master-key-file", h.path("master.key"), "--issuer", common,
		"--database-connections", "4"} // there are many issuers in these tests
	h.ok("master-key", "generate", h.path("master.key"))
	h.must(os.RemoveAll(h.path("keys"))) // nobody is to find them
	return h
}

// database returns the address of the home's database.
func (h *home) database() string { return h.settings[1] }

// sql does what somebody does by hand to the database.
func (h *home) sql(statement string, args ...any) {
	h.t.Helper()
	driver, source := "pgx", h.database()
	if path, ok := strings.CutPrefix(source, "sqlite:"); ok {
		driver, source = "sqlite", "file:"+path+"?_pragma=busy_timeout(5000)"
	}
	db, err := sql.Open(driver, source)
	h.must(err)
	defer db.Close()
	_, err = db.Exec(statement, args...)
	h.must(err)
}

// kid returns the kid of the ES256 key in that state.
func (h *home) kid(state keys.State) string {
	h.t.Helper()
	var all []struct {
		KID   string         `json:"kid"`
		Alg   keys.Algorithm `json:"alg"`
		State keys.State     `json:"state"`
	}
	h.must(json.Unmarshal([]byte(h.ok("keys", "list", "-o", "json")), &all))
	for _, key := range all {
		if key.Alg == keys.ES256 && key.State == state {
			return key.KID
		}
	}
	h.t.Fatalf("no key is %s", state)
	return ""
}

// at is where the program serves, whatever its issuer identifier.
func (p *program) at() string { return "http://" + p.public }

// withSecret asks the program for a token by a secret.
func (p *program) withSecret(id, secret string) (answer, error) {
	return ask(impatient, p.at(), withSecret(id, secret))
}

// assert asks the program for a token by an assertion that has not been used.
func (p *program) assert(id string, key *keys.PrivateKey) (answer, error) {
	return ask(impatient, p.at(), asserted(p.home.t, common, id, key))
}

// impatient gives up long before a request could hang for good, and leaves no connection for the issuer to wait for.
var impatient = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// wants is the error of an answer that has another status.
func wants(status int, got answer, err error) error {
	if err == nil && got.status != status {
		err = fmt.Errorf("answer %v, want status %d", got, status)
	}
	return err
}

// published returns the kids that the program publishes, in their order.
func (p *program) published() (kids []string, err error) {
	set, err := jwks(impatient, p.at()+"/.well-known/jwks.json")
	if err != nil {
		return nil, err
	}
	for key := range set.All() {
		kids = append(kids, key.ID())
	}
	return kids, nil
}

// verbose returns the status and the text of /readyz?verbose.
func (p *program) verbose() (status int, text string) {
	p.home.t.Helper()
	response, err := impatient.Get("http://" + p.private + "/readyz?verbose")
	p.home.must(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	p.home.must(err)
	return response.StatusCode, string(body)
}

// keyed is a registry with the client billing, which has the private half of a key, and legacy, which has a secret.
func keyed(t *testing.T) (registry, secret string) {
	t.Helper()
	secret, line := freshSecret()
	jwk := strings.TrimSuffix(strings.TrimPrefix(jwksOf(t, keystest.ES256Other), `{"keys":[`), "]}")
	return ordersYAML("  - {id: billing, keys: [{jwk: " + jwk + "}], " + orders + "}\n" +
		"  - {id: legacy, " + line + ", " + orders + "}\n"), secret
}
