package main

import (
	"regexp"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/signet/keys/keystest"
)

// checkForm fails the script unless a failure says "error: ..." and perhaps "hint: ...", and a success nothing but
// warnings.
func checkForm(ts *testscript.TestScript, code int, stderr string) {
	form := `^(warning: .+\n)*$`
	if code != 0 {
		form = `^(warning: .+\n)*error: .+\n(\S.*\n)*$`
	}
	if !regexp.MustCompile(form).MatchString(stderr) || strings.Count("\n"+stderr, "\nhint: ") > 1 {
		ts.Fatalf("stderr does not have the form %s: %q", form, stderr)
	}
}

// checkTalk fails the script when a secret, or something that a terminal would obey, is in what the client said.
func checkTalk(ts *testscript.TestScript, stderr string) {
	for line := range strings.Lines(string(keystest.PEM(keystest.ES256))) {
		if !strings.HasPrefix(line, "-----") && strings.Contains(stderr, strings.TrimSpace(line)) {
			ts.Fatalf("the private key is in stderr: %s", stderr)
		}
	}
	if d, _, _ := jwks(keystest.ES256); strings.Contains(stderr, secretOf(d)) {
		ts.Fatalf("the private key is in stderr: %s", stderr)
	}
	if strings.Contains(stderr, "s3cret") || strings.Contains(stderr, opaqueToken[:9]) {
		ts.Fatalf("a secret or a token is in stderr: %s", stderr)
	}
	if jwt.MatchString(stderr) {
		ts.Fatalf("a token or an assertion is in stderr: %s", stderr)
	}
	if hasEscape(stderr) {
		ts.Fatalf("a control character is in stderr: %q", stderr)
	}
}

// jwt matches what looks like a token.
var jwt = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+`)

// hasEscape reports whether text has a control character in it that is not a line break.
func hasEscape(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return r != '\n' && (r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u202e')
	})
}
