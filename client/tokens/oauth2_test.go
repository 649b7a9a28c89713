package tokens_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/oauth2"

	"example.com/signet/client/tokens"
)

func TestTokenSource(t *testing.T) {
	t.Parallel()
	source := newSource(t, config(t, newIssuer(t)))
	token, err := source.TokenSource(t.Context()).Token()
	if err != nil {
		t.Fatal(err)
	}
	want := &oauth2.Token{AccessToken: "token-1", TokenType: "Bearer", Expiry: wantToken(t, source, "token-1").Expires}
	if diff := cmp.Diff(want, token, cmpopts.IgnoreUnexported(oauth2.Token{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !token.Valid() {
		t.Error("oauth2 takes it for invalid")
	}
}

func TestTokenSourceWithoutLife(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(inTurn(grant("a", 0), grant("b", 0)))
	tokenSource := newSource(t, config(t, i)).TokenSource(t.Context())
	for _, want := range []string{"a", "b"} {
		token, err := tokenSource.Token()
		if err != nil || token.AccessToken != want || !token.Expiry.IsZero() {
			t.Errorf("got %v and %v, want %q without an end", token, err, want)
		}
	}
}

// A client that was written for x/oauth2 has our tokens.
func TestUnderOAuth2Client(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	orders := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Values("Authorization"); len(got) != 1 || got[0] != "Bearer token-1" {
			t.Errorf("Authorization %q", got)
		}
	}))
	t.Cleanup(orders.Close)
	cfg := config(t, i)
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, cfg.HTTPClient)
	client := oauth2.NewClient(ctx, newSource(t, cfg).TokenSource(ctx))
	for range 3 {
		resp, err := client.Get(orders.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
	}
	if asked := len(i.Requests()); asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// ReuseTokenSource keeps a token until shortly before its end; what it gets then has been refreshed long before.
func TestUnderReuseTokenSource(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		source := newSource(t, cfg)
		reuse := oauth2.ReuseTokenSource(nil, source.TokenSource(t.Context()))
		for _, step := range []struct {
			sleep time.Duration
			want  string
		}{
			{0, "token-1"},
			{480 * time.Second, "token-1"}, // refreshed by us, but not yet wanted
			{110 * time.Second, "token-1"},
			{time.Second, "token-2"}, // x/oauth2 lets go of a token 10 s before its end
			{time.Second, "token-2"},
		} {
			time.Sleep(step.sleep)
			token, err := reuse.Token()
			if err != nil || token.AccessToken != step.want || !token.Expiry.After(time.Now()) {
				t.Fatalf("got %v and %v, want %q", token, err, step.want)
			}
		}
		if asked := len(i.Requests()); asked != 2 {
			t.Errorf("asked %d times, want 2", asked)
		}
	})
}

func TestTokenSourceObeysContext(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		under func(oauth2.TokenSource) oauth2.TokenSource
	}{
		{"by itself", func(s oauth2.TokenSource) oauth2.TokenSource { return s }},
		{"under ReuseTokenSource", func(s oauth2.TokenSource) oauth2.TokenSource { return oauth2.ReuseTokenSource(nil, s) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			held, release := hold(t, grant("token", 600))
			i.Answer(held)
			source := newSource(t, config(t, i))
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			token, err := test.under(source.TokenSource(ctx)).Token()
			if err != context.DeadlineExceeded || token != nil {
				t.Errorf("got %v and %v, want exactly %v", token, err, context.DeadlineExceeded)
			}
			release()
			if token, err := test.under(source.TokenSource(t.Context())).Token(); err != nil || token.AccessToken != "token" {
				t.Errorf("got %v and %v", token, err)
			}
		})
	}
}

func TestTokenSourceError(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(answer(http.StatusUnauthorized, invalidClient))
	token, err := newSource(t, config(t, i)).TokenSource(t.Context()).Token()
	if !errors.Is(err, tokens.ErrRefused) || token != nil {
		t.Errorf("got %v and %v, want %v", token, err, tokens.ErrRefused)
	}
}
