package doctor

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"example.com/signet/keys/remote"
)

var (
	otherIssuer = rule{"metadata.issuer", Error,
		"The issuer in the metadata must be the one that was asked for, character by character (RFC 8414 §3.3): " +
			"otherwise one issuer could pass for another. Clients and resource servers refuse these metadata.",
		"Use the identifier that the issuer gives itself, if it is the right one, everywhere; or set the issuer's " +
			"own to this."}
	wrongType = rule{"metadata.type", Error,
		"A reader takes such a member for missing, or refuses the whole document (RFC 8414 §2).",
		"Mend the member's type."}
	noJWKSURI = rule{"metadata.jwks_uri", Error,
		"Resource servers find the keys that verify tokens there (RFC 8414 §2, RFC 9068 §4). Without it each has to " +
			"be told by hand.",
		"Name the address of the JWK Set as jwks_uri."}
	noTokenEndpoint = rule{"metadata.token_endpoint", Error,
		"Clients ask for tokens there; the member is required (RFC 8414 §2). Without it each has to be told by hand.",
		"Name the address of the token endpoint as token_endpoint."}
	plainHTTP = rule{"metadata.plain_http", Error,
		"Whoever is on the way can read and change what goes over plain http: replace the keys, take a client's " +
			"secret (RFC 6749 §3.2, RFC 8414 §2).",
		"Serve the address by https and name it so."}
	badAddress = rule{"metadata.address", Error,
		"It must be an absolute https URL, without user and fragment (RFC 8414 §2, RFC 6749 §3.2). Nobody can ask " +
			"there.",
		"Mend the address."}
	otherHost = rule{"metadata.jwks_uri_host", Note,
		"Whoever controls that host can make tokens that all resource servers take for the issuer's. That is usual " +
			"for large providers, and should be meant so.",
		"Check that the host belongs to the issuer; look after it and its DNS as after the issuer itself."}
	emptyArray = rule{"metadata.empty_array", Note,
		"A member without elements must be left out (RFC 8414 §3.2); readers disagree what an empty one means.",
		"Leave the member out, or list what is supported."}
)

// members examines what the metadata say, and returns the addresses that may be asked.
func (e *examination) members(m *document) named {
	e.types(m)
	e.issuerMember(m.text("issuer"))
	n := named{
		jwksURI:       e.address(m, "jwks_uri", noJWKSURI),
		tokenEndpoint: e.address(m, "token_endpoint", noTokenEndpoint),
	}
	e.jwksHost(n.jwksURI)
	e.otherAddresses(m)
	e.authentication(m)
	e.grants(m)
	return n
}

// types finds members of another type than they must have, and empty arrays.
func (e *examination) types(m *document) {
	isList := map[string]bool{
		"issuer": false, "jwks_uri": false, "token_endpoint": false,
		"response_types_supported": true, "grant_types_supported": true,
		"token_endpoint_auth_methods_supported": true, "token_endpoint_auth_signing_alg_values_supported": true,
	}
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(isList)) {
		if !m.isOfType(name, isList[name]) {
			wrong = append(wrong, name)
		}
	}
	if len(wrong) > 0 {
		e.add(wrongType, "of the wrong type: %s", listed(wrong, ", "))
	}
	var empty []string
	for _, name := range slices.Sorted(maps.Keys(m.members)) {
		if m.isEmptyArray(name) {
			empty = append(empty, quote(name))
		}
	}
	if len(empty) > 0 {
		e.add(emptyArray, "without elements: %s", listed(empty, ", "))
	}
}

func (e *examination) issuerMember(issuer string) {
	switch {
	case issuer == e.issuer:
		e.good("metadata.issuer", "the metadata name the issuer that was asked for")
	case issuer == "":
		e.add(otherIssuer, "the metadata do not say whose they are: issuer is missing")
	case strings.TrimSuffix(issuer, "/") == strings.TrimSuffix(e.issuer, "/"):
		e.add(otherIssuer, "the issuer names itself %s, but was asked for as %s: they differ in the slash at the end",
			quote(issuer), quote(e.issuer))
	case strings.EqualFold(issuer, e.issuer):
		e.add(otherIssuer, "the issuer names itself %s, but was asked for as %s: they differ in upper and lower case",
			quote(issuer), quote(e.issuer))
	default:
		e.add(otherIssuer, "the issuer names itself %s, but was asked for as %s", quote(issuer), quote(e.issuer))
	}
}

// address returns an address that the metadata name, or "" when it is missing or must not be asked.
func (e *examination) address(m *document, name string, missing rule) string {
	address := m.text(name)
	switch {
	case address == "":
		e.add(missing, "%s is missing", name)
		return ""
	case e.isPlain(address):
		return "" // otherAddresses finds it
	case remote.CheckURL(address) != nil:
		e.add(badAddress, "%s is %s", name, quote(address))
		return ""
	}
	e.good(missing.check, "%s is %s", name, quote(address))
	return address
}

// isPlain reports whether an address is http where it must not be: off loopback, and anywhere for an issuer that is
// https, which has no business to send others to their own machine.
func (e *examination) isPlain(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http" && (isHTTPS(e.issuer) || remote.CheckURL("http://"+u.Host) != nil)
}

func isHTTPS(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "https"
}

// otherAddresses looks at every address that something is sent to or trusted from.
func (e *examination) otherAddresses(m *document) {
	var found []string
	for _, name := range slices.Sorted(maps.Keys(m.members)) {
		if (name == "jwks_uri" || strings.HasSuffix(name, "_endpoint")) && e.isPlain(m.text(name)) {
			found = append(found, quote(name)+" is "+quote(m.text(name)))
		}
	}
	if len(found) > 0 {
		e.add(plainHTTP, "plain http: %s", listed(found, "; "))
	}
}

func (e *examination) jwksHost(address string) {
	own, err := url.Parse(e.issuer)
	if address == "" || err != nil {
		return
	}
	if u, err := url.Parse(address); err == nil && !strings.EqualFold(u.Host, own.Host) {
		e.add(otherHost, "the JWK Set is on another host: %s", quote(u.Host))
	}
}
