package tokens

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzAnswer: whatever the issuer answers, a token that comes out of it fits into a header and ends within a day, and an
// error says nothing that a terminal would obey.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"access_token":"a","token_type":"Bearer","expires_in":600,"scope":"read"}`,
		`{"access_token":"a\r\nX: y","token_type":"Bearer"}`,
		`{"access_token":"a","token_type":"\u001b[31m","expires_in":-1}`,
		`{"access_token":"a","token_type":"bearer","expires_in":9223372036854775807}`,
		`{"error":"invalid_client","error_description":"\u001b]0;x\u0007\n"}`,
		`<html>`, ``, `{`, `[]`, "\xff",
	} {
		f.Add(200, []byte(seed))
		f.Add(400, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		g, err := readGranted(body)
		fits := g.AccessToken != "" && strings.Trim(g.AccessToken, visible) == ""
		switch {
		case err == nil && (!fits || g.ExpiresIn < 0 || g.ExpiresIn > maxLife):
			t.Errorf("granted: %+v", g)
		case err != nil && g != granted{}:
			t.Errorf("%+v beside error %v", g, err)
		}
		refusal := readRefusal(&http.Response{StatusCode: status}, body, time.Time{})
		kinds := 0
		for _, kind := range []error{ErrUnreachable, ErrRefused, ErrAnswer} {
			if errors.Is(refusal, kind) {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%v is of %d kinds", refusal, kinds)
		}
		for _, err := range []error{err, refusal} {
			if err != nil && strings.ContainsFunc(err.Error(), func(r rune) bool { return r < ' ' || (r >= 0x7f && r < 0xa0) }) {
				t.Errorf("control character in %q", err)
			}
		}
	})
}

// visible are the characters from ! to ~.
var visible = func() string {
	var all []byte
	for c := byte('!'); c <= '~'; c++ {
		all = append(all, c)
	}
	return string(all)
}()
