package doctor

import (
	"bytes"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// kind is a kind of document that an issuer publishes.
type kind struct {
	area   string // of the names of its checks
	name   string
	types  []string // media types it may have, the best first
	source string   // where they are required
	status string   // and that the answer is 200
}

var (
	metadataKind = kind{"metadata", "metadata", []string{"application/json"}, "RFC 8414 §3.2", "RFC 8414 §3.2: the answer is 200. "}
	jwksKind     = kind{"jwks", "JWK Set", []string{"application/jwk-set+json", "application/json"}, "RFC 7517 §8.5", ""}
)

func (k kind) rule(subject string, grade Grade, why, do string) rule {
	return rule{k.area + "." + subject, grade, why, do}
}

// isUsable reports whether an answer has a document of the kind in it, as far as can be seen from outside. What keeps it
// from that is found with the given grade.
func (e *examination) isUsable(k kind, a answer, grade Grade) bool {
	unread := "Nobody can read the " + k.name + " there: clients get no token, or resource servers no keys."
	switch {
	case a.err != nil:
		e.add(k.rule("reachable", grade, unread, adviceFor(a.err)), "%s: %s", quote(a.address), e.fetcher.reason(a.err))
	case a.isRedirect():
		e.add(k.redirected(grade), "%s answers %s, to %s", quote(a.address), spokenStatus(a.status), quote(a.header.Get("Location")))
	case a.status != http.StatusOK:
		e.add(k.rule("status", grade, k.status+unread, "See in the log of the issuer, or of the proxy before it, why it answers so."),
			"%s answers %s", quote(a.address), spokenStatus(a.status))
	case a.tooLarge:
		e.add(k.rule("size", grade, "Readers have limits, so that nobody fills their memory; Signet's is 512 KiB.",
			"Publish the "+k.name+" alone; it is a few kilobytes long."),
			"%s answers with more than %d KiB", quote(a.address), maxBody>>10)
	case bytes.HasPrefix(bytes.TrimSpace(a.body), []byte("<")):
		e.add(k.rule("html", grade, unread+" A page in its place comes from a proxy, a login or an application that answers every path.",
			"Route the path to the issuer, past any login."),
			"%s answers with a page of HTML", quote(a.address))
	default:
		return true
	}
	return false
}

func (k kind) redirected(grade Grade) rule {
	return k.rule("redirect", grade, k.status+"Many readers do not follow a redirect, and none should follow one to another origin, "+
		"which could then say what the issuer's keys are.", "Serve the "+k.name+" at the address itself.")
}

// contentType looks at what a document calls itself.
func (e *examination) contentType(k kind, a answer) {
	given := a.header.Get("Content-Type")
	mediaType, _, err := mime.ParseMediaType(given)
	if err == nil && slices.Contains(k.types, mediaType) {
		return
	}
	found := "Content-Type is " + quote(given)
	if given == "" {
		found = "no Content-Type"
	}
	e.add(k.rule("content_type", Warning, "It must be "+strings.Join(k.types, " or ")+" ("+k.source+"); some readers refuse others.",
		"Send Content-Type: "+k.types[0]+"."), "%s, of %s", found, quote(a.address))
}

// spokenStatus is a status in our words: those of the answer may be anything.
func spokenStatus(status int) string {
	if text := http.StatusText(status); text != "" {
		return fmt.Sprintf("%d (%s)", status, text)
	}
	return fmt.Sprint(status)
}
