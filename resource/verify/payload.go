package verify

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/signet/keys"
)

// claims are the claims as they are written. Decoding them checks every type. They never change.
type claims struct {
	Issuer       text             `json:"iss"`
	Subject      text             `json:"sub"`
	ClientID     text             `json:"client_id"`
	Audience     keys.Audience    `json:"aud"`
	Scope        text             `json:"scope"`
	ID           text             `json:"jti"`
	Expires      keys.NumericDate `json:"exp"`
	IssuedAt     keys.NumericDate `json:"iat"`
	NotBefore    keys.NumericDate `json:"nbf"`
	Confirmation jsontext.Value   `json:"cnf"`

	payload string    // all of it
	one     [1]string // holds Audience where it has one value
}

// text is a claim that is a string. Into a plain string null would decode too.
type text string

var errNotText = errors.New("not a string")

// UnmarshalJSONFrom reads a string strictly.
func (t *text) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != jsontext.KindString {
		return errNotText
	}
	return json.UnmarshalDecode(dec, (*string)(t))
}

const audienceOverhead = 32 // octets of one value besides its text: its place in the slice, which has grown by doubling

// size is how many octets the claims take, besides the struct. Those that are not spelled plainly are copies of what is
// in the payload.
func (c *claims) size() int {
	if len(c.Audience) == 1 && &c.Audience[0] == &c.one[0] {
		return len(c.payload)
	}
	return 2*len(c.payload) + len(c.Audience)*audienceOverhead
}

func readClaims(payload string) (*claims, error) {
	c := &claims{payload: payload}
	return c, c.read()
}

// read reads c.payload into c.
func (c *claims) read() error {
	if c.readPlain() {
		return nil
	}
	*c = claims{payload: c.payload}
	if err := keys.DecodeObject([]byte(c.payload), c); err != nil {
		return errClaims
	}
	return nil
}

// readPlain reads claims that are spelled in the plainest way. False says nothing about them.
func (c *claims) readPlain() bool {
	right := true
	isPlain := keys.PlainMembers(c.payload, func(name, value string) { right = right && c.setPlain(name, value) })
	return isPlain && right
}

// plainIssuer returns the iss of a payload that nobody has vouched for, where it is spelled in the plainest way.
func plainIssuer(payload string) (issuer string, isPlain bool) {
	isText := false
	isPlain = keys.PlainMembers(payload, func(name, value string) {
		if name == "iss" {
			issuer, isText = keys.PlainString(value)
		}
	})
	return issuer, isPlain && isText
}

// issuerOf returns the first iss of a payload that nobody has vouched for, and "" where none can be read. It reads no
// more than it needs: to read all strictly would cost more than to check a signature.
func issuerOf(payload string) (issuer string) {
	if issuer, isPlain := plainIssuer(payload); isPlain {
		return issuer
	}
	dec := jsontext.NewDecoder(strings.NewReader(payload), jsontext.AllowDuplicateNames(true))
	if token, err := dec.ReadToken(); err != nil || token.Kind() != jsontext.KindBeginObject {
		return ""
	}
	for dec.PeekKind() == jsontext.KindString {
		name, err := dec.ReadValue()
		isIssuer := string(name) == `"iss"`
		if err == nil && isIssuer {
			err = json.UnmarshalDecode(dec, (*text)(&issuer))
		} else if err == nil {
			err = dec.SkipValue()
		}
		if err != nil || isIssuer {
			return issuer
		}
	}
	return ""
}

// setPlain sets one claim, and returns false when it is not of the plainest form.
func (c *claims) setPlain(name, value string) bool {
	switch name {
	case "iss":
		return setText(&c.Issuer, value)
	case "sub":
		return setText(&c.Subject, value)
	case "client_id":
		return setText(&c.ClientID, value)
	case "jti":
		return setText(&c.ID, value)
	case "scope":
		return setText(&c.Scope, value)
	case "exp":
		return setDate(&c.Expires, value)
	case "iat":
		return setDate(&c.IssuedAt, value)
	case "nbf":
		return setDate(&c.NotBefore, value)
	case "aud":
		audience, isString := keys.PlainString(value)
		c.one[0], c.Audience = audience, c.one[:]
		return isString
	case "cnf":
		return false
	}
	return true
}

func setText(to *text, value string) bool {
	content, isString := keys.PlainString(value)
	*to = text(content)
	return isString
}

// setDate sets a moment in whole seconds of this and the next centuries, as nearly all are.
func setDate(to *keys.NumericDate, value string) bool {
	seconds, err := strconv.ParseUint(value, 10, 32)
	*to = keys.NumericDate(seconds)
	return err == nil && seconds > 0
}

// check applies the rules that stand after the signature.
func (c *claims) check(issuer string, cfg *Config, now time.Time) error {
	switch {
	case string(c.Issuer) != issuer:
		return errIssuer
	case !c.Audience.Contains(cfg.Audience):
		return errAudience
	case c.Expires == 0:
		return errNoExpiry
	}
	if err := c.checkTimes(cfg.Leeway, now); err != nil {
		return err
	}
	switch {
	case c.Subject == "" || c.ClientID == "" || c.ID == "" || c.IssuedAt == 0:
		return errMissing
	case c.Confirmation != nil:
		return errBound
	}
	return nil
}

// checkTimes applies the rules that a token can break later on, though it kept them once.
func (c *claims) checkTimes(leeway time.Duration, now time.Time) error {
	latest := now.Add(leeway)
	switch {
	case !now.Before(c.Expires.Time().Add(leeway)): // RFC 7519 §4.1.4: on or after is too late
		return errExpired
	case c.NotBefore.Time().After(latest):
		return errNotBefore
	case c.IssuedAt.Time().After(latest):
		return errIssuedAt
	}
	return nil
}
