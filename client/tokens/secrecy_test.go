package tokens_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
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
	source := newSource(t, cfg)
	token := wantToken(t, source, "SECRET")
	cfg.HTTPClient = nil                   // fmt would read its connections while they are in use
	type held struct{ token tokens.Token } // fmt calls no method of what is in an unexported field
	values := []struct {
		name  string
		value any
	}{
		{"token", token},
		{"pointer to a token", &token},
		{"token in an unexported field", held{token}},
		{"pointer to a token in an unexported field", &held{token}},
		{"tokens in a slice", []tokens.Token{token}},
		{"token as map key", map[tokens.Token]bool{token: true}},
		{"source", source},
		{"config", cfg},
		{"pointer to a config", &cfg},
		{"transport", source.Transport(nil)},
	}
	for _, test := range values {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var texts []string
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
				texts = append(texts, fmt.Sprintf(verb, test.value))
			}
			if text, err := json.Marshal(test.value); err == nil {
				texts = append(texts, string(text))
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", test.value)
			slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", test.value)
			texts = append(texts, log.String())
			for _, text := range texts {
				for _, secret := range secrets(t) {
					if strings.Contains(text, secret) {
						t.Errorf("%q is in %s", secret, text)
					}
				}
			}
		})
	}
}

func TestSourceString(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	source := newSource(t, config(t, i))
	want := "tokens of " + i.URL + ` for client "billing"`
	for _, value := range []any{source, source.Transport(nil)} {
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
