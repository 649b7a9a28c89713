package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"example.com/signet/client/tokens"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

const (
	ordersAudience  = "https://orders.example.com"
	billingAudience = "https://billing.example.com"
	legacySecret    = "a secret: with 100 % + of everything & \"quotes\""
)

// tokensWorld is the real issuer with clients of every kind, and two real resource servers.
type tokensWorld struct {
	*world
	issuer, orders, billing *program
}

func newTokensWorld(t *testing.T, lifetime time.Duration) tokensWorld {
	t.Helper()
	w := newWorld(t)
	own := jwkOf(t, "the-client's-own-name")
	public, err := json.Marshal(own.public)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, audience := range []string{ordersAudience, billingAudience} {
		if text.Len() == 0 {
			text.WriteString("resources:\n")
		}
		fmt.Fprintf(&text, "  - {audience: %q, scopes: [read, admin], token_lifetime: %v}\n", audience, lifetime)
	}
	allow := fmt.Sprintf("    allow:\n      - {resource: %q, scopes: [read, admin], default_scopes: [read]}\n"+
		"      - {resource: %q, scopes: [read], default_scopes: [read]}\n    default_resource: %q\n",
		ordersAudience, billingAudience, ordersAudience)
	fmt.Fprintf(&text, "clients:\n  - id: demo\n    keys: [{file: keys/client/demo.pub.pem}]\n%s", allow)
	fmt.Fprintf(&text, "  - id: named\n    keys: [{jwk: %s}]\n%s", public, allow)
	fmt.Fprintf(&text, "  - id: legacy\n    secrets: [{sha256: %x}]\n%s", sha256.Sum256([]byte(legacySecret)), allow)
	w.write("registry.yaml", text.String())
	w.write("named.jwk", string(own.text(t)))
	w.write("legacy.secret", legacySecret+"\n")
	world := tokensWorld{world: w}
	world.issuer = w.start("issuer", "--keys-dir", w.path("keys/issuer"), "--registry", w.path("registry.yaml"), "--jwks-max-age", "1s")
	start := func(audience string) *program {
		p := w.start("resource", "--issuer", world.issuer.url, "--audience", audience, "--leeway", "0s", "--jwks-min-refresh", "1s",
			"--jwks-cooldown", "1s")
		p.waitReady()
		return p
	}
	world.orders, world.billing = start(ordersAudience), start(billingAudience)
	return world
}

// jwk is the test key ES256 as a JWK under a name of its own.
type jwk struct{ private, public map[string]string }

func jwkOf(t *testing.T, kid string) jwk {
	t.Helper()
	raw, isEC := keystest.Raw(keystest.ES256).(*ecdsa.PrivateKey)
	if !isEC {
		t.Fatal("not an EC key")
	}
	point, errPoint := raw.PublicKey.Bytes()
	d, errD := raw.Bytes()
	if errPoint != nil || errD != nil {
		t.Fatal(errPoint, errD)
	}
	encode := base64.RawURLEncoding.EncodeToString
	public := map[string]string{"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": kid, "x": encode(point[1:33]), "y": encode(point[33:])}
	private := map[string]string{"d": encode(d)}
	for name, value := range public {
		private[name] = value
	}
	return jwk{private, public}
}

func (j jwk) text(t *testing.T) []byte {
	t.Helper()
	text, err := json.Marshal(j.private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (w tokensWorld) key(name string) *keys.PrivateKey {
	w.t.Helper()
	key, err := keys.ReadClientKey(w.path(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return key
}

// writeAssertion makes a fresh assertion of the demo client, as whoever mounts such files would.
func (w tokensWorld) writeAssertion(name string) {
	w.t.Helper()
	claims := fmt.Sprintf(`{"iss":"demo","sub":"demo","aud":%q,"jti":%q,"exp":%d}`, w.issuer.url, rand.Text(), time.Now().Add(time.Minute).Unix())
	assertion, err := w.key("keys/client/demo.pem").Sign(keys.TypeClientAssertion, []byte(claims))
	if err != nil {
		w.t.Fatal(err)
	}
	w.write(name+".new", assertion+"\n")
	if err := os.Rename(w.path(name+".new"), w.path(name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w tokensWorld) source(id string, credential tokens.Credential, edit func(*tokens.Config)) *tokens.Source {
	w.t.Helper()
	cfg := tokens.Config{Issuer: w.issuer.url, ClientID: id, Credential: credential, Resource: ordersAudience, Origin: w.orders.url}
	if edit != nil {
		edit(&cfg)
	}
	source, err := tokens.New(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(source.Close)
	return source
}

// wantAnswer calls url and wants the status.
func wantAnswer(t *testing.T, client *http.Client, url string, status int) {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Errorf("%s: got %d %q %v, want %d", url, resp.StatusCode, body, err, status)
	}
}

// Every way of proving who we are is one that the real issuer takes, and its token one that the real resource server takes.
func TestTokensOfRealIssuer(t *testing.T) {
	w := newTokensWorld(t, time.Minute)
	w.writeAssertion("assertion.jwt")
	for _, row := range []struct {
		name, id   string
		credential tokens.Credential
	}{
		{"PEM", "demo", tokens.PrivateKey(w.key("keys/client/demo.pem"))},
		{"JWK with a kid of its own", "named", tokens.PrivateKey(w.key("named.jwk"))},
		{"secret", "legacy", tokens.Secret(legacySecret)},
		{"secret in a file", "legacy", tokens.SecretFile(w.path("legacy.secret"))},
		{"assertion in a file", "", tokens.AssertionFile(w.path("assertion.jwt"))},
	} {
		for name, header := range map[string]tokens.Header{"Token": tokens.TokenHeader, "Authorization": tokens.AuthorizationHeader} {
			t.Run(row.name+"/"+name, func(t *testing.T) {
				w.writeAssertion("assertion.jwt") // one is good once
				source := w.source(row.id, row.credential, func(cfg *tokens.Config) { cfg.Header = header })
				wantAnswer(t, &http.Client{Transport: source.Transport(nil)}, w.orders.url+"/", http.StatusOK)
			})
		}
	}
	t.Run("TokenSource", func(t *testing.T) {
		source := w.source("demo", tokens.PrivateKey(w.key("keys/client/demo.pem")), nil)
		wantAnswer(t, oauth2.NewClient(t.Context(), source.TokenSource(t.Context())), w.orders.url+"/", http.StatusOK)
	})
	t.Run("each target has a token of its own", func(t *testing.T) {
		orders := w.source("demo", tokens.PrivateKey(w.key("keys/client/demo.pem")), nil)
		for _, row := range []struct {
			name        string
			target      tokens.Target
			path        string
			wantBilling int
			wantOrders  int
		}{
			{"billing", tokens.Target{Resource: billingAudience, Origin: w.billing.url}, "/", http.StatusOK, 0},
			{"orders as an administrator", tokens.Target{Resource: ordersAudience, Scope: []string{"admin"}, Origin: w.orders.url}, "/admin", 0, http.StatusOK},
			{"orders without", tokens.Target{Resource: ordersAudience, Origin: w.orders.url}, "/admin", 0, http.StatusForbidden},
			{"orders' token at billing", tokens.Target{Resource: ordersAudience, Origin: w.billing.url}, "/", http.StatusUnauthorized, 0},
		} {
			source, err := orders.For(row.target)
			if err != nil {
				t.Fatal(err)
			}
			client := &http.Client{Transport: source.Transport(nil)}
			if row.wantBilling != 0 {
				wantAnswer(t, client, w.billing.url+row.path, row.wantBilling)
			}
			if row.wantOrders != 0 {
				wantAnswer(t, client, w.orders.url+row.path, row.wantOrders)
			}
		}
	})
	t.Run("nothing secret is in a log", func(t *testing.T) {
		for _, p := range []*program{w.issuer, w.orders, w.billing} {
			if strings.Contains(p.log(), legacySecret) || strings.Contains(p.log(), "eyJ") {
				t.Errorf("the log of %s holds a secret, an assertion or a token", p.name)
			}
		}
	})
}

// Tokens of three seconds, without any leeway at the resource server: no call is refused, and none waits for a token but
// the first.
func TestTokensStayFresh(t *testing.T) {
	w := newTokensWorld(t, 3*time.Second)
	var exchanges atomic.Int64
	source := w.source("demo", tokens.PrivateKey(w.key("keys/client/demo.pem")), func(cfg *tokens.Config) {
		cfg.OnExchange = func(e tokens.Exchange) {
			exchanges.Add(1)
			if e.Err != nil {
				t.Error(e.Err)
			}
		}
	})
	client := &http.Client{Transport: source.Transport(nil)}
	calls := 0
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); calls++ {
		wantAnswer(t, client, w.orders.url+"/", http.StatusOK)
		time.Sleep(5 * time.Millisecond) // so that the test is no load test
	}
	// One each 1.4 to 1.8 seconds, for the issuer says 2 to be safe; a machine that stands still may miss some.
	if n := exchanges.Load(); n < 2 || n > 7 {
		t.Errorf("%d exchanges for %d calls in 8 s", n, calls)
	}
}

// The issuer's key is revoked, and with it every token: callers notice nothing.
func TestTokensSurviveRevocation(t *testing.T) {
	w := newTokensWorld(t, 10*time.Minute)
	source := w.source("demo", tokens.PrivateKey(w.key("keys/client/demo.pem")), nil)
	client := &http.Client{Transport: source.Transport(nil), Timeout: patience}
	wantAnswer(t, client, w.orders.url+"/", http.StatusOK)
	old, err := source.Token(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	w.command("issuer", "keys", "revoke", "--all", "--keys-dir", w.path("keys/issuer"), "--jwks-max-age", "1s", "--wait", "--private-listen",
		strings.TrimPrefix(w.issuer.private, "http://")).mustRun(t)
	eventually(t, "the old token is refused", func() bool {
		wantAnswer(t, client, w.orders.url+"/", http.StatusOK)
		return get(t, w.orders.url+"/", old.AccessToken()).status == http.StatusUnauthorized
	})
	wantAnswer(t, client, w.orders.url+"/", http.StatusOK)
	if now, err := source.Token(context.Background()); err != nil || now.AccessToken() == old.AccessToken() {
		t.Errorf("the refused token is still handed out, error %v", err)
	}
}
