package doctor

import (
	"bytes"
	"context"
	"mime"
	"net/http"
	"slices"
	"strings"
)

var (
	endpointNotExamined = rule{"token_endpoint.examined", Note,
		"Its address is in the metadata, which give none that may be asked.",
		"Mend what is said of the metadata, then check again."}
	endpointAway = rule{"token_endpoint.reachable", Error,
		"No client gets a token.", ""} // what to do depends
	endpointRedirects = rule{"token_endpoint.redirect", Error,
		"A client must not follow: its credentials are for this address and no other (RFC 9700 §4.12).",
		"Name the address that answers in the metadata."}
	endpointStatus = rule{"token_endpoint.status", Error,
		"A request without parameters is refused with 400 or 401 (RFC 6749 §5.2). By this answer the endpoint is " +
			"not there, does not work, or lets anybody in.",
		"Send an empty POST to the address and see in the log of the issuer, or of the proxy before it, why it " +
			"answers so."}
	endpointOddStatus = rule{"token_endpoint.status", Warning,
		"A request without parameters is refused with 400 or 401 (RFC 6749 §5.2); clients may not tell this refusal " +
			"from a failure of the server.",
		"Answer what the client did wrong with 400 or 401."}
	endpointNotJSON = rule{"token_endpoint.error", Error,
		"A refusal is a JSON object with the member error (RFC 6749 §5.2): from it a client knows what is wrong and " +
			"whether to try again.",
		"See whether the answer comes from a proxy; let the issuer's own through."}
	endpointType = rule{"token_endpoint.content_type", Warning,
		"Content-Type must be application/json (RFC 6749 §5.1, §5.2); some clients do not read anything else.",
		"Send Content-Type: application/json."}
	endpointKept = rule{"token_endpoint.no_store", Warning,
		"Answers with tokens must have Cache-Control: no-store (RFC 6749 §5.1), or a cache may keep a token and " +
			"give it to somebody else. This refusal has not, so tokens probably have not either.",
		"Send Cache-Control: no-store with every answer of the token endpoint."}
	endpointChallenge = rule{"token_endpoint.challenge", Note,
		"An answer of 401 names how to authenticate (RFC 9110 §15.5.2).",
		"Send WWW-Authenticate: Basic with 401, or answer 400."}
	endpointGET = rule{"token_endpoint.get", Warning,
		"Clients must use POST (RFC 6749 §3.2). What GET sends is in the address, and so in logs and histories: " +
			"secrets too.",
		"Answer GET with 405 and Allow: POST."}
)

// tokenEndpoint sends the token endpoint an empty request: no credential, nothing that could succeed.
func (e *examination) tokenEndpoint(ctx context.Context, address string) {
	if address == "" {
		e.add(endpointNotExamined, "the token endpoint has not been examined")
		return
	}
	a := e.fetcher.bare(ctx, http.MethodPost, address)
	if a.err != nil {
		r := endpointAway
		r.do = adviceFor(a.err)
		e.add(r, "%s: %s", quote(address), e.fetcher.reason(a.err))
		return
	}
	e.refusal(a)
	if get := e.fetcher.bare(ctx, http.MethodGet, address); 200 <= get.status && get.status < 300 {
		e.add(endpointGET, "GET is answered with %s", spokenStatus(get.status))
	}
}

// bare sends a request with nothing in it, and follows no redirect.
func (f *fetcher) bare(ctx context.Context, method, address string) answer {
	req, err := http.NewRequest(method, address, http.NoBody)
	if err != nil {
		return answer{address: address, err: err}
	}
	req.Header.Set("Accept", "application/json")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return f.send(ctx, req, 0)
}

// refusal looks at how the empty request is refused.
func (e *examination) refusal(a answer) {
	isRefusal := a.status == http.StatusBadRequest || a.status == http.StatusUnauthorized
	switch {
	case a.isRedirect():
		e.add(endpointRedirects, "POST is answered with %s, to %s", spokenStatus(a.status), quote(a.header.Get("Location")))
		return
	case a.status < 400 || a.status >= 500 || a.status == http.StatusNotFound || a.status == http.StatusMethodNotAllowed:
		e.add(endpointStatus, "an empty POST is answered with %s", spokenStatus(a.status))
		return
	case !isRefusal:
		e.add(endpointOddStatus, "an empty POST is answered with %s", spokenStatus(a.status))
	}
	code, ok := errorCode(a)
	if !ok {
		e.add(endpointNotJSON, "an empty POST is answered with %s, and %s", spokenStatus(a.status), insteadOfError(a))
		return
	}
	if isRefusal {
		e.good("token_endpoint.error", "an empty POST is refused with %s, %s", spokenStatus(a.status), quote(code))
	}
	e.refusalHeaders(a)
}

// errorCode returns the member error of a refusal.
func errorCode(a answer) (string, bool) {
	var d document
	if a.tooLarge || d.read(a.body) != nil || d.text("error") == "" {
		return "", false
	}
	return d.text("error"), true
}

func insteadOfError(a answer) string {
	switch {
	case a.tooLarge:
		return "with more than 512 KiB"
	case bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<")):
		return "with a page of HTML"
	}
	return "without an OAuth error in JSON"
}

func (e *examination) refusalHeaders(a answer) {
	given := a.header.Get("Content-Type")
	if mediaType, _, err := mime.ParseMediaType(given); err != nil || mediaType != "application/json" {
		e.add(endpointType, "Content-Type of the refusal is %s", quote(given))
	}
	if !isNeverKept(a.header) {
		e.add(endpointKept, "the refusal is without Cache-Control: no-store")
	} else {
		e.good("token_endpoint.no_store", "answers are not to be kept")
	}
	if a.status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "" {
		e.add(endpointChallenge, "401 without WWW-Authenticate")
	}
}

func isNeverKept(h http.Header) bool {
	directives := strings.Split(strings.ToLower(strings.Join(h.Values("Cache-Control"), ",")), ",")
	return slices.ContainsFunc(directives, func(d string) bool { return strings.TrimSpace(d) == "no-store" })
}
