package oauth

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Request is what came to the token endpoint.
type Request struct {
	Authorization []string   // every value of the header
	Form          url.Values // the body; a parameter without a value may be in it
}

// assertionType is the only client_assertion_type (RFC 7523 §2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// method is how a client authenticates; the names are those of the metadata (RFC 8414 §2).
type method string

const (
	secretBasic   method = "client_secret_basic"
	secretPost    method = "client_secret_post"
	privateKeyJWT method = "private_key_jwt"
)

// Methods returns the ways in which a client may authenticate, the recommended one first.
func Methods() []string {
	return []string{string(privateKeyJWT), string(secretBasic), string(secretPost)}
}

// ask is a request after parsing: each parameter at most once, exactly one way of authenticating.
type ask struct {
	registry Registry // as it was when the request came

	grantType string
	resources []string
	scope     string

	method    method
	clientID  string // "" only with an assertion, which names the client itself
	secret    string
	assertion string
}

// parse reads the request's parameters (RFC 6749 §3.2): unknown ones are ignored, empty ones are absent, repeated ones
// refused. Only resource may be repeated (RFC 8707 §2).
func parse(r Request) (ask, *Error) {
	for name, values := range r.Form {
		if !utf8.ValidString(name) || slices.ContainsFunc(values, notUTF8) {
			return ask{}, invalidRequest("the body is not UTF-8")
		}
		if len(values) > 1 && len(withoutEmpty(values)) > 1 && name != "resource" {
			return ask{}, invalidRequest("a parameter is repeated")
		}
	}
	one := func(name string) string {
		for _, value := range r.Form[name] {
			if value != "" {
				return value
			}
		}
		return ""
	}
	a := ask{
		grantType: one("grant_type"),
		scope:     one("scope"),
		resources: withoutEmpty(r.Form["resource"]),
	}
	return a, a.readCredentials(r.Authorization, one)
}

func notUTF8(text string) bool { return !utf8.ValidString(text) }

func withoutEmpty(values []string) []string {
	if !slices.Contains(values, "") {
		return values
	}
	return slices.DeleteFunc(slices.Clone(values), func(value string) bool { return value == "" })
}

// readCredentials finds the one way in which the client authenticates. Two ways at once are refused (RFC 6749 §2.3).
func (a *ask) readCredentials(authorization []string, one func(name string) string) *Error {
	found := make([]method, 0, 3)
	if len(authorization) > 0 {
		found = append(found, secretBasic)
	}
	if one("client_secret") != "" {
		found = append(found, secretPost)
	}
	if one("client_assertion") != "" || one("client_assertion_type") != "" {
		found = append(found, privateKeyJWT)
	}
	switch {
	case len(found) > 1 || len(authorization) > 1:
		return invalidRequest("more than one way of authenticating")
	case len(found) == 0:
		return notAuthenticated(errNoCredentials)
	}
	a.method, a.clientID = found[0], one("client_id")
	switch a.method {
	case secretBasic:
		return a.readBasic(authorization[0])
	case secretPost:
		a.secret = one("client_secret")
		if a.clientID == "" {
			return invalidRequest("client_secret without client_id")
		}
	case privateKeyJWT:
		a.assertion = one("client_assertion")
		if one("client_assertion_type") != assertionType {
			return invalidRequest("client_assertion_type is missing or not " + assertionType)
		}
		if a.assertion == "" {
			return invalidRequest("client_assertion is missing")
		}
	}
	return nil
}

// readBasic reads HTTP Basic credentials, of which both halves are form-encoded (RFC 6749 §2.3.1).
func (a *ask) readBasic(header string) *Error {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return notAuthenticated(errOtherScheme)
	}
	text, err := base64.StdEncoding.Strict().DecodeString(strings.TrimLeft(encoded, " ")) // 1*SP (RFC 9110 §11.4)
	if err != nil {
		return notAuthenticated(errBasic)
	}
	rawID, rawSecret, found := strings.Cut(string(text), ":")
	id, errID := url.QueryUnescape(rawID)
	secret, errSecret := url.QueryUnescape(rawSecret)
	if !found || errID != nil || errSecret != nil || id == "" || secret == "" {
		return notAuthenticated(errBasic)
	}
	if a.clientID != "" && a.clientID != id {
		return invalidRequest("client_id differs from the client that authenticates")
	}
	a.clientID, a.secret = id, secret
	return nil
}
