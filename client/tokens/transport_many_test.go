package tokens_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
)

// A thousand requests with the same stale token are one exchange.
func TestTransportRenewsOnceForAll(t *testing.T) {
	t.Parallel()
	const callers = 1000
	i := newIssuer(t)
	cfg := config(t, i)
	cfg.Origin = "https://a.example"
	source := newSource(t, cfg)
	wantToken(t, source, "token-1")
	transport := source.Transport(&together{stale: "token-1", left: callers, all: make(chan struct{})})
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			text := fmt.Sprint("text ", n)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://a.example/", bytes.NewReader([]byte(text)))
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := transport.RoundTrip(req)
			wantAnswer(t, resp, err, http.StatusOK, "token-2 "+text)
		})
	}
	wg.Wait()
	if asked := len(i.Requests()); asked != 2 {
		t.Errorf("%d exchanges, want 2", asked)
	}
}

// together is a RoundTripper that refuses a stale token once all have come with it, and echoes the others.
type together struct {
	stale string
	mu    sync.Mutex
	left  int // guarded by mu
	all   chan struct{}
}

func (g *together) RoundTrip(req *http.Request) (*http.Response, error) {
	text, _ := io.ReadAll(req.Body)
	_ = req.Body.Close()
	token := req.Header.Get("Token")
	resp := &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(token + " " + string(text)))}
	if token != g.stale {
		return resp, nil
	}
	g.mu.Lock()
	if g.left--; g.left == 0 {
		close(g.all)
	}
	g.mu.Unlock()
	<-g.all
	resp.StatusCode, resp.Header = http.StatusUnauthorized, http.Header{"Www-Authenticate": {invalidTokenChallenge}}
	return resp, nil
}

// The same over a network.
func TestTransportRenewsForManyOverHTTP(t *testing.T) {
	t.Parallel()
	const callers = 100
	i, r := newIssuer(t), newResource(t, only("token-1"))
	source, client := renewing(t, i, r, keystest.NewClock())
	wantToken(t, source, "token-1")
	var wg sync.WaitGroup
	for n := range callers {
		wg.Go(func() {
			resp, err := client.Post(r.URL, "text/plain", strings.NewReader(fmt.Sprint("text ", n)))
			wantAnswer(t, resp, err, http.StatusOK, "for token-2")
		})
	}
	wg.Wait()
	if asked := len(i.Requests()); asked != 2 {
		t.Errorf("%d exchanges, want 2", asked)
	}
	whole := make(map[string]bool)
	for _, call := range r.Calls() {
		if call.token == "token-2" {
			whole[call.body] = true
		}
	}
	if len(whole) != callers {
		t.Errorf("%d different bodies arrived, want %d", len(whole), callers)
	}
}

// A resource server that takes no token of ours must not make us ask for one with each request.
func TestTransportRenewsFiveTimes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		life int
		each int // exchanges for each request, because nothing is kept
	}{
		{"tokens that are kept", 3600, 0},
		{"tokens that are not kept", 0, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i, r, clock := newIssuer(t), newResource(t, every), keystest.NewClock()
			number := 0
			i.Answer(func(w http.ResponseWriter, req *http.Request) {
				number++
				grant(fmt.Sprint("token-", number), test.life)(w, req)
			})
			source, client := renewing(t, i, r, clock)
			wantToken(t, source, "token-1")
			base := 1
			call := func(times int) {
				for range times {
					resp, err := client.Post(r.URL, "text/plain", strings.NewReader("text"))
					if err != nil {
						t.Fatal(err)
					}
					text, _ := io.ReadAll(resp.Body)
					_ = resp.Body.Close()
					if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(string(text), "for token-") {
						t.Fatalf("got %d %q", resp.StatusCode, text)
					}
				}
				base += times * test.each
			}
			for _, step := range []struct {
				passes  time.Duration
				calls   int
				renewed int // in all, since the beginning
			}{
				{0, 4, 4},
				{0, 50, 5},
				{9 * time.Second, 10, 5},
				{time.Second, 10, 6},
				{10 * time.Second, 10, 7},
				{30 * time.Second, 10, 10},
				{time.Hour / 2, 50, 15},
			} {
				clock.Advance(step.passes)
				call(step.calls)
				if got := len(i.Requests()) - base; got != step.renewed {
					t.Fatalf("after %v and %d calls: %d renewals, want %d", step.passes, step.calls, got, step.renewed)
				}
			}
		})
	}
}

// The same at once: none waits, and none fails otherwise.
func TestTransportRenewsFiveTimesAtOnce(t *testing.T) {
	t.Parallel()
	i, r := newIssuer(t), newResource(t, every)
	_, client := renewing(t, i, r, keystest.NewClock())
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			resp, err := client.Post(r.URL, "text/plain", strings.NewReader("text"))
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	wg.Wait()
	if asked := len(i.Requests()); asked > 6 {
		t.Errorf("%d exchanges, want one and five more at most", asked)
	}
}
