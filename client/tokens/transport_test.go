package tokens_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/client/tokens"
)

// recorder is a RoundTripper that keeps the requests and sends none.
type recorder struct {
	mu   sync.Mutex
	sent []*http.Request // guarded by mu
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, req)
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

// body counts how often it is closed.
type body struct {
	io.Reader
	closed int
}

func (b *body) Close() error { b.closed++; return nil }

func newRequest(t *testing.T, address string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func TestTransportSetsOneHeader(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		header tokens.Header
		want   http.Header
	}{
		{"zero is Token", 0, http.Header{"Token": {"token-1"}, "X-Kept": {"yes"}}},
		{"Token", tokens.TokenHeader, http.Header{"Token": {"token-1"}, "X-Kept": {"yes"}}},
		{"Authorization", tokens.AuthorizationHeader, http.Header{"Authorization": {"Bearer token-1"}, "X-Kept": {"yes"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t, newIssuer(t))
			cfg.Origin, cfg.Header = "https://orders.example.com", test.header
			base := &recorder{}
			req := newRequest(t, "https://orders.example.com/orders")
			req.Header.Set("X-Kept", "yes")
			sent := &body{Reader: strings.NewReader("text")}
			req.Body = sent
			before := req.Clone(t.Context())

			resp, err := newSource(t, cfg).Transport(base).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, base.sent[0].Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before.Header, req.Header); diff != "" {
				t.Errorf("the caller's request was changed (-before +after):\n%s", diff)
			}
			if base.sent[0] == req {
				t.Error("the caller's own request went out: base may do with it as it likes")
			}
			if base.sent[0].Body != sent || sent.closed != 1 {
				t.Errorf("the body was replaced, or closed %d times", sent.closed)
			}
			if resp.Request != req { // whoever logs a response with its request must not log the token
				t.Errorf("the response is to %v, which has the token in it", resp.Request.Header)
			}
		})
	}
}

func TestTransportOrigin(t *testing.T) {
	t.Parallel()
	const orders = "https://orders.example.com"
	for _, test := range []struct {
		name     string
		origin   string
		resource string
		url      string
		token    bool
	}{
		{"same", orders, "", orders + "/a?b=c", true},
		{"origin has a path", orders + "/v1/", "", orders + "/v2", true},
		{"default port in the request", orders, "", "https://orders.example.com:443/", true},
		{"default port in the origin", orders + ":443", "", orders, true},
		{"port without number", orders, "", "https://orders.example.com:/", true},
		{"host in capitals", orders, "", "https://ORDERS.Example.COM/", true},
		{"scheme in capitals", orders, "", "HTTPS://orders.example.com/", true},
		{"origin in capitals", "HTTPS://ORDERS.EXAMPLE.COM", "", orders, true},
		{"default port of http", "http://127.0.0.1", "", "http://127.0.0.1:80/", true},
		{"IPv6", "http://[::1]:9000", "", "http://[::1]:9000/", true},
		{"that of the resource", "", orders + "/v1", orders + "/v2", true},
		{"origin before resource", orders, "https://b.example", orders, true},
		{"resource that is no address", orders, "urn:example:orders", orders, true},

		{"resource after origin", orders, "https://b.example", "https://b.example/", false},
		{"another host", orders, "", "https://evil.example/", false},
		{"another scheme", orders, "", "http://orders.example.com/", false},
		{"another scheme, same port", orders, "", "http://orders.example.com:443/", false},
		{"another port", orders, "", "https://orders.example.com:8443/", false},
		{"default port of the other scheme", orders, "", "https://orders.example.com:80/", false},
		{"subdomain", orders, "", "https://a.orders.example.com/", false},
		{"parent", orders, "", "https://example.com/", false},
		{"prefix", orders, "", "https://orders.example.com.evil.example/", false},
		{"dot at the end", orders, "", "https://orders.example.com./", false},
		{"ours as user", orders, "", "https://orders.example.com@evil.example/", false},
		{"ours as path", orders, "", "https://evil.example/orders.example.com", false},
		{"ours after backslash", orders, "", "https://evil.example/\\orders.example.com", false},
		// Letters that fold to others, of which the network makes another name.
		{"dotted capital I", "https://api.example", "", "https://ap\u0130.example/", false},
		{"dotted capital I, encoded", "https://api.example", "", "https://ap%C4%B0.example/", false},
		{"Kelvin sign", "https://kiosk.example", "", "https://\u212Aiosk.example/", false},
		{"long s", "https://orders.example.com", "", "https://order\u017F.example.com/", false},
		{"capital sharp s", "https://stra\u00DFe.example", "", "https://stra\u1E9Ee.example/", false},
		{"zone in capitals", "http://[::1%25eth0]:9000", "", "http://[::1%25ETH0]:9000/", false},
		{"another loopback address", "http://127.0.0.1:9000", "", "http://localhost:9000/", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			cfg := config(t, i)
			cfg.Origin, cfg.Resource = test.origin, test.resource
			base := &recorder{}
			if _, err := newSource(t, cfg).Transport(base).RoundTrip(newRequest(t, test.url)); err != nil {
				t.Fatal(err)
			}
			want := http.Header{}
			if test.token {
				want.Set("Token", "token-1")
			}
			if diff := cmp.Diff(want, base.sent[0].Header); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if asked := len(i.Requests()); (asked > 0) != test.token {
				t.Errorf("%d tokens were obtained", asked)
			}
		})
	}
}

func TestTransportRefuses(t *testing.T) {
	t.Parallel()
	const (
		hasToken = "tokens: the request has a Token or Authorization header already"
		noOrigin = "tokens: no origin may get a token: neither Origin nor Resource is https, or on loopback"
	)
	header := func(name string) func(*http.Request) {
		return func(r *http.Request) { r.Header[name] = []string{"mine"} }
	}
	for _, test := range []struct {
		name     string
		origin   string
		resource string
		header   tokens.Header
		edit     func(*http.Request)
		want     string
	}{
		{"Token there", "https://a.example", "", tokens.TokenHeader, header("Token"), hasToken},
		{"Token there, empty", "https://a.example", "", tokens.TokenHeader, func(r *http.Request) { r.Header.Set("Token", "") }, hasToken},
		{"Token there, Authorization configured", "https://a.example", "", tokens.AuthorizationHeader, header("Token"), hasToken},
		{"Authorization there", "https://a.example", "", tokens.AuthorizationHeader, header("Authorization"), hasToken},
		{"Authorization there, Token configured", "https://a.example", "", tokens.TokenHeader, header("Authorization"), hasToken},
		{"token there in small letters", "https://a.example", "", tokens.TokenHeader, header("token"), hasToken},
		{"AUTHORIZATION there in capitals", "https://a.example", "", tokens.TokenHeader, header("AUTHORIZATION"), hasToken},
		{"no origin and no resource", "", "", tokens.TokenHeader, func(*http.Request) {}, noOrigin},
		{"resource that is no address", "", "urn:example:orders", tokens.TokenHeader, func(*http.Request) {}, noOrigin},
		{"resource on plain http", "", "http://a.example", tokens.TokenHeader, func(*http.Request) {}, noOrigin},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			cfg := config(t, i)
			cfg.Origin, cfg.Resource, cfg.Header = test.origin, test.resource, test.header
			base := &recorder{}
			req := newRequest(t, "https://a.example/")
			unsent := &body{Reader: strings.NewReader("text")}
			req.Body = unsent
			test.edit(req)
			_, err := newSource(t, cfg).Transport(base).RoundTrip(req)
			if err == nil || err.Error() != test.want {
				t.Errorf("got error %v\nwant      %s", err, test.want)
			}
			if len(base.sent) != 0 || len(i.Requests()) != 0 {
				t.Errorf("%d requests went out, %d tokens were obtained", len(base.sent), len(i.Requests()))
			}
			if unsent.closed != 1 {
				t.Errorf("the body was closed %d times", unsent.closed)
			}
		})
	}
}

func TestTransportWithoutToken(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(answer(400, `{"error":"invalid_client"}`))
	cfg := config(t, i)
	cfg.Origin = "https://a.example"
	base := &recorder{}
	client := &http.Client{Transport: newSource(t, cfg).Transport(base)}
	unsent := &body{Reader: strings.NewReader("text")}
	_, err := client.Post("https://a.example/", "text/plain", unsent)
	if !errors.Is(err, tokens.ErrRefused) || len(base.sent) != 0 || unsent.closed == 0 {
		t.Errorf("error %v, %d requests sent, body closed %d times", err, len(base.sent), unsent.closed)
	}
}

// What is no request for http.Transport must be an error for ours too, not a panic.
func TestTransportOddRequests(t *testing.T) {
	t.Parallel()
	cfg := config(t, newIssuer(t))
	cfg.Origin = "https://a.example"
	transport := newSource(t, cfg).Transport(nil)
	address := &url.URL{Scheme: "https", Host: "a.example"}
	for _, test := range []struct {
		name string
		req  *http.Request
		want string
	}{
		{"no URL", &http.Request{Header: http.Header{}}, "http: nil Request.URL"},
		{"no header", &http.Request{URL: address}, "http: nil Request.Header"},
		{"no header, another origin", &http.Request{URL: &url.URL{Scheme: "https", Host: "b.example"}}, "http: nil Request.Header"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := transport.RoundTrip(test.req); err == nil || err.Error() != test.want {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// A redirect takes a client anywhere; its token stays at home. Coming back, the request has one again.
func TestTransportRedirect(t *testing.T) {
	t.Parallel()
	for _, header := range []tokens.Header{tokens.TokenHeader, tokens.AuthorizationHeader} {
		name := map[tokens.Header]string{tokens.TokenHeader: "Token", tokens.AuthorizationHeader: "Authorization"}[header]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var home *httptest.Server
			var away []http.Header
			stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				away = append(away, r.Header.Clone())
				http.Redirect(w, r, home.URL+"/back", http.StatusTemporaryRedirect)
			}))
			t.Cleanup(stranger.Close)
			home = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
					return
				}
				_, _ = io.WriteString(w, r.Header.Get(name))
			}))
			t.Cleanup(home.Close)

			i := newIssuer(t)
			cfg := config(t, i)
			cfg.Origin, cfg.Header = home.URL, header
			client := &http.Client{Transport: newSource(t, cfg).Transport(cfg.HTTPClient.Transport)}
			resp, err := client.Get(home.URL)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			text, _ := io.ReadAll(resp.Body)
			if !strings.HasSuffix(string(text), "token-1") {
				t.Errorf("back home the request carried %q", text)
			}
			if len(away) != 1 {
				t.Fatalf("%d requests away from home", len(away))
			}
			for name, values := range away[0] {
				if strings.Contains(strings.Join(values, " "), "token-1") {
					t.Errorf("another origin got the token in %s", name)
				}
			}
		})
	}
}

func TestTransportNilBase(t *testing.T) { // not parallel: it uses the connections of http.DefaultTransport
	resource := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("Token"))
	}))
	defer resource.Close()
	cfg := config(t, newIssuer(t))
	cfg.Origin = resource.URL
	client := &http.Client{Transport: newSource(t, cfg).Transport(nil)}
	resp, err := client.Get(resource.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); string(text) != "token-1" {
		t.Errorf("got %q", text)
	}
}

func TestTransportManyAtOnce(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	cfg := config(t, i)
	cfg.Origin = "https://a.example"
	base := &recorder{}
	transport := newSource(t, cfg).Transport(base)
	shared := newRequest(t, "https://a.example/") // a race with a caller that reads it would be found
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := transport.RoundTrip(shared); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if len(base.sent) != 50 || len(i.Requests()) != 1 {
		t.Errorf("%d requests sent with %d tokens", len(base.sent), len(i.Requests()))
	}
}
