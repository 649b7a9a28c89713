//go:build linux

package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"

	"example.com/signet/keys"
)

// issuer signs access tokens with keys of its own, and publishes on loopback what verifies them.
type issuer struct {
	url     string
	set     *keys.Set
	signers map[keys.Algorithm]*keys.PrivateKey
	server  *http.Server
}

func startIssuer() (*issuer, error) {
	i := &issuer{signers: make(map[keys.Algorithm]*keys.PrivateKey)}
	var public []*keys.PublicKey
	for _, alg := range keys.Algorithms() {
		key, err := keys.GenerateKey(alg)
		if err != nil {
			return nil, err
		}
		i.signers[alg] = key
		public = append(public, key.Public())
	}
	var err error
	if i.set, err = keys.NewSet(public...); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	i.url = "http://" + listener.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", i.metadata)
	mux.HandleFunc("GET /.well-known/jwks.json", i.jwks)
	i.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = i.server.Serve(listener) }()
	return i, nil
}

func (i *issuer) close() { _ = i.server.Close() }

// metadata answers with what a verifier looks for (RFC 8414 §3.2).
func (i *issuer) metadata(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"issuer": i.url, "jwks_uri": i.url + "/.well-known/jwks.json"})
}

func (i *issuer) jwks(w http.ResponseWriter, _ *http.Request) {
	document, err := i.set.MarshalJSON()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	w.Header().Set("Cache-Control", "public, max-age=3600") // fetched once, and not while it is measured
	_, _ = w.Write(document)
}

// claims are those of an access token (RFC 9068 §2.2).
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Audience string `json:"aud"`
	Expires  int64  `json:"exp"`
	IssuedAt int64  `json:"iat"`
	ID       string `json:"jti"`
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

const (
	audience = "https://orders.example.com"
	lifetime = 2 * time.Hour // longer than any run
)

func (i *issuer) sign(alg keys.Algorithm) (string, error) {
	now := time.Now()
	payload, err := json.Marshal(claims{
		Issuer: i.url, Subject: "billing", Audience: audience, Expires: now.Add(lifetime).Unix(), IssuedAt: now.Unix(),
		ID: rand.Text(), ClientID: "billing", Scope: "orders:read orders:write",
	})
	if err != nil {
		return "", err
	}
	return i.signers[alg].Sign(keys.TypeAccessToken, payload)
}

// signAll signs n tokens, no two alike, on all cores: with RSA each takes a millisecond.
func (i *issuer) signAll(alg keys.Algorithm, n int) ([]string, error) {
	tokens, errs := make([]string, n), make([]error, n)
	var workers sync.WaitGroup
	for worker := range runtime.NumCPU() {
		workers.Go(func() {
			for k := worker; k < n; k += runtime.NumCPU() {
				tokens[k], errs[k] = i.sign(alg)
			}
		})
	}
	workers.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("signing %s tokens: %w", alg, err)
	}
	return tokens, nil
}
