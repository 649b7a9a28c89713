package doctor_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/client/internal/doctor"
)

var (
	checkName = regexp.MustCompile(`^[a-z_]+(\.[a-z0-9_]+)?$`)
	markLine  = regexp.MustCompile(`(?m)^  (ok|note|warning|error) +\S`)
)

// checkReport holds a report to what is true of every report, whatever the issuer has sent.
func checkReport(t *testing.T, r doctor.Report) {
	t.Helper()
	errorCount, warnings, worst := 0, 0, doctor.Good
	for _, f := range r.Findings {
		checkFinding(t, f)
		worst = max(worst, f.Grade)
		switch f.Grade {
		case doctor.Error:
			errorCount++
		case doctor.Warning:
			warnings++
		}
	}
	if r.Errors != errorCount || r.Warnings != warnings || r.Worst() != worst {
		t.Errorf("%d errors, %d warnings, worst %v, of %+v", r.Errors, r.Warnings, r.Worst(), r.Findings)
	}
	var text bytes.Buffer
	if err := r.WriteText(&text, false); err != nil {
		t.Fatal(err)
	}
	if shown := len(markLine.FindAllString(text.String(), -1)); shown != len(r.Findings)+errorCount+warnings {
		t.Errorf("%d lines for %d findings, %d of them twice:\n%s", shown, len(r.Findings), errorCount+warnings, &text)
	}
	if bad := strings.IndexFunc(text.String(), isUnprintable); bad >= 0 {
		t.Errorf("unprintable at %d of %q", bad, &text)
	}
}

func checkFinding(t *testing.T, f doctor.Finding) {
	t.Helper()
	isPlain := f.Grade == doctor.Good || (f.Grade == doctor.Note && f.Check == "identifier.scheme")
	if isPlain != (f.Why == "") || isPlain != (f.Do == "") || f.Says == "" || !checkName.MatchString(f.Check) {
		t.Errorf("incomplete: %+v", f)
	}
	if len(f.Says) > 610 || !utf8.ValidString(f.Says) || strings.ContainsFunc(f.Says, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("not fit to be printed: %d octets, %q", len(f.Says), f.Says)
	}
}

// isUnprintable excepts the line break, which is ours.
func isUnprintable(r rune) bool { return r == utf8.RuneError || (r != '\n' && !unicode.IsPrint(r)) }

// sample is a report as Examine could have made it, or could not: its texts are hostile.
var sample = doctor.Report{
	Issuer:   "https://issuer.example.com",
	Errors:   2,
	Warnings: 1,
	Findings: []doctor.Finding{
		{Check: "identifier.scheme", Grade: doctor.Good, Says: "the issuer identifier is https"},
		{Check: "metadata.auth_methods", Grade: doctor.Warning,
			Says: `token_endpoint_auth_methods_supported is without private_key_jwt: "client_secret_basic", "client_secret_post"`,
			Why: "A secret is known to both sides, travels with each request and can leak from either; asymmetric client " +
				"authentication is recommended (RFC 9700 §2.5).",
			Do: "Support private_key_jwt at the issuer (RFC 7523 §2.2), and list it."},
		{Check: "jwks.private", Grade: doctor.Error, Says: `"2026-11": private members d`, Why: "THE KEY IS COMPROMISED.",
			Do: "Stop signing with it."},
		{Check: "jwks.kid", Grade: doctor.Error, Says: "a kid \x1b[2J\r\n  ok       \u202eall is well", Why: "It is odd.",
			Do: strings.Repeat("x", 120) + " y"},
		{Check: "jwks.usable", Grade: doctor.Good, Says: "1 of 3 keys can be used by Signet: 1 ES256"},
		{Check: "cache.etag", Grade: doctor.Note, Says: "no ETag", Why: "It saves documents.", Do: "Send one."},
		{Check: "clock", Grade: doctor.Good, Says: "the issuer's clock and ours agree"},
		{Check: "tls.version", Grade: doctor.Good, Says: `"issuer.example.com" speaks TLS 1.3`},
	},
}

func TestWriteText(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile("testdata/report.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := sample.WriteText(&got, false); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Error(diff)
	}
}

// Colours change nothing but the colour.
func TestWriteTextInColour(t *testing.T) {
	t.Parallel()
	var plain, coloured bytes.Buffer
	if err := errors.Join(sample.WriteText(&plain, false), sample.WriteText(&coloured, true)); err != nil {
		t.Fatal(err)
	}
	sequence := regexp.MustCompile(`\x1b\[[0-9;]*m`)
	if diff := cmp.Diff(plain.String(), sequence.ReplaceAllString(coloured.String(), "")); diff != "" {
		t.Error(diff)
	}
	for _, part := range []string{"\x1b[1mJWK Set\x1b[0m\n", "  \x1b[1;31merror\x1b[0m    ", "  \x1b[33mwarning\x1b[0m  ",
		"\x1b[1;31m2 errors, 1 warning\x1b[0m\n  \x1b[1;31merror\x1b[0m    \"2026-11\""} {
		if !strings.Contains(coloured.String(), part) {
			t.Errorf("%q is missing in %q", part, &coloured)
		}
	}
}

func TestWriteTextSummary(t *testing.T) {
	t.Parallel()
	rows := []struct {
		errors, warnings int
		want             string
	}{
		{2, 1, "2 errors, 1 warning"}, {1, 0, "1 error, no warnings"}, {0, 3, "no errors, 3 warnings"}, {0, 0, "no errors, no warnings"},
	}
	for _, row := range rows {
		var text bytes.Buffer
		if err := (doctor.Report{Errors: row.errors, Warnings: row.warnings}).WriteText(&text, false); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(text.String(), "\n\n"+row.want+"\n") {
			t.Errorf("want %q at the end of %q", row.want, &text)
		}
	}
}

// Below the summary stands what is wrong and nothing else, errors first.
func TestWriteTextRepeats(t *testing.T) {
	t.Parallel()
	good := doctor.Finding{Check: "jwks.usable", Grade: doctor.Good, Says: "all is well"}
	note := doctor.Finding{Check: "cache.etag", Grade: doctor.Note, Says: "no ETag", Why: "It saves.", Do: "Send one."}
	warning := doctor.Finding{Check: "cache.age", Grade: doctor.Warning, Says: "Age is 1 hour", Why: "It is late.", Do: "Obey."}
	fault := doctor.Finding{Check: "jwks.private", Grade: doctor.Error, Says: `"a": private members d`, Why: "It is out.", Do: "Stop."}
	late := doctor.Finding{Check: "clock", Grade: doctor.Error, Says: "an hour\r\n\x1b[2J", Why: "It is wrong.", Do: "Set it."}
	rows := []struct {
		name     string
		findings []doctor.Finding
		want     string
	}{
		{"hostile", []doctor.Finding{late}, "1 error, no warnings\n  error    an hour\\u000d\\u000a\\u001b[2J\n"},
		{"an error before what is good", []doctor.Finding{fault, good, note}, "1 error, no warnings\n  error    \"a\": private members d\n"},
		{"a warning first", []doctor.Finding{warning, fault, good, late},
			"2 errors, 1 warning\n  error    \"a\": private members d\n  error    an hour\\u000d\\u000a\\u001b[2J\n  warning  Age is 1 hour\n"},
		{"only a warning", []doctor.Finding{good, warning}, "no errors, 1 warning\n  warning  Age is 1 hour\n"},
		{"neither", []doctor.Finding{good, note}, "no errors, no warnings\n"},
	}
	for _, row := range rows {
		report := doctor.Report{Issuer: "https://issuer.example.com", Findings: row.findings}
		for _, f := range row.findings {
			switch f.Grade {
			case doctor.Error:
				report.Errors++
			case doctor.Warning:
				report.Warnings++
			}
		}
		var text bytes.Buffer
		if err := report.WriteText(&text, false); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(text.String(), "\n\n"+row.want) {
			t.Errorf("%s: want %q at the end of\n%s", row.name, row.want, &text)
		}
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteTextFails(t *testing.T) {
	t.Parallel()
	if err := sample.WriteText(full{}, false); !errors.Is(err, errFull) {
		t.Error(err)
	}
}

func TestReportJSON(t *testing.T) {
	t.Parallel()
	short := sample
	short.Findings = []doctor.Finding{sample.Findings[0], sample.Findings[5]}
	got, err := json.Marshal(short)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"issuer":"https://issuer.example.com","errors":2,"warnings":1,"findings":[` +
		`{"check":"identifier.scheme","grade":"ok","says":"the issuer identifier is https"},` +
		`{"check":"cache.etag","grade":"note","says":"no ETag","why":"It saves documents.","do":"Send one."}]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestGrade(t *testing.T) {
	t.Parallel()
	rows := []struct {
		grade doctor.Grade
		want  string
	}{
		{doctor.Good, "ok"}, {doctor.Note, "note"}, {doctor.Warning, "warning"}, {doctor.Error, "error"}, {-1, "grade -1"}, {4, "grade 4"},
	}
	for _, row := range rows {
		text, err := row.grade.MarshalText()
		if row.grade.String() != row.want || string(text) != row.want || err != nil {
			t.Errorf("%v, %q, %v; want %q", row.grade, text, err, row.want)
		}
	}
	if worst := (doctor.Report{}).Worst(); worst != doctor.Good {
		t.Error(worst)
	}
}
