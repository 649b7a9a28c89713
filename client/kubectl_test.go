package main

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// cluster is an API server on loopback, over TLS, that answers any request whose bearer token it likes.
type cluster struct {
	*httptest.Server
	mu     sync.Mutex
	tokens []string // that were presented; guarded by mu
}

func newCluster(t *testing.T, accepts func(token string) bool) *cluster {
	t.Helper()
	c := new(cluster)
	c.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		c.mu.Lock()
		c.tokens = append(c.tokens, token)
		c.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if !accepts(token) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = w.Write(mustJSON(map[string]any{
				"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "Unauthorized", "reason": "Unauthorized", "code": 401}))
			return
		}
		_, _ = w.Write(mustJSON(map[string]any{"kind": "ConfigMap", "apiVersion": "v1", "metadata": map[string]string{"name": "demo"}}))
	}))
	t.Cleanup(c.Close)
	return c
}

// kubectl is a real kubectl, whose user's credentials come from the client.
type kubectl struct {
	t      *testing.T
	path   string
	home   string
	issuer *fakeIssuer
}

func newKubectl(t *testing.T, c *cluster, version string) *kubectl {
	t.Helper()
	path, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("there is no kubectl here")
	}
	k := &kubectl{t, path, t.TempDir(), newFakeIssuer()}
	t.Cleanup(k.issuer.Close)
	if err := writeKeys(k.home); err != nil {
		t.Fatal(err)
	}
	client, err := exec.LookPath("client") // [testscript.Main] has put it there
	if err != nil {
		t.Fatal(err)
	}
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})
	config := map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "demo",
		"clusters": []any{map[string]any{"name": "demo", "cluster": map[string]any{"server": c.URL, "certificate-authority-data": authority}}},
		"contexts": []any{map[string]any{"name": "demo", "context": map[string]any{"cluster": "demo", "user": "demo"}}},
		"users": []any{map[string]any{"name": "demo", "user": map[string]any{"exec": map[string]any{
			"apiVersion": "client.authentication.k8s.io/" + version, "command": client,
			"args": []string{"token", "-o", "exec-credential", "--issuer", k.issuer.URL, "--key", filepath.Join(k.home, "demo.pem")},
			"env":  []any{map[string]string{"name": "GORACE", "value": "atexit_sleep_ms=0"}}, "interactiveMode": "Never",
			"installHint": "build it: go build ./client"}}}},
	}
	if err := os.WriteFile(filepath.Join(k.home, "config"), mustJSON(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

func (k *kubectl) run(args ...string) (string, error) {
	k.t.Helper()
	cmd := exec.Command(k.path, args...)
	cmd.Env = []string{"HOME=" + k.home, "KUBECONFIG=" + filepath.Join(k.home, "config"), "PATH=" + os.Getenv("PATH")}
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// kubectl presents the token that the client obtained, in both versions of the agreement between them, each time anew.
func TestKubectl(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"v1", "v1beta1"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, func(token string) bool { return jwt.MatchString(token) })
			k := newKubectl(t, c, version)
			for range 2 {
				out, err := k.run("get", "--raw", "/api/v1/namespaces/default/configmaps/demo")
				if err != nil || !json.Valid([]byte(out)) {
					t.Fatalf("%v: %s", err, out)
				}
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, token := range c.tokens {
				if !jwt.MatchString(token) {
					t.Errorf("it presented %q", token)
				}
			}
			if k.issuer.asked.Load() == 0 || len(c.tokens) < 2 {
				t.Errorf("the issuer was asked %d times, the API server %d times", k.issuer.asked.Load(), len(c.tokens))
			}
		})
	}
}

// What the client says when there is no token is what one sees of kubectl.
func TestKubectlIsRefused(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		spoil func(k *kubectl)
		want  string
	}{
		{"refused", func(k *kubectl) { k.issuer.answer("token", refusing(0)) }, `issuer refused: "invalid_client"`},
		{"away", func(k *kubectl) { k.issuer.Close() }, "issuer unreachable"},
		{"loose key", func(k *kubectl) { _ = os.Chmod(filepath.Join(k.home, "demo.pem"), 0o644) }, "hint: if nobody has read it: chmod 600 "},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, func(string) bool { return true })
			k := newKubectl(t, c, "v1")
			row.spoil(k)
			out, err := k.run("get", "--raw", "/api")
			if err == nil || !strings.Contains(out, row.want) || !strings.Contains(out, "error: ") {
				t.Errorf("%v: %s", err, out)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			if len(c.tokens) != 0 {
				t.Errorf("the API server was asked all the same: %q", c.tokens)
			}
		})
	}
}

// A token that the API server does not take is said to be so by kubectl.
func TestKubectlWithATokenThatIsNotTaken(t *testing.T) {
	t.Parallel()
	k := newKubectl(t, newCluster(t, func(string) bool { return false }), "v1")
	out, err := k.run("get", "--raw", "/api")
	if err == nil || !strings.Contains(out, "Unauthorized") && !strings.Contains(out, "logged in") {
		t.Errorf("%v: %s", err, out)
	}
	if jwt.MatchString(out) {
		t.Errorf("a token is in what it says: %s", out)
	}
}
