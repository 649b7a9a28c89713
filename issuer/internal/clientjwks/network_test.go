package clientjwks_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/keys/keystest"
)

func network(prefix string) []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix(prefix)} }

// newSite starts a site on an address of loopback.
func newSite(t *testing.T, address string) (s *site, port string) {
	t.Helper()
	s = &site{names: []string{keystest.ES256}}
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Skipf("no %s here: %v", address, err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: s}}
	server.Start()
	t.Cleanup(server.Close)
	_, port, err = net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return s, port
}

// However a uri spells an address that is not public, nothing is connected, and the log names both.
func TestRefusesAddresses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, uri string // PORT is that of a site that would answer
		networks  []netip.Prefix
		refused   string // the address
	}{
		{"loopback", "http://127.0.0.1:PORT/", nil, "127.0.0.1"},
		{"loopback, https", "https://127.0.0.1:PORT/", nil, "127.0.0.1"},
		{"loopback, IPv6", "http://[::1]:PORT/", nil, "::1"},
		{"loopback, mapped", "http://[::ffff:127.0.0.1]:PORT/", nil, "127.0.0.1"},
		{"loopback, mapped in hexadecimal", "https://[::ffff:7f00:1]:PORT/", nil, "127.0.0.1"},
		{"localhost", "http://localhost:PORT/", nil, ""},
		{"every interface", "https://0.0.0.0:PORT/", nil, "0.0.0.0"},
		{"every interface, IPv6", "https://[::]:PORT/", nil, "::"},
		{"IPv4-compatible", "https://[::127.0.0.1]:PORT/", nil, "::7f00:1"},
		{"NAT64", "https://[64:ff9b::127.0.0.1]:PORT/", nil, "64:ff9b::7f00:1"},
		{"private", "https://10.0.0.1:PORT/", nil, "10.0.0.1"},
		{"the cloud's credentials", "https://169.254.169.254/latest/meta-data", nil, "169.254.169.254"},
		{"link-local with a zone", "https://[fe80::1%25lo]:PORT/", nil, "fe80::1"},
		{"unique local", "https://[fd00::1]:PORT/", nil, "fd00::1"},
		{"beside the allowed network", "http://127.0.0.1:PORT/", network("127.0.0.2/32"), "127.0.0.1"},
		{"a network that is none", "http://127.0.0.1:PORT/", []netip.Prefix{{}}, "127.0.0.1"},
		{"IPv6 allowed alone", "http://127.0.0.1:PORT/", network("::/0"), "127.0.0.1"},
		{"IPv4 allowed alone", "http://[::1]:PORT/", network("0.0.0.0/0"), "::1"},
	}
	s, port := newSite(t, "127.0.0.1")
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			j := &journal{}
			k := clientjwks.New(clientjwks.Config{Networks: row.networks, Log: j.log()})
			t.Cleanup(k.Close)
			uri := strings.Replace(row.uri, "PORT", port, 1)
			_, err := k.Keys(t.Context(), uri, "")
			wantUnavailable(t, err, clientjwks.ErrAddress)
			if j.count("uri="+uri) != 1 || j.count("address not allowed: "+row.refused) != 1 {
				t.Errorf("the log: %s", j.text.String())
			}
		})
	}
	t.Cleanup(func() { wantFetches(t, s, 0) }) // after the parallel rows
}

// What the operator allows is reached, and by no other protocol than https except on loopback.
func TestAllowedNetworks(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ address, uri string }{
		"IPv4":      {"127.0.0.1", "http://127.0.0.1:PORT/"},
		"mapped":    {"127.0.0.1", "http://[::ffff:127.0.0.1]:PORT/"},
		"localhost": {"127.0.0.1", "http://localhost:PORT/"},
		"IPv6":      {"::1", "http://[::1]:PORT/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, port := newSite(t, row.address)
			networks := append([]netip.Prefix(nil), loopback...)
			k := clientjwks.New(clientjwks.Config{Networks: networks, Log: (&journal{}).log()})
			t.Cleanup(k.Close)
			clear(networks) // theirs to reuse
			get(t, k, strings.Replace(row.uri, "PORT", port, 1), "", keystest.ES256)
			wantFetches(t, s, 1)
		})
	}
}

// URLs that may not be fetched are refused as remote refuses them, unasked.
func TestRefusesURLs(t *testing.T) {
	t.Parallel()
	k := clientjwks.New(clientjwks.Config{Networks: network("0.0.0.0/0"), Log: (&journal{}).log()})
	t.Cleanup(k.Close)
	for _, uri := range []string{
		"", "/jwks", "http://10.0.0.1/", "http://billing.example.com/", "file:///etc/passwd", "https://a:b@127.0.0.1/",
	} {
		_, err := k.Keys(t.Context(), uri, "")
		wantUnavailable(t, err)
		if err == nil || !strings.Contains(err.Error(), "URL not allowed") {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

// A proxy would connect where nobody looks.
func TestNoProxy(t *testing.T) {
	t.Parallel()
	if clientjwks.NewTransport(nil).Proxy != nil {
		t.Error("there is a proxy")
	}
}

// nameServer answers each question for an IPv4 address with the next of the given ones, the last again and again, and
// other questions with nothing (RFC 1035 §4).
func nameServer(t *testing.T, addresses ...string) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		query := make([]byte, 512)
		for {
			n, peer, err := conn.ReadFrom(query)
			if err != nil {
				return
			}
			end := 12
			for query[end] != 0 {
				end += int(query[end]) + 1
			}
			question := query[12 : end+5]
			isA := question[len(question)-3] == 1
			reply := append([]byte(nil), query[:2]...)
			reply = append(reply, 0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0) // an authoritative response to one question
			reply = append(reply, question...)
			if isA {
				reply[7] = 1
				reply = append(reply, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4) // the same name, A, IN, TTL 0, 4 octets
				reply = append(reply, netip.MustParseAddr(addresses[0]).AsSlice()...)
				addresses = addresses[min(1, len(addresses)-1):]
			}
			if _, err := conn.WriteTo(reply, peer); err != nil || n == 0 {
				return
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// A name is what it resolves to when it is dialled. One that was allowed a moment ago is not allowed for that.
func TestRebinding(t *testing.T) {
	t.Parallel()
	s, port := newSite(t, "127.0.0.1")
	other, _ := newSite(t, "127.0.0.1")
	clock, j := keystest.NewClock(), &journal{}
	k := clientjwks.NewResolving(clientjwks.Config{
		Networks: network("127.0.0.1/32"), Log: j.log(), Now: clock.Now,
	}, nameServer(t, "127.0.0.1", "127.0.0.2"))
	t.Cleanup(k.Close)
	uri := "https://jwks.example.com:" + port + "/"
	_, err := k.Keys(t.Context(), uri, "") // the site has no TLS: being there is enough
	wantUnavailable(t, err)
	clock.Advance(time.Minute)
	_, err = k.Keys(t.Context(), uri, "")
	wantUnavailable(t, err, clientjwks.ErrAddress)
	if j.count("address not allowed: 127.0.0.2") != 1 {
		t.Errorf("the log: %s", j.text.String())
	}
	wantFetches(t, s, 0)
	wantFetches(t, other, 0)
}

// A redirect within the origin is followed, and dialled anew, as every request is: with another look at the address.
func TestRedirectIsDialled(t *testing.T) {
	t.Parallel()
	s, port := newSite(t, "127.0.0.1")
	s.fail = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there" {
			_, _ = w.Write(document(keystest.ES256))
			return
		}
		http.Redirect(w, r, "/there", http.StatusFound)
	}
	var dials atomic.Int64
	var dialer net.Dialer
	k := clientjwks.NewDialing(clientjwks.Config{Log: (&journal{}).log()},
		func(ctx context.Context, network, address string) (net.Conn, error) {
			dials.Add(1)
			return dialer.DialContext(ctx, network, address)
		})
	t.Cleanup(k.Close)
	get(t, k, "http://127.0.0.1:"+port+"/", "", keystest.ES256)
	wantFetches(t, s, 2)
	if n := dials.Load(); n != 2 {
		t.Errorf("%d dials", n)
	}
}
