package doctor_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"example.com/signet/client/internal/doctor"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// published is an issuer without a network, which publishes a JWK Set.
type published string

func (p published) RoundTrip(r *http.Request) (*http.Response, error) {
	const metadata = `{"issuer":"https://issuer.example.com","jwks_uri":"https://issuer.example.com/jwks"}`
	text := string(p)
	if r.URL.Path != "/jwks" {
		text = metadata
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// What the doctor says of a JWK Set agrees with what Signet makes of it: a set that is refused is an error, a key that is
// left out has a finding, keys that can be used are counted.
func FuzzKeySet(f *testing.F) {
	good := setOf(keystest.ES256, keystest.RS256)
	ec, rsa := publicJWK(keystest.ES256), publicJWK(keystest.RS256)
	for _, seed := range []string{good, "", "{}", `{"keys":[]}`, `{"keys":[1]}`, `{"keys":[` + ec.String() + `],"keys":[]}`, good + good,
		`{"keys":[` + ec.With("d", `"AQ"`).String() + "," + rsa.With("e", `"AQ"`).String() + "," + rsa.Without("alg").String() + "]}",
		`{"keys":[` + ec.With("kid", `"\u001b"`).String() + "," + p384JWK().String() + "," + weakJWK().With("kid", `""`).String() + "]}",
		`{"keys":[` + ec.String() + "," + rsa.With("kid", ec[2].Value).String() + "," + ec.String() + "]}",
		`{"keys":[` + ec.With("use", `"enc"`).String() + "," + ec.With("key_ops", "[]").Twice("x", "1").String() + "]}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		report, err := doctor.Examine(t.Context(), doctor.Config{
			Issuer: "https://issuer.example.com", HTTPClient: &http.Client{Transport: published(text)}})
		if err != nil {
			t.Fatal(err)
		}
		checkReport(t, report)
		checkAgreement(t, report, text)
	})
}

var saysUnusable = regexp.MustCompile(`^(the set is empty|(the only key cannot|none of [0-9]+ keys can) be used by Signet)$`)

func checkAgreement(t *testing.T, report doctor.Report, text string) {
	set, skipped, err := keys.ParseSet([]byte(text))
	errorCount, faultCount := 0, 0
	for _, finding := range report.Findings {
		if !strings.HasPrefix(finding.Check, "jwks.") {
			continue
		}
		if finding.Grade == doctor.Error {
			errorCount++
		}
		if finding.Grade != doctor.Good || finding.Check == "jwks.encryption" {
			faultCount++
		}
	}
	usable := says(report, "jwks.usable")
	switch {
	case err != nil && errorCount == 0:
		t.Errorf("%v, and no error", err)
	case len(skipped) > 0 && faultCount == 0:
		t.Errorf("left out %v, and no fault", skipped)
	case err == nil && !strings.HasPrefix(usable, fmt.Sprint(set.Len())+" of "):
		t.Errorf("%d usable keys, but %s", set.Len(), usable)
	case errors.Is(err, keys.ErrNoKeys) && !saysUnusable.MatchString(usable):
		t.Errorf("%v, but %s", err, usable)
	}
}
