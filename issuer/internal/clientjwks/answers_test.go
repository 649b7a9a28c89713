package clientjwks_test

import (
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/remote"
)

// privateSet publishes the private key together with the public one.
func privateSet() string {
	raw, ok := keystest.Raw(keystest.ES256).(*ecdsa.PrivateKey)
	if !ok {
		panic("not an EC key")
	}
	scalar, err := raw.Bytes()
	if err != nil {
		panic(err)
	}
	d := `,"d":"` + base64.RawURLEncoding.EncodeToString(scalar) + `"}`
	return strings.Replace(string(document(keystest.ES256)), "}", d, 1)
}

// manyKeys is a set of n keys, one key under n names.
func manyKeys(n int) string {
	text := string(document(keystest.ES256))
	jwk := strings.TrimSuffix(strings.TrimPrefix(text, `{"keys":[`), `]}`)
	all := make([]string, n)
	for i := range all {
		all[i] = strings.Replace(jwk, kid(keystest.ES256), fmt.Sprint("k", i), 1)
	}
	return `{"keys":[` + strings.Join(all, ",") + `]}`
}

// oneKid gives all the keys of a set one kid.
func oneKid(names ...string) string {
	text := string(document(names...))
	for _, name := range names {
		text = strings.Replace(text, kid(name), "k", 1)
	}
	return text
}

func redirect(to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}
}

// A bad answer is no keys where there are none, and changes nothing where there are some.
func TestBadAnswers(t *testing.T) {
	t.Parallel()
	good := string(document(keystest.RS256)) // wherever it comes from, nobody may take it
	elsewhere := httptest.NewServer(answer(good))
	t.Cleanup(elsewhere.Close)
	rows := []struct {
		name string
		fail http.HandlerFunc
		want error
		text string
	}{
		{"redirect to another origin", redirect(elsewhere.URL), remote.ErrFetch, "redirect to another origin"},
		{"redirect to a private address", redirect("http://10.0.0.1/"), remote.ErrFetch, "redirect to another origin"},
		{"redirect to the cloud's credentials", redirect("http://169.254.169.254/"), remote.ErrFetch, "redirect to another"},
		{"redirect to a file", redirect("file:///etc/passwd"), remote.ErrFetch, "redirect to another origin"},
		{"redirect loop", redirect("/again"), remote.ErrFetch, "too many redirects"},
		{"500", status(500), remote.ErrFetch, "status 500"},
		{"404", status(404), remote.ErrFetch, "status 404"},
		{"204", status(204), remote.ErrFetch, "status 204"},
		{"304 unasked", status(304), remote.ErrFetch, "status 304"},
		{"HTML", answer("<!doctype html><title>Sign in</title>"), keys.ErrNotSet, ""},
		{"nothing", answer(""), keys.ErrNotSet, ""},
		{"10 MB", answer(strings.Repeat(" ", 10<<20) + good), remote.ErrFetch, "longer than 524288 octets"},
		{"a header of 1 MB", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
			_, _ = w.Write([]byte(good))
		}, remote.ErrFetch, "exceeded"},
		{"cut short", answer(good[:len(good)-2]), keys.ErrNotSet, ""},
		{"connection closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, remote.ErrFetch, ""},
		{"empty set", answer(`{"keys":[]}`), keys.ErrNoKeys, ""},
		{"null set", answer(`{"keys":null}`), keys.ErrNotSet, ""},
		{"a private key", answer(privateSet()), keys.ErrNoKeys, ""},
		{"101 keys", answer(manyKeys(101)), keys.ErrNotSet, "101 keys"},
		{"two keys of one kid", answer(oneKid(keystest.ES256, keystest.RS256)), keys.ErrNoKeys, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, clock, j := &site{names: []string{keystest.ES256}, fail: row.fail}, keystest.NewClock(), &journal{}
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			k := clientjwks.New(clientjwks.Config{Networks: loopback, Log: j.log(), Now: clock.Now})
			t.Cleanup(k.Close)
			_, err := k.Keys(t.Context(), server.URL, "")
			wantUnavailable(t, err)
			if !errors.Is(err, row.want) || !strings.Contains(err.Error(), row.text) {
				t.Errorf("error %v, want %v, %q", err, row.want, row.text)
			}
			if j.count("level=WARN") != 1 || j.count("uri="+server.URL) != 1 || j.count(row.text) == 0 {
				t.Errorf("the log: %s", j.text.String())
			}
			clock.Advance(time.Minute)
			s.change(func(s *site) { s.fail = nil })
			first := get(t, k, server.URL, "", keystest.ES256)
			for _, pause := range []time.Duration{time.Minute, time.Hour} { // for an unknown kid, and for age
				s.change(func(s *site) { s.fail = row.fail })
				before := s.fetches()
				clock.Advance(pause)
				if again := get(t, k, server.URL, "unknown", keystest.ES256); again != first || s.fetches() == before {
					t.Errorf("after %v another set, or no fetch", pause)
				}
			}
			if strings.Contains(j.text.String(), `"d"`) {
				t.Errorf("a private key in the log: %s", j.text.String())
			}
		})
	}
}

// Odd keys are left out one by one. The log tells once for each document, in one line.
func TestOddKeys(t *testing.T) {
	t.Parallel()
	good := string(document(keystest.ES256))
	odd := func(jwks string) string { return `{"keys":[` + jwks + `,` + strings.TrimPrefix(good, `{"keys":[`) }
	private := strings.TrimSuffix(strings.TrimPrefix(privateSet(), `{"keys":[`), `]}`)
	rows := []struct {
		name, body string
		skipped    int
	}{
		{"symmetric", odd(`{"kty":"oct","kid":"k","alg":"HS256","k":"AAAA"}`), 1},
		{"private", odd(strings.Replace(private, kid(keystest.ES256), "k", 1)), 1},
		{"99 of them", odd(strings.TrimSuffix(strings.Repeat("7,", 99), ",")), 99},
		{"one kid for two others", odd(strings.TrimSuffix(strings.TrimPrefix(
			strings.ReplaceAll(oneKid(keystest.ES256, keystest.RS256), `"k"`, `"x"`), `{"keys":[`), `]}`)), 1},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if !json.Valid([]byte(row.body)) {
				t.Fatal("the test's body is no JSON")
			}
			clock, j := keystest.NewClock(), &journal{}
			s := &site{fail: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", `"1"`)
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(http.StatusNotModified)
					return
				}
				_, _ = w.Write([]byte(row.body))
			}}
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			k := clientjwks.New(clientjwks.Config{Networks: loopback, Log: j.log(), Now: clock.Now})
			t.Cleanup(k.Close)
			for range 3 {
				get(t, k, server.URL, "", keystest.ES256)
				clock.Advance(time.Hour)
			}
			wantFetches(t, s, 3)
			if n := j.count(fmt.Sprintf("uri=%s skipped=%d ", server.URL, row.skipped)); n != 1 || j.count("WARN") != 1 {
				t.Errorf("the log: %s", j.text.String())
			}
			if j.count("level=INFO") != 1 || j.count("uri="+server.URL+" keys=1") != 1 {
				t.Errorf("the log: %s", j.text.String())
			}
		})
	}
}

// A set may have 100 keys.
func TestHundredKeys(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(answer(manyKeys(100)))
	t.Cleanup(server.Close)
	k := clientjwks.New(clientjwks.Config{Networks: loopback, Log: (&journal{}).log()})
	t.Cleanup(k.Close)
	if set, err := k.Keys(t.Context(), server.URL, "k99"); err != nil || set.Len() != 100 {
		t.Errorf("%d keys, %v", set.Len(), err)
	}
}
