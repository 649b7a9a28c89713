package tokens_test

import (
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/client/tokens"
)

const (
	invalidClient = `{"error":"invalid_client"}`
	ms            = time.Millisecond
)

// poll calls Token every 10 ms for so long, and returns the errors that it got, without repetitions.
func poll(t *testing.T, source *tokens.Source, d time.Duration) (errs []error) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * ms) {
		_, err := source.Token(t.Context())
		if err != nil && (len(errs) == 0 || errs[len(errs)-1].Error() != err.Error()) {
			errs = append(errs, err)
		}
	}
	return errs
}

// While the issuer is away it is asked with longer and longer pauses, however often callers come.
func TestBackoff(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		random float64
		pauses []time.Duration
	}{
		{"shortest", 0, []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms}},
		{"middle", 0.5, []time.Duration{150 * ms, 300 * ms, 600 * ms, 1200 * ms, 2400 * ms, 4800 * ms, 7500 * ms, 7500 * ms}},
		{"nearly longest", 0.9, []time.Duration{190 * ms, 380 * ms, 760 * ms, 1520 * ms, 3040 * ms, 6080 * ms, 9500 * ms, 9500 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				cfg.Random = func() float64 { return test.random }
				i.Answer(cut)
				want, at := []time.Duration{0}, time.Duration(0)
				for _, pause := range test.pauses {
					at += pause
					want = append(want, at)
				}
				source, began := newSource(t, cfg), time.Now()
				for _, err := range poll(t, source, at+ms) {
					if !errors.Is(err, tokens.ErrUnreachable) {
						t.Errorf("got %v, want %v", err, tokens.ErrUnreachable)
					}
				}
				wantAsked(t, i, began, want...)

				i.Answer(grant("token", 600)) // all is well again: what was is forgotten
				time.Sleep(10 * time.Second)
				source.Invalidate(wantToken(t, source, "token"))
				i.Answer(cut)
				again := time.Now()
				poll(t, source, test.pauses[0]+test.pauses[1]+ms)
				wantAsked(t, i, again, append(i.asked(again)[:len(want)+1], want[:3]...)...)
			})
		})
	}
}

// Who comes while the issuer is left alone gets the error of before, and hears when that ends.
func TestErrorIsKeptForAWhile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
		text   string
	}{
		{"cut", cut, tokens.ErrUnreachable, `obtaining a token from https://issuer.example.com: issuer unreachable: ` +
			`Post "https://issuer.example.com/oauth2/token": unexpected EOF`},
		{"busy", later(503, "90"), tokens.ErrUnreachable,
			`obtaining a token from https://issuer.example.com: issuer unreachable: status 503`},
		{"refused", answer(401, invalidClient), tokens.ErrRefused,
			`obtaining a token from https://issuer.example.com: issuer refused: "invalid_client"`},
		{"nonsense", answer(200, "<html>"), tokens.ErrAnswer,
			`obtaining a token from https://issuer.example.com: unusable answer of issuer: not a JSON object of the right types`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				i.Answer(test.answer)
				var retry time.Duration
				cfg.OnExchange = func(e tokens.Exchange) { retry = e.Retry }
				source := newSource(t, cfg)
				_, first := source.Token(t.Context())
				if !errors.Is(first, test.want) || first.Error() != test.text {
					t.Errorf("got  %v\nwant %s", first, test.text)
				}
				asked := len(i.Requests())
				_, second := source.Token(t.Context())
				text := test.text + " (the issuer is asked again in " + people(retry) + ")"
				if !errors.Is(second, test.want) || second.Error() != text {
					t.Errorf("got  %v\nwant %s", second, text)
				}
				var one, other *tokens.RefusedError
				if errors.As(first, &one) && (!errors.As(second, &other) || *one != *other) {
					t.Errorf("got %+v, then %+v", one, other)
				}
				if len(i.Requests()) != asked {
					t.Error("the issuer was asked again at once")
				}
				i.Answer(nil)
				time.Sleep(retry)
				if _, err := source.Token(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// people is a pause as errors give it.
func people(d time.Duration) string {
	if d > time.Second {
		d = d.Round(time.Second)
	}
	return d.String()
}

// A thousand callers who want a token all the time are no more to the issuer than one.
func TestThousandCallersDuringFailure(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
		asked  []time.Duration
	}{
		{"cut", cut, tokens.ErrUnreachable, []time.Duration{0, 150 * ms, 450 * ms, 1050 * ms, 2250 * ms, 4650 * ms, 9450 * ms}},
		{"refused", answer(401, invalidClient), tokens.ErrRefused,
			[]time.Duration{0, 150 * ms, 450 * ms, 1050 * ms, 2250 * ms, 4650 * ms, 9450 * ms}},
		{"asks for five seconds", later(503, "5"), tokens.ErrUnreachable, []time.Duration{0, 5000 * ms}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				i, cfg := newIssuerInMemory()
				i.Answer(test.answer)
				source, began := newSource(t, cfg), time.Now()
				var callers sync.WaitGroup
				for range 1000 {
					callers.Go(func() {
						for time.Since(began) < 10*time.Second-50*ms {
							if _, err := source.Token(t.Context()); !errors.Is(err, test.want) {
								t.Errorf("got %v, want %v", err, test.want)
							}
							time.Sleep(50 * ms)
						}
					})
				}
				callers.Wait()
				wantAsked(t, i, began, test.asked...)
			})
		})
	}
}

// One target's trouble is not another's.
func TestFailureIsOfOneTarget(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	i.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("two ways of authenticating")
		}
		requests := i.Requests()
		if requests[len(requests)-1].form.Get("scope") == "admin" {
			answer(400, `{"error":"invalid_scope"}`)(w, r)
			return
		}
		grant("token", 600)(w, r)
	})
	source := newSource(t, config(t, i))
	admin, err := source.For(tokens.Target{Scope: []string{"admin"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Token(t.Context()); !errors.Is(err, tokens.ErrRefused) {
		t.Errorf("got %v, want %v", err, tokens.ErrRefused)
	}
	wantToken(t, source, "token")
}
