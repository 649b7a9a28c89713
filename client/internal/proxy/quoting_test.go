package proxy_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The answer to TRACE is the request with all that is in it.
func TestTraceIsNotPassedOn(t *testing.T) {
	t.Parallel()
	a := newAPI(t, func(http.ResponseWriter, *http.Request) {})
	newStage(t, a.URL, options{}).send(t, http.MethodTrace, "/", nil).want(t, 405, "TRACE is not passed on\n")
	if n := len(a.requests()); n != 0 {
		t.Errorf("%d requests reached the API", n)
	}
}

// An API that switches to what nobody asked for may quote the token in that; newStage looks at the log.
func TestUnaskedUpgradeIsNotQuoted(t *testing.T) {
	t.Parallel()
	api := saying(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+tokenPrefix+"1\r\n\r\n")
	s := newStage(t, api, options{})
	s.send(t, http.MethodGet, "/", nil).want(t, 502, "the API cannot be reached\n")
	if log := s.log.String(); !strings.Contains(log, "switches to another protocol") {
		t.Errorf("log %q", log)
	}
}

// An API that is away does not fill the log, and nothing of it is lost: what was not written is counted.
func TestFailuresAreLoggedNowAndThen(t *testing.T) {
	t.Parallel()
	s := newStage(t, nobody(t), options{})
	const failures = 50
	began := time.Now()
	for range failures {
		s.send(t, http.MethodGet, "/", nil).want(t, 502, "the API cannot be reached\n")
	}
	lines := strings.Count(s.log.String(), "passing on failed")
	if most := 2 + int(time.Since(began)/time.Second); lines < 1 || lines > most {
		t.Errorf("%d lines for %d failures, want 1 to %d", lines, failures, most)
	}
	time.Sleep(time.Second) // for the next line
	s.send(t, http.MethodGet, "/", nil).want(t, 502, "the API cannot be reached\n")
	written, counted := 0, 0
	for line := range strings.Lines(s.log.String()) {
		if _, rest, ok := strings.Cut(line, " others="); ok {
			var n int
			_, _ = fmt.Sscan(rest, &n)
			written, counted = written+1, counted+n
		}
	}
	if written+counted != failures+1 {
		t.Errorf("%d written and %d counted, of %d", written, counted, failures+1)
	}
}
