package tokens_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/client/tokens"
)

// echoes are the ways in which an answer that is not HTTP gets into an error of net/http.
var echoes = []struct {
	name string
	raw  string // with %s for what is sent back
	late bool   // what is wrong is found after a RoundTripper has returned
}{
	{"instead of a status line", "%s\r\n\r\n", false},
	{"as the status", "HTTP/1.1 %s\r\n\r\n", false},
	{"as the version", "%s 200 OK\r\n\r\n", false},
	{"as a header line", "HTTP/1.1 200 OK\r\n%s\r\n\r\n", false},
	{"as the name of a header", "HTTP/1.1 200 OK\r\nX(%s: z\r\n\r\n", false},
	{"as Content-Length", "HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n", false},
	{"as Transfer-Encoding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n", false},
	{"as a place that is none", "HTTP/1.1 302 Found\r\nLocation: http://[%s\r\nContent-Length: 0\r\n\r\n", true},
	{"as trailing header", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n%s\r\n\r\n", true},
}

// wantHidden fails the test when eight characters in a row of what was sent are in the text.
func wantHidden(t *testing.T, text string, sent ...string) {
	t.Helper()
	for _, secret := range sent {
		for at := 0; at+8 <= len(secret); at++ {
			if part := secret[at : at+8]; strings.Contains(text, part) || strings.Contains(text, strconv.Quote(part)) {
				t.Errorf("%q is in %q", part, text)
				return
			}
		}
	}
}

// credentials are all that there are, with what they send that nobody else may see.
func credentials(t *testing.T) []credentialCase {
	t.Helper()
	const long, odd = "f3Kq9vLw2ZpXr7TnB5mYc1Hd8GsJe4Ua", `q"1\w+e&r=t /y%u~i:o0123456789`
	secret := func(value string) func(request) []string {
		return func(r request) []string {
			basic := strings.TrimPrefix(r.header.Get("Authorization"), "Basic ")
			plain, _ := base64.StdEncoding.DecodeString(basic)
			_, encoded, _ := strings.Cut(string(plain), ":")
			return []string{value, url.QueryEscape(value), encoded}
		}
	}
	assertion := func(r request) []string { return []string{r.form.Get("client_assertion")} }
	return []credentialCase{
		{"assertion", nil, false, assertion},
		{"secret", tokens.Secret(long), false, secret(long)},
		{"secret in the form", tokens.Secret(long), true, secret(long)},
		{"secret with odd characters", tokens.Secret(odd), false, secret(odd)},
		{"secret with odd characters in the form", tokens.Secret(odd), true, secret(odd)},
	}
}

type credentialCase struct {
	name       string
	credential tokens.Credential // nil: that of config
	post       bool              // whether the metadata want it in the form
	sent       func(request) []string
}

// source returns a source with this credential that logs into log.
func (c credentialCase) source(t *testing.T, i *issuer, log io.Writer) *tokens.Source {
	t.Helper()
	if c.post {
		i.AnswerMetadata(answerJSON(200, map[string]any{"issuer": i.URL, "token_endpoint": i.URL + "/oauth2/token",
			"token_endpoint_auth_methods_supported": []string{"client_secret_post"}}))
	}
	cfg := config(t, i)
	if c.credential != nil {
		cfg.Credential = c.credential
	}
	cfg.Log = slog.New(slog.NewTextHandler(log, nil))
	source, _ := weary(t, i, cfg)
	return source
}

// wantSilent fails the test when the error or the log has anything in it of what was sent.
func (c credentialCase) wantSilent(t *testing.T, i *issuer, err error, log string) {
	t.Helper()
	for _, r := range i.Requests() {
		sent := c.sent(r)
		for _, text := range []string{err.Error(), fmt.Sprintf("%#v", err), fmt.Sprintf("%+v", errors.Unwrap(err)), log} {
			wantHidden(t, text, sent...)
		}
	}
	if hasControl(err.Error()) {
		t.Errorf("control characters in %q", err)
	}
}

// A server that answers with our own request must not bring it into our log.
func TestIssuerEchoes(t *testing.T) {
	t.Parallel()
	for _, c := range credentials(t) {
		for _, echo := range echoes {
			t.Run(c.name+" "+echo.name, func(t *testing.T) {
				t.Parallel()
				i := newIssuer(t)
				i.Answer(func(w http.ResponseWriter, r *http.Request) {
					requests := i.Requests()
					last := requests[len(requests)-1]
					text := last.form.Encode() + " " + last.header.Get("Authorization") + " " + strings.Join(c.sent(last), " ")
					hangUp(fmt.Sprintf(echo.raw, text))(w, r)
				})
				var log bytes.Buffer
				_, err := c.source(t, i, &log).Token(t.Context())
				checkError(t, i, err, tokens.ErrUnreachable, "")
				c.wantSilent(t, i, err, log.String())
			})
		}
	}
}

// What an OAuth error quotes, whole or cut off, is hidden too.
func TestOAuthErrorEchoes(t *testing.T) {
	t.Parallel()
	for _, c := range credentials(t) {
		for _, test := range []struct {
			name string
			cut  int // characters that are left of what is quoted; 0 is all
			json string
		}{
			{"description", 0, `{"error":"invalid_client","error_description":%q}`},
			{"error", 0, `{"error":%q}`},
			{"description, beginning", 12, `{"error":"invalid_client","error_description":%q}`},
			{"error, beginning", 12, `{"error":%q}`},
		} {
			t.Run(c.name+" in the "+test.name, func(t *testing.T) {
				t.Parallel()
				i := newIssuer(t)
				i.Answer(func(w http.ResponseWriter, r *http.Request) {
					requests := i.Requests()
					quoted := strings.Join(c.sent(requests[len(requests)-1]), " ")
					if test.cut > 0 {
						quoted = quoted[:test.cut]
					}
					answer(400, fmt.Sprintf(test.json, quoted))(w, r)
				})
				var log bytes.Buffer
				_, err := c.source(t, i, &log).Token(t.Context())
				checkError(t, i, err, tokens.ErrRefused, "[hidden]")
				c.wantSilent(t, i, err, log.String())
				var refused *tokens.RefusedError
				if errors.As(err, &refused) {
					for _, r := range i.Requests() {
						wantHidden(t, refused.Code+" "+refused.Description, c.sent(r)...)
					}
				}
			})
		}
	}
}

// Text that we cut off ourselves must not lose what it is recognised by.
func TestCutOffEchoes(t *testing.T) {
	t.Parallel()
	for _, c := range credentials(t) {
		for name, json := range map[string]string{
			"description that is cut off": `{"error":"e","error_description":"` + strings.Repeat("x", 180) + `%s"}`,
			"error that is cut off":       `{"error":"` + strings.Repeat("x", 180) + `%s"}`,
			"token_type":                  `{"access_token":"a","token_type":"%s"}`,
		} {
			t.Run(c.name+" "+name, func(t *testing.T) {
				t.Parallel()
				i := newIssuer(t)
				i.Answer(func(w http.ResponseWriter, r *http.Request) {
					requests := i.Requests()
					quoted := strconv.Quote(c.sent(requests[len(requests)-1])[0])
					status := 400
					if name == "token_type" {
						status = 200
					}
					answer(status, fmt.Sprintf(json, quoted[1:len(quoted)-1]))(w, r)
				})
				var log bytes.Buffer
				_, err := c.source(t, i, &log).Token(t.Context())
				if err == nil {
					t.Fatal("no error")
				}
				c.wantSilent(t, i, err, log.String())
			})
		}
	}
}

// A resource server that answers with our own request must not bring the token into our log.
func TestResourceEchoes(t *testing.T) {
	t.Parallel()
	for _, token := range []string{
		"f3Kq9vLw2ZpXr7TnB5mYc1Hd8GsJe4Ua",
		`q"1\w+e&r=t/y%u~i:o0123456789`,
		"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl",
	} {
		for _, header := range []tokens.Header{tokens.TokenHeader, tokens.AuthorizationHeader} {
			for _, echo := range echoes {
				t.Run(fmt.Sprint(token[:4], " ", header, " ", echo.name), func(t *testing.T) {
					t.Parallel()
					var sent string
					resource := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						sent = r.Header.Get("Token") + r.Header.Get("Authorization")
						hangUp(fmt.Sprintf(echo.raw, strings.ReplaceAll(sent, " ", "-")))(w, r)
					}))
					t.Cleanup(resource.Close)
					i := newIssuer(t)
					i.Answer(grant(token, 600))
					cfg := config(t, i)
					cfg.Origin, cfg.Header = resource.URL, header
					transport := newSource(t, cfg).Transport(cfg.HTTPClient.Transport)
					resp, err := transport.RoundTrip(newRequest(t, resource.URL))
					if err == nil {
						_ = resp.Body.Close()
					}
					if !strings.HasSuffix(sent, token) {
						t.Fatalf("the resource server got %q", sent)
					}
					if (err == nil) != echo.late || err != nil && !strings.Contains(err.Error(), "[hidden]") {
						t.Fatalf("got %v", err)
					}
					wantHidden(t, fmt.Sprintf("%v %#v", err, err), token)
				})
			}
		}
	}
}

// An error that is scrubbed, or is not, is still what it was.
func TestTransportErrorsKeepTheirKind(t *testing.T) {
	t.Parallel()
	const token = "f3Kq9vLw2ZpXr7TnB5mYc1Hd8GsJe4Ua"
	down := httptest.NewServer(nil)
	down.Close()
	hung := httptest.NewServer(http.HandlerFunc(hang))
	t.Cleanup(hung.Close)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	soon, cancelSoon := context.WithTimeout(t.Context(), 50*time.Millisecond)
	t.Cleanup(cancelSoon)
	for _, test := range []struct {
		name    string
		ctx     context.Context
		address string
		base    http.RoundTripper // nil: the network
		is      func(error) bool
	}{
		{"down", t.Context(), down.URL, nil, func(err error) bool { var op *net.OpError; return errors.As(err, &op) }},
		{"cancelled", cancelled, hung.URL, nil, func(err error) bool { return errors.Is(err, context.Canceled) }},
		{"deadline", soon, hung.URL, nil, func(err error) bool {
			var u *url.Error
			return errors.Is(err, context.DeadlineExceeded) && errors.As(err, &u) && u.Timeout()
		}},
		{"deadline, with the token in its text", t.Context(), hung.URL, failing{fmt.Errorf("%s: %w", token, context.DeadlineExceeded)},
			func(err error) bool {
				var u *url.Error
				return errors.Is(err, context.DeadlineExceeded) && errors.As(err, &u) && u.Timeout()
			}},
		{"cancelled, with the token in its text", t.Context(), hung.URL, failing{fmt.Errorf("%s: %w", token, context.Canceled)},
			func(err error) bool { return errors.Is(err, context.Canceled) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.Answer(grant(token, 600))
			cfg := config(t, i)
			cfg.Origin = test.address
			source := newSource(t, cfg)
			wantToken(t, source, token)
			base := test.base
			if base == nil {
				base = cfg.HTTPClient.Transport
			}
			req, err := http.NewRequestWithContext(test.ctx, http.MethodGet, test.address, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, err = (&http.Client{Transport: source.Transport(base)}).Do(req) //nolint:bodyclose // there is none
			if err == nil || !test.is(err) {
				t.Fatalf("got %v", err)
			}
			wantHidden(t, err.Error(), token)
		})
	}
}

// failing is a RoundTripper that cannot.
type failing struct{ err error }

func (f failing) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
	return nil, f.err
}
