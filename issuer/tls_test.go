package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/signet/keys"
)

// pair is a certificate for loopback that signs itself, and its key, in PEM.
type pair struct{ cert, key []byte }

func newPair(serial int64) (pair, error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "issuer"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"issuer.example.com"},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return pair{}, err
	}
	key, err := x509.MarshalPKCS8PrivateKey(signer)
	return pair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
	}, err
}

// certificate writes a certificate and its key: certificate cert.pem key.pem.
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: certificate cert.pem key.pem")
	}
	made, err := newPair(1)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), made.cert, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), made.key, 0o600))
}

// certify puts a new certificate into cert.pem and key.pem.
func (h *home) certify(serial int64) pair {
	h.t.Helper()
	made, err := newPair(serial)
	h.must(err)
	h.write("cert.pem", made.cert)
	h.write("key.pem", made.key)
	return made
}

// trusting is a client that trusts those certificates alone, and makes a connection for each request.
func trusting(t *testing.T, pairs ...pair) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	for _, one := range pairs {
		if !roots.AppendCertsFromPEM(one.cert) {
			t.Fatal("no certificate")
		}
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
	}}
}

// With a certificate the issuer speaks TLS to everyone, and plain HTTP on the private listener on loopback alone.
func TestTLS(t *testing.T) {
	t.Parallel()
	secret, line := freshSecret()
	h := newHome(t, ordersYAML("  - {id: billing, "+line+", "+orders+"}\n"))
	first := h.certify(1)
	p := h.start("--tls-cert", h.path("cert.pem"), "--tls-key", h.path("key.pem"), "--keys-publish-ahead", "10m")
	client := trusting(t, first)
	if want := "https://" + p.public; p.issuer != want {
		t.Errorf("issuer %q, want %q", p.issuer, want)
	}

	t.Run("a token, and the keys that verify it", func(t *testing.T) {
		got, err := ask(client, p.issuer, withSecret("billing", secret))
		if err != nil || got.status != http.StatusOK {
			t.Fatalf("%v, error %v", got, err)
		}
		set, err := jwks(client, p.issuer+"/.well-known/jwks.json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := set.Verify(got.token); err != nil {
			t.Error(err)
		}
	})
	t.Run("plain HTTP is refused", func(t *testing.T) {
		got, err := http.Get("http://" + p.public + "/.well-known/jwks.json")
		if err != nil {
			t.Fatal(err)
		}
		got.Body.Close()
		if got.StatusCode != http.StatusBadRequest {
			t.Errorf("status %d", got.StatusCode)
		}
	})
	t.Run("nothing older than TLS 1.2", func(t *testing.T) {
		conn, err := tls.Dial("tcp", p.public, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS11})
		if err == nil {
			conn.Close()
			t.Error("accepted")
		}
	})
	t.Run("the private listener is plain", func(t *testing.T) {
		for _, path := range []string{"/readyz", "/livez", "/.well-known/jwks.json"} {
			if _, err := fetch(t.Context(), "http://"+p.private+path); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
	t.Run("keys rotate --wait", func(t *testing.T) { h.rotates(p) })
	t.Run("another certificate", func(t *testing.T) { h.changesCertificate(p, first) })
	p.stop()
}

// rotates rotates a key of the running issuer.
func (h *home) rotates(p *program) {
	h.t.Helper()
	if err := until(func() error { return p.metric(`signet_keys{alg="ES256",state="standby"} 1`) }); err != nil {
		h.t.Fatal(err)
	}
	files, err := filepath.Glob(h.path("keys/*.pem"))
	h.must(err)
	for _, file := range files { // they look as if they were published long ago
		h.must(os.Chtimes(file, time.Time{}, time.Now().Add(-time.Hour)))
	}
	h.ok("keys", "rotate", "--alg", "ES256", "--wait",
		"--keys-publish-ahead", "10m", "--private-listen", p.private, "--listen", p.public,
		"--tls-cert", h.path("cert.pem"), "--tls-key", h.path("key.pem"))
	if entry := p.log.find("audit", `"event":"key.signs"`, `"alg":"ES256"`); entry == nil {
		h.t.Errorf("the key that signs now is not in the audit trail:\n%s", p.log)
	}
}

// changesCertificate replaces the certificate of the running issuer: by nonsense, by half of a pair, and by a good one.
func (h *home) changesCertificate(p *program, first pair) {
	h.t.Helper()
	old := trusting(h.t, first)
	serves := func(client *http.Client) error {
		response, err := client.Get(p.issuer + "/.well-known/jwks.json")
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	second, err := newPair(2)
	h.must(err)
	h.write("cert.pem", second.cert) // without its key
	p.log.await(h.t, p.ended, "reading the TLS certificate failed; serving the one from before")
	h.must(until(func() error { return p.metric("signet_tls_trouble 1") }))
	h.must(serves(old))

	h.write("key.pem", second.key)
	h.must(until(func() error { return serves(trusting(h.t, second)) }))
	h.must(p.metric("signet_tls_trouble 0"))
	var unknown x509.UnknownAuthorityError
	if err := serves(old); !errors.As(err, &unknown) {
		h.t.Errorf("the certificate from before is served still: %v", err)
	}

	h.must(os.Chmod(h.path("key.pem"), 0o644))
	p.log.await(h.t, p.ended, "reading the TLS certificate failed; serving the one from before", "mode is 0644")
	h.must(serves(trusting(h.t, second)))
}

// The private listener where others can reach it speaks TLS too, and the commands still find it.
func TestTLSOnThePrivateListener(t *testing.T) {
	t.Parallel()
	secret, line := freshSecret()
	h := newHome(t, ordersYAML("  - {id: billing, "+line+", "+orders+"}\n"))
	made := h.certify(1)
	p := h.start("--issuer", "https://issuer.example.com", "--private-listen", "0.0.0.0:0",
		"--tls-cert", h.path("cert.pem"), "--tls-key", h.path("key.pem"))
	_, port, err := net.SplitHostPort(p.private)
	h.must(err)
	if _, err := jwks(trusting(t, made), "https://127.0.0.1:"+port+"/.well-known/jwks.json"); err != nil {
		t.Error(err)
	}
	if _, err := fetch(t.Context(), "http://127.0.0.1:"+port+"/readyz"); err == nil {
		t.Error("plain HTTP is answered")
	}
	got, err := ask(trusting(t, made), "https://"+p.public, withSecret("billing", secret))
	if err != nil || got.status != 200 {
		t.Errorf("%v, error %v", got, err)
	}
	wait := []string{"keys", "generate", "--wait", "--private-listen", "0.0.0.0:" + port, "--tls-key", h.path("key.pem")}
	h.ok(append(wait, "--tls-cert", h.path("cert.pem"))...)

	other, err := newPair(2)
	h.must(err)
	h.write("other.pem", other.cert)
	var stderr bytes.Buffer
	waiting := h.command(append(wait, "--tls-cert", h.path("other.pem"))...)
	waiting.Stderr = &stderr
	h.must(waiting.Start())
	h.must(until(func() error { return p.logged("remote error: tls: bad certificate") }))
	h.must(waiting.Process.Signal(syscall.SIGINT))
	_ = waiting.Wait()
	code, text := waiting.ProcessState.ExitCode(), stderr.String()
	if code != exitUsage || !strings.Contains(text, "waiting for the running issuer: ") {
		t.Errorf("an issuer with another certificate is believed: code %d\n%s", code, text)
	}
	p.stop()
}

// What start refuses, with what to do.
func TestTLSRefused(t *testing.T) {
	t.Parallel()
	_, line := freshSecret()
	h := newHome(t, ordersYAML("  - {id: billing, "+line+", "+orders+"}\n"))
	h.ok("migrate", "up") // so that it is not in the log below
	other, err := newPair(9)
	h.must(err)
	cert, key := h.path("cert.pem"), h.path("key.pem")
	both := []string{"--tls-cert", cert, "--tls-key", key}
	rows := []struct {
		name    string
		prepare func()
		args    []string
		want    []string
	}{
		{"a key that others may read", func() { h.must(os.Chmod(key, 0o644)) }, both, []string{
			"error: --tls-cert and --tls-key: reading " + key + ": other users may read the key: mode is 0644",
			"hint: if nobody has read it: chmod o= " + key + " (otherwise have a new certificate issued)"}},
		{"another key", func() { h.write("key.pem", other.key) }, both, []string{
			"error: --tls-cert and --tls-key: reading the certificate " + cert + " and the key " + key + ": tls: private key does not match public key"}},
		{"no certificate", func() { h.write("cert.pem", nil) }, both, []string{
			"error: --tls-cert and --tls-key: reading the certificate " + cert + " and the key " + key +
				": tls: failed to find any PEM data in certificate input"}},
		{"half of the pair", func() {}, both[:2], []string{
			`error: --tls-cert "` + cert + `" and --tls-key "" go together: give both`}},
		{"no TLS where others can reach it", func() {},
			[]string{"--listen", "0.0.0.0:0", "--issuer", "https://issuer.example.com"},
			[]string{`error: --listen "0.0.0.0:0" is not loopback and would serve plain HTTP: give --tls-cert and --tls-key, ` +
				"name the proxy that speaks TLS with --trusted-proxies, or accept the risk with --insecure-http"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			h.certify(1)
			row.prepare()
			p := h.launch(row.args...)
			p.end(exitUsage)
			if got, want := p.log.String(), strings.Join(row.want, "\n")+"\n"; got != want {
				t.Errorf("stderr\n%swant\n%s", got, want)
			}
		})
	}
}

// Plain HTTP where others can reach it: to the proxies alone, or to everyone, with a warning.
func TestPlainHTTPForOthers(t *testing.T) {
	t.Parallel()
	secret, line := freshSecret()
	others := otherAddress(t)
	const public = "https://issuer.example.com"
	rows := []struct {
		name   string
		args   []string
		others int // the status for whoever comes by another address than loopback
		warns  bool
	}{
		{"for proxies elsewhere", []string{"--trusted-proxies", "198.51.100.7"}, http.StatusForbidden, false},
		{"for the proxy that asks", []string{"--trusted-proxies", others}, http.StatusOK, false},
		{"for everyone", []string{"--insecure-http"}, http.StatusOK, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t, ordersYAML("  - {id: billing, "+line+", "+orders+"}\n"))
			p := h.start(append(row.args, "--listen", "0.0.0.0:0", "--issuer", public)...)
			_, port, err := net.SplitHostPort(p.public)
			h.must(err)
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
			got, err := ask(client, "http://127.0.0.1:"+port, withSecret("billing", secret))
			if err != nil || got.status != 200 {
				t.Errorf("from loopback: %v, error %v", got, err)
			}
			elsewhere := from(t, others)
			for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server"} {
				response, err := elsewhere.Get("http://127.0.0.1:" + port + path)
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if response.StatusCode != row.others {
					t.Errorf("%s from %s: status %d, want %d", path, others, response.StatusCode, row.others)
				}
			}
			response, err := elsewhere.PostForm("http://127.0.0.1:"+port+"/oauth2/token", withSecret("billing", secret))
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if response.StatusCode != row.others {
				t.Errorf("token from %s: status %d, want %d", others, response.StatusCode, row.others)
			}
			p.stop()
			warned := p.log.find("INSECURE: serving plain HTTP; whoever can read the network reads secrets and tokens")
			if (warned != nil) != row.warns {
				t.Errorf("warned: %v, want %v", warned, row.warns)
			}
		})
	}
}

// from is a client whose requests come from that address of this machine.
func from(t *testing.T, address string) *http.Client {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
}

// otherAddress is an address of this machine that is not loopback.
func otherAddress(t *testing.T) string {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		if network, ok := one.(*net.IPNet); ok && network.IP.To4() != nil && network.IP.IsGlobalUnicast() {
			return network.IP.String()
		}
	}
	t.Skip("this machine has no address but loopback")
	return ""
}

// orders is what the clients of these tests may ask for.
const orders = "allow: [{resource: 'https://orders.example.com', scopes: [read], default_scopes: [read]}]"

// ordersYAML is a registry with those clients.
func ordersYAML(list string) string {
	return "resources:\n  - {audience: 'https://orders.example.com', scopes: [read]}\nclients:\n" + list
}

// jwks fetches a JWK Set.
func jwks(client *http.Client, url string) (*keys.Set, error) {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", response.StatusCode)
	}
	if err != nil {
		return nil, err
	}
	set, _, err := keys.ParseSet(body)
	return set, err
}
