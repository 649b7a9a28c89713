package bearer

import (
	"cmp"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"

	"example.com/signet/resource/verify"
)

// HeaderNames are names of headers that [NewIdentityHeaders] takes. An empty field is its default.
type HeaderNames struct {
	Issuer  string // for the iss, within which a sub names one and the same; default X-Auth-Issuer
	Subject string // for the sub; default X-Auth-Subject
	Client  string // for the client_id; default X-Auth-Client-Id
	Scope   string // for the scope; default X-Auth-Scope
}

func (n HeaderNames) withDefaults() HeaderNames {
	return HeaderNames{
		Issuer:  http.CanonicalHeaderKey(cmp.Or(n.Issuer, "X-Auth-Issuer")),
		Subject: http.CanonicalHeaderKey(cmp.Or(n.Subject, "X-Auth-Subject")),
		Client:  http.CanonicalHeaderKey(cmp.Or(n.Client, "X-Auth-Client-Id")),
		Scope:   http.CanonicalHeaderKey(cmp.Or(n.Scope, "X-Auth-Scope")),
	}
}

func (n HeaderNames) all() [4]string { return [4]string{n.Issuer, n.Subject, n.Client, n.Scope} }

// IdentityHeaders hands a verified identity on to an application that knows nothing of tokens, in four headers. The
// zero value has the default names. It is safe for concurrent use.
type IdentityHeaders struct{ names HeaderNames }

// notForIdentity are headers that have a meaning of their own, or that callers and proxies send all the time.
var notForIdentity = []string{"accept", "accept-encoding", "accept-language", "authorization", "cache-control",
	"connection", "content-encoding", "content-length", "content-type", "cookie", "date", "expect", "forwarded", "host", "keep-alive",
	"location", "origin", "proxy-authenticate", "proxy-authorization", "proxy-connection", "range", "referer",
	"retry-after", "set-cookie", "te", "token", "trailer", "transfer-encoding", "upgrade", "user-agent", "vary", "via",
	"www-authenticate", "x-forwarded-for", "x-forwarded-host", "x-forwarded-method", "x-forwarded-proto",
	"x-forwarded-uri", "x-real-ip", "x-request-id"}

// NewIdentityHeaders returns the headers with these names. It refuses a name that is no header's (RFC 9110 §5.1), one
// that means something else, and names that differ in nothing but letter case and punctuation.
func NewIdentityHeaders(names HeaderNames) (IdentityHeaders, error) {
	names = names.withDefaults()
	known := make(map[string]bool)
	for _, name := range names.all() {
		switch {
		case strings.ContainsFunc(name, isNotToken):
			return IdentityHeaders{}, fmt.Errorf("bearer: %.100q is no name of a header", name)
		case slices.Contains(notForIdentity, fold(name)):
			return IdentityHeaders{}, fmt.Errorf("bearer: the header %q has another meaning", name)
		case known[fold(name)]:
			return IdentityHeaders{}, fmt.Errorf("bearer: the header %q twice", name)
		}
		known[fold(name)] = true
	}
	return IdentityHeaders{names}, nil
}

func isNotToken(r rune) bool {
	return r <= ' ' || r > '~' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
}

// Strip removes these headers, whoever wrote them. So that no reader takes one for another, it removes names too that
// differ from them in letter case or punctuation alone: X_Auth_Subject is the same to many servers, as CGI has it.
func (h IdentityHeaders) Strip(header http.Header) {
	for name := range h.in(header) {
		delete(header, name)
	}
}

// in yields the names in header that some reader may take for one of these.
func (h IdentityHeaders) in(header http.Header) iter.Seq[string] {
	mine := h.names.withDefaults().all()
	for i := range mine {
		mine[i] = fold(mine[i])
	}
	return func(yield func(string) bool) {
		for name := range header {
			if slices.Contains(mine[:], fold(name)) && !yield(name) {
				return
			}
		}
	}
}

// Set strips the headers and sets them to what claims say; the one for the scope is empty for a token without scope. A
// value that a header would not carry unchanged, such as one with a line break or with letters beyond ASCII, is an
// [ErrIdentity], and none of them is set: half an identity, or one that is spelled in another way, could be somebody
// else's.
func (h IdentityHeaders) Set(header http.Header, claims verify.Claims) error {
	h.Strip(header)
	for _, value := range []string{claims.Issuer(), claims.Subject(), claims.ClientID()} {
		if value == "" || !isCarried(value) {
			return ErrIdentity
		}
	}
	if !isCarried(claims.Scope()) {
		return ErrIdentity
	}
	names := h.names.withDefaults()
	header[names.Issuer] = []string{claims.Issuer()}
	header[names.Subject] = []string{claims.Subject()}
	header[names.Client] = []string{claims.ClientID()}
	header[names.Scope] = []string{claims.Scope()}
	return nil
}

// fold is what is left of a name where letter case and punctuation count for nothing.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r - 'A' + 'a'
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9':
			return r
		}
		return '-'
	}, name)
}

// isCarried reports whether a header has value unchanged at its other end: printable ASCII with no space around it (RFC
// 9110 §5.5).
func isCarried(value string) bool {
	return value == strings.Trim(value, " ") && !strings.ContainsFunc(value, func(r rune) bool {
		return r < ' ' || r > '~'
	})
}
