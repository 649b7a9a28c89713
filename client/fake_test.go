package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// fake is a server of which each document can be replaced.
type fake struct {
	*httptest.Server
	mu      sync.Mutex
	answers map[string]http.HandlerFunc // guarded by mu
}

// answer makes h answer requests for the named document from now on.
func (f *fake) answer(name string, h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[name] = h
}

// replaceable returns a handler for the named document, which is usual unless it was replaced.
func (f *fake) replaceable(name string, usual http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		h := f.answers[name]
		f.mu.Unlock()
		if h == nil {
			h = usual
		}
		h(w, r)
	}
}

// fakeIssuer knows one client, demo, and signs RS256 tokens for it.
type fakeIssuer struct {
	fake
	asked atomic.Int64 // for a token
	given atomic.Int64 // tokens; no two are the same
}

const (
	goodSecret  = "s3cret+of/the client" // of demo
	opaqueToken = `opaque'"$(id>owned)` + "`id>owned`" + `\n\!#%~`
)

func newFakeIssuer() *fakeIssuer {
	i := &fakeIssuer{fake: fake{answers: make(map[string]http.HandlerFunc)}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", i.replaceable("metadata", i.metadata))
	mux.HandleFunc("GET /jwks", i.replaceable("jwks", i.jwks))
	token := i.replaceable("token", i.token)
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		i.asked.Add(1)
		token(w, r)
	})
	i.Server = httptest.NewServer(mux)
	return i
}

func (i *fakeIssuer) metadata(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write(mustJSON(map[string]string{"issuer": i.URL, "token_endpoint": i.URL + "/token", "jwks_uri": i.URL + "/jwks"}))
}

func (i *fakeIssuer) jwks(w http.ResponseWriter, _ *http.Request) {
	_, _ = w.Write(mustJSON(keystest.Set(keystest.RS256)))
}

func (i *fakeIssuer) token(w http.ResponseWriter, r *http.Request) {
	client, err := authenticate(r)
	if err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(mustJSON(map[string]string{"error": "invalid_client", "error_description": err.Error()}))
		return
	}
	now := time.Now()
	token, err := keystest.Key(keystest.RS256).Sign(keys.TypeAccessToken, mustJSON(map[string]any{
		"iss": i.URL, "sub": client, "client_id": client, "jti": fmt.Sprint(i.given.Add(1)), "iat": now.Unix(),
		"exp": now.Add(10 * time.Minute).Unix(), "aud": r.PostFormValue("resource"), "scope": r.PostFormValue("scope"),
	}))
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(mustJSON(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 600}))
}

// authenticate returns who asks: demo, by its secret or an assertion signed with its key, or whoever an assertion by
// another known key names.
func authenticate(r *http.Request) (string, error) {
	if id, secret, ok := r.BasicAuth(); ok {
		if id != "demo" || secret != url.QueryEscape(goodSecret) {
			return "", errors.New("wrong secret")
		}
		return id, nil
	}
	verified, err := keystest.Set(keystest.ES256, keystest.ES256Other).Verify(r.PostFormValue("client_assertion"))
	if err != nil {
		return "", err
	}
	var claims struct {
		Subject string `json:"sub"`
	}
	err = keys.DecodeObject(verified.Payload, &claims)
	return cmp.Or(r.PostFormValue("client_id"), claims.Subject), err
}

// fakeResource answers to who has a token of the issuer.
type fakeResource struct {
	fake
	disliked string // by fickle; guarded by mu
}

func newFakeResource(i *fakeIssuer) *fakeResource {
	f := &fakeResource{fake: fake{answers: make(map[string]http.HandlerFunc)}}
	usual := f.replaceable("", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Super Secret Information")
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if _, _, err := f.verified(r); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		usual(w, r)
	})
	mux.HandleFunc("GET /carrier", func(w http.ResponseWriter, r *http.Request) {
		carrier, _, _ := f.verified(r)
		fmt.Fprintln(w, carrier)
	})
	mux.HandleFunc("GET /claims", func(w http.ResponseWriter, r *http.Request) {
		_, claims, _ := f.verified(r)
		_, _ = w.Write(claims)
	})
	mux.HandleFunc("GET /here", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/carrier", http.StatusFound) })
	mux.HandleFunc("GET /away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, i.URL, http.StatusFound) })
	mux.HandleFunc("GET /broken", func(w http.ResponseWriter, _ *http.Request) {
		writeRaw(w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhalf \r\n")
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) { // whatever it is
		fmt.Fprintln(w, r.Header.Get("Token")+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		_, _, err := f.verified(r)
		fmt.Fprintf(w, "%s %s %v\n", r.Method, r.Header.Get("Content-Type"), err)
		_, _ = io.Copy(w, r.Body)
	})
	mux.HandleFunc("/clock", f.replaceable("", nil))
	mux.HandleFunc("/fickle", f.fickle)
	f.Server = httptest.NewServer(mux)
	return f
}

// fickle refuses the first token that it sees for good, and echoes what comes with any other.
func (f *fakeResource) fickle(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if f.disliked == "" {
		f.disliked = r.Header.Get("Token")
	}
	isDisliked := f.disliked == r.Header.Get("Token")
	f.mu.Unlock()
	if isDisliked {
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		http.Error(w, "invalid token", http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(w, "%s ", r.Method)
	_, _ = io.Copy(w, r.Body)
}

// verified returns which header carried the token, and its claims.
func (f *fakeResource) verified(r *http.Request) (carrier string, claims []byte, err error) {
	carrier, token := "token", r.Header.Get("Token")
	if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		carrier, token = "authorization", bearer
	}
	verified, err := keystest.Set(keystest.RS256).Verify(token)
	return carrier, verified.Payload, err
}
