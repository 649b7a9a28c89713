package main_test

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/signet/keys"
)

// The whole story, played by the three real programs and the real scripts/genkeys.sh.
func TestStory(t *testing.T) {
	w := newWorld(t)
	issuer := w.start("issuer", "--keys-dir", w.path("keys/issuer"))
	resource := w.start("resource", "--issuer", issuer.url)
	resource.waitReady()

	t.Run("client fetches and calls", func(t *testing.T) {
		for _, header := range []string{"token", "authorization"} {
			got := w.client(issuer, resource, "--header", header).mustRun(t)
			if got != "Super Secret Information\n" {
				t.Errorf("with %s: got %q", header, got)
			}
		}
	})
	t.Run("JWK Set holds the keys that sign and a standby for each", func(t *testing.T) {
		eventually(t, "both standbys are published", func() bool {
			set, skipped, err := keys.ParseSet(get(t, issuer.url+"/.well-known/jwks.json", "").body)
			if err != nil || len(skipped) > 0 || set.Len() < 2 {
				t.Fatalf("got %d keys, skipped %v, error %v", set.Len(), skipped, err)
			}
			return set.Len() == 4
		})
	})
	token := w.client(issuer, resource, "token").mustRunTrimmed(t)
	t.Run("claims are those of RFC 9068", func(t *testing.T) {
		var claims map[string]any
		if err := json.Unmarshal(get(t, resource.url+"/whoami", token).body, &claims); err != nil {
			t.Fatal(err)
		}
		want := map[string]any{
			"iss": issuer.url, "sub": "demo", "client_id": "demo", "aud": "http://127.0.0.1:9000", "scope": "read",
		}
		for name, value := range want {
			if claims[name] != value {
				t.Errorf("%s: got %v, want %v", name, claims[name], value)
			}
		}
	})
	t.Run("refusals", func(t *testing.T) {
		rows := []struct {
			name, path, token string
			status            int
			challenge         string
		}{
			{"no token", "/", "", http.StatusUnauthorized, "Bearer"},
			{"tampered signature", "/", tamper(token, 2), http.StatusUnauthorized, `error="invalid_token"`},
			{"tampered claims", "/", tamper(token, 1), http.StatusUnauthorized, `error="invalid_token"`},
			{"scope missing", "/admin", token, http.StatusForbidden, `scope="admin"`},
		}
		for _, row := range rows {
			got := get(t, resource.url+row.path, row.token)
			if challenge := got.header.Get("WWW-Authenticate"); got.status != row.status || !strings.Contains(challenge, row.challenge) {
				t.Errorf("%s: got %d %q, want %d and %q", row.name, got.status, challenge, row.status, row.challenge)
			}
		}
	})
	t.Run("scope that is asked for opens the route that needs it", func(t *testing.T) {
		got := w.client(issuer, resource, "call", "--scope", "read admin", resource.url+"/admin").mustRun(t)
		if got != "Administrators Only\n" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("client serve passes the answer on", func(t *testing.T) {
		api := w.startClientAPI(issuer, resource)
		got := get(t, api.url+"/", "")
		if got.status != http.StatusOK || string(got.body) != "Super Secret Information\n" {
			t.Errorf("got %d %q", got.status, got.body)
		}
		api.stop()
	})
	t.Run("issuer restarts", func(t *testing.T) {
		issuer.stop()
		if got := get(t, resource.url+"/", token); got.status != http.StatusOK {
			t.Errorf("while the issuer is away: got %d", got.status)
		}
		run := w.client(issuer, resource).run()
		if run.code != 5 || !strings.Contains(run.stderr, "hint: is the issuer running?") {
			t.Errorf("client while the issuer is away: exit %d, %s", run.code, run.stderr)
		}
		issuer.restart()
		if got := w.client(issuer, resource).mustRun(t); got != "Super Secret Information\n" {
			t.Errorf("after the restart: got %q", got)
		}
		if got := get(t, resource.url+"/", token); got.status != http.StatusOK {
			t.Errorf("an old token after the restart: got %d", got.status)
		}
	})
	t.Run("no log holds a token", func(t *testing.T) {
		for _, p := range []*program{issuer, resource} {
			for i, segment := range strings.Split(token, ".") {
				if i > 0 && strings.Contains(p.log(), segment) { // the header says nothing that is secret
					t.Errorf("the log of %s holds segment %d of a token", p.name, i)
				}
			}
		}
	})
}

// A resource server that is up before its issuer answers 503 until it has keys, and serves then.
func TestResourceBeforeIssuer(t *testing.T) {
	w := newWorld(t)
	address := freeAddress(t)
	resource := w.start("resource", "--issuer", "http://"+address)
	foreign := w.start("issuer", "--keys-dir", w.path("keys/issuer"))
	token := w.client(foreign, resource, "token").mustRunTrimmed(t)
	if got := get(t, resource.url+"/", token); got.status != http.StatusUnauthorized {
		t.Errorf("another issuer's token while there are no keys: got %d, want 401", got.status)
	}

	issuer := w.start("issuer", "--listen", address, "--keys-dir", w.path("keys/issuer"))
	token = w.client(issuer, resource, "token").mustRunTrimmed(t)
	eventually(t, "the resource server serves", func() bool {
		got := get(t, resource.url+"/", token)
		if got.status == http.StatusServiceUnavailable && got.header.Get("Retry-After") == "" {
			t.Error("503 without Retry-After")
		}
		return got.status == http.StatusOK
	})
}

const registry = `
resources:
  - audience: https://es256.example.com
    scopes: [read]
    token_lifetime: 2s
  - audience: https://rs256.example.com
    scopes: [read]
    algorithm: RS256
clients:
  - id: demo
    keys:
      - file: keys/client/demo.pub.pem
    allow:
      - resource: https://es256.example.com
        scopes: [read]
        default_scopes: [read]
      - resource: https://rs256.example.com
        scopes: [read]
        default_scopes: [read]
`

// Two resources, each with its own algorithm: a token is good at one of them, and until it expires.
func TestAlgorithmsAudiencesExpiry(t *testing.T) {
	w := newWorld(t)
	w.write("registry.yaml", registry)
	issuer := w.start("issuer", "--keys-dir", w.path("keys/issuer"), "--registry", w.path("registry.yaml"))
	es256 := w.start("resource", "--issuer", issuer.url, "--audience", "https://es256.example.com", "--leeway", "0s")
	rs256 := w.start("resource", "--issuer", issuer.url, "--audience", "https://rs256.example.com")
	es256.waitReady()
	rs256.waitReady()

	rsToken := w.client(issuer, rs256, "token", "--resource", "https://rs256.example.com").mustRunTrimmed(t)
	if got := get(t, rs256.url+"/", rsToken).status; got != http.StatusOK {
		t.Errorf("RS256 token at its resource: got %d", got)
	}
	if got := get(t, es256.url+"/", rsToken).status; got != http.StatusUnauthorized {
		t.Errorf("RS256 token at the other resource: got %d, want 401", got)
	}
	esToken := w.client(issuer, es256, "token", "--resource", "https://es256.example.com").mustRunTrimmed(t)
	if got := get(t, es256.url+"/", esToken).status; got != http.StatusOK {
		t.Errorf("ES256 token at its resource: got %d", got)
	}
	if got := get(t, rs256.url+"/", esToken).status; got != http.StatusUnauthorized {
		t.Errorf("ES256 token at the other resource: got %d, want 401", got)
	}
	eventually(t, "the token has expired", func() bool {
		return get(t, es256.url+"/", esToken).status == http.StatusUnauthorized
	})
	if run := w.client(issuer, es256, "token").run(); run.code != 4 || !strings.Contains(run.stderr, "invalid_target") {
		t.Errorf("no resource named: exit %d, %s", run.code, run.stderr)
	}
}

// An issuer that nobody configured cannot make tokens for a resource server, whatever it puts into them.
func TestForeignIssuer(t *testing.T) {
	w := newWorld(t)
	issuer := w.start("issuer", "--keys-dir", w.path("keys/issuer"))
	resource := w.start("resource", "--issuer", issuer.url)
	resource.waitReady()
	w.genkeys("foreign")

	rows := []struct{ name, identifier string }{
		{"under its own name", "http://" + freeAddress(t)},
		{"under the name of the real one", issuer.url},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			foreign := w.start("issuer", "--keys-dir", w.path("foreign/issuer"), "--issuer", row.identifier)
			token := tokenFrom(t, foreign, row.identifier, w.path("foreign/client/demo.pem"))
			got := get(t, resource.url+"/", token)
			if got.status != http.StatusUnauthorized {
				t.Errorf("got %d, want 401", got.status)
			}
		})
	}
}

// tokenFrom asks an issuer at its address for a token, whatever it calls itself.
func tokenFrom(t *testing.T, issuer *program, identifier, keyFile string) string {
	t.Helper()
	key, err := keys.ReadPrivateKey(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	claims := fmt.Sprintf(`{"iss":"demo","sub":"demo","aud":%q,"jti":%q,"exp":%d}`,
		identifier, rand.Text(), time.Now().Add(time.Minute).Unix())
	assertion, err := key.Sign(keys.TypeClientAssertion, []byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.PostForm(issuer.url+"/oauth2/token", url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {assertion},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("status %d, no token: %v", resp.StatusCode, err)
	}
	return answer.AccessToken
}

// An issuer that is killed, rather than stopped, starts again with the same keys.
func TestKilledIssuer(t *testing.T) {
	w := newWorld(t)
	issuer := w.start("issuer", "--keys-dir", w.path("keys/issuer"))
	resource := w.start("resource", "--issuer", issuer.url)
	resource.waitReady()
	token := w.client(issuer, resource, "token").mustRunTrimmed(t)
	issuer.kill(syscall.SIGKILL)
	issuer.restart()
	if got := get(t, resource.url+"/", token).status; got != http.StatusOK {
		t.Errorf("got %d", got)
	}
	if got := w.client(issuer, resource).mustRun(t); got != "Super Secret Information\n" {
		t.Errorf("got %q", got)
	}
}

// What goes wrong before anything runs is said with what to do about it.
func TestClientMistakes(t *testing.T) {
	w := newWorld(t)
	loose := w.path("loose.pem")
	text, err := os.ReadFile(filepath.Join(w.dir, "keys/client/demo.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(loose, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(loose, 0o644); err != nil { // WriteFile is subject to the umask
		t.Fatal(err)
	}
	rows := []struct {
		name string
		args []string
		code int
		hint string
	}{
		{"issuer down", []string{"--issuer", "http://" + freeAddress(t)}, 5, "go run ./issuer"},
		{"no key", []string{"--key", w.path("none.pem")}, 2, "scripts/genkeys.sh"},
		{"key open to others", []string{"--key", loose}, 2, "chmod 600"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			run := w.command("client", append([]string{"--key", w.path("keys/client/demo.pem")}, row.args...)...).run()
			if run.code != row.code || !strings.Contains(run.stderr, "hint: ") || !strings.Contains(run.stderr, row.hint) {
				t.Errorf("exit %d, want %d; stderr without %q:\n%s", run.code, row.code, row.hint, run.stderr)
			}
		})
	}
}
