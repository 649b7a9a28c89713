package verifytest

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.com/signet/keys/keystest"
)

// row is a [Row] before it knows its class.
type row struct {
	name  string
	token string
	want  error
}

// named is a value to put into a token, and what to call it.
type named struct{ name, value string }

// maker makes tokens that are genuine but for what its caller changes.
type maker struct {
	issuer           string
	now              time.Time
	header, rsHeader keystest.Object // genuine, of keystest.ES256 and keystest.RS256
	claims           keystest.Object // genuine
	token, rsToken   string          // genuine, and spelled as Signet does
}

func newMaker(issuer string, now time.Time) maker {
	m := maker{
		issuer: issuer, now: now,
		header: keystest.AccessHeader(keystest.ES256), rsHeader: keystest.AccessHeader(keystest.RS256),
		claims: keystest.AccessClaims(issuer, keystest.Audience, now),
	}
	m.rsToken = keystest.AccessToken(keystest.RS256, m.claims)
	for m.token == "" || !isRich(m.token) {
		m.token = m.forge(m.header, m.claims) // another signature each time
	}
	return m
}

// isRich reports whether the signature has both letters in which the two alphabets of base64 differ.
func isRich(token string) bool {
	_, _, signature := segments(token)
	return strings.Contains(signature, "-") && strings.Contains(signature, "_")
}

// forge signs with keystest.ES256 whatever header and claims say.
func (m maker) forge(header, claims keystest.Object) string {
	return keystest.Forge(keystest.ES256, header.String(), claims.String())
}

// head is genuine but for one member of the header.
func (m maker) head(name, value string) string { return m.forge(m.header.With(name, value), m.claims) }

// headTwice has a member of the header behind those that are there, whatever their names.
func (m maker) headTwice(name, value string) string {
	return m.forge(m.header.Twice(name, value), m.claims)
}

// headText has exactly this text for a header.
func (m maker) headText(text string) string {
	return keystest.Forge(keystest.ES256, text, m.claims.String())
}

// with is genuine but for one claim.
func (m maker) with(name, value string) string { return m.forge(m.header, m.claims.With(name, value)) }

func (m maker) without(name string) string { return m.forge(m.header, m.claims.Without(name)) }

func (m maker) twice(name, value string) string {
	return m.forge(m.header, m.claims.Twice(name, value))
}

// instead has the claim name under another one.
func (m maker) instead(name, other string) string {
	return m.forge(m.header, m.claims.Without(name).With(other, value(m.claims, name)))
}

// payload has exactly this text for a payload.
func (m maker) payload(text string) string {
	return keystest.Forge(keystest.ES256, m.header.String(), text)
}

// at is the moment d from now, as a claim.
func (m maker) at(d time.Duration) string { return fmt.Sprint(m.now.Add(d).Unix()) }

// value is the JSON text of a member.
func value(o keystest.Object, name string) string {
	for _, member := range o {
		if member.Name == name {
			return member.Value
		}
	}
	panic("verifytest: no member " + name)
}

// inside is what stands between the quotes of a member.
func inside(o keystest.Object, name string) string { return strings.Trim(value(o, name), `"`) }

// quote is text as a JSON string; text is ASCII.
func quote(text string) string { return strconv.Quote(text) }

// signed is input with its signature by keystest.ES256.
func signed(input string) string {
	return input + "." + keystest.Encode(keystest.SignRaw(keystest.ES256, input))
}

// input is the part of a token that its signature covers.
func input(header, claims keystest.Object) string {
	return keystest.Encode(header.String()) + "." + keystest.Encode(claims.String())
}

// cut splits a token into the part that is signed and the signature.
func cut(token string) (input string, signature []byte) {
	i := strings.LastIndexByte(token, '.')
	return token[:i], must(base64.RawURLEncoding.DecodeString(token[i+1:]))
}

func segments(token string) (header, payload, signature string) {
	parts := strings.Split(token, ".")
	return parts[0], parts[1], parts[2]
}

func must[T any](value T, err error) T {
	if err != nil {
		panic("verifytest: " + err.Error())
	}
	return value
}
