package tokens

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

const maxLife = 24 * 60 * 60 // seconds; a longer expires_in counts as this

// RefusedError is an OAuth error of the issuer (RFC 6749 §5.2). It wraps [ErrRefused].
type RefusedError struct {
	Code        string // such as invalid_client
	Description string // the issuer's words; may be empty
	// ClockOff is by how much this machine's clock is ahead of the issuer's, as its Date header says; negative when it
	// is behind. Zero when it is less than 30 s, or the issuer does not say. A client assertion that seems to come from
	// another time is refused.
	ClockOff time.Duration
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("%v: %q", ErrRefused, clip(e.Code))
	if e.Description != "" {
		text += fmt.Sprintf(": %q", clip(e.Description))
	}
	switch {
	case e.ClockOff > 0:
		text += fmt.Sprintf(" (this machine's clock is %v ahead of the issuer's)", e.ClockOff)
	case e.ClockOff < 0:
		text += fmt.Sprintf(" (this machine's clock is %v behind the issuer's)", -e.ClockOff)
	}
	return text
}

// Unwrap returns [ErrRefused].
func (e *RefusedError) Unwrap() error { return ErrRefused }

// clip keeps a long text of somebody else's out of our errors.
func clip(text string) string { return text[:min(len(text), 200)] }

// busyError is an issuer that is there and wants to be asked later. It wraps [ErrUnreachable].
type busyError struct {
	status int
	after  time.Duration // 0: it does not say when
}

func (e *busyError) Error() string { return fmt.Sprintf("%v: status %d", ErrUnreachable, e.status) }
func (e *busyError) Unwrap() error { return ErrUnreachable }

func isBusy(status int) bool {
	return status >= http.StatusInternalServerError || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// retryAfter is how long the issuer wants to be left alone.
func retryAfter(err error) time.Duration {
	var busy *busyError
	var status *remote.StatusError
	switch {
	case errors.As(err, &busy):
		return busy.after
	case errors.As(err, &status):
		return status.RetryAfter
	}
	return 0
}

// granted is the answer to a granted request (RFC 6749 §5.1).
type granted struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"`
}

func readRefusal(resp *http.Response, body []byte, now time.Time) error {
	var refused struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	isOAuth := keys.DecodeObject(bytes.TrimSpace(body), &refused) == nil && refused.Error != ""
	if isOAuth {
		return &RefusedError{refused.Error, refused.Description, clockOff(resp.Header, now)}
	}
	return fmt.Errorf("%w: status %d without an OAuth error", ErrAnswer, resp.StatusCode)
}

// clockOff is by how much now is ahead of the moment at which an answer was made, when that is worth mentioning.
func clockOff(h http.Header, now time.Time) time.Duration {
	const worthMentioning = 30 * time.Second // as far as issuers let clocks be apart
	made, err := http.ParseTime(h.Get("Date"))
	off := now.Sub(made).Round(time.Second)
	if err != nil || off.Abs() < worthMentioning {
		return 0
	}
	return off
}

func readGranted(body []byte) (granted, error) {
	var g granted
	if err := keys.DecodeObject(bytes.TrimSpace(body), &g); err != nil {
		return granted{}, fmt.Errorf("%w: not a JSON object of the right types", ErrAnswer)
	}
	switch {
	case !isHeaderValue(g.AccessToken):
		return granted{}, fmt.Errorf("%w: no access_token that fits into a header", ErrAnswer)
	case !strings.EqualFold(g.TokenType, "Bearer"):
		return granted{}, fmt.Errorf("%w: token_type %.20q is not Bearer", ErrAnswer, g.TokenType)
	case g.ExpiresIn < 0:
		return granted{}, fmt.Errorf("%w: negative expires_in", ErrAnswer)
	}
	g.ExpiresIn = min(g.ExpiresIn, maxLife)
	return g, nil
}

// isHeaderValue reports whether a token is printable ASCII without spaces.
func isHeaderValue(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}
