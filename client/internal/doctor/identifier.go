package doctor

import "strings"

var (
	// One line is enough for what everybody sees who develops.
	plainLoopback = rule{check: "identifier.scheme", grade: Note}
	trailingSlash = rule{"identifier.trailing_slash", Note,
		"Issuer identifiers are compared as strings (RFC 8414 §3.3, RFC 9068 §4): with the slash and without are " +
			"two issuers, and one of the two is usually in somebody's configuration by mistake.",
		"Prefer an identifier without a slash at its end; otherwise see that everybody spells it with one."}
)

// identifier looks at the name of the issuer. What cannot be one has been refused before.
func (e *examination) identifier() {
	if strings.HasSuffix(e.issuer, "/") {
		e.add(trailingSlash, "the issuer identifier ends in a slash")
	}
	if strings.HasPrefix(strings.ToLower(e.issuer), "http:") {
		e.add(plainLoopback, "the issuer identifier is http, on loopback: good for development only (RFC 8414 §2)")
		return
	}
	e.good("identifier.scheme", "the issuer identifier is https")
}
