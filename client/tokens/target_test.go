package tokens_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"example.com/signet/client/tokens"
)

func target(t *testing.T, source *tokens.Source, target tokens.Target) *tokens.Source {
	t.Helper()
	other, err := source.For(target)
	if err != nil {
		t.Fatal(err)
	}
	return other
}

func TestFor(t *testing.T) {
	t.Parallel()
	const orders, bills = "https://orders.example.com", "https://bills.example.com"
	scope := func(values ...string) []string { return values }
	first := tokens.Target{Resource: orders, Scope: scope("read", "write")}
	for _, test := range []struct {
		name   string
		target tokens.Target
		shared bool
	}{
		{"the same", tokens.Target{Resource: orders, Scope: scope("read", "write")}, true},
		{"scope in another order", tokens.Target{Resource: orders, Scope: scope("write", "read")}, true},
		{"a scope value twice", tokens.Target{Resource: orders, Scope: scope("write", "read", "write")}, true},
		{"another origin", tokens.Target{Resource: orders, Scope: scope("read", "write"), Origin: bills}, true},
		{"less", tokens.Target{Resource: orders, Scope: scope("read")}, false},
		{"more", tokens.Target{Resource: orders, Scope: scope("read", "write", "admin")}, false},
		{"scope in capitals", tokens.Target{Resource: orders, Scope: scope("Read", "write")}, false},
		{"one word of both", tokens.Target{Resource: orders, Scope: scope("readwrite")}, false},
		{"no scope", tokens.Target{Resource: orders}, false},
		{"no resource", tokens.Target{Scope: scope("read", "write")}, false},
		{"nothing", tokens.Target{}, false},
		{"another resource", tokens.Target{Resource: bills, Scope: scope("read", "write")}, false},
		{"a slash more", tokens.Target{Resource: orders + "/", Scope: scope("read", "write")}, false},
		{"scope at the end of the resource", tokens.Target{Resource: orders + "read write"}, false},
		{"scope as part of the resource, after a line break", tokens.Target{Resource: orders + "\nread write"}, false},
		{"scope as part of the resource, between line breaks", tokens.Target{Resource: orders + "\nread write\n"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			source := newSource(t, config(t, i))
			wantToken(t, target(t, source, first), "token-1")
			want := "token-2"
			if test.shared {
				want = "token-1"
			}
			wantToken(t, target(t, source, test.target), want)
			wantToken(t, target(t, source, first), "token-1")
			form := i.Requests()[len(i.Requests())-1].form
			if asked := test.target.Resource; !test.shared && form.Get("resource") != asked {
				t.Errorf("resource %q was asked for, want %q", form.Get("resource"), asked)
			}
			if asked := strings.Join(test.target.Scope, " "); !test.shared && form.Get("scope") != asked {
				t.Errorf("scope %q was asked for, want %q", form.Get("scope"), asked)
			}
		})
	}
}

// The source that New makes is one for a target like the others.
func TestForSharesWithNew(t *testing.T) {
	t.Parallel()
	cfg := config(t, newIssuer(t))
	cfg.Resource, cfg.Scope = "urn:example:orders", []string{"read", "write"}
	source := newSource(t, cfg)
	same := target(t, source, tokens.Target{Resource: cfg.Resource, Scope: []string{"write", "read"}})
	token := wantToken(t, same, "token-1")
	wantToken(t, source, "token-1")
	source.Invalidate(token)
	wantToken(t, same, "token-2")
	wantToken(t, source, "token-2")

	source.Invalidate(wantToken(t, target(t, same, tokens.Target{}), "token-3")) // not its token
	wantToken(t, source, "token-2")
}

func TestForRefuses(t *testing.T) {
	t.Parallel()
	source := newSource(t, config(t, newIssuer(t)))
	for _, test := range []struct {
		name   string
		target tokens.Target
		want   string
	}{
		{"scope empty", tokens.Target{Scope: []string{""}}, `tokens: "" is no scope value`},
		{"scope with space", tokens.Target{Scope: []string{"a", "b admin"}}, `tokens: "b admin" is no scope value`},
		{"scope with line break", tokens.Target{Scope: []string{"a\n"}}, `tokens: "a\n" is no scope value`},
		{"scope with NUL", tokens.Target{Scope: []string{"a\x00"}}, `tokens: "a\x00" is no scope value`},
		{"scope with terminal escape", tokens.Target{Scope: []string{"\x1b[2J"}}, `tokens: "\x1b[2J" is no scope value`},
		{"scope not UTF-8", tokens.Target{Scope: []string{"\xff"}}, `tokens: "\xff" is no scope value`},
		{"scope of great length", tokens.Target{Scope: []string{strings.Repeat("é", 1000)}},
			`tokens: "` + strings.Repeat("é", 200) + `" is no scope value`},
		{"origin relative", tokens.Target{Origin: "orders.example.com"},
			`tokens: origin: URL not allowed: "orders.example.com" is not absolute`},
		{"origin on plain http", tokens.Target{Origin: "http://orders.example.com"},
			`tokens: origin: URL not allowed: "http://orders.example.com" is neither https nor loopback`},
		{"origin with password", tokens.Target{Origin: "https://user:SECRET@orders.example.com"},
			`tokens: origin: URL not allowed: it has a user or fragment`},
		{"origin malformed", tokens.Target{Origin: "https://a\x7f"}, `tokens: origin: URL not allowed: not a URL`},
		{"origin wrong, resource right", tokens.Target{Origin: "x", Resource: "https://orders.example.com"},
			`tokens: origin: URL not allowed: "x" is not absolute`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			other, err := source.For(test.target)
			if err == nil || err.Error() != test.want || other != nil {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}

// Whatever a resource is called, it reaches the issuer as it is and nothing else with it.
func TestHostileResources(t *testing.T) {
	t.Parallel()
	for n, resource := range []string{
		"&scope=admin", "a=b&client_id=other", "\r\nX: y", "\x00", "\x1b[2J", "\xff\xfe", "%26", "+", " ",
		"http://orders.example.com", "https://user:password@orders.example.com", "#", strings.Repeat("x", 10_000),
	} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			source := target(t, newSource(t, config(t, i)), tokens.Target{Resource: resource})
			wantToken(t, source, "token-1")
			form := i.Requests()[0].form
			if got := form["resource"]; len(got) != 1 || got[0] != resource {
				t.Errorf("got %q, want %q", got, resource)
			}
			if len(form) != 4 {
				t.Errorf("parameters of its own making: %v", form)
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://orders.example.com", nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := source.Transport(&recorder{}).RoundTrip(req); err == nil {
				t.Error("a request was sent for a resource that is no place to send tokens to")
			}
		})
	}
}

// Targets do not wait for one another.
func TestTargetsAreIndependent(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	var begun sync.WaitGroup
	const targets = 10
	begun.Add(targets)
	i.Answer(func(w http.ResponseWriter, r *http.Request) {
		begun.Done()
		begun.Wait() // answers none until all have asked
		grant("token", 600)(w, r)
	})
	source := newSource(t, config(t, i))
	var callers sync.WaitGroup
	for n := range targets {
		other := target(t, source, tokens.Target{Scope: []string{fmt.Sprint("scope-", n)}})
		callers.Go(func() {
			if _, err := other.Token(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
}

// The scope's slice is the caller's, who may use it for something else.
func TestForCopiesScope(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	scope := []string{"write", "read"}
	source := target(t, newSource(t, config(t, i)), tokens.Target{Scope: scope})
	if scope[0] != "write" {
		t.Error("the caller's slice was sorted")
	}
	scope[0] = "admin"
	wantToken(t, source, "token-1")
	if got := i.Requests()[0].form.Get("scope"); got != "write read" {
		t.Errorf("scope %q was asked for", got)
	}
}
