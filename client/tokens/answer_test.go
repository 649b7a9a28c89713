package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

const good = `"access_token":"a","token_type":"Bearer"`

func TestAnswers(t *testing.T) {
	t.Parallel()
	redirect := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", status) }
	}
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   error // nil: a token
		text   string
	}{
		{"granted", answer(200, `{`+good+`,"expires_in":60}`), nil, ""},
		{"granted, token opaque", answer(200, `{"access_token":"~not.a/JWT+=","token_type":"Bearer"}`), nil, ""},
		{"granted, token_type in capitals", answer(200, `{"access_token":"a","token_type":"BEARER"}`), nil, ""},
		{"granted, unknown members", answer(200, `{`+good+`,"x":{"y":[1]}}`), nil, ""},
		{"granted, white space around", answer(200, "\r\n {"+good+"}\n"), nil, ""},

		{"hangs up", hangUp(""), tokens.ErrUnreachable, "EOF"},
		{"hangs up in the middle", hangUp("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{" + good), tokens.ErrUnreachable, "unexpected EOF"},
		{"not HTTP", hangUp("\x1b[31mSSH-2.0-OpenSSH\r\n\r\n"), tokens.ErrUnreachable, "malformed HTTP"},
		{"terminal escapes in a header line", hangUp("HTTP/1.1 200 OK\r\n\x1b]0;owned\a no colon\r\n\r\n"), tokens.ErrUnreachable, "malformed"},
		{"terminal escapes in the status", hangUp("HTTP/1.1 404 \x1b[31mNo\r\nContent-Length: 0\r\n\r\n"), tokens.ErrAnswer, "status 404"},
		{"status 500", answer(500, `{`+good+`}`), tokens.ErrUnreachable, "status 500"},
		{"status 503 with OAuth error", answer(503, `{"error":"temporarily_unavailable"}`), tokens.ErrUnreachable, "status 503"},
		{"status 599 with a token", answer(599, `{`+good+`}`), tokens.ErrUnreachable, "status 599"},
		{"status 429", answer(429, ""), tokens.ErrUnreachable, "status 429"},
		{"status 429 with OAuth error", answer(429, `{"error":"slow_down"}`), tokens.ErrUnreachable, "status 429"},
		{"status 408", answer(408, ""), tokens.ErrUnreachable, "status 408"},
		{"status 408 with OAuth error", answer(408, `{"error":"invalid_client"}`), tokens.ErrUnreachable, "status 408"},

		{"status 404", answer(404, "404 page not found\n"), tokens.ErrAnswer, "status 404"},
		{"status 201", answer(201, `{`+good+`}`), tokens.ErrAnswer, "status 201"},
		{"status 204", answer(204, ""), tokens.ErrAnswer, "status 204"},
		{"status 302", redirect(302), tokens.ErrAnswer, "status 302"},
		{"status 307", redirect(307), tokens.ErrAnswer, "status 307"},
		{"status 308", redirect(308), tokens.ErrAnswer, "status 308"},
		{"status 400 with a token", answer(400, `{`+good+`}`), tokens.ErrAnswer, "status 400"},

		{"empty", answer(200, ""), tokens.ErrAnswer, "not a JSON object"},
		{"HTML", answer(200, "<html><body>log in to the café's network"), tokens.ErrAnswer, "not a JSON object"},
		{"array", answer(200, `[{`+good+`}]`), tokens.ErrAnswer, "not a JSON object"},
		{"truncated", answer(200, `{`+good), tokens.ErrAnswer, "not a JSON object"},
		{"trailing bytes", answer(200, `{`+good+`} {}`), tokens.ErrAnswer, "not a JSON object"},
		{"deep nesting", answer(200, `{`+good+`,"x":`+strings.Repeat("[", 20_000)+`}`), tokens.ErrAnswer, "not a JSON object"},
		{"not UTF-8", answer(200, "{"+good+",\"x\":\"\xff\"}"), tokens.ErrAnswer, "not a JSON object"},
		{"access_token twice", answer(200, `{`+good+`,"access_token":"b"}`), tokens.ErrAnswer, "not a JSON object"},
		{"access_token twice, spelled apart", answer(200, `{`+good+`,"acc\u0065ss_token":"b"}`), tokens.ErrAnswer, "not a JSON object"},
		{"token_type twice", answer(200, `{`+good+`,"token_type":"mac"}`), tokens.ErrAnswer, "not a JSON object"},
		{"names in capitals", answer(200, `{"ACCESS_TOKEN":"a","TOKEN_TYPE":"Bearer"}`), tokens.ErrAnswer, "no access_token"},

		{"no access_token", answer(200, `{"token_type":"Bearer"}`), tokens.ErrAnswer, "no access_token"},
		{"access_token empty", answer(200, `{"access_token":"","token_type":"Bearer"}`), tokens.ErrAnswer, "no access_token"},
		{"access_token null", answer(200, `{"access_token":null,"token_type":"Bearer"}`), tokens.ErrAnswer, "no access_token"},
		{"access_token a number", answer(200, `{"access_token":7,"token_type":"Bearer"}`), tokens.ErrAnswer, "right types"},
		{"access_token with a line break", answer(200, `{"access_token":"SECRET\r\nX: y","token_type":"Bearer"}`), tokens.ErrAnswer, "no access_token"},
		{"access_token with a space", answer(200, `{"access_token":"SECRET x","token_type":"Bearer"}`), tokens.ErrAnswer, "no access_token"},
		{"access_token with a tab", answer(200, `{"access_token":"SECRET\tx","token_type":"Bearer"}`), tokens.ErrAnswer, "no access_token"},
		{"access_token with NUL", answer(200, `{"access_token":"SECRET\u0000","token_type":"Bearer"}`), tokens.ErrAnswer, "no access_token"},
		{"access_token with DEL", answer(200, `{"access_token":"SECRET\u007f","token_type":"Bearer"}`), tokens.ErrAnswer, "no access_token"},
		{"access_token not ASCII", answer(200, `{"access_token":"SECRETé","token_type":"Bearer"}`), tokens.ErrAnswer, "no access_token"},

		{"no token_type", answer(200, `{"access_token":"SECRET"}`), tokens.ErrAnswer, `token_type "" is not Bearer`},
		{"token_type unknown", answer(200, `{"access_token":"SECRET","token_type":"DPoP"}`), tokens.ErrAnswer, `token_type "DPoP" is not Bearer`},
		{"token_type of great length", answer(200, `{"access_token":"SECRET","token_type":"`+strings.Repeat("x", 20_000)+`"}`),
			tokens.ErrAnswer, `"xxxxxxxxxxxxxxxxxxxx"`},
		{"token_type hostile", answer(200, `{"access_token":"SECRET","token_type":"\u001b[31mBearer"}`), tokens.ErrAnswer, `"\x1b[31mBearer"`},
		{"token_type a list", answer(200, `{"access_token":"SECRET","token_type":["Bearer"]}`), tokens.ErrAnswer, "right types"},

		{"expires_in negative", answer(200, `{`+good+`,"expires_in":-1}`), tokens.ErrAnswer, "negative expires_in"},
		{"expires_in a string", answer(200, `{`+good+`,"expires_in":"600"}`), tokens.ErrAnswer, "right types"},
		{"expires_in a fraction", answer(200, `{`+good+`,"expires_in":0.5}`), tokens.ErrAnswer, "right types"},
		{"expires_in beyond int64", answer(200, `{`+good+`,"expires_in":9223372036854775808}`), tokens.ErrAnswer, "right types"},
		{"expires_in beyond everything", answer(200, `{`+good+`,"expires_in":1e999}`), tokens.ErrAnswer, "right types"},
		{"expires_in huge", answer(200, `{`+good+`,"expires_in":9223372036854775807}`), nil, ""},

		{"OAuth error", answer(400, `{"error":"invalid_scope"}`), tokens.ErrRefused, `issuer refused: "invalid_scope"`},
		{"OAuth error with description", answer(401, `{"error":"invalid_client","error_description":"who?"}`),
			tokens.ErrRefused, `issuer refused: "invalid_client": "who?"`},
		{"OAuth error in HTML's clothes", answer(400, `<html>{"error":"invalid_scope"}`), tokens.ErrAnswer, "without an OAuth error"},
		{"OAuth error empty", answer(400, `{"error":""}`), tokens.ErrAnswer, "without an OAuth error"},
		{"OAuth error an object", answer(400, `{"error":{"code":1}}`), tokens.ErrAnswer, "without an OAuth error"},
		{"OAuth error twice", answer(400, `{"error":"a","error":"b"}`), tokens.ErrAnswer, "without an OAuth error"},
		{"OAuth error with control characters", answer(400, `{"error":"a\u001b[2J","error_description":"\u001b]0;x\u0007\r\n\u009b1m"}`),
			tokens.ErrRefused, `"a\x1b[2J"`},
		{"OAuth error of great length", answer(400, `{"error":"e","error_description":"`+strings.Repeat("é", 20_000)+`"}`),
			tokens.ErrRefused, `issuer refused: "e"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			source, _ := weary(t, i, config(t, i))
			i.Answer(test.answer)
			token, err := source.Token(t.Context())
			checkError(t, i, err, test.want, test.text)
			if (err == nil) != (token.AccessToken() != "") {
				t.Errorf("token %q beside error %v", token.AccessToken(), err)
			}
		})
	}
}

// weary returns a source whose issuer was busy of late, so that it makes one attempt at a time and no pauses, and the
// clock by which it will ask again.
func weary(t *testing.T, i *issuer, cfg tokens.Config) (*tokens.Source, *keystest.Clock) {
	t.Helper()
	clock := keystest.NewClock()
	cfg.Now = clock.Now
	source := newSource(t, cfg)
	i.mu.Lock()
	before := i.metadata
	i.mu.Unlock()
	i.AnswerMetadata(later(http.StatusServiceUnavailable, "10"))
	for range 2 {
		if _, err := source.Token(t.Context()); !errors.Is(err, tokens.ErrUnreachable) {
			t.Fatal(err)
		}
		clock.Advance(10 * time.Second)
	}
	i.AnswerMetadata(before)
	return source, clock
}

// checkError holds err against the sentinel want and its text against what no error may say.
func checkError(t *testing.T, i *issuer, err, want error, text string) {
	t.Helper()
	if want == nil {
		if err != nil {
			t.Errorf("got error %v, want none", err)
		}
		return
	}
	for _, kind := range []error{tokens.ErrUnreachable, tokens.ErrRefused, tokens.ErrAnswer} {
		if errors.Is(err, kind) != (kind == want) {
			t.Errorf("errors.Is(%v, %v) is %v", err, kind, kind != want)
		}
	}
	if err == nil {
		return
	}
	if !strings.Contains(err.Error(), text) {
		t.Errorf("error %q, want %q in it", err, text)
	}
	if hasControl(err.Error()) || len(err.Error()) > 2000 {
		t.Errorf("the error (%d octets) would do as it likes with a terminal: %q", len(err.Error()), err)
	}
	for _, r := range i.Requests() {
		if assertion := r.form.Get("client_assertion"); assertion != "" && strings.Contains(err.Error(), assertion) {
			t.Errorf("the assertion is in the error: %v", err)
		}
	}
	if strings.Contains(err.Error(), "SECRET") {
		t.Errorf("the token is in the error: %v", err)
	}
}

// hangUp writes raw octets instead of an answer and closes the connection.
func hangUp(raw string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, raw)
	}
}

func TestMetadataAnswers(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer func(i *issuer) http.HandlerFunc
		want   error
		text   string
	}{
		{"another issuer", func(i *issuer) http.HandlerFunc {
			return metadata("https://evil.example", i.URL+"/oauth2/token")
		}, tokens.ErrAnswer, "another issuer's answer"},
		{"another issuer by a slash", func(i *issuer) http.HandlerFunc {
			return metadata(i.URL+"/", i.URL+"/oauth2/token")
		}, tokens.ErrAnswer, "another issuer's answer"},
		{"hostile issuer", func(i *issuer) http.HandlerFunc {
			return metadata("\x1b[31m\r\n", i.URL+"/oauth2/token")
		}, tokens.ErrAnswer, `"\x1b[31m\r\n"`},
		{"no issuer", func(i *issuer) http.HandlerFunc {
			return answer(200, fmt.Sprintf(`{"token_endpoint":%q}`, i.URL+"/oauth2/token"))
		}, tokens.ErrAnswer, "another issuer's answer"},
		{"no token_endpoint", func(i *issuer) http.HandlerFunc { return metadata(i.URL, "") }, tokens.ErrAnswer, "no token_endpoint"},
		{"token_endpoint on plain http", func(i *issuer) http.HandlerFunc {
			return metadata(i.URL, "http://issuer.example.com/oauth2/token")
		}, tokens.ErrAnswer, "neither https nor loopback"},
		{"token_endpoint almost loopback", func(i *issuer) http.HandlerFunc {
			return metadata(i.URL, "http://127.0.0.1.evil.example/")
		}, tokens.ErrAnswer, "neither https nor loopback"},
		{"token_endpoint with loopback as user", func(i *issuer) http.HandlerFunc {
			return metadata(i.URL, "http://127.0.0.1@evil.example/")
		}, tokens.ErrAnswer, "it has a user or fragment"},
		{"token_endpoint relative", func(i *issuer) http.HandlerFunc { return metadata(i.URL, "/oauth2/token") }, tokens.ErrAnswer, "not absolute"},
		{"token_endpoint a file", func(i *issuer) http.HandlerFunc { return metadata(i.URL, "file:///etc/passwd") }, tokens.ErrAnswer, "not absolute"},
		{"HTML", func(*issuer) http.HandlerFunc { return answer(200, "<html>") }, tokens.ErrAnswer, "unusable document"},
		{"token_endpoint twice", func(i *issuer) http.HandlerFunc {
			return answer(200, fmt.Sprintf(`{"issuer":%q,"token_endpoint":%[1]q,"token_endpoint":%[1]q}`, i.URL))
		}, tokens.ErrAnswer, "unusable document"},
		{"status 404", func(*issuer) http.HandlerFunc { return answer(404, "") }, tokens.ErrAnswer, "status 404"},
		{"status 500", func(*issuer) http.HandlerFunc { return answer(500, "") }, tokens.ErrUnreachable, "status 500"},
		{"too long", func(*issuer) http.HandlerFunc { return answer(200, strings.Repeat(" ", 1<<20)) }, tokens.ErrUnreachable, "longer than"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			source, clock := weary(t, i, config(t, i))
			i.AnswerMetadata(test.answer(i))
			_, err := source.Token(t.Context())
			checkError(t, i, err, test.want, test.text)
			if len(i.Requests()) > 0 {
				t.Error("an assertion was sent all the same")
			}
			i.AnswerMetadata(nil)
			clock.Advance(10 * time.Second) // what was wrong is not remembered for longer
			wantToken(t, source, "token-1")
		})
	}
}

func TestIssuerDown(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Close()
	_, err := newSource(t, config(t, i)).Token(t.Context())
	checkError(t, i, err, tokens.ErrUnreachable, "connection refused")
}

func TestRefusedError(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(answer(401, `{"error":"invalid_client","error_description":"client authentication failed"}`))
	_, err := newSource(t, config(t, i)).Token(t.Context())
	var refused *tokens.RefusedError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, want a RefusedError", err)
	}
	if want := (tokens.RefusedError{Code: "invalid_client", Description: "client authentication failed"}); *refused != want {
		t.Errorf("got %+v, want %+v", *refused, want)
	}
	want := `obtaining a token from ` + i.URL + `: issuer refused: "invalid_client": "client authentication failed"`
	if err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
}

// What the issuer says about when to come again counts, whatever its body is.
func TestBusyWithEndlessBody(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "120")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, strings.Repeat("<p>busy", 20_000))
	})
	cfg := config(t, i)
	var last tokens.Exchange
	cfg.OnExchange = func(e tokens.Exchange) { last = e }
	_, err := newSource(t, cfg).Token(t.Context())
	checkError(t, i, err, tokens.ErrUnreachable, "status 503")
	if asked := len(i.Requests()); last.Retry != 2*time.Minute || asked != 1 {
		t.Errorf("asked %d times, and again after %v", asked, last.Retry)
	}
}

// The assertion is a credential: whoever gets it can be us once.
func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			var reached atomic.Int64
			thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reached.Add(1)
				grant("stolen", 600)(w, r)
			}))
			t.Cleanup(thief.Close)
			i := newIssuer(t)
			i.Answer(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, thief.URL, status) })
			cfg := config(t, i)
			cfg.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return nil } // follows everything
			source, _ := weary(t, i, cfg)
			_, err := source.Token(t.Context())
			checkError(t, i, err, tokens.ErrAnswer, fmt.Sprint("status ", status))
			if reached.Load() != 0 {
				t.Error("the assertion went to another server")
			}
		})
	}
}

func TestMetadataRedirectToAnotherOrigin(t *testing.T) {
	t.Parallel()
	thief, i := newIssuer(t), newIssuer(t)
	thief.AnswerMetadata(metadata(i.URL, thief.URL+"/oauth2/token"))
	i.AnswerMetadata(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, thief.URL+r.URL.Path, http.StatusFound)
	})
	_, err := newSource(t, config(t, i)).Token(t.Context())
	checkError(t, i, err, tokens.ErrUnreachable, "redirect to another origin")
	if len(thief.Requests()) != 0 || thief.MetadataAsked() != 0 {
		t.Error("another origin was asked")
	}
}

func TestEndlessAnswers(t *testing.T) {
	t.Parallel()
	const gigabyte, mostSent = 1 << 30, 32 << 20 // what is on its way in buffers is sent, but not read
	for _, test := range []struct {
		name   string
		status int
		answer func(*issuer, http.HandlerFunc)
	}{
		{"token", 200, (*issuer).Answer},
		{"refusal", 400, (*issuer).Answer},
		{"metadata", 200, (*issuer).AnswerMetadata},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			sent := make(chan int, 10)
			var answers atomic.Int64 // each attempt gets one
			test.answer(i, func(w http.ResponseWriter, _ *http.Request) {
				answers.Add(1)
				w.WriteHeader(test.status)
				total, chunk := 0, []byte(strings.Repeat(" ", 1<<16))
				for total < gigabyte {
					n, err := w.Write(chunk)
					total += n
					if err != nil {
						break
					}
				}
				sent <- total
			})
			_, err := newSource(t, config(t, i)).Token(t.Context())
			checkError(t, i, err, tokens.ErrUnreachable, "longer than")
			for range answers.Load() {
				if total := <-sent; total > mostSent {
					t.Errorf("%d octets were taken", total)
				}
			}
		})
	}
}

// What the caller's context says comes back as it is, so that it can be told from the issuer's faults.
func TestContextErrorIsBare(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	held, _ := hold(t, answer(200, ""))
	i.AnswerMetadata(held)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := newSource(t, config(t, i)).Token(ctx); err != context.Canceled {
		t.Errorf("got %v, want exactly %v", err, context.Canceled)
	}
}
