package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// gatedWriter says when it is written to, and lets it wait.
type gatedWriter struct {
	bytes.Buffer
	begun, open chan struct{}
}

func (w *gatedWriter) Write(text []byte) (int, error) {
	select {
	case w.begun <- struct{}{}:
	default:
	}
	<-w.open
	return w.Buffer.Write(text)
}

// Whoever reads the difference slowly holds up nobody else: what is changed is committed, and others change on.
func TestApplyDoesNotWaitForItsReader(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	registry := filepath.Join(dir, "registry.yaml")
	text := "resources: [{audience: 'urn:a'}]\nclients: [{id: slow, jwks_uri: 'https://a.example/j', allow: [{resource: 'urn:a'}]}]\n"
	if err := os.WriteFile(registry, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	here := []string{"--keys-dir", filepath.Join(dir, "keys")}
	if got := runHere(t, append(here, "keys", "generate", "--alg", "ES256")...); got.code != exitOK {
		t.Fatalf("%+v", got)
	}
	stdout := &gatedWriter{begun: make(chan struct{}, 1), open: make(chan struct{})}
	ended := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		args := append(here, "registry", "apply", "-f", registry)
		ended <- run(t.Context(), args, func(string) string { return "" }, stdout, &stderr)
	}()
	<-stdout.begun
	deadline := time.Now().Add(20 * time.Second)
	for got := (ran{}); !strings.Contains(got.stdout, "slow"); got = runHere(t, append(here, "clients", "list")...) {
		if time.Now().After(deadline) {
			t.Fatalf("nothing is committed while nobody reads: %+v", got)
		}
	}
	if got := runHere(t, append(here, "clients", "disable", "slow")...); got.code != exitOK {
		t.Errorf("another change: %+v", got)
	}
	close(stdout.open)
	if code := <-ended; code != exitOK || stdout.String() != "+ resource urn:a\n+ client slow\n" || stderr.String() != "2 changed\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout.String(), stderr.String())
	}
}
