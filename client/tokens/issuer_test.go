package tokens_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

// issuer is an issuer on loopback that grants token-1, token-2, … until a test tells it to do something else.
type issuer struct {
	*httptest.Server
	mu            sync.Mutex
	token         http.HandlerFunc // guarded by mu; nil grants
	metadata      http.HandlerFunc // guarded by mu; nil tells the truth
	requests      []request        // guarded by mu; what came to the token endpoint
	metadataAsked int              // guarded by mu
}

// request is a token request as it came in.
type request struct {
	method string
	query  string
	header http.Header
	form   url.Values
}

func newIssuer(tb testing.TB) *issuer {
	tb.Helper()
	i := &issuer{}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/oauth-authorization-server", i.serveMetadata)
	mux.HandleFunc("/oauth2/token", i.serveToken)
	i.Server = httptest.NewServer(mux)
	tb.Cleanup(i.Close)
	return i
}

// Answer makes h answer token requests from now on; nil grants again.
func (i *issuer) Answer(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.token = h
}

// AnswerMetadata makes h answer requests for the metadata from now on.
func (i *issuer) AnswerMetadata(h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.metadata = h
}

// Requests returns the token requests so far.
func (i *issuer) Requests() []request {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.requests)
}

func (i *issuer) MetadataAsked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.metadataAsked
}

func (i *issuer) serveMetadata(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.metadataAsked++
	answer := i.metadata
	i.mu.Unlock()
	if answer == nil {
		answer = metadata(i.URL, i.URL+"/oauth2/token")
	}
	answer(w, r)
}

func (i *issuer) serveToken(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	i.mu.Lock()
	i.requests = append(i.requests, request{r.Method, r.URL.RawQuery, r.Header.Clone(), form})
	number, answer := len(i.requests), i.token
	i.mu.Unlock()
	if answer == nil {
		answer = grant(fmt.Sprint("token-", number), 600)
	}
	answer(w, r)
}

// grant answers with a token; life in seconds, 0 to say nothing of it.
func grant(token string, life int) http.HandlerFunc {
	answer := map[string]any{"access_token": token, "token_type": "Bearer"}
	if life != 0 {
		answer["expires_in"] = life
	}
	return answerJSON(http.StatusOK, answer)
}

func metadata(issuer, endpoint string) http.HandlerFunc {
	return answerJSON(http.StatusOK, map[string]any{"issuer": issuer, "token_endpoint": endpoint})
}

func answerJSON(status int, value any) http.HandlerFunc {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return answer(status, string(text))
}

func answer(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}
}

// hold answers with then once release is called, which the end of the test does too.
func hold(tb testing.TB, then http.HandlerFunc) (h http.HandlerFunc, release func()) {
	released := make(chan struct{})
	release = sync.OnceFunc(func() { close(released) })
	tb.Cleanup(release)
	return func(w http.ResponseWriter, r *http.Request) {
		<-released
		then(w, r)
	}, release
}

// config is enough to get tokens from i, with a connection pool that the end of the test closes.
func config(tb testing.TB, i *issuer) tokens.Config {
	tb.Helper()
	pool := &http.Transport{}
	tb.Cleanup(pool.CloseIdleConnections)
	return tokens.Config{
		Issuer:     i.URL,
		ClientID:   "billing",
		Credential: tokens.PrivateKey(keystest.Key(keystest.ES256)),
		HTTPClient: &http.Client{Transport: pool},
	}
}

func newSource(tb testing.TB, cfg tokens.Config) *tokens.Source {
	tb.Helper()
	source, err := tokens.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return source
}

// wantToken fails the test unless the source gives the token want.
func wantToken(tb testing.TB, source *tokens.Source, want string) tokens.Token {
	tb.Helper()
	token, err := source.Token(tb.Context())
	if err != nil {
		tb.Fatalf("want %q, got error: %v", want, err)
	}
	if got := token.AccessToken(); got != want {
		tb.Fatalf("got %q, want %q", got, want)
	}
	return token
}

// eventually waits for another goroutine to make condition true.
func eventually(tb testing.TB, what string, condition func() bool) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			tb.Fatal("did not happen within 10 s: ", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// hasControl reports whether text has a character in it that a terminal would obey.
func hasControl(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || (r >= 0x7f && r < 0xa0) })
}
