package main_test

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// gate is a balancer that never sends a token request twice: an issuer that died over it may have used the assertion up.
// It cuts the caller off instead.
type gate struct {
	*balancer

	mu          sync.Mutex
	doomed      map[string]bool // guarded by mu: addresses of issuers that are being killed, or were
	unexplained []error         // guarded by mu: what failed at an issuer that nobody killed
}

func newGate(t *testing.T, backends int) *gate {
	g := &gate{
		balancer: &balancer{backends: make([]atomic.Pointer[string], backends), http: &http.Transport{MaxIdleConnsPerHost: 100}},
		doomed:   make(map[string]bool),
	}
	g.server = httptest.NewServer(&httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		Transport:    g,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	})
	t.Cleanup(g.server.Close)
	t.Cleanup(g.http.CloseIdleConnections)
	return g
}

// RoundTrip implements [http.RoundTripper].
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method == http.MethodGet {
		return g.balancer.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	err = errors.New("no issuer is there")
	first := int(g.turn.Add(1) % uint64(len(g.backends)))
	for i := range g.backends {
		address := g.address((first + i) % len(g.backends))
		if address == "" {
			continue
		}
		var resp *http.Response
		if resp, err = g.attempt(req, body, strings.TrimPrefix(address, "http://")); err == nil {
			return resp, nil
		}
		if !isDialing(err) { // it may have been sent
			break
		}
	}
	return nil, err
}

// attempt wants that only an issuer that was killed does not answer.
func (g *gate) attempt(req *http.Request, body []byte, host string) (*http.Response, error) {
	resp, err := g.balancer.attempt(req, body, host)
	if err != nil && req.Context().Err() == nil && !g.mayCutOff("http://"+host) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.unexplained = append(g.unexplained, fmt.Errorf("the issuer at %s does not answer: %w", host, err))
	}
	return resp, err
}

// address is where a backend is; "": it is away.
func (g *gate) address(i int) string { return *g.backends[i].Load() }

func (g *gate) anyAddress() string { return g.address(rand.IntN(len(g.backends))) }

// isDoomed tells that a backend is about to die.
func (g *gate) isDoomed(i int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.doomed[g.address(i)] = true
}

// mayCutOff reports whether whoever asked at that address may be left without an answer. What comes by way of the gate
// may: it has a look at the reason itself.
func (g *gate) mayCutOff(address string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return address == g.server.URL || g.doomed[address]
}

func (g *gate) problems() []error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.unexplained
}
