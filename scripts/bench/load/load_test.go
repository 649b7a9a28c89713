//go:build linux

package main

import (
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The whole comparison, in small: both servers, every mode, the table.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	issuer, bare := filepath.Join(dir, "issuer"), filepath.Join(dir, "bare")
	build(t, filepath.Join("..", "..", ".."), issuer, "./issuer")
	build(t, "..", bare, "./bare")
	var out strings.Builder
	args := []string{"-issuer", issuer, "-bare", bare, "-rounds", "2", "-clients", "100", "-scale", "0.01"}
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if rows := strings.Count(out.String(), "\n| "); rows != 1+3*3 {
		t.Errorf("%d rows in:\n%s", rows, out.String())
	}
}

func build(t *testing.T, module, binary, pkg string) {
	t.Helper()
	if out, err := exec.Command("go", "-C", module, "build", "-o", binary, pkg).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v: %s", pkg, err, out)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"-issuer", "i"},
		{"-issuer", "i", "-bare", "b", "-rounds", "0"},
		{"-issuer", "i", "-bare", "b", "-clients", "1"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
}

func TestServerThatEnds(t *testing.T) {
	s := settings{bare: "/bin/false"}
	_, err := startBare(t.Context(), s, t.TempDir())
	if err == nil || err.Error() != "bare ended: exit status 1: " {
		t.Errorf("got %v", err)
	}
}

func TestLimitFlags(t *testing.T) {
	tests := []struct {
		name, help string
		want       []string
	}{
		{"none", "      --listen string   address", nil},
		{"another of that beginning", "      --limit-in-flight-jwks int", nil},
		{"one", "      --limit-in-flight int   how many", []string{"--limit-in-flight", "512"}},
		{"two", "--limit-client-rate float  a\n--limit-address-rate float  b",
			[]string{"--limit-address-rate", "1000000", "--limit-client-rate", "1000000"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := limitFlags(tt.help); !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	p, err := withKey("client")
	if err != nil {
		t.Fatal(err)
	}
	token, err := signAssertion(p, time.Now()) // a token with other claims
	if err != nil {
		t.Fatal(err)
	}
	err = verify(token, []byte(`{"keys":[]}`), issuerID)
	if err == nil || !strings.Contains(err.Error(), "unexpected claims") {
		t.Errorf("got %v", err)
	}
	parts := strings.Split(token, ".")
	key := jwkOf(t, p)
	if err := key.verify("ES256", parts[0]+"."+parts[1], parts[2]); err != nil {
		t.Error(err)
	}
	for name, alg := range map[string]string{"changed": "ES256", "other algorithm": "RS256", "no algorithm": "none"} {
		if err := key.verify(alg, parts[0]+"."+parts[1]+"x", parts[2]); err == nil {
			t.Errorf("%s: verified", name)
		}
	}
}

func jwkOf(t *testing.T, p person) jwk {
	t.Helper()
	point, err := p.key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return jwk{X: encode(point[1:33]), Y: encode(point[33:])}
}

func TestRequestsAreOfAllClients(t *testing.T) {
	var people []person
	for i := range 5 {
		people = append(people, person{id: fmt.Sprint(i), secret: "s"})
	}
	requests, err := basicRequests(people, es256Audience)(10)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for _, r := range requests {
		seen[string(r)]++
	}
	if len(seen) != len(people) {
		t.Errorf("%d different requests of %d clients", len(seen), len(people))
	}
}
