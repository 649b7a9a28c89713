package tokens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestHide(t *testing.T) {
	t.Parallel()
	const (
		secret    = "correct-horse-battery-staple"
		odd       = `0dd"\+& =secret/0123`
		assertion = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJiaWxsaW5nIn0.c2lnbmF0dXJl"
	)
	for _, test := range []struct {
		name    string
		text    string
		secrets []string
		want    string
	}{
		{"whole", "x correct-horse-battery-staple y", []string{secret}, "x [hidden] y"},
		{"whole, alone", secret, []string{secret}, "[hidden]"},
		{"twice", secret + secret, []string{secret}, "[hidden][hidden]"},
		{"beginning", `"correct-horse"`, []string{secret}, `"[hidden]"`},
		{"beginning of eight", "correct-", []string{secret}, "[hidden]"},
		{"beginning of seven", "correct,", []string{secret}, "correct,"},
		{"beginning, then something else", "correct-horse-trading", []string{secret}, "[hidden]trading"},
		{"end of the text", "x correct-horse-batt", []string{secret}, "x [hidden]"},
		{"short secret", "a pin, a pi and a spin", []string{"pin"}, "a [hidden], a pi and a s[hidden]"},
		{"one character", "abc", []string{"b"}, "a[hidden]c"},
		{"no secret", "nothing", []string{""}, "nothing"},
		{"no text", "", []string{secret}, ""},
		{"two secrets, one the beginning of the other", "correct-horse-battery-staple", []string{"correct-horse", secret}, "[hidden]"},
		{"as a form has it", url.QueryEscape(odd), []string{odd}, "[hidden]"},
		{"as %q writes it", fmt.Sprintf("%q", odd), []string{odd}, `"[hidden]"`},
		{"beginning as %q writes it", fmt.Sprintf("%q", odd[:12]), []string{odd}, `"[hidden]"`},
		{"beginning as a form has it", url.QueryEscape(odd)[:12], []string{odd}, "[hidden]"},
		{"not ASCII around it", "é" + secret + "\xff", []string{secret}, "é[hidden]\xff"},

		{"any token", "got " + assertion + ".", nil, "got [hidden]"},
		{"beginning of any token", "got eyJhbGciOiJ", nil, "got [hidden]"},
		{"token without an end", "got eyJhbGciOiJFUzI1NiJ9.", nil, "got [hidden]"},
		{"our token", assertion, []string{assertion}, "[hidden]"},
		{"a token that begins like ours", assertion[:40] + "XYZ.c2lnbmF0dXJl", []string{assertion}, "[hidden]"},
		{"no token", "eyJa is short", nil, "eyJa is short"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := hide(test.text, test.secrets); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// talkative is an error that says what it should not, in its text and in its fields.
type talkative struct {
	text string
	err  error
}

func (e talkative) Error() string   { return e.text }
func (e talkative) Unwrap() error   { return e.err }
func (e talkative) Timeout() bool   { return true }
func (e talkative) Temporary() bool { return true }

func TestScrub(t *testing.T) {
	t.Parallel()
	const secret = "correct-horse-battery-staple"
	plain := errors.New("nothing to hide")
	if got := scrub(plain, secret); got != plain {
		t.Errorf("got %#v, want the same error", got)
	}
	if got := scrub(nil, secret); got != nil {
		t.Errorf("got %v of no error", got)
	}
	err := scrub(talkative{"server says " + secret, fmt.Errorf("%w: %w", context.DeadlineExceeded, io.ErrUnexpectedEOF)}, secret)
	if want := "server says [hidden]"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	for _, target := range []error{context.DeadlineExceeded, io.ErrUnexpectedEOF} {
		if !errors.Is(err, target) {
			t.Errorf("no longer a %v", target)
		}
	}
	if errors.Is(err, context.Canceled) {
		t.Error("has become a cancellation")
	}
	var network net.Error
	if !errors.As(err, &network) || !network.Timeout() {
		t.Error("no longer a net.Error that timed out")
	}
	if wrapped := (&url.Error{Err: err}); !wrapped.Timeout() || !wrapped.Temporary() {
		t.Error("net/http would not know that it timed out")
	}
	var original talkative
	if errors.As(err, &original) || errors.Unwrap(err) != nil {
		t.Error("what was scrubbed can be taken out")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{err, []error{err}, fmt.Errorf("x: %w", err), struct{ err error }{err}} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Errorf("%s shows %s", verb, text)
			}
		}
	}
}

// Which kind of refusal it is, and when to come again, must not get lost with the words.
func TestScrubKeepsKinds(t *testing.T) {
	t.Parallel()
	const secret = "unreachable-secret-of-ours"
	busy := &busyError{503, time.Minute}
	err := scrub(fmt.Errorf("obtaining: %w", busy), secret) // its text has the beginning of the secret
	if want := "obtaining: issuer [hidden]: status 503"; err.Error() != want {
		t.Errorf("got %q, want %q", err, want)
	}
	if !errors.Is(err, ErrUnreachable) || retryAfter(err) != time.Minute {
		t.Errorf("kind %v, again after %v", errors.Is(err, ErrUnreachable), retryAfter(err))
	}
	refusal := &RefusedError{Code: secret, Description: "not " + secret[:12] + "…", ClockOff: time.Minute}
	var got *RefusedError
	if !errors.As(scrub(refusal, secret), &got) {
		t.Fatal("no longer a RefusedError")
	}
	if want := (RefusedError{"[hidden]", "not [hidden]…", time.Minute}); *got != want || !errors.Is(got, ErrRefused) {
		t.Errorf("got %+v, want %+v", *got, want)
	}
	if refusal.Code != secret {
		t.Error("the original was changed")
	}
}

func TestTokenHide(t *testing.T) {
	t.Parallel()
	token, err := NewToken("opaque-token-of-ours", time.Time{}, "")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"no opaque-token-of-ours here":       "no [hidden] here",
		"no opaque-token here":               "no [hidden] here",
		"no eyJhbGciOiJFUzI1NiJ9.e30.x here": "no [hidden] here",
		"nothing of it":                      "nothing of it",
	} {
		if got := token.Hide(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := (Token{}).Hide("plain"); got != "plain" {
		t.Errorf("without a token: %q", got)
	}
}
