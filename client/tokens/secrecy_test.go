package tokens_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

// The private numbers of the test key, as %v and %x would write them, and its PEM.
func secrets(t *testing.T) []string {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(string(keystest.PEM(keystest.ES256))), "\n")
	raw := fmt.Sprintf("%x", keystest.Raw(keystest.ES256))
	return append(lines[1:len(lines)-1], raw, "SECRET", fmt.Sprintf("%x", "SECRET"), fmt.Sprintf("%X", "SECRET"),
		fmt.Sprint([]byte("SECRET")), "U0VDUkVU") // the last is base64
}

func TestNothingSecretIsPrinted(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(grant("SECRET", 600))
	cfg := config(t, i)
	var exchange tokens.Exchange
	cfg.OnExchange = func(e tokens.Exchange) { exchange = e }
	source := newSource(t, cfg)
	token := wantToken(t, source, "SECRET")
	other := target(t, source, tokens.Target{Scope: []string{"other"}})
	wantToken(t, other, "SECRET")
	cfg.HTTPClient, cfg.Initial = nil, token // fmt would read its connections while they are in use
	withSecret := cfg
	withSecret.Credential = tokens.Secret("SECRET")
	path := filepath.Join(t.TempDir(), "secret")
	writeFile(t, path, "SECRET", 0o600)
	values := map[string]any{
		"token": token, "source": source, "source for another target": other, "exchange": exchange,
		"config": cfg, "config with a secret": withSecret,
		"transport": source.Transport(nil), "token source": source.TokenSource(context.Background()),
		"key": tokens.PrivateKey(keystest.Key(keystest.ES256)), "no key": tokens.PrivateKey(nil), "secret": tokens.Secret("SECRET"),
		"secret file": tokens.SecretFile(path), "assertion file": tokens.AssertionFile(path),
	}
	type held struct{ value any } // fmt calls no method of what is in an unexported field
	type heldToken struct{ token tokens.Token }
	type heldCredential struct{ credential tokens.Credential }
	type heldConfig struct{ cfg tokens.Config }
	values["token in an unexported field"] = heldToken{token}
	values["pointer to a token in an unexported field"] = &heldToken{token}
	values["tokens in a slice"] = []tokens.Token{token}
	values["token as map key"] = map[tokens.Token]bool{token: true}
	values["secret in an unexported field"] = heldCredential{tokens.Secret("SECRET")}
	values["key in an unexported field"] = heldCredential{tokens.PrivateKey(keystest.Key(keystest.ES256))}
	values["config in an unexported field"] = heldConfig{withSecret}
	values["copy of a source in an unexported field"] = struct{ source tokens.Source }{*source}
	for name, value := range values {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, text := range slices.Concat(printed(value), printed(&value), printed(held{value}), printed(&held{value}),
				printed([]any{value}), printed(map[string]any{"x": value}), printed(struct{ Value any }{value})) {
				for _, secret := range secrets(t) {
					if strings.Contains(text, secret) {
						t.Errorf("%q is in %s", secret, text)
					}
				}
			}
		})
	}
}

// printed is a value in all the ways in which it could get into a log.
func printed(value any) (texts []string) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		texts = append(texts, fmt.Sprintf(verb, value))
	}
	if text, err := json.Marshal(value); err == nil {
		texts = append(texts, string(text))
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", value)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", value)
	return append(texts, log.String(), fmt.Sprint(fmt.Errorf("wrapped: %v", value)))
}

func TestCredentialString(t *testing.T) {
	t.Parallel()
	key := keystest.Key(keystest.ES256)
	for _, test := range []struct {
		credential tokens.Credential
		want       string
	}{
		{tokens.PrivateKey(key), "private key " + key.String()},
		{tokens.PrivateKey(nil), "no key"},
		{tokens.Secret("SECRET"), "client secret"},
		{tokens.SecretFile("/etc/billing\n"), `client secret in "/etc/billing\n"`},
		{tokens.AssertionFile("/run/\x1b[2J"), `assertion in "/run/\x1b[2J"`},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x"} {
			if got := fmt.Sprintf(verb, test.credential); got != test.want {
				t.Errorf("%s: got %q, want %q", verb, got, test.want)
			}
		}
	}
}

// An issuer, or whoever answers in its place, may send back whatever it was sent.
func TestNothingSecretInErrors(t *testing.T) {
	t.Parallel()
	const secret = "SECRET+&=% /"
	path := filepath.Join(t.TempDir(), "file")
	writeFile(t, path, "SECRET+assertion", 0o600)
	echoed := func(r *http.Request, form url.Values) string {
		user, password, _ := r.BasicAuth()
		return strings.Join([]string{r.Header.Get("Authorization"), user, password, form.Encode(), fmt.Sprint(form), secret, "SECRET+assertion"}, " ")
	}
	ways := map[string]func(w http.ResponseWriter, text string){
		"in the description": func(w http.ResponseWriter, text string) {
			answerJSON(401, map[string]string{"error": "invalid_client", "error_description": text})(w, nil)
		},
		"as the error": func(w http.ResponseWriter, text string) { answerJSON(400, map[string]string{"error": text})(w, nil) },
		"as the token's type": func(w http.ResponseWriter, text string) {
			answerJSON(200, map[string]string{"access_token": "SECRET", "token_type": text})(w, nil)
		},
		"as a page":        func(w http.ResponseWriter, text string) { answer(404, text)(w, nil) },
		"as a busy page":   func(w http.ResponseWriter, text string) { answer(503, text)(w, nil) },
		"instead of HTTP":  func(w http.ResponseWriter, text string) { hangUp(text+"\r\n\r\n")(w, nil) },
		"as a header line": func(w http.ResponseWriter, text string) { hangUp("HTTP/1.1 200 OK\r\n"+text+"\r\n\r\n")(w, nil) },
		"as a redirection": func(w http.ResponseWriter, text string) {
			hangUp("HTTP/1.1 302 Found\r\nLocation: "+text+"\r\n\r\n")(w, nil)
		},
	}
	for name, credential := range map[string]tokens.Credential{
		"key": tokens.PrivateKey(keystest.Key(keystest.ES256)), "secret": tokens.Secret(secret),
		"secret file": tokens.SecretFile(path), "assertion file": tokens.AssertionFile(path),
	} {
		for place, send := range ways {
			t.Run(name+" "+place, func(t *testing.T) {
				t.Parallel()
				i := newIssuer(t)
				i.Answer(func(w http.ResponseWriter, r *http.Request) {
					requests := i.Requests()
					form := requests[len(requests)-1].form
					form.Del("grant_type")
					text := echoed(r, form)
					if name == "key" {
						text = r.Header.Get("Authorization") + form.Get("client_assertion")
					} else if name != "secret" {
						text = strings.ReplaceAll(text, secret, "")
					} else {
						text = strings.ReplaceAll(text, "SECRET+assertion", "")
					}
					send(w, text)
				})
				cfg := config(t, i)
				cfg.Credential = credential
				var log bytes.Buffer
				cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
				var told []string
				cfg.OnExchange = func(e tokens.Exchange) { told = append(told, fmt.Sprintf("%v %+v", e.Err, e)) }
				source := newSource(t, cfg)
				_, first := source.Token(t.Context())
				_, second := source.Token(t.Context())
				if first == nil || second == nil {
					t.Fatal("no error")
				}
				source.Close()
				for _, text := range append(told, first.Error(), second.Error(), fmt.Sprintf("%+v %#v", first, second), log.String()) {
					if strings.Contains(text, "SECRET") || strings.Contains(text, "pTRUNSRV") || strings.Contains(text, "eyJ") {
						t.Errorf("a secret is in %s", text)
					}
				}
			})
		}
	}
}

func TestSourceString(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	source := newSource(t, config(t, i))
	want := "tokens of " + i.URL + ` for client "billing"`
	for _, value := range []any{source, source.Transport(nil), source.TokenSource(t.Context())} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d"} {
			if got := fmt.Sprintf(verb, value); got != want {
				t.Errorf("%s of %T: got %q, want %q", verb, value, got, want)
			}
		}
	}
}

func TestTokenString(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		token tokens.Token
		want  string
	}{
		{"zero", tokens.Token{}, "no access token"},
		{"no end known", obtained(t, 0), "access token, end unknown"},
		{"end known", obtained(t, 600), "access token until 2026-11-23T10:25:00Z"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range []string{"%v", "%s", "%#v", "%d"} {
				if got := fmt.Sprintf(verb, test.token); got != test.want {
					t.Errorf("%s: got %q, want %q", verb, got, test.want)
				}
			}
		})
	}
	if got := (tokens.Token{Expires: time.Now()}).AccessToken(); got != "" {
		t.Errorf("got %q", got)
	}
}

func obtained(t *testing.T, life int) tokens.Token {
	t.Helper()
	i := newIssuer(t)
	i.Answer(grant("SECRET", life))
	cfg := config(t, i)
	cfg.Now = keystest.NewClock().Now
	return wantToken(t, newSource(t, cfg), "SECRET")
}
