package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/limit"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys/keystest"
)

// checkBusy checks all of an answer that asks the caller to come later.
func checkBusy(t *testing.T, a answer, status int, retryAfter string) {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d", a.StatusCode, status)
	}
	if want := errorBody("temporarily_unavailable", "too many requests") + "\n"; a.body != want {
		t.Errorf("body %q, want %q", a.body, want)
	}
	for name, want := range map[string]string{
		"Retry-After":      retryAfter,
		"Content-Type":     "application/json",
		"Content-Length":   fmt.Sprint(len(a.body)),
		"Cache-Control":    "no-store",
		"Pragma":           "no-cache",
		"Www-Authenticate": "",
	} {
		if got := strings.Join(a.Header.Values(name), ","); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// Retry-After is in whole seconds and rounded up: who waits that long is served.
func TestAddressLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t, addressLimit(t, 1, 12))
	checkToken(t, s.post(t, form(), "Authorization", basic("billing", "wrong-wrong-wrong")), 401, "") // eleven
	checkToken(t, s.post(t, form(), "Authorization", basic("billing", secret)), 200, "")
	checkBusy(t, s.post(t, form(), "Authorization", basic("billing", secret)), 429, "1")
	s.clock.Advance(time.Second)
	checkToken(t, s.post(t, form(), "Authorization", basic("billing", "wrong-wrong-wrong")), 401, "") // ten are owed
	rows := []struct {
		advance    time.Duration
		retryAfter string
	}{
		{0, "11"},
		{time.Nanosecond, "11"},
		{time.Second - 2*time.Nanosecond, "11"},
		{2 * time.Nanosecond, "10"},
		{8*time.Second + 999*time.Millisecond, "2"},
		{time.Millisecond, "1"},
		{990 * time.Millisecond, "1"},
	}
	for _, row := range rows { // in order: the clock goes on
		s.clock.Advance(row.advance)
		checkBusy(t, s.post(t, form(), "Authorization", basic("billing", secret)), 429, row.retryAfter)
	}
	s.clock.Advance(10 * time.Millisecond)
	checkToken(t, s.post(t, form(), "Authorization", basic("billing", secret)), 200, "")
	for _, path := range []string{"/.well-known/jwks.json", "/.well-known/oauth-authorization-server"} {
		if a := s.get(t, path); a.StatusCode != 200 {
			t.Errorf("%s: status %d: verifiers must be served whatever clients do", path, a.StatusCode)
		}
	}
}

// What a request takes out of the bucket of its address.
func TestAddressCost(t *testing.T) {
	t.Parallel()
	const burst = 100
	now := keystest.NewClock().Now()
	post := func(body string, headers ...string) func(*direct) {
		return func(d *direct) {
			serve(d.Public, "192.0.2.1:9", "POST", "/oauth2/token", body,
				append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
		}
	}
	granted := form().Encode()
	rows := []struct {
		name string
		ask  func(*direct)
		cost int
	}{
		{"a token", post(granted, "Authorization", basic("billing", secret)), 1},
		{"a wrong secret", post(granted, "Authorization", basic("billing", "wrong")), 11},
		{"no client of that name", post(granted, "Authorization", basic("nobody", secret)), 11},
		{"a disabled client", post(granted, "Authorization", basic("gone", secret)), 11},
		{"no credentials", post(granted), 11},
		{"another scheme", post(granted, "Authorization", "Bearer x"), 11},
		{"malformed credentials", post(granted, "Authorization", "Basic x"), 11},
		{"a forged assertion", post(form("client_assertion_type", urn, "client_assertion",
			assertion(now, "billing", "x")+"AAAA").Encode()), 11},
		{"an assertion that is none", post(form("client_assertion_type", urn, "client_assertion", "a.b.c").Encode()), 11},
		{"a client without keys", post(form("client_assertion_type", urn, "client_assertion",
			assertion(now, "shipping", "x")).Encode()), 11},
		{"a grant that is not given", post(form("grant_type", "password").Encode(), "Authorization", basic("billing",
			secret)), 1},
		{"a scope that is not allowed", post(form("scope", "all").Encode(), "Authorization", basic("billing", secret)), 1},
		{"a resource that is unknown", post(form("resource", "urn:x:y").Encode(), "Authorization", basic("billing",
			secret)), 1},
		{"two ways of authenticating", post(form("client_secret", "x").Encode(), "Authorization", basic("billing", secret)),
			1},
		{"not a form", post("%zz"), 1},
		{"too long", post(strings.Repeat("a", 1<<17)), 1},
		{"not POST", func(d *direct) { serve(d.Public, "192.0.2.1:9", "GET", "/oauth2/token", "") }, 1},
		{"an unheard-of method", func(d *direct) { serve(d.Public, "192.0.2.1:9", "BREW", "/oauth2/token", "") }, 1},
		{"a document", func(d *direct) { serve(d.Public, "192.0.2.1:9", "GET", "/.well-known/jwks.json", "") }, 0},
		{"a path that is not there", func(d *direct) { serve(d.Public, "192.0.2.1:9", "GET", "/oauth2", "") }, 0},
		{"somebody else's failure", func(d *direct) {
			serve(d.Public, "192.0.2.2:9", "POST", "/oauth2/token", "", "Content-Type", "application/x-www-form-urlencoded")
		}, 0},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			d := newDirect(t, withEndpoint(t), addressLimit(t, 1, burst))
			row.ask(d)
			left := 0
			for d.ask("192.0.2.1:9").Code == 200 {
				left++
			}
			if cost := burst - left; cost != row.cost {
				t.Errorf("it cost %d, want %d", cost, row.cost)
			}
		})
	}
}

// A refused request does not make the wait longer, however often it is repeated.
func TestAddressLimitIsNotProlonged(t *testing.T) {
	t.Parallel()
	d := newDirect(t, addressLimit(t, 1, 1))
	d.ask("192.0.2.1:9")
	for range 50 {
		w := serve(d.Public, "192.0.2.1:9", "POST", "/oauth2/token", "", "Content-Type", "application/x-www-form-urlencoded",
			"Authorization", basic("billing", "wrong"))
		if w.Code != 429 || w.Header().Get("Retry-After") != "1" {
			t.Fatalf("status %d, Retry-After %q", w.Code, w.Header().Get("Retry-After"))
		}
	}
	d.clock.Advance(time.Second)
	if w := d.ask("192.0.2.1:9"); w.Code != 200 {
		t.Errorf("status %d", w.Code)
	}
}

// withClientLimit lets one request a second of each client through, and burst at once.
func withClientLimit(t testing.TB, burst int) func(*server.Config) {
	return func(c *server.Config) {
		perClient, err := limit.NewBuckets[string](1<<16, 1, burst, c.Now)
		if err != nil {
			t.Fatal(err)
		}
		withEndpoint(t, func(o *oauth.Config) { o.Limit = perClient.Take })(c)
	}
}

func TestClientLimit(t *testing.T) {
	t.Parallel()
	s := newSite(t, withClientLimit(t, 2))
	for range 2 {
		checkToken(t, s.post(t, form(), "Authorization", basic("billing", secret)), 200, "")
	}
	spared := form("client_assertion_type", urn, "client_assertion", assertion(s.clock.Now(), "billing", "spared"))
	checkBusy(t, s.post(t, form(), "Authorization", basic("billing", secret)), 429, "1")
	checkBusy(t, s.post(t, form("client_id", "billing", "client_secret", secret)), 429, "1")
	checkBusy(t, s.post(t, spared), 429, "1")
	checkToken(t, s.post(t, form(), "Authorization", basic("shipping", secret)), 200, "")
	s.clock.Advance(time.Second)
	checkToken(t, s.post(t, spared), 401, errorBody("invalid_client", "client authentication failed")) // it has been used
	again := form("client_assertion_type", urn, "client_assertion", assertion(s.clock.Now(), "billing", "again"))
	checkToken(t, s.post(t, again), 200, "")
}

// Without its credentials nobody takes anything of a client's share.
func TestClientShareIsItsOwn(t *testing.T) {
	t.Parallel()
	now := keystest.NewClock().Now()
	signed := assertion(now, "billing", "x")
	forged := signed[:len(signed)-8] + "AAAAAAAA"
	rows := []struct {
		name   string
		form   []string
		header string
		status int
	}{
		{"a wrong secret", nil, basic("billing", "wrong"), 401},
		{"an empty secret", nil, basic("billing", ""), 401},
		{"the name alone", []string{"client_id", "billing"}, "", 401},
		{"a wrong secret in the body", []string{"client_id", "billing", "client_secret", "wrong"}, "", 401},
		{"a forged assertion", []string{"client_assertion_type", urn, "client_assertion", forged}, "", 401},
		{"another client's credentials beside the name", []string{"client_id", "billing"}, basic("shipping", secret), 400},
		{"another client's credentials", nil, basic("shipping", secret), 200},
		{"the name in upper case", nil, basic("BILLING", secret), 401},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, withClientLimit(t, 1))
			for range 5 {
				var headers []string
				if row.header != "" {
					headers = []string{"Authorization", row.header}
				}
				if a := s.post(t, form(row.form...), headers...); a.StatusCode != row.status && a.StatusCode != 429 {
					t.Fatalf("status %d, want %d", a.StatusCode, row.status)
				}
			}
			checkToken(t, s.post(t, form(), "Authorization", basic("billing", secret)), 200, "")
		})
	}
}

// Beyond the bound requests are turned away at once, and those inside are served.
func TestInFlight(t *testing.T) {
	t.Parallel()
	const most = 3
	inside, release := make(chan struct{}), make(chan struct{})
	slots := make(limit.Slots, most)
	s := newSite(t, func(c *server.Config) {
		c.InFlight = slots
		inner := c.Token
		c.Token = func(ctx context.Context, r oauth.Request) (oauth.Response, oauth.Record, error) {
			inside <- struct{}{}
			<-release
			return inner(ctx, r)
		}
	})
	answers := make(chan answer, most)
	for range most {
		go func() { answers <- s.post(t, form(), "Authorization", basic("billing", secret)) }()
		<-inside
	}
	for range 10 {
		checkBusy(t, s.post(t, form(), "Authorization", basic("billing", secret)), 503, "1")
	}
	if a := s.get(t, "/.well-known/jwks.json"); a.StatusCode != 200 {
		t.Errorf("JWK Set: status %d", a.StatusCode)
	}
	close(release)
	for range most {
		checkToken(t, <-answers, 200, "")
	}
	go func() { <-inside }()
	checkToken(t, s.post(t, form(), "Authorization", basic("billing", secret)), 200, "")
	if len(slots) != 0 {
		t.Errorf("%d slots taken by nobody", len(slots))
	}
	if refused := s.audit(t, "token.refused"); len(refused) != 10 || refused[0]["cause"] != "too many requests at once" {
		t.Errorf("audit %v", refused)
	}
}

// A request that panics gives its slot back.
func TestInFlightAfterPanics(t *testing.T) {
	t.Parallel()
	slots := make(limit.Slots, 1)
	s := newSite(t, func(c *server.Config) {
		c.InFlight = slots
		c.Token = func(context.Context, oauth.Request) (oauth.Response, oauth.Record, error) { panic("no") }
	})
	for range 3 {
		if a := s.post(t, form()); a.StatusCode != 500 {
			t.Errorf("status %d", a.StatusCode)
		}
	}
}

// Whoever sends a body slowly holds a connection, not a slot.
func TestSlowSendersHoldNoSlot(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Config) { c.InFlight = make(limit.Slots, 1) })
	s.keep(basic("billing", secret))
	body := form().Encode()
	type sender struct {
		conn   net.Conn
		reader *bufio.Reader
	}
	var senders []sender
	for range 8 {
		conn, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /oauth2/token HTTP/1.1\r\nHost: a\r\nAuthorization: %s\r\nContent-Type: %s\r\n"+
			"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n",
			basic("billing", secret), "application/x-www-form-urlencoded", len(body))
		reader := bufio.NewReader(conn)
		// The server asks for the body when the handler reads it: from then on the handler waits for it.
		if line, err := reader.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if _, err := reader.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, body[:len(body)/2])
		senders = append(senders, sender{conn, reader})
	}
	for range 3 {
		checkToken(t, s.post(t, form(), "Authorization", basic("billing", secret)), 200, "")
	}
	for _, sender := range senders {
		fmt.Fprint(sender.conn, body[len(body)/2:])
		response, err := http.ReadResponse(sender.reader, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode != 200 {
			t.Errorf("status %d, body %s", response.StatusCode, text)
		}
	}
}

// What is refused for its form does not wait for a slot, and is not turned away for want of one.
func TestMalformedNeedsNoSlot(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *server.Config) { c.InFlight = make(limit.Slots) })
	if a := s.get(t, "/oauth2/token"); a.StatusCode != 405 {
		t.Errorf("status %d", a.StatusCode)
	}
	checkBusy(t, s.post(t, form()), 503, "1")
}

// Whoever has recorded an assertion takes nothing of its client's share by sending it again.
func TestReplayTakesNoShare(t *testing.T) {
	t.Parallel()
	s := newSite(t, withClientLimit(t, 3))
	replay := form("client_assertion_type", urn, "client_assertion", assertion(s.clock.Now(), "billing", "recorded"))
	checkToken(t, s.post(t, replay), 200, "")
	for range 5 {
		checkToken(t, s.post(t, replay), 401, errorBody("invalid_client", "client authentication failed"))
	}
	checkToken(t, s.post(t, form(), "Authorization", basic("billing", secret)), 200, "")
}
