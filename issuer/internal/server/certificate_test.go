package server_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys/keystest"
)

// authority issues certificates for 127.0.0.1, and its certificate is the only one that clients of a test trust.
type authority struct {
	key   crypto.Signer
	cert  *x509.Certificate
	clock *keystest.Clock
	count int64
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newAuthority(t *testing.T, clock *keystest.Clock) *authority {
	t.Helper()
	a := &authority{key: newKey(t), clock: clock}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: clock.Now().Add(-time.Hour), NotAfter: clock.Now().Add(1000 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue makes a certificate that is good from and until so long from now, and its key, in PEM.
func (a *authority) issue(t *testing.T, from, until time.Duration) (cert, key []byte) {
	t.Helper()
	a.count++
	signer := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1 + a.count), Subject: pkix.Name{CommonName: fmt.Sprint("certificate ", a.count)},
		NotBefore: a.clock.Now().Add(from), NotAfter: a.clock.Now().Add(until),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, signer.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
}

// pair are the files of a certificate, which is open, and an authority for new ones.
type pair struct {
	*authority
	*server.Certificate
	certFile, keyFile string
	log               *buffer
}

func newPair(t *testing.T) *pair {
	t.Helper()
	dir, clock := t.TempDir(), keystest.NewClock()
	p := &pair{
		authority: newAuthority(t, clock), log: &buffer{},
		certFile: filepath.Join(dir, "tls.crt"), keyFile: filepath.Join(dir, "tls.key"),
	}
	cert, key := p.issue(t, -time.Hour, time.Hour)
	p.put(t, p.certFile, cert, 0o644)
	p.put(t, p.keyFile, key, 0o600)
	var err error
	p.Certificate, err = server.OpenCertificate(p.certFile, p.keyFile, slog.New(slog.NewJSONHandler(p.log, nil)),
		clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// put replaces a file in one step.
func (p *pair) put(t *testing.T, path string, text []byte, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path+".new", text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path+".new", mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// look is the two looks that a change takes to be believed.
func (p *pair) look() {
	p.Look(false)
	p.Look(false)
}

// client trusts the authority alone; every request has a connection of its own.
func (p *pair) client(change ...func(*tls.Config)) *http.Client {
	pool := x509.NewCertPool()
	pool.AddCert(p.cert)
	cfg := &tls.Config{RootCAs: pool, Time: p.clock.Now, MinVersion: tls.VersionTLS10}
	for _, c := range change {
		c(cfg)
	}
	return &http.Client{
		Transport: &http.Transport{TLSClientConfig: cfg, ForceAttemptHTTP2: true, DisableKeepAlives: true},
		Timeout:   10 * time.Second,
	}
}

// served starts a listener that speaks TLS with the pair, and returns its address.
func (p *pair) served(t *testing.T, log *slog.Logger) string {
	t.Helper()
	listener := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) })
	go func() {
		ended <- server.Serve(ctx, log, server.Stop{Announce: func() {}, Grace: time.Second},
			server.Site{Listener: listener, Handler: handler, TLS: p.Config()})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// name is the certificate that a new connection is served.
func (p *pair) name(t *testing.T, address string) string {
	t.Helper()
	response, err := p.client().Get("https://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.TLS.PeerCertificates[0].Subject.CommonName
}

func TestCertificateIsServedAnew(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	address := p.served(t, slog.New(slog.DiscardHandler))
	check := func(when, want string) {
		t.Helper()
		if got := p.name(t, address); got != want {
			t.Errorf("%s: served %q, want %q", when, got, want)
		}
	}
	check("at the beginning", "certificate 1")
	cert, key := p.issue(t, -time.Hour, 2*time.Hour)
	p.put(t, p.keyFile, key, 0o640)
	p.look()
	check("with the new key alone", "certificate 1")
	if p.Trouble() == nil {
		t.Error("no trouble with a pair that does not match")
	}
	p.put(t, p.certFile, cert, 0o644)
	p.Look(false)
	check("with both, before they stand still", "certificate 1")
	p.Look(false)
	check("with both", "certificate 2")
	if err := p.Trouble(); err != nil {
		t.Error(err)
	}
	if want := p.clock.Now().Add(2 * time.Hour); !p.NotAfter().Equal(want) {
		t.Errorf("not after %v, want %v", p.NotAfter(), want)
	}
	cert, key = p.issue(t, -time.Hour, 3*time.Hour)
	p.put(t, p.certFile, cert, 0o644)
	p.put(t, p.keyFile, key, 0o600)
	p.Look(true)
	check("both at once, asked for", "certificate 3")
	if strings.Count(p.log.String(), "TLS certificate read") != 2 {
		t.Errorf("log %s", p.log)
	}
}

// A pair that cannot be used changes nothing, and says why; a good one ends the trouble.
func TestCertificateRefusesPairs(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		change func(t *testing.T, p *pair, cert, key []byte)
		want   string // of the trouble
	}{
		{"half a certificate", func(t *testing.T, p *pair, cert, key []byte) {
			p.put(t, p.certFile, cert[:len(cert)/2], 0o644)
			p.put(t, p.keyFile, key, 0o600)
		}, "reading the certificate CERT and the key KEY: tls: failed to find any PEM data in certificate input"},
		{"half a key", func(t *testing.T, p *pair, cert, key []byte) {
			p.put(t, p.certFile, cert, 0o644)
			p.put(t, p.keyFile, key[:len(key)/2], 0o600)
		}, "reading the certificate CERT and the key KEY: tls: failed to find any PEM data in key input"},
		{"empty files", func(t *testing.T, p *pair, _, _ []byte) {
			p.put(t, p.certFile, nil, 0o644)
			p.put(t, p.keyFile, nil, 0o600)
		}, "reading the certificate CERT and the key KEY: tls: failed to find any PEM data in certificate input"},
		{"no PEM", func(t *testing.T, p *pair, _, _ []byte) { p.put(t, p.certFile, []byte("certificate"), 0o644) },
			"reading the certificate CERT and the key KEY: tls: failed to find any PEM data in certificate input"},
		{"the other way round", func(t *testing.T, p *pair, cert, key []byte) {
			p.put(t, p.certFile, key, 0o644)
			p.put(t, p.keyFile, cert, 0o600)
		}, "reading the certificate CERT and the key KEY: tls: failed to find certificate PEM data in certificate input, " +
			"but did find a private key; PEM inputs may have been switched"},
		{"a key of another certificate", func(t *testing.T, p *pair, cert, _ []byte) { p.put(t, p.certFile, cert, 0o644) },
			"reading the certificate CERT and the key KEY: tls: private key does not match public key"},
		{"expired", func(t *testing.T, p *pair, _, _ []byte) {
			cert, key := p.issue(t, -2*time.Hour, -time.Second)
			p.put(t, p.certFile, cert, 0o644)
			p.put(t, p.keyFile, key, 0o600)
		}, "reading CERT: the certificate has expired at 2026-11-23 10:14:59 +0000 UTC"},
		{"not valid yet", func(t *testing.T, p *pair, _, _ []byte) {
			cert, key := p.issue(t, time.Second, time.Hour)
			p.put(t, p.certFile, cert, 0o644)
			p.put(t, p.keyFile, key, 0o600)
		}, "reading CERT: the certificate is not valid before 2026-11-23 10:15:01 +0000 UTC"},
		{"a key that others may read", func(t *testing.T, p *pair, cert, key []byte) {
			p.put(t, p.certFile, cert, 0o644)
			p.put(t, p.keyFile, key, 0o604)
		}, "reading KEY: other users may read the key: mode is 0604"},
		{"a key that others may write", func(t *testing.T, p *pair, cert, key []byte) {
			p.put(t, p.certFile, cert, 0o644)
			p.put(t, p.keyFile, key, 0o602)
		}, "reading KEY: other users may read the key: mode is 0602"},
		{"the same key, others may read it now", func(t *testing.T, p *pair, _, _ []byte) {
			if err := os.Chmod(p.keyFile, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "reading KEY: other users may read the key: mode is 0644"},
		{"no certificate", func(t *testing.T, p *pair, _, _ []byte) { os.Remove(p.certFile) },
			"reading the certificate CERT and the key KEY: open CERT: no such file or directory"},
		{"no key", func(t *testing.T, p *pair, _, _ []byte) { os.Remove(p.keyFile) },
			"stat KEY: no such file or directory"},
		{"a directory for a key", func(t *testing.T, p *pair, _, _ []byte) {
			os.Remove(p.keyFile)
			if err := os.Mkdir(p.keyFile, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "reading the certificate CERT and the key KEY: read KEY: is a directory"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			d := newDirect(t, func(c *server.Config) { c.Certificate = p.Certificate })
			address := p.served(t, slog.New(slog.DiscardHandler))
			cert, key := p.issue(t, -time.Hour, 2*time.Hour)
			p.checkMetrics(t, d, 0)
			row.change(t, p, cert, key)
			p.look()
			p.look()
			if got := p.name(t, address); got != "certificate 1" {
				t.Errorf("served %q", got)
			}
			mask := strings.NewReplacer(p.certFile, "CERT", p.keyFile, "KEY")
			if err := p.Trouble(); err == nil || mask.Replace(err.Error()) != row.want {
				t.Errorf("trouble %v\n   want %s", err, row.want)
			}
			p.checkMetrics(t, d, 1)
			if n := strings.Count(p.log.String(), "reading the TLS certificate failed; serving the one from before"); n != 1 {
				t.Errorf("said %d times:\n%s", n, p.log)
			}
			if strings.Contains(p.log.String(), "PRIVATE KEY") {
				t.Errorf("log %s", p.log)
			}
			os.Remove(p.keyFile) // a directory is not replaced
			p.put(t, p.certFile, cert, 0o644)
			p.put(t, p.keyFile, key, 0o600)
			p.look()
			if err := p.Trouble(); err != nil {
				t.Errorf("trouble with a good pair: %v", err)
			}
			p.checkMetrics(t, d, 0)
		})
	}
}

func (p *pair) checkMetrics(t *testing.T, d *direct, trouble int) {
	t.Helper()
	body := "\n" + serve(d.Private, "127.0.0.1:1", "GET", "/metrics", "").Body.String()
	for _, line := range []string{
		fmt.Sprintf("signet_tls_trouble %d", trouble),
		"signet_tls_certificate_not_after_timestamp_seconds " + unix(p.NotAfter()),
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("metrics without %s", line)
		}
	}
}

// The hint of a key that others may read is what mends it.
func TestCertificateHintHelps(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	cert, key := p.issue(t, -time.Hour, 2*time.Hour)
	p.put(t, p.certFile, cert, 0o644)
	p.put(t, p.keyFile, key, 0o644)
	p.look()
	hinted, ok := p.Trouble().(interface{ Hint() string })
	want := "if nobody has read it: chmod o= " + p.keyFile + " (otherwise have a new certificate issued)"
	if !ok || hinted.Hint() != want {
		t.Fatalf("trouble %v", p.Trouble())
	}
	if err := os.Chmod(p.keyFile, 0o640); err != nil {
		t.Fatal(err)
	}
	p.look()
	if err := p.Trouble(); err != nil {
		t.Errorf("after the mend: %v", err)
	}
}

func TestOpenCertificateRefuses(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.clock.Advance(time.Hour)
	if _, err := server.OpenCertificate(p.certFile, p.keyFile, slog.New(slog.DiscardHandler), p.clock.Now); err != nil {
		t.Errorf("in the last moment: %v", err) // RFC 5280 §4.1.2.5: through notAfter, inclusive
	}
	p.clock.Advance(time.Nanosecond)
	_, err := server.OpenCertificate(p.certFile, p.keyFile, slog.New(slog.DiscardHandler), p.clock.Now)
	want := "reading " + p.certFile + ": the certificate has expired at 2026-11-23 11:15:00 +0000 UTC"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\n want %s", err, want)
	}
	_, err = server.OpenCertificate(p.keyFile+".no", p.keyFile+".no", slog.New(slog.DiscardHandler), p.clock.Now)
	if !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
}

// Run takes over a new pair when it is told to look, and ends.
func TestCertificateRun(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	ctx, stop := context.WithCancel(t.Context())
	wake, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		p.Run(ctx, wake)
	}()
	cert, key := p.issue(t, -time.Hour, 2*time.Hour)
	p.put(t, p.certFile, cert, 0o644)
	p.put(t, p.keyFile, key, 0o600)
	want := p.clock.Now().Add(2 * time.Hour)
	for !p.NotAfter().Equal(want) {
		wake <- struct{}{}
	}
	stop()
	<-ended
}

// Handshakes and scrapes go on while pairs are exchanged.
func TestCertificateConcurrently(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	cfg, done := p.Config(), make(chan struct{})
	go func() {
		defer close(done)
		for range 2000 {
			if cert, err := cfg.GetCertificate(nil); err != nil || cert == nil {
				t.Errorf("%v, %v", cert, err)
			}
			_, _ = p.NotAfter(), p.Trouble()
		}
	}()
	for i := range 20 {
		cert, key := p.issue(t, -time.Hour, time.Hour)
		if i%2 == 0 {
			p.put(t, p.certFile, cert, 0o644)
		}
		p.put(t, p.keyFile, key, 0o600)
		p.Look(true)
	}
	<-done
}

func TestTLSVersions(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	address := p.served(t, slog.New(slog.DiscardHandler))
	rows := []struct {
		name    string
		version uint16
		proto   string // "": refused
		want    string
	}{
		{"TLS 1.0", tls.VersionTLS10, "", ""},
		{"TLS 1.1", tls.VersionTLS11, "", ""},
		{"TLS 1.2", tls.VersionTLS12, "HTTP/2.0", "h2"},
		{"TLS 1.3", tls.VersionTLS13, "HTTP/2.0", "h2"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			response, err := p.client(func(c *tls.Config) { c.MaxVersion = row.version }).Get("https://" + address)
			if row.proto == "" {
				if err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil || string(body) != row.proto || response.TLS.NegotiatedProtocol != row.want {
				t.Errorf("%s over %q, %v", body, response.TLS.NegotiatedProtocol, err)
			}
		})
	}
	t.Run("HTTP/1.1", func(t *testing.T) {
		client := p.client()
		client.Transport.(*http.Transport).ForceAttemptHTTP2 = false
		response, err := client.Get("https://" + address)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if body, err := io.ReadAll(response.Body); err != nil || string(body) != "HTTP/1.1" {
			t.Errorf("%s, %v", body, err)
		}
	})
}

// Who speaks plain HTTP to the TLS listener is told so, and what he sent is not in the log.
func TestPlainHTTPToTLS(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	var log buffer
	address := p.served(t, slog.New(slog.NewJSONHandler(&log, nil)))
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST /oauth2/token HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\n\r\n", basic("billing", secret))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != 400 || !bytes.Contains(body, []byte("HTTP request to an HTTPS server")) {
		t.Errorf("status %d, body %q", response.StatusCode, body)
	}
	for _, secret := range []string{basic("billing", secret), "oauth2", "Authorization"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("log %s", &log)
		}
	}
}

// A certificate that is laid before it is valid is served from the moment that it is.
func TestCertificateNotYetValid(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	cert, key := p.issue(t, time.Minute, 2*time.Hour)
	p.put(t, p.certFile, cert, 0o644)
	p.put(t, p.keyFile, key, 0o600)
	p.look()
	if p.Trouble() == nil {
		t.Fatal("served before it is valid")
	}
	before := p.NotAfter()
	p.clock.Advance(2 * time.Minute)
	p.Look(false)
	if err := p.Trouble(); err != nil || !p.NotAfter().After(before) {
		t.Errorf("trouble %v, serving until %v", err, p.NotAfter())
	}
}
