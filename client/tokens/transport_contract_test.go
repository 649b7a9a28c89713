package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/client/tokens"
)

const contractOrigin = "https://a.example"

// forContract returns a source for contractOrigin whose current token is token-1.
func forContract(t *testing.T) (*issuer, *tokens.Source) {
	t.Helper()
	i := newIssuer(t)
	cfg := config(t, i)
	cfg.Origin = contractOrigin
	source := newSource(t, cfg)
	wantToken(t, source, "token-1")
	return i, source
}

// roundTrip is a RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// inOrder is a RoundTripper that uses one after the other, and the last for all that follow.
func inOrder(all ...roundTrip) roundTrip {
	return func(req *http.Request) (*http.Response, error) {
		next := all[0]
		if len(all) > 1 {
			all = all[1:]
		}
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return next(req)
	}
}

func refuse(body io.ReadCloser) roundTrip {
	return func(req *http.Request) (*http.Response, error) {
		header := http.Header{"Www-Authenticate": {invalidTokenChallenge}}
		return &http.Response{StatusCode: http.StatusUnauthorized, Header: header, Body: body, Request: req}, nil
	}
}

func accept(req *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

func replayable(t *testing.T, first, second *stream) *http.Request {
	t.Helper()
	req := newRequest(t, contractOrigin+"/path?a=b")
	req.Header["X-Kept"] = []string{"one", "two"}
	req.Body, req.GetBody = first, func() (io.ReadCloser, error) { return second, nil }
	return req
}

// Not even a base that writes into what it gets changes the caller's request.
func TestTransportChangesNoRequest(t *testing.T) {
	t.Parallel()
	_, source := forContract(t)
	first, second := &stream{Reader: strings.NewReader("text")}, &stream{Reader: strings.NewReader("text")}
	req := replayable(t, first, second)
	before := req.Clone(t.Context())
	greedy := func(then roundTrip) roundTrip {
		return func(sent *http.Request) (*http.Response, error) {
			if sent == req {
				t.Error("the caller's own request went out")
			}
			sent.Header.Set("X-Added", "yes")
			sent.Header["X-Kept"][0] = "changed"
			sent.Body, sent.Method, sent.Host = nil, "BREW", "b.example"
			return then(sent)
		}
	}
	resp, err := source.Transport(inOrder(greedy(refuse(http.NoBody)), greedy(accept))).RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %v, %v", resp, err)
	}
	if diff := cmp.Diff(before.Header, req.Header); diff != "" {
		t.Errorf("header (-before +after):\n%s", diff)
	}
	if req.Body != first || req.Method != before.Method || req.Host != before.Host || req.URL.String() != before.URL.String() {
		t.Errorf("the request has become %+v", req)
	}
	if resp.Request != req {
		t.Errorf("the answer is to %v, which has the token in it", resp.Request.Header)
	}
	if !first.Closed() || !second.Closed() {
		t.Error("a body was not closed")
	}
}

func TestTransportClosesRefusalFirst(t *testing.T) {
	t.Parallel()
	_, source := forContract(t)
	refusal := &stream{Reader: strings.NewReader("refused")}
	resp, err := source.Transport(inOrder(refuse(refusal), func(req *http.Request) (*http.Response, error) {
		if !refusal.Closed() {
			t.Error("the connection of the first answer is still taken")
		}
		if got := req.Header.Get("Token"); got != "token-2" {
			t.Errorf("the second try carries %q", got)
		}
		return accept(req)
	})).RoundTrip(newRequest(t, contractOrigin))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("got %v, %v", resp, err)
	}
}

// Whatever goes wrong, there is an error and no answer, or an answer and no error, and the body is closed.
func TestTransportClosesBody(t *testing.T) {
	t.Parallel()
	errBase := errors.New("the base failed")
	fail := func(*http.Request) (*http.Response, error) { return nil, errBase }
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		name string
		base roundTrip
		edit func(i *issuer, source *tokens.Source, req *http.Request) *http.Request
		want error  // nil: any
		text string // of the error
	}{
		{"base fails", inOrder(fail), nil, errBase, "the base failed"},
		{"base fails the second time", inOrder(refuse(http.NoBody), fail), nil, errBase, "the base failed"},
		{"base says the token", inOrder(func(req *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("%w with %s", errBase, req.Header)
		}), nil, errBase, "the base failed with map[Token:[[hidden]] X-Kept:[one two]]"},
		{"base says the second token", inOrder(refuse(http.NoBody), func(req *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("%w with %s", errBase, req.Header)
		}), nil, errBase, "the base failed with map[Token:[[hidden]] X-Kept:[one two]]"},
		{"source closed", inOrder(accept), func(_ *issuer, source *tokens.Source, req *http.Request) *http.Request {
			source.Close()
			return req
		}, tokens.ErrClosed, "token source is closed"},
		{"no token", inOrder(accept), func(i *issuer, source *tokens.Source, req *http.Request) *http.Request {
			i.Answer(answer(400, `{"error":"invalid_client"}`))
			source.Invalidate(wantToken(t, source, "token-1"))
			return req
		}, tokens.ErrRefused, "invalid_client"},
		{"caller gone", inOrder(accept), func(i *issuer, source *tokens.Source, req *http.Request) *http.Request {
			i.Answer(hang)
			source.Invalidate(wantToken(t, source, "token-1"))
			return req.WithContext(cancelled)
		}, context.Canceled, "context canceled"},
		{"token there", inOrder(accept), func(_ *issuer, _ *tokens.Source, req *http.Request) *http.Request {
			req.Header["tOKEN"] = nil
			return req
		}, nil, "has a Token or Authorization header already"},
		{"another origin, base fails", inOrder(fail), func(_ *issuer, _ *tokens.Source, req *http.Request) *http.Request {
			req.URL.Host = "b.example"
			return req
		}, errBase, "the base failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i, source := forContract(t)
			first, second := &stream{Reader: strings.NewReader("text")}, &stream{Reader: strings.NewReader("text")}
			req := replayable(t, first, second)
			if test.edit != nil {
				req = test.edit(i, source, req)
			}
			resp, err := source.Transport(test.base).RoundTrip(req)
			if resp != nil || err == nil {
				t.Fatalf("got answer %v, error %v", resp, err)
			}
			if test.want != nil && !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %v", err, test.text)
			}
			if strings.Contains(err.Error(), "token-") {
				t.Errorf("the token is in %v", err)
			}
			if !first.Closed() {
				t.Error("the body was not closed")
			}
		})
	}
}

// A base that does not keep to the contract must not make us panic, or break it too.
func TestTransportOnBadBase(t *testing.T) {
	t.Parallel()
	_, source := forContract(t)
	both := &stream{Reader: strings.NewReader("x")}
	errBase := errors.New("the base failed")
	resp, err := source.Transport(inOrder(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: both, Request: req}, errBase
	})).RoundTrip(newRequest(t, contractOrigin))
	if resp != nil || !errors.Is(err, errBase) || !both.Closed() {
		t.Errorf("both: got %v and %v, closed %v", resp, err, both.Closed())
	}
	neither := inOrder(func(*http.Request) (*http.Response, error) { return nil, nil }) //nolint:nilnil // that is the point
	_, err = (&http.Client{Transport: source.Transport(neither)}).Get(contractOrigin)   //nolint:bodyclose // there is none
	if err == nil || !strings.Contains(err.Error(), "returned a nil *Response with a nil error") {
		t.Errorf("neither: got %v", err)
	}
	resp, err = source.Transport(inOrder(refuse(nil), accept)).RoundTrip(newRequest(t, contractOrigin))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("no body: got %v, %v", resp, err)
	}
}

// What another origin says of its own credentials is nothing to our token.
func TestTransportLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	i, source := forContract(t)
	var sent *http.Request
	transport := source.Transport(inOrder(func(req *http.Request) (*http.Response, error) {
		sent = req
		return refuse(http.NoBody)(req)
	}))
	req := newRequest(t, "https://b.example/")
	req.Header.Set("Authorization", "Bearer theirs")
	resp, err := transport.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || sent != req {
		t.Errorf("got %v, %v; sent %v", resp, err, sent)
	}
	if diff := cmp.Diff(http.Header{"Authorization": {"Bearer theirs"}}, req.Header); diff != "" {
		t.Errorf("header (-want +got):\n%s", diff)
	}
	wantToken(t, source, "token-1")
	if asked := len(i.Requests()); asked != 1 {
		t.Errorf("%d exchanges", asked)
	}
}

// net/http makes a header of a user in the URL, which is a credential too.
func TestTransportRefusesUserInURL(t *testing.T) {
	t.Parallel()
	_, source := forContract(t)
	base := &recorder{}
	address := &url.URL{Scheme: "https", User: url.UserPassword("me", "mine"), Host: "a.example", Path: "/"}
	_, err := (&http.Client{Transport: source.Transport(base)}).Get(address.String()) //nolint:bodyclose // there is none
	if err == nil || !strings.Contains(err.Error(), "has a Token or Authorization header already") || len(base.sent) > 0 {
		t.Errorf("got %v, and %d requests", err, len(base.sent))
	}
}

// A redirect to another server takes the body along, and not the token; what that server says is not about our token.
func TestTransportRedirectWithBody(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	var away []http.Header
	var text string
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		away, text = append(away, r.Header.Clone()), string(body)
		w.Header().Set("WWW-Authenticate", invalidTokenChallenge)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(stranger.Close)
	home := httptest.NewServer(http.RedirectHandler(stranger.URL+"/x", http.StatusPermanentRedirect))
	t.Cleanup(home.Close)
	cfg := config(t, i)
	cfg.Origin, cfg.Header = home.URL, tokens.AuthorizationHeader
	source := newSource(t, cfg)
	resp, err := (&http.Client{Transport: source.Transport(cfg.HTTPClient.Transport)}).Post(home.URL, "text/plain", strings.NewReader("text"))
	wantAnswer(t, resp, err, http.StatusUnauthorized, "")
	if len(away) != 1 || text != "text" {
		t.Fatalf("%d requests away from home, body %q", len(away), text)
	}
	if all := fmt.Sprint(away[0]); strings.Contains(all, "token-1") || strings.Contains(all, "Bearer") {
		t.Errorf("another origin got %v", all)
	}
	wantToken(t, source, "token-1")
}

// A Host of another site could make the server behind the address hand the request on to that.
func TestTransportForeignHost(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		host  string
		token bool
	}{
		{"", true}, {"orders.example.com", true}, {"ORDERS.example.com:443", true},
		{"evil.example", false}, {"orders.example.com:8443", false}, {"orders.example.com.evil.example", false}, {"a@orders.example.com", false},
		{"order\u017F.example.com", false},
	} {
		cfg := config(t, newIssuer(t))
		cfg.Origin = "https://orders.example.com"
		base := &recorder{}
		req := newRequest(t, "https://orders.example.com/")
		req.Host = row.host
		if _, err := newSource(t, cfg).Transport(base).RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if got := base.sent[0].Header.Get("Token") != ""; got != row.token {
			t.Errorf("Host %q: token sent: %v, want %v", row.host, got, row.token)
		}
	}
}

type idleCloser struct {
	recorder
	closed int
}

func (c *idleCloser) CloseIdleConnections() { c.closed++ }

func TestTransportClosesIdleConnections(t *testing.T) {
	t.Parallel()
	cfg := config(t, newIssuer(t))
	cfg.Origin = "https://orders.example.com"
	base := &idleCloser{}
	(&http.Client{Transport: newSource(t, cfg).Transport(base)}).CloseIdleConnections()
	if base.closed != 1 {
		t.Errorf("closed %d times", base.closed)
	}
	(&http.Client{Transport: newSource(t, cfg).Transport(&recorder{})}).CloseIdleConnections() // which has no such method
}
