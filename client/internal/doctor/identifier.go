package doctor

import "strings"

var (
	plainLoopback = rule{"identifier.scheme", Note,
		"RFC 8414 §2 wants an issuer identifier to be https. On loopback nobody is on the way; from another machine " +
			"this issuer must not be used by that name.",
		"Use it like this for development only; give the issuer an https name before another machine needs it."}
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
		e.add(plainLoopback, "the issuer identifier is http, on loopback")
		return
	}
	e.good("identifier.scheme", "the issuer identifier is https")
}
