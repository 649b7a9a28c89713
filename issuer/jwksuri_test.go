package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/issuer/internal/config"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// asserted asks for a token as a client with a key does. Each call makes another assertion.
func asserted(t *testing.T, issuer, id string, key *keys.PrivateKey) url.Values {
	t.Helper()
	payload, err := json.Marshal(map[string]any{
		"iss": id, "sub": id, "aud": issuer, "exp": time.Now().Add(time.Minute).Unix(),
		"jti": fmt.Sprint("assertion ", assertions.Add(1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	assertion, err := key.Sign(keys.TypeClientAssertion, payload)
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{
		"grant_type":            {"client_credentials"},
		"client_assertion":      {assertion},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
	}
}

var assertions atomic.Int64

const allowLoopback = "--clients-jwks-networks=127.0.0.0/8"

// A client that publishes its keys obtains a token, and changes its key without the issuer being told. The clock of the
// fetches is the test's: a client's keys are not fetched twice in half a minute.
func TestJWKSURI(t *testing.T) {
	t.Parallel()
	published := keystest.NewServer(keystest.Set(keystest.ES256))
	defer published.Close()
	h := newHome(t, ordersYAML("  - {id: billing, jwks_uri: '"+published.URL+"/.well-known/jwks.json', "+orders+"}\n"))
	clock := keystest.NewClock()
	issuer := h.serveWith(clientjwks.Config{
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: slog.New(slog.DiscardHandler), Now: clock.Now,
	})
	expect := func(step string, key string, status, fetches int) {
		t.Helper()
		got, err := ask(http.DefaultClient, issuer, asserted(t, issuer, "billing", keystest.Key(key)))
		if err != nil || got.status != status {
			t.Errorf("%s: %v, error %v, want status %d", step, got, err, status)
		}
		if published.Fetches() != fetches {
			t.Errorf("%s: %d fetches by now, want %d", step, published.Fetches(), fetches)
		}
	}
	expect("the first token", keystest.ES256, 200, 1)
	expect("the second", keystest.ES256, 200, 1)
	expect("a key that is not published", keystest.ES256Other, 401, 1)

	published.Publish(keystest.Set(keystest.ES256, keystest.RS256))
	clock.Advance(31 * time.Second)
	expect("the next key, once it is published", keystest.RS256, 200, 2)
	expect("the key from before", keystest.ES256, 200, 2)

	published.Publish(keystest.Set(keystest.RS256))
	clock.Advance(5*time.Minute + time.Second)
	expect("the key from before, when it is gone", keystest.ES256, 401, 3)
	expect("the next key", keystest.RS256, 200, 3)

	published.Fail(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	clock.Advance(23 * time.Hour)
	expect("while the client's server is down", keystest.RS256, 200, 4)
	clock.Advance(2 * time.Hour)
	expect("for longer than a day", keystest.RS256, 503, 5)
}

// serveWith serves the issuer's handlers in this process, until the test ends. Clients' keys are fetched in that way.
func (h *home) serveWith(cfg clientjwks.Config) string {
	h.t.Helper()
	flags := pflag.NewFlagSet("issuer", pflag.ContinueOnError)
	settings := config.Bind(flags)
	h.must(flags.Parse(h.settings))
	p, err := assemble(h.t.Context(), settings, noLogs, serving)
	h.must(err)
	h.t.Cleanup(p.close)
	remote := clientjwks.New(cfg)
	h.t.Cleanup(remote.Close)
	site := httptest.NewUnstartedServer(nil)
	settings.Issuer = "http://" + site.Listener.Addr().String()
	handlers, err := p.handlers(noLogs, remote, &store.Uses{Store: p.store}, new(atomic.Bool))
	h.must(err)
	site.Config.Handler = handlers.Public
	site.Start()
	h.t.Cleanup(site.Close)
	return settings.Issuer
}

// publisher serves a JWK Set in many ways, each at a path of its own.
func publisher(t *testing.T) *httptest.Server {
	t.Helper()
	ended := make(chan struct{})
	set, err := keystest.Set(keystest.ES256).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	say := func(path string, status int, text string) {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write([]byte(text))
		})
	}
	say("/good", 200, string(set))
	say("/error", 500, string(set))
	say("/missing", 404, "not found")
	say("/empty", 200, "")
	say("/emptyset", 200, `{"keys":[]}`)
	say("/html", 200, "<!doctype html>")
	say("/large", 200, `{"keys":[`+strings.Repeat(" ", 10<<20)+strings.TrimPrefix(string(set), `{"keys":[`))
	say("/private", 200, `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`)
	mux.Handle("/redirect", http.RedirectHandler("http://127.0.0.1:1/good", http.StatusFound))
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	})
	mux.HandleFunc("/cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write(set[:10])
	})
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		close(ended)
		server.Close()
	})
	return server
}

// Whatever a client's server does, its client is told to come again, the log says what is wrong, and nobody else
// notices.
func TestJWKSURIThatFails(t *testing.T) {
	t.Parallel()
	rows := []struct{ path, cause string }{ // URL stands for the address
		{"hang", "still being fetched"},
		{"error", "asking for the JWK Set at URL: fetching failed: status 500"},
		{"missing", "asking for the JWK Set at URL: fetching failed: status 404"},
		{"redirect",
			`asking for the JWK Set at URL: fetching failed: Get "http://127.0.0.1:1/good": redirect to another origin`},
		{"large", "asking for the JWK Set at URL: fetching failed: the answer is longer than 524288 octets"},
		{"cut", "asking for the JWK Set at URL: fetching failed: reading the answer: unexpected EOF"},
		{"empty", "reading the JWK Set at URL: not a JWK Set: not strict JSON"},
		{"emptyset", "reading the JWK Set at URL: no keys: none of the 0 keys of the set is usable"},
		{"html", "reading the JWK Set at URL: not a JWK Set: not strict JSON"},
		{"private", "reading the JWK Set at URL: no keys: none of the 1 keys of the set is usable"},
	}
	server := publisher(t)
	secret, line := freshSecret()
	list := "  - {id: other, " + line + ", " + orders + "}\n" +
		"  - {id: good, jwks_uri: '" + server.URL + "/good', " + orders + "}\n"
	for _, row := range rows {
		list += fmt.Sprintf("  - {id: %[1]s, jwks_uri: '%[2]s/%[1]s', %[3]s}\n", row.path, server.URL, orders)
	}
	p := newHome(t, ordersYAML(list)).start(append(unlimited(), allowLoopback)...)
	stop := p.others(withSecret("other", secret))
	for _, row := range rows {
		t.Run(row.path, func(t *testing.T) {
			got, err := ask(http.DefaultClient, p.issuer, asserted(t, p.issuer, row.path, keystest.Key(keystest.ES256)))
			if err != nil {
				t.Fatal(err)
			}
			want := answer{status: 503, code: "temporarily_unavailable",
				description: "the client's keys cannot be fetched now", retryAfter: "5"}
			if got != want {
				t.Errorf("answer %+v\nwant   %+v", got, want)
			}
			entry := p.log.await(t, p.ended, "audit", `"event":"token.refused"`, `"client_id":"`+row.path+`"`)
			cause := "client's keys not available: " + strings.ReplaceAll(row.cause, "URL", server.URL+"/"+row.path)
			if entry["cause"] != cause {
				t.Errorf("cause %q\nwant  %q", entry["cause"], cause)
			}
		})
	}
	got, err := ask(http.DefaultClient, p.issuer, asserted(t, p.issuer, "good", keystest.Key(keystest.ES256)))
	if err != nil || got.status != 200 {
		t.Errorf("the client whose server answers: %v, error %v", got, err)
	}
	stop()
	p.stop()
}

// A crowd that waits for a server that hangs leaves room for all others.
func TestJWKSURIThatHangsForMany(t *testing.T) {
	t.Parallel()
	server := publisher(t)
	secret, line := freshSecret()
	p := newHome(t, ordersYAML("  - {id: other, "+line+", "+orders+"}\n"+
		"  - {id: hang, jwks_uri: '"+server.URL+"/hang', "+orders+"}\n")).
		start(append(unlimited(), allowLoopback)...)
	forms := make([]url.Values, 200) // more than may be in flight
	for i := range forms {
		forms[i] = asserted(t, p.issuer, "hang", keystest.Key(keystest.ES256))
	}
	stop := p.others(withSecret("other", secret))
	var asking sync.WaitGroup
	for _, form := range forms {
		asking.Go(func() {
			got, err := ask(http.DefaultClient, p.issuer, form)
			if err != nil || got.status != 503 || got.code != "temporarily_unavailable" || got.retryAfter == "" {
				t.Errorf("answer %+v, error %v", got, err)
			}
		})
	}
	asking.Wait()
	stop()
	p.stop()
}

// others sends that form again and again until what it returns is called, and fails the test when an answer is no
// token.
func (p *program) others(form url.Values) (stop func()) {
	ended, count := make(chan struct{}), 0
	var running sync.WaitGroup
	running.Go(func() {
		again := time.NewTicker(5 * time.Millisecond)
		defer again.Stop()
		for {
			select {
			case <-ended:
				return
			case <-again.C:
			}
			count++
			started := time.Now()
			got, err := ask(http.DefaultClient, p.issuer, form)
			if took := time.Since(started); err != nil || got.status != 200 || took > 2*time.Second {
				p.home.t.Errorf("another client: %v after %v, error %v", got, took, err)
				return
			}
		}
	})
	return func() {
		close(ended)
		running.Wait()
		if count < 10 {
			p.home.t.Errorf("another client asked only %d times", count)
		}
	}
}

// A private address is not asked unless the settings allow it, whatever the registry says.
func TestJWKSURIOnAPrivateAddress(t *testing.T) {
	t.Parallel()
	published := keystest.NewServer(keystest.Set(keystest.ES256))
	t.Cleanup(published.Close)
	rows := []struct {
		name string
		args []string
	}{
		{"nothing is allowed", nil},
		{"other networks are", []string{"--clients-jwks-networks", "10.0.0.0/8,127.1.0.0/16"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			uri := published.URL + "/.well-known/jwks.json"
			p := newHome(t, ordersYAML("  - {id: billing, jwks_uri: '"+uri+"', "+orders+"}\n")).start(row.args...)
			got, err := ask(http.DefaultClient, p.issuer, asserted(t, p.issuer, "billing", keystest.Key(keystest.ES256)))
			if err != nil || got.status != 503 || got.code != "temporarily_unavailable" || got.retryAfter != "5" {
				t.Errorf("answer %+v, error %v", got, err)
			}
			if strings.Contains(got.description, "127.0.0.1") {
				t.Errorf("the caller is told %q", got.description)
			}
			cause := "asking for the JWK Set at " + uri + ": fetching failed: Get \"" + uri + "\": dial tcp " +
				published.Listener.Addr().String() +
				": address not allowed: 127.0.0.1 is neither public nor in a network that is allowed"
			entry := p.log.await(t, p.ended, "fetching a client's keys failed")
			if entry["cause"] != cause || entry["uri"] != uri {
				t.Errorf("log %q\nwant %q", entry, cause)
			}
			entry = p.log.await(t, p.ended, "audit", `"event":"token.refused"`, `"client_id":"billing"`)
			if want := "client's keys not available: " + cause; entry["cause"] != want {
				t.Errorf("cause %q\nwant  %q", entry["cause"], want)
			}
			p.stop()
		})
	}
	t.Cleanup(func() {
		if published.Fetches() > 0 {
			t.Errorf("%d fetches", published.Fetches())
		}
	})
}
