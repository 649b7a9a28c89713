package tokens

import (
	"net/http"
	"strings"
)

// saysInvalidToken reports whether a resource server refuses the token as such (RFC 6750 §3.1), and not the request.
func saysInvalidToken(resp *http.Response) bool {
	if resp.StatusCode != http.StatusUnauthorized {
		return false
	}
	for _, field := range resp.Header["Www-Authenticate"] {
		if refusesToken(field) {
			return true
		}
	}
	return false
}

// refusesToken reports whether a Bearer challenge in a WWW-Authenticate field (RFC 9110 §11.6.1) has the error
// invalid_token. The field may have challenges of other schemes before and after it, and others of this one. What cannot
// be read refuses nothing.
func refusesToken(field string) bool {
	c := challenges{rest: field}
	for isBearer := false; c.more(); {
		name := c.token()
		switch value, isParameter := c.value(); {
		case name == "":
			return false
		case !isParameter: // a scheme
			isBearer = strings.EqualFold(name, "Bearer")
		case isBearer && strings.EqualFold(name, "error"):
			if value == "invalid_token" {
				return true
			}
			isBearer = false // a second error in one challenge says nothing
		}
	}
	return false
}

// challenges is a WWW-Authenticate field that is being read.
type challenges struct{ rest string }

// more passes over commas and white space, and reports whether anything comes after them.
func (c *challenges) more() bool {
	c.rest = strings.TrimLeft(c.rest, ", \t")
	return c.rest != ""
}

// token reads a token (RFC 9110 §5.6.2), or the token68 that some schemes have instead of parameters.
func (c *challenges) token() string {
	end := strings.IndexFunc(c.rest, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`,="`, r) })
	if end < 0 {
		end = len(c.rest)
	}
	name := c.rest[:end]
	c.rest = c.rest[end:]
	return name
}

// value reads what a parameter has after its name, and reports whether there is such a thing.
func (c *challenges) value() (string, bool) {
	after, isParameter := strings.CutPrefix(strings.TrimLeft(c.rest, " \t"), "=")
	if !isParameter {
		return "", false
	}
	c.rest = strings.TrimLeft(after, " \t")
	if !strings.HasPrefix(c.rest, `"`) {
		value := c.token()
		c.rest = strings.TrimLeft(c.rest, "=") // of a token68
		return value, true
	}
	return c.quoted(), true
}

// quoted reads a quoted string (RFC 9110 §5.6.4). One without an end takes all that is left.
func (c *challenges) quoted() string {
	var text strings.Builder
	for i := 1; i < len(c.rest); i++ {
		switch at := c.rest[i]; {
		case at == '"':
			c.rest = c.rest[i+1:]
			return text.String()
		case at == '\\' && i+1 < len(c.rest):
			i++
			text.WriteByte(c.rest[i])
		default:
			text.WriteByte(at)
		}
	}
	c.rest = ""
	return ""
}
