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
	at     time.Time
}

func newIssuer(tb testing.TB) *issuer {
	tb.Helper()
	i := &issuer{}
	i.Server = httptest.NewServer(i.handler())
	tb.Cleanup(i.Close)
	return i
}

func (i *issuer) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/oauth-authorization-server", i.serveMetadata)
	mux.HandleFunc("/oauth2/token", i.serveToken)
	return mux
}

// newIssuerInMemory returns an issuer without a network, for tests with the clock of testing/synctest, and what is
// enough to get tokens from it. Random is always in the middle, so a token is refreshed at exactly 80 % of its life.
func newIssuerInMemory() (*issuer, tokens.Config) {
	i := &issuer{Server: &httptest.Server{URL: "https://issuer.example.com"}}
	return i, tokens.Config{
		Issuer:     i.URL,
		ClientID:   "billing",
		Credential: tokens.PrivateKey(keystest.Key(keystest.ES256)),
		HTTPClient: &http.Client{Transport: inMemory{i.handler()}},
		Random:     func() float64 { return 0.5 },
	}
}

// inMemory is a RoundTripper that hands requests to a handler of the same process.
type inMemory struct{ handler http.Handler }

func (m inMemory) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recovered := recover(); recovered == http.ErrAbortHandler {
			resp, err = nil, io.ErrUnexpectedEOF
		} else if recovered != nil {
			panic(recovered)
		}
		if req.Body != nil {
			_ = req.Body.Close()
		}
	}()
	answer := httptest.NewRecorder()
	m.handler.ServeHTTP(answer, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return answer.Result(), nil
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
	i.requests = append(i.requests, request{r.Method, r.URL.RawQuery, r.Header.Clone(), form, time.Now()})
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

// cut closes the connection without an answer.
func cut(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// later refuses to answer for now.
func later(status int, retryAfter string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
	}
}

// hang answers nothing until whoever asks has gone.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

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
	tb.Cleanup(source.Close)
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
