package doctor_test

import (
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"example.com/signet/client/internal/doctor"
)

// failing is a network that fails in one way.
type failing struct{ err error }

func (n failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, n.err }

func TestAdvice(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		err  error
		says string
		do   string
	}{
		{"anything", errors.New("\x1b[2Jbroken"), `\u001b[2Jbroken`, "See in the log of the issuer"},
		{"long", errors.New(strings.Repeat("é", 1000)), "é...", "See in the log"},
		{"name", &net.DNSError{Err: "no such host", Name: "issuer.example.com", IsNotFound: true}, "no such host", "Check the name"},
		{"refused", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "connection refused", "Start the issuer"},
		{"time", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "no complete answer within 5s", "Check that no firewall"},
	}
	for _, row := range rows {
		report, err := doctor.Examine(t.Context(), doctor.Config{
			Issuer: "https://issuer.example.com", HTTPClient: &http.Client{Transport: failing{row.err}}})
		if err != nil {
			t.Fatal(err)
		}
		checkReport(t, report)
		finding := report.Findings[1]
		if finding.Check != "metadata.reachable" || !strings.HasSuffix(finding.Says, row.says) || !strings.HasPrefix(finding.Do, row.do) {
			t.Errorf("%s: %+v", row.name, finding)
		}
	}
}

// An issuer that is called https and is not.
func TestAdviceWithoutTLS(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	f.Config.ErrorLog = quiet
	report := f.examineAs(doctor.Config{Issuer: strings.Replace(f.URL, "http:", "https:", 1), HTTPClient: f.Client()})
	finding := report.Findings[1]
	if !strings.HasSuffix(finding.Says, ": http: server gave HTTP response to HTTPS client") || !strings.HasPrefix(finding.Do, "Check scheme") {
		t.Errorf("%+v", finding)
	}
}
