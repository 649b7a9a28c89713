package bearer

import (
	"net/http"
	"strings"
)

// Headers, as they are spelled in the map.
const (
	tokenHeader         = "Token"
	authorizationHeader = "Authorization"
)

const scheme = "Bearer"

// credentials returns the one token of a request: bare in the Token header, or after Bearer in Authorization (RFC 6750
// §2.1). Two headers are never a choice for us to make: they are malformed.
func credentials(h http.Header) (string, error) {
	tokens, authorizations := h[tokenHeader], h[authorizationHeader]
	switch {
	case len(tokens)+len(authorizations) > 1:
		return "", ErrAmbiguous
	case len(tokens) == 1 && tokens[0] == "":
		return "", ErrAmbiguous
	case len(tokens) == 1:
		return tokens[0], nil
	case len(authorizations) == 1:
		return bearerToken(authorizations[0])
	}
	return "", ErrNoToken
}

// bearerToken reads an Authorization header. Another scheme is not ours to judge: for us there is no token.
func bearerToken(authorization string) (string, error) {
	name, token, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(name, scheme) {
		return "", ErrNoToken
	}
	token = strings.TrimLeft(token, " ") // 1*SP
	if token == "" || has(token, ' ') || has(token, '\t') || has(token, ',') {
		return "", ErrAmbiguous
	}
	return token, nil
}

// has is several times faster than strings.ContainsAny, which looks at each octet by itself.
func has(text string, c byte) bool { return strings.IndexByte(text, c) >= 0 }
