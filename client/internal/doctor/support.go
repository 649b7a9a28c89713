package doctor

import (
	"slices"
	"strings"

	"example.com/signet/keys"
)

const (
	authMethods = "token_endpoint_auth_methods_supported"
	authAlgs    = "token_endpoint_auth_signing_alg_values_supported"
	grantTypes  = "grant_types_supported"
)

var (
	sharedSecrets = rule{"metadata.auth_methods", Warning,
		"A secret is known to both sides, travels with each request and can leak from either; asymmetric client " +
			"authentication is recommended (RFC 9700 §2.5).",
		"Support private_key_jwt at the issuer (RFC 7523 §2.2), and list it."}
	onlyMTLS = rule{"metadata.auth_methods", Note,
		"Client certificates (RFC 8705) keep secrets from being shared as well; Signet's client does not use them.",
		"Support private_key_jwt too (RFC 7523 §2.2) if Signet's clients are to get tokens here without a secret."}
	noAuthentication = rule{"metadata.auth_method_none", Note,
		"With none a client says who it is and need not prove it. That is for browsers and apps with a user, not " +
			"between services (RFC 6749 §4.4, RFC 8414 §2).",
		"Check that no client of the client credentials grant is registered with none."}
	noAuthAlgs = rule{"metadata.auth_algs", Warning,
		"The member is required where assertions are accepted (RFC 8414 §2); without it clients guess what to sign " +
			"with.",
		"List the algorithms in " + authAlgs + "."}
	foreignAuthAlgs = rule{"metadata.auth_algs", Warning,
		"A client of Signet's signs with ES256 or RS256, so none can authenticate by private_key_jwt here.",
		"Accept ES256 for client assertions."}
	authAlgNone = rule{"metadata.auth_alg_none", Error,
		"none must not be used (RFC 8414 §2): an assertion without a signature is one that anybody can write, for " +
			"any client.",
		"Take none off the list, and make sure that the issuer refuses such assertions."}
	authAlgHMAC = rule{"metadata.auth_alg_hmac", Note,
		"HS256 and its like sign with the client's secret, which both sides know and which is often guessable (RFC " +
			"8725 §3.5).",
		"Take them off the list when no client uses client_secret_jwt any more."}
	noClientCredentials = rule{"metadata.grant_types", Warning,
		"Services get their tokens by the client credentials grant (RFC 6749 §4.4); by its own word this issuer " +
			"gives none.",
		"List client_credentials in " + grantTypes + " if the issuer supports it; otherwise services cannot use it."}
	noGrantTypes = rule{"metadata.grant_types", Note,
		"Without the member an issuer says that it supports authorization_code and implicit (RFC 8414 §2): nothing " +
			"that services use. Most clients ask nevertheless.",
		"List client_credentials in " + grantTypes + "."}
	noResponseTypes = rule{"metadata.response_types", Note,
		"The member is required (RFC 8414 §2), also where no authorization endpoint is; strict readers refuse the " +
			"metadata.",
		`Add "response_types_supported": ["none"], or the types that there are.`}
)

// authentication looks at how clients may prove who they are.
func (e *examination) authentication(m *document) {
	methods := m.list(authMethods)
	isListed := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(methods, name) })
	}
	switch {
	case isListed("private_key_jwt"):
		e.good("metadata.auth_methods", "clients can authenticate by private_key_jwt: no secret is shared")
	case isListed("tls_client_auth", "self_signed_tls_client_auth"):
		e.add(onlyMTLS, "clients can authenticate by certificate, but not by private_key_jwt")
	case len(methods) == 0:
		e.add(sharedSecrets, "%s is missing, which means client_secret_basic", authMethods)
	default:
		e.add(sharedSecrets, "%s is without private_key_jwt: %s", authMethods, listed(quoteAll(methods), ", "))
	}
	if isListed("none") {
		e.add(noAuthentication, "%s lists none", authMethods)
	}
	e.assertionAlgorithms(m.list(authAlgs), isListed("private_key_jwt"), isListed("client_secret_jwt"))
}

// assertionAlgorithms looks at what client assertions may be signed with.
func (e *examination) assertionAlgorithms(algs []string, byKey, bySecret bool) {
	isOurs := func(alg string) bool { _, err := keys.ParseAlgorithm(alg); return err == nil }
	isHMAC := func(alg string) bool { return strings.HasPrefix(alg, "HS") }
	switch {
	case len(algs) == 0 && (byKey || bySecret):
		e.add(noAuthAlgs, "%s is missing", authAlgs)
	case byKey && !slices.ContainsFunc(algs, isOurs):
		e.add(foreignAuthAlgs, "client assertions are accepted with %s only", listed(quoteAll(algs), ", "))
	}
	if slices.ContainsFunc(algs, func(alg string) bool { return strings.EqualFold(alg, "none") }) {
		e.add(authAlgNone, "%s lists none", authAlgs)
	}
	if hmac := slices.DeleteFunc(slices.Clone(algs), func(alg string) bool { return !isHMAC(alg) }); len(hmac) > 0 {
		e.add(authAlgHMAC, "%s lists %s", authAlgs, listed(quoteAll(hmac), ", "))
	}
}

// grants looks at what may be asked for.
func (e *examination) grants(m *document) {
	switch grants := m.list(grantTypes); {
	case slices.Contains(grants, "client_credentials"):
		e.good("metadata.grant_types", "the client credentials grant is supported")
	case len(grants) == 0:
		e.add(noGrantTypes, "%s is missing", grantTypes)
	default:
		e.add(noClientCredentials, "%s is without client_credentials: %s", grantTypes, listed(quoteAll(grants), ", "))
	}
	if !m.has("response_types_supported") {
		e.add(noResponseTypes, "response_types_supported is missing")
	}
}
