package tokens_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
)

func TestTransportRenews(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789abcdef", 1<<16)
	text := func(text string) func(*http.Request) {
		return func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
			r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
		}
	}
	for _, test := range []struct {
		name string
		edit func(*http.Request)
		want []call // the last one's answer is the answer
	}{
		{"stream", func(r *http.Request) { r.Body = &stream{Reader: strings.NewReader("text")} }, []call{{"token-1", "text"}}},
		{"body that cannot be had again", func(r *http.Request) {
			text("text")(r)
			r.GetBody = func() (io.ReadCloser, error) { return nil, errors.New("gone") }
		}, []call{{"token-1", "text"}}},
		{"body that is nil the second time", func(r *http.Request) {
			text("text")(r)
			r.GetBody = func() (io.ReadCloser, error) { return nil, nil } //nolint:nilnil // that is the point
		}, []call{{"token-1", "text"}}},
		{"no body", func(*http.Request) {}, []call{{"token-1", ""}, {"token-2", ""}}},
		{"http.NoBody", func(r *http.Request) { r.Body = http.NoBody }, []call{{"token-1", ""}, {"token-2", ""}}},
		{"body", text("text"), []call{{"token-1", "text"}, {"token-2", "text"}}},
		{"body of unknown length", func(r *http.Request) { text("text")(r); r.ContentLength = -1 }, []call{{"token-1", "text"}, {"token-2", "text"}}},
		{"long body", text(long), []call{{"token-1", long}, {"token-2", long}}},
		{"long body, refused before it is read", func(r *http.Request) { text(long)(r); r.Header.Set("Unread", "yes") },
			[]call{{"token-1", "unread"}, {"token-2", long}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i, r := newIssuer(t), newResource(t, only("token-1"))
			source, client := renewing(t, i, r, keystest.NewClock())
			req := newRequest(t, r.URL)
			test.edit(req)
			resp, err := client.Do(req)
			status, last := http.StatusOK, test.want[len(test.want)-1]
			if last.token == "token-1" {
				status = http.StatusUnauthorized
			}
			wantAnswer(t, resp, err, status, "for "+last.token)
			if got := r.Calls(); !slices.Equal(got, test.want) {
				t.Errorf("%d calls: %.300q", len(got), got)
			}
			wantToken(t, source, "token-2") // the refused one was dropped, also where it was not the time to try again
			if asked := len(i.Requests()); asked != 2 {
				t.Errorf("%d exchanges, want 2", asked)
			}
		})
	}
}

func TestTransportKeepsToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		status     int
		challenges []string
	}{
		{"403 invalid_token", 403, []string{invalidTokenChallenge}},
		{"400 invalid_token", 400, []string{invalidTokenChallenge}},
		{"407 invalid_token", 407, []string{invalidTokenChallenge}},
		{"500 invalid_token", 500, []string{invalidTokenChallenge}},
		{"200 invalid_token", 200, []string{invalidTokenChallenge}},
		{"401 without a challenge", 401, nil},
		{"401 without an error", 401, []string{`Bearer realm="orders"`}},
		{"401 insufficient_scope", 401, []string{`Bearer error="insufficient_scope"`}},
		{"401 invalid_token of another scheme", 401, []string{`DPoP error="invalid_token"`, `Bearer realm="orders"`}},
		{"401 invalid_token in a realm", 401, []string{`Basic realm="Bearer error=\"invalid_token\""`}},
		{"401 garbage", 401, []string{`"`, "=,=", `Bearer error="invalid_token`}},
		{"503", 503, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i, calls := newIssuer(t), 0
			r := newResource(t, every)
			r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				for _, challenge := range test.challenges {
					w.Header().Add("WWW-Authenticate", challenge)
				}
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, "no")
			})
			source, client := renewing(t, i, r, keystest.NewClock())
			resp, err := client.Do(newRequest(t, r.URL))
			wantAnswer(t, resp, err, test.status, "no")
			wantToken(t, source, "token-1")
			if calls != 1 || len(i.Requests()) != 1 {
				t.Errorf("%d calls with %d tokens", calls, len(i.Requests()))
			}
		})
	}
}

// However a refusal is spelled, on the wire it is one.
func TestTransportRenewsInAnySpelling(t *testing.T) {
	t.Parallel()
	for name, challenges := range map[string][]string{
		"several fields":     {`Basic realm="x"`, `bearer ERROR = invalid_token`},
		"several challenges": {`Negotiate YII==, DPoP error="use_dpop_nonce", Bearer realm="a\"b", error="invalid\_token"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, r := newIssuer(t), newResource(t, every)
			r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.Header.Get("Token") == "token-1" {
					w.Header()["Www-Authenticate"] = challenges
					w.WriteHeader(http.StatusUnauthorized)
				}
			})
			_, client := renewing(t, i, r, keystest.NewClock())
			resp, err := client.Do(newRequest(t, r.URL))
			wantAnswer(t, resp, err, http.StatusOK, "")
		})
	}
}

// The second refusal is the answer, and there is no third try.
func TestTransportTriesTwice(t *testing.T) {
	t.Parallel()
	i, r := newIssuer(t), newResource(t, every)
	_, client := renewing(t, i, r, keystest.NewClock())
	resp, err := client.Post(r.URL, "text/plain", strings.NewReader("text"))
	wantAnswer(t, resp, err, http.StatusUnauthorized, "for token-2")
	if got, want := r.Calls(), []call{{"token-1", "text"}, {"token-2", "text"}}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Without another token, the refusal is the answer, and its body is still to be read.
func TestTransportWithoutAnotherToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"same token", grant("token-1", 600)},
		{"same token, not to be kept", grant("token-1", 0)},
		{"refused", answer(400, `{"error":"invalid_client"}`)},
		{"busy", later(503, "60")},
		{"nonsense", answer(200, "<html>")},
		{"no answer", cut},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i, r := newIssuer(t), newResource(t, every)
			source, client := renewing(t, i, r, keystest.NewClock())
			wantToken(t, source, "token-1")
			i.Answer(test.answer)
			again := &stream{Reader: strings.NewReader("text")}
			req := newRequest(t, r.URL)
			req.Body = io.NopCloser(strings.NewReader("text"))
			req.GetBody = func() (io.ReadCloser, error) { return again, nil }
			resp, err := client.Do(req)
			wantAnswer(t, resp, err, http.StatusUnauthorized, "for token-1")
			if got, want := r.Calls(), []call{{"token-1", "text"}}; !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
			if !again.Closed() {
				t.Error("the body for the second try was not closed")
			}
		})
	}
}

// Who cannot wait for another token has the refusal.
func TestTransportRenewalTakesTooLong(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	cfg := config(t, i)
	cfg.Origin = "https://a.example"
	source := newSource(t, cfg)
	wantToken(t, source, "token-1")
	i.Answer(hang)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	resp, err := source.Transport(&refuser{}).RoundTrip(newRequest(t, "https://a.example/").WithContext(ctx))
	wantAnswer(t, resp, err, http.StatusUnauthorized, "refused")
}

// refuser is a RoundTripper that refuses every token, and keeps the bodies of its answers.
type refuser struct{ answers []*stream }

func (r *refuser) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		_, _ = io.Copy(io.Discard, req.Body)
		_ = req.Body.Close()
	}
	text := &stream{Reader: strings.NewReader("refused")}
	r.answers = append(r.answers, text)
	header := http.Header{"Www-Authenticate": {invalidTokenChallenge}}
	return &http.Response{StatusCode: http.StatusUnauthorized, Header: header, Body: text, Request: req}, nil
}

// A refusal that comes late does not cost the token that has come meanwhile.
func TestTransportDropsTheVeryToken(t *testing.T) {
	t.Parallel()
	for name, life := range map[string]int{"token that was kept": 600, "token that was not kept": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i, r := newIssuer(t), newResource(t, only("token-1"))
			i.Answer(grant("token-1", life))
			source, client := renewing(t, i, r, keystest.NewClock())
			late, release := hold(t, r.ServeHTTP)
			arrived := make(chan struct{}, 10)
			r.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				arrived <- struct{}{}
				late(w, req)
			})
			done := make(chan struct{})
			go func() {
				defer close(done)
				resp, err := client.Post(r.URL, "text/plain", strings.NewReader("text"))
				wantAnswer(t, resp, err, http.StatusOK, "for token-2")
			}()
			<-arrived
			source.Invalidate(newToken(t, "token-1", time.Time{}))
			i.Answer(nil)
			wantToken(t, source, "token-2")
			release()
			<-done
			wantToken(t, source, "token-2")
			if asked := len(i.Requests()); asked != 2 {
				t.Errorf("%d exchanges, want 2", asked)
			}
		})
	}
}
