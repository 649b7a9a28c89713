package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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
type fakeIssuer struct{ fake }

func newFakeIssuer() *fakeIssuer {
	i := &fakeIssuer{fake{answers: make(map[string]http.HandlerFunc)}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", i.replaceable("metadata", i.metadata))
	mux.HandleFunc("GET /jwks", i.replaceable("jwks", i.jwks))
	mux.HandleFunc("POST /token", i.replaceable("token", i.token))
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
	if _, err := keystest.Set(keystest.ES256).Verify(r.PostFormValue("client_assertion")); err != nil {
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(mustJSON(map[string]string{"error": "invalid_client", "error_description": err.Error()}))
		return
	}
	now := time.Now()
	token, err := keystest.Key(keystest.RS256).Sign(keys.TypeAccessToken, mustJSON(map[string]any{
		"iss": i.URL, "sub": "demo", "client_id": "demo", "jti": "1", "iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		"aud": r.PostFormValue("resource"), "scope": r.PostFormValue("scope"),
	}))
	if err != nil {
		panic(err)
	}
	_, _ = w.Write(mustJSON(map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 600}))
}

// fakeResource answers to who has a token of the issuer.
type fakeResource struct{ fake }

func newFakeResource(i *fakeIssuer) *fakeResource {
	f := &fakeResource{fake{answers: make(map[string]http.HandlerFunc)}}
	usual := f.replaceable("", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Super Secret Information")
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
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
	f.Server = httptest.NewServer(mux)
	return f
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
