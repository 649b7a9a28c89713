package server_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/limit"
	"example.com/signet/issuer/internal/oauth"
	"example.com/signet/issuer/internal/server"
	"example.com/signet/keys"
)

// scrape returns every series of ours and its value.
func (d *direct) scrape(t testing.TB) map[string]float64 {
	t.Helper()
	w := serve(d.Private, "127.0.0.1:1", "GET", "/metrics", "")
	if w.Code != 200 {
		t.Fatalf("status %d, body %.500s", w.Code, w.Body)
	}
	series := make(map[string]float64)
	for line := range strings.Lines(w.Body.String()) {
		if !strings.HasPrefix(line, "signet_") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at+1:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if _, twice := series[line[:at]]; twice {
			t.Errorf("%s twice", line[:at])
		}
		series[line[:at]] = value
	}
	return series
}

// counts are the series of the token endpoint that are not 0, without the buckets and sums of time.
func (d *direct) counts(t testing.TB) map[string]float64 {
	t.Helper()
	found := make(map[string]float64)
	for name, value := range d.scrape(t) {
		isTime := strings.Contains(name, "_bucket") || strings.HasSuffix(strings.Split(name, "{")[0], "_sum")
		if strings.HasPrefix(name, "signet_token") && !isTime && value != 0 {
			found[strings.TrimPrefix(name, "signet_token")] = value
		}
	}
	return found
}

// All series are there before the first request.
func TestSeriesFromTheStart(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	d := newDirect(t, func(c *server.Config) {
		c.Certificate, c.Version = p.Certificate, "v1.2.3"
		c.Registry = func() server.RegistryStatus {
			return server.RegistryStatus{Clients: 7, Loaded: time.Unix(1000, 0), Trouble: errors.New("half written")}
		}
	})
	got := d.scrape(t)
	want := []string{
		fmt.Sprintf(`signet_build_info{goversion=%q,version="v1.2.3"}`, runtime.Version()),
		`signet_token_requests_in_flight`,
		`signet_registry_clients`, `signet_registry_loaded_timestamp_seconds`, `signet_registry_trouble`,
		`signet_tls_certificate_not_after_timestamp_seconds`, `signet_tls_trouble`, `signet_keys_trouble`,
		`signet_database_trouble`,
	}
	for _, alg := range keys.Algorithms() {
		want = append(want, fmt.Sprintf("signet_tokens_issued_total{alg=%q}", alg))
	}
	for _, code := range []string{"invalid_client", "invalid_request", "invalid_scope", "invalid_target", "server_error",
		"temporarily_unavailable", "unsupported_grant_type"} {
		want = append(want, fmt.Sprintf("signet_token_errors_total{error=%q}", code))
	}
	for _, name := range []string{"address_rate", "client_rate", "in_flight"} {
		want = append(want, fmt.Sprintf("signet_token_requests_limited_total{limit=%q}", name))
	}
	for _, outcome := range []string{"issued", "refused"} {
		const name = "signet_token_request_duration_seconds"
		want = append(want, fmt.Sprintf("%s_count{outcome=%q}", name, outcome), fmt.Sprintf("%s_sum{outcome=%q}", name,
			outcome))
		for _, bound := range []string{"0.00025", "0.0005", "0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1",
			"0.25", "0.5", "1", "2.5", "+Inf"} {
			want = append(want, fmt.Sprintf("%s_bucket{outcome=%q,le=%q}", name, outcome, bound))
		}
	}
	for _, alg := range []string{"ES256", "RS256"} { // those of the ring
		for _, state := range []string{"active", "due", "retired", "standby"} {
			want = append(want, fmt.Sprintf("signet_keys{alg=%q,state=%q}", alg, state))
		}
		want = append(want, fmt.Sprintf("signet_key_last_rotation_timestamp_seconds{alg=%q}", alg))
	}
	want = append(want, `signet_key_next_rotation_timestamp_seconds{alg="ES256"}`,
		`signet_key_standby_safe_seconds{alg="ES256"}`)
	var names []string
	for name := range got {
		names = append(names, name)
	}
	slices.Sort(names)
	slices.Sort(want)
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("series (-want +got):\n%s", diff)
	}
	if counts := d.counts(t); len(counts) != 0 {
		t.Errorf("counted before the first request: %v", counts)
	}
	for name, value := range map[string]float64{
		"signet_registry_clients": 7, "signet_registry_loaded_timestamp_seconds": 1000, "signet_registry_trouble": 1,
		"signet_tls_trouble": 0,
	} {
		if got[name] != value {
			t.Errorf("%s %v, want %v", name, got[name], value)
		}
	}
}

// What each request adds, and nothing besides.
func TestSeriesCount(t *testing.T) {
	t.Parallel()
	busy, full := 0*time.Second, make(limit.Slots, 1)
	d := newDirect(t, withEndpoint(t, func(c *oauth.Config) { c.Limit = func(string) time.Duration { return busy } }),
		func(c *server.Config) { c.InFlight = full }, addressLimit(t, 1, 200))
	good := basic("billing", secret)
	ask := func(auth string, pairs ...string) func() {
		return func() { d.tokenRequest(form(pairs...).Encode(), auth) }
	}
	rows := []struct {
		name string
		send func()
		want map[string]float64
	}{
		{"two ES256", func() { ask(good)(); ask(good)() }, map[string]float64{`s_issued_total{alg="ES256"}`: 2}},
		{"RS256", ask(good, "resource", "https://rs.example.com"), map[string]float64{`s_issued_total{alg="RS256"}`: 1}},
		{"wrong secret", ask(basic("billing", "wrong")), map[string]float64{`_errors_total{error="invalid_client"}`: 1}},
		{"no grant", ask(good, "grant_type", ""), map[string]float64{`_errors_total{error="invalid_request"}`: 1}},
		{"another grant", ask(good, "grant_type", "x"),
			map[string]float64{`_errors_total{error="unsupported_grant_type"}`: 1}},
		{"scope", ask(good, "scope", "x"), map[string]float64{`_errors_total{error="invalid_scope"}`: 1}},
		{"resource", ask(good, "resource", "urn:x:y"), map[string]float64{`_errors_total{error="invalid_target"}`: 1}},
		{"GET", func() { serve(d.Public, "192.0.2.1:9", "GET", "/oauth2/token", "") },
			map[string]float64{`_errors_total{error="invalid_request"}`: 1}},
		{"too often, the client", func() { busy = time.Second; ask(good)(); busy = 0 }, map[string]float64{
			`_errors_total{error="temporarily_unavailable"}`: 1, `_requests_limited_total{limit="client_rate"}`: 1}},
		{"too many at once", func() { full.Enter(); ask(good)(); full.Leave() }, map[string]float64{
			`_errors_total{error="temporarily_unavailable"}`: 1, `_requests_limited_total{limit="in_flight"}`: 1}},
		{"documents, and what is not there", func() {
			for _, path := range []string{"/.well-known/jwks.json", "/nothing", "/.well-known/openid-configuration"} {
				serve(d.Public, "192.0.2.1:9", "GET", path, "")
			}
		}, nil},
		{"too often, the address", func() {
			for range 200 {
				serve(d.Public, "192.0.2.7:9", "GET", "/oauth2/token", "")
			}
			serve(d.Public, "192.0.2.7:9", "GET", "/oauth2/token", "")
		}, map[string]float64{`_errors_total{error="invalid_request"}`: 200,
			`_errors_total{error="temporarily_unavailable"}`: 1,
			`_requests_limited_total{limit="address_rate"}`:  1}},
	}
	before := d.counts(t)
	for _, row := range rows { // in order: they share the counters
		t.Run(row.name, func(t *testing.T) {
			row.send()
			after := d.counts(t)
			got, outcomes := make(map[string]float64), make(map[string]float64)
			for name, value := range after {
				if strings.HasPrefix(name, "_request_duration_seconds_count") {
					outcomes[name] = value - before[name]
				} else if value != before[name] {
					got[name] = value - before[name]
				}
			}
			if diff := cmp.Diff(row.want, got); diff != "" && len(row.want)+len(got) > 0 {
				t.Errorf("added (-want +got):\n%s", diff)
			}
			issued, refused := 0.0, 0.0
			for name, value := range row.want {
				switch {
				case strings.HasPrefix(name, "s_issued"):
					issued += value
				case strings.HasPrefix(name, "_errors"):
					refused += value
				}
			}
			if got := outcomes[`_request_duration_seconds_count{outcome="issued"}`]; got != issued {
				t.Errorf("%v durations of tokens, want %v", got, issued)
			}
			if got := outcomes[`_request_duration_seconds_count{outcome="refused"}`]; got != refused {
				t.Errorf("%v durations of refusals, want %v", got, refused)
			}
			before = after
		})
	}
}

func TestSeriesInFlight(t *testing.T) {
	t.Parallel()
	inside, release := make(chan struct{}), make(chan struct{})
	d := newDirect(t, func(c *server.Config) {
		c.Token = func(context.Context, oauth.Request) (oauth.Response, oauth.Record, error) {
			inside <- struct{}{}
			<-release
			return oauth.Response{}, oauth.Record{}, errors.New("no")
		}
	})
	done := make(chan struct{})
	for range 3 {
		go func() { d.ask("192.0.2.1:9"); done <- struct{}{} }()
		<-inside
	}
	if got := d.scrape(t)["signet_token_requests_in_flight"]; got != 3 {
		t.Errorf("%v in flight", got)
	}
	close(release)
	for range 3 {
		<-done
	}
	if got := d.scrape(t)["signet_token_requests_in_flight"]; got != 0 {
		t.Errorf("%v in flight at the end", got)
	}
}

// Nothing that callers send makes a series.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	d := newDirect(t, withEndpoint(t), behind("X-Forwarded-For", "10.0.0.0/8"))
	before := d.scrape(t)
	source := rand.New(rand.NewPCG(1, 2))
	text := func() string {
		octets := make([]byte, 1+source.IntN(30))
		for i := range octets {
			octets[i] = byte(source.IntN(256))
		}
		return string(octets)
	}
	methods := []string{"GET", "POST", "BREW", "PUT", "OPTIONS", "X" + strings.Repeat("Y", 100)}
	for i := range 10_000 {
		pairs := []string{"grant_type", text(), "scope", text(), "resource", text(), "client_id", text(), text(), text()}
		if i%2 == 0 {
			pairs = pairs[2:]
		}
		method, path := "POST", "/oauth2/token"
		if i%10 == 0 {
			method, path = methods[source.IntN(len(methods))], "/"+url.PathEscape(text())
		}
		headers := []string{"Content-Type", formType, "X-Forwarded-For", fmt.Sprintf("2001:db8:%x::1", i)}
		if i%3 == 0 {
			headers = append(headers, "Authorization", basic(url.QueryEscape(text()), url.QueryEscape(text())))
		} else if i%3 == 1 {
			headers = append(headers, "Authorization", basic("billing", secret))
		}
		serve(d.Public, "10.0.0.1:9", method, path, form(pairs...).Encode(), headers...)
		if i%1000 == 0 {
			d.log.mu.Lock()
			d.log.text.Reset()
			d.log.mu.Unlock()
		}
	}
	after := d.scrape(t)
	for name := range after {
		if _, there := before[name]; !there {
			t.Errorf("new series %s", name)
		}
	}
	if len(after) != len(before) {
		t.Errorf("%d series before, %d after", len(before), len(after))
	}
}
