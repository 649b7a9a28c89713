// Command bare is the least that a token endpoint can do, for comparison: a router, one comparison of a SHA-256 or one
// verification of a client's signature, one signature. It has no limits, no log, no metrics, and refuses next to
// nothing. It is not for use.
package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"
)

const (
	issuer = "https://issuer.example.com"
	es256  = "https://es256.example.com" // the resource whose tokens are signed so
)

var (
	clients   map[string]client
	ecKey, _  = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rsaKey, _ = rsa.GenerateKey(rand.Reader, 2048)
)

// claims are those of a token and, as far as they are read, of an assertion.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	IssuedAt int64  `json:"iat"`
	ID       string `json:"jti"`
	ClientID string `json:"client_id,omitempty"`
	Scope    string `json:"scope,omitempty"`
}

type answer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope,omitempty"`
}

// main is given the file of clients.
func main() {
	text, err := os.ReadFile(os.Args[1])
	if err == nil {
		clients, err = readClients(text)
	}
	if err != nil {
		log.Fatal(err)
	}
	router := chi.NewRouter()
	router.Post("/oauth2/token", token)
	router.Get("/.well-known/jwks.json", jwks)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "{\"listen\":%q}\n", listener.Addr())
	log.Fatal(http.Serve(listener, router))
}

func token(w http.ResponseWriter, r *http.Request) {
	id, secret, isBasic := r.BasicAuth()
	known := isBasic && clients[id].hasSecret(secret)
	if !isBasic {
		id, known = verify(r.PostFormValue("client_assertion"))
	}
	if !known || r.PostFormValue("grant_type") != "client_credentials" {
		http.Error(w, "refused", http.StatusUnauthorized)
		return
	}
	audience, scope, now := r.PostForm.Get("resource"), r.PostForm.Get("scope"), time.Now().Unix()
	payload, _ := json.Marshal(claims{issuer, id, audience, now + 600, now, rand.Text(), id, scope})
	body, _ := json.Marshal(answer{sign(audience, payload), "Bearer", 600, scope})
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// verify returns the client that signed the assertion.
func verify(assertion string) (string, bool) {
	dot := strings.LastIndexByte(assertion, '.')
	if dot < 0 {
		return "", false
	}
	_, payload, _ := strings.Cut(assertion[:dot], ".")
	text, _ := base64.RawURLEncoding.DecodeString(payload)
	signature, _ := base64.RawURLEncoding.DecodeString(assertion[dot+1:])
	var c claims
	if json.Unmarshal(text, &c) != nil {
		return "", false
	}
	return c.Subject, clients[c.Subject].hasSigned(sha256.Sum256([]byte(assertion[:dot])), signature)
}
