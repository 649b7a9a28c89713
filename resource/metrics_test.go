package main

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/signet/resource/verify"
)

// series returns the lines of our own metrics, by what stands before the value.
func series(t *testing.T, p *program) map[string]string {
	t.Helper()
	status, text, err := ask("http://"+p.private+"/metrics", nil)
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	all := make(map[string]string)
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && strings.HasPrefix(name, "signet_") {
			all[name] = value
		}
	}
	return all
}

// A series that is not there cannot be alerted on: each is there before the first request.
func TestMetricsFromTheStart(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	all := series(t, p)
	want := []string{`signet_tokens_accepted_total{cached="true"}`, `signet_tokens_accepted_total{cached="false"}`}
	for _, reason := range verify.Reasons() {
		want = append(want, `signet_tokens_refused_total{reason="`+reason+`"}`)
	}
	for _, class := range []string{"1xx", "2xx", "3xx", "4xx", "5xx"} {
		want = append(want, `signet_resource_request_duration_seconds_count{status="`+class+`"}`)
	}
	for _, name := range want {
		if all[name] != "0" {
			t.Errorf("%s is %q", name, all[name])
		}
	}
	for _, prefix := range []string{`signet_jwks_fetches_total{issuer=`, `signet_jwks_keys{issuer=`,
		`signet_jwks_last_fetch_timestamp_seconds{issuer=`} {
		if !slices.ContainsFunc(names(all), func(name string) bool { return strings.HasPrefix(name, prefix) }) {
			t.Errorf("no %s…}", prefix)
		}
	}
}

func names(all map[string]string) (list []string) {
	for name := range all {
		list = append(list, name)
	}
	return list
}

// Whatever callers and the application do, no series is added, and none has a byte of theirs.
func TestMetricsAreBounded(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/odd" {
			w.WriteHeader(999)
		}
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(app.Close)
	p := startProgram(t, "--upstream", app.URL)
	known := regexp.MustCompile(`^signet_(` +
		`resource_request_duration_seconds_(bucket|sum|count)\{status="[1-5]xx"(,le="[^"]*")?\}|` +
		`tokens_(accepted|refused)_total\{(cached|reason)="[a-z_]+"\}|` +
		`jwks_[a-z_]+\{issuer="http://127[^"]*"(,outcome="(ok|failed)")?\})$`)
	for _, path := range []string{"/", "/odd", "/broken", "/a?token=" + p.token} {
		for _, token := range []string{p.token, p.token + "x", "unknown", ""} {
			_, _, _ = ask("http://"+p.public+path, []string{"Token", token})
		}
	}
	for name := range series(t, p) {
		if !known.MatchString(name) {
			t.Errorf("series %s", name)
		}
	}
}

// A WebSocket counts as what it was answered with, in the metrics and in the log.
func TestWebSocketIsCounted(t *testing.T) {
	t.Parallel()
	p := startProgram(t, "--upstream", echoing(t))
	conn, _ := dialEcho(t, p)
	_ = conn.Close()
	until(t, "the request is in the log", func() bool { return p.log.find("request") != nil })
	if status := p.log.find("request")["status"]; status != float64(http.StatusSwitchingProtocols) {
		t.Errorf("logged with status %v", status)
	}
	if all := series(t, p); all[`signet_resource_request_duration_seconds_count{status="1xx"}`] != "1" {
		t.Errorf("series %v", names(all))
	}
}

// The log of a request whose answer broke off names the cause under the request's id.
func TestBrokenAnswerIsLogged(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write(make([]byte, 10_000))
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(app.Close)
	p := startProgram(t, "--upstream", app.URL)
	if _, _, err := ask("http://"+p.public+"/", []string{"Token", p.token}); err == nil {
		t.Error("the answer looks complete")
	}
	until(t, "the request is in the log", func() bool { return p.log.find("request") != nil })
	id := p.log.find("request")["request_id"].(string)
	if id == "" || strings.Count(p.log.String(), id) != 2 {
		t.Errorf("log:\n%s", p.log)
	}
}
