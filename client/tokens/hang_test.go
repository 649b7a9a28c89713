package tokens_test

import (
	"crypto"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/client/tokens"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// hangingSigner is a key in hardware that does not answer while it is blocked.
type hangingSigner struct {
	crypto.Signer
	mu      sync.Mutex
	blocked chan struct{} // guarded by mu; nil: it answers
}

func (s *hangingSigner) block(c chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocked = c
}

func (s *hangingSigner) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	s.mu.Lock()
	blocked := s.blocked
	s.mu.Unlock()
	if blocked != nil {
		<-blocked
	}
	return s.Signer.Sign(random, digest, opts)
}

// A signature that does not come costs its attempt and nothing else: callers hear of it, and the next attempt may succeed.
func TestHangingSigner(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signer := &hangingSigner{Signer: keystest.Raw(keystest.ES256)}
		key, err := keys.NewPrivateKey(signer)
		if err != nil {
			t.Fatal(err)
		}
		i, cfg := newIssuerInMemory()
		cfg.Credential = tokens.PrivateKey(key)
		source, began := newSource(t, cfg), time.Now()
		hanging := make(chan struct{})
		signer.block(hanging)
		if _, err := source.Token(t.Context()); !errors.Is(err, tokens.ErrCredential) || time.Since(began) != 10*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		signer.block(nil)
		time.Sleep(time.Second)
		if _, err := source.Token(t.Context()); !errors.Is(err, tokens.ErrCredential) || !strings.Contains(err.Error(), "has not answered") {
			t.Errorf("while it hangs still: got %v", err)
		}
		close(hanging)
		time.Sleep(time.Minute)
		wantToken(t, source, "token-1")
		if asked := len(i.Requests()); asked != 1 {
			t.Errorf("asked %d times", asked)
		}
	})
}

// Close returns all callers, whatever hangs.
func TestCloseWhileSignerHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		signer := &hangingSigner{Signer: keystest.Raw(keystest.ES256)}
		key, err := keys.NewPrivateKey(signer)
		if err != nil {
			t.Fatal(err)
		}
		_, cfg := newIssuerInMemory()
		cfg.Credential = tokens.PrivateKey(key)
		source, began := newSource(t, cfg), time.Now()
		hanging := make(chan struct{})
		defer close(hanging)
		signer.block(hanging)
		heard := make(chan error, 1)
		go func() { _, err := source.Token(t.Context()); heard <- err }()
		time.Sleep(time.Second)
		source.Close()
		if err := <-heard; err != tokens.ErrClosed || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

// A hook that ends its goroutine, as t.Fatal does, does not leave callers behind.
func TestHookThatExits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, cfg := newIssuerInMemory()
		exits := true
		cfg.OnExchange = func(tokens.Exchange) {
			if exits {
				exits = false
				runtime.Goexit()
			}
		}
		source := newSource(t, cfg)
		if _, err := source.Token(t.Context()); !errors.Is(err, tokens.ErrAnswer) {
			t.Errorf("got %v", err)
		}
		time.Sleep(time.Second) // it counts as a failure
		wantToken(t, source, "token-2")
	})
}

// One that does so each time makes no more requests than one failure after another: at least 100 ms lie between them.
func TestHookThatExitsEachTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		i.Answer(grant("token", 100))
		calls := 0
		cfg.OnExchange = func(tokens.Exchange) {
			if calls++; calls > 1 {
				runtime.Goexit()
			}
		}
		source := newSource(t, cfg)
		wantToken(t, source, "token")
		time.Sleep(99 * time.Second)                                  // 19 seconds of failing refreshes
		if asked := len(i.Requests()); asked < 3 || asked > 1+30*10 { // from 70 s on at the earliest
			t.Errorf("asked %d times", asked)
		}
	})
}

// An endpoint that fails for long, or refuses us, may be one that nobody uses any more: the metadata are asked again.
func TestEndpointMovesWhileOldOneAnswers(t *testing.T) {
	t.Parallel()
	for name, old := range map[string]http.HandlerFunc{"503": later(503, ""), "invalid_client": answer(401, invalidClient)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				i.Answer(grant("before", 0))
				source := newSource(t, cfg)
				wantToken(t, source, "before")
				i.Answer(old)
				for range 4 {
					time.Sleep(time.Minute)
					if _, err := source.Token(t.Context()); err == nil {
						t.Fatal("no error")
					}
				}
				if asked := i.MetadataAsked(); asked != 1 {
					t.Errorf("the metadata of less than five minutes were asked for %d times", asked)
				}
				time.Sleep(2 * time.Minute)
				_, _ = source.Token(t.Context()) // this one makes them doubtful
				i.Answer(grant("after", 0))
				time.Sleep(time.Minute)
				wantToken(t, source, "after")
				if asked := i.MetadataAsked(); asked != 2 {
					t.Errorf("the metadata were asked for %d times", asked)
				}
			})
		})
	}
}

// What the issuer asks for, it asks of the client, whatever its tokens are for.
func TestRetryAfterCountsForAllTargets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		i, cfg := newIssuerInMemory()
		i.Answer(later(429, "60"))
		source, began := newSource(t, cfg), time.Now()
		for n := range 20 {
			other := target(t, source, tokens.Target{Scope: []string{fmt.Sprint("scope-", n)}})
			if _, err := other.Token(t.Context()); !errors.Is(err, tokens.ErrUnreachable) {
				t.Errorf("got %v", err)
			}
		}
		wantAsked(t, i, began, 0)
		i.Answer(nil)
		time.Sleep(time.Minute)
		wantToken(t, target(t, source, tokens.Target{Scope: []string{"scope-7"}}), "token-2")
	})
}

// A clock that is set back does not make a pause of a moment one of an hour.
func TestClockSetBackDuringPause(t *testing.T) {
	t.Parallel()
	clock, i := keystest.NewClock(), newIssuer(t)
	cfg := config(t, i)
	cfg.Now = clock.Now
	i.Answer(later(503, "30"))
	source := newSource(t, cfg)
	if _, err := source.Token(t.Context()); !errors.Is(err, tokens.ErrUnreachable) {
		t.Fatal(err)
	}
	i.Answer(nil)
	clock.Advance(-time.Hour)
	wantToken(t, source, "token-2")
}

func TestParams(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	cfg := config(t, i)
	cfg.Params = map[string]string{"audience": "https://orders.example.com/?a=b&grant_type=x"}
	wantToken(t, newSource(t, cfg), "token-1")
	form := i.Requests()[0].form
	if form.Get("audience") != cfg.Params["audience"] || len(form["grant_type"]) != 1 || form.Get("grant_type") != "client_credentials" {
		t.Errorf("audience %q, grant_type %q", form.Get("audience"), form["grant_type"])
	}
	for _, name := range []string{"", "grant_type", "scope", "resource", "client_id", "client_secret", "client_assertion", "client_assertion_type"} {
		cfg.Params = map[string]string{name: "x"}
		if _, err := tokens.New(cfg); err == nil || err.Error() != fmt.Sprintf("tokens: parameter %q is not for Params", name) {
			t.Errorf("%q: got %v", name, err)
		}
	}
}

func TestSecretInForm(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	cfg := config(t, i)
	cfg.TokenEndpoint, cfg.Credential, cfg.SecretInForm = i.URL+"/oauth2/token", tokens.Secret("s3cret"), true
	wantToken(t, newSource(t, cfg), "token-1")
	got := i.Requests()[0]
	if got.form.Get("client_secret") != "s3cret" || got.form.Get("client_id") != "billing" || got.header.Get("Authorization") != "" {
		t.Errorf("form %v, header %v", got.form, got.header)
	}
}
