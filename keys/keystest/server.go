package keystest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"

	"example.com/signet/keys"
)

// Server is an issuer as a verifier sees it: a metadata document and a JWK Set over HTTP on loopback. It answers well
// until it is told to fail. It is safe for concurrent use.
type Server struct {
	*httptest.Server
	fetches atomic.Int64
	mu      sync.Mutex
	set     *keys.Set    // guarded by mu
	fail    http.Handler // guarded by mu; nil answers well
}

// NewServer starts a server that publishes set. The caller closes it.
func NewServer(set *keys.Set) *Server {
	s := &Server{set: set}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", s.metadata)
	mux.HandleFunc("GET /.well-known/jwks.json", s.jwks)
	s.Server = httptest.NewUnstartedServer(mux)
	s.Start() // only now: the handlers read s.URL
	return s
}

// Issuer returns the issuer identifier: the server's URL.
func (s *Server) Issuer() string { return s.URL }

// Publish replaces the JWK Set.
func (s *Server) Publish(set *keys.Set) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set = set
}

// Fail makes h answer every request for the JWK Set; nil mends the server.
func (s *Server) Fail(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = nil
	if h != nil {
		s.fail = h
	}
}

// Fetches returns how many requests for the JWK Set have come in.
func (s *Server) Fetches() int { return int(s.fetches.Load()) }

func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{
		"issuer":         s.URL,
		"jwks_uri":       s.URL + "/.well-known/jwks.json",
		"token_endpoint": s.URL + "/oauth2/token",
	})
}

func (s *Server) jwks(w http.ResponseWriter, r *http.Request) {
	s.fetches.Add(1)
	s.mu.Lock()
	set, fail := s.set, s.fail
	s.mu.Unlock()
	if fail != nil {
		fail.ServeHTTP(w, r)
		return
	}
	document, err := set.MarshalJSON()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", fmt.Sprintf("public, max-age=%d", 300))
	_, _ = w.Write(document)
}
