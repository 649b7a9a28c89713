package doctor

import (
	"bytes"
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"example.com/signet/keys"
)

var (
	noMetadata = rule{"metadata.document", Error,
		"Clients find the token endpoint, and resource servers the keys, in the metadata (RFC 8414 §3, OpenID " +
			"Connect Discovery §4).",
		"Publish them at the first address; or, if this is the wrong issuer identifier, use the one that the issuer " +
			"names in the iss claim of its tokens."}
	misplaced = rule{"metadata.misplaced", Error,
		"The well-known name stands between host and path of the identifier, not behind them (RFC 8414 §3.1), so " +
			"readers look elsewhere.",
		"Serve the same document at the other address too."}
	onlyOpenID = rule{"metadata.openid_only", Note,
		"OAuth 2.0 looks at the other place (RFC 8414 §3). Signet looks at both; not every reader does.",
		"Serve the same document at the place of RFC 8414 too."}
	placesDiffer = rule{"metadata.differ", Error,
		"Which keys are trusted, and where clients prove who they are, depends on where a reader looks first (RFC " +
			"8414 §5, §6.2).",
		"Serve one document at both places, or only one of them."}
	twiceThere = rule{"metadata.duplicate_member", Error,
		"Of two members with one name some readers take the first and some the last (RFC 8259 §4): they see " +
			"different issuers. Signet refuses the document.",
		"Have the document made by a program that writes each member once."}
	notJSON = rule{"metadata.json", Error,
		"The metadata are one JSON object in UTF-8 (RFC 8414 §3.2). Signet reads nothing less, for what is read in " +
			"two ways can be used to deceive one of the readers.",
		"Have the document made by a program that writes JSON."}
)

// named are the addresses that the metadata name; "" is one that they do not, or that must not be asked.
type named struct{ jwksURI, tokenEndpoint string }

// metadata looks at both places where the metadata may be, and examines what it finds.
func (e *examination) metadata(ctx context.Context) named {
	places := metadataPlaces(e.issuer)
	oauth := e.fetcher.get(ctx, places.oauth, "")
	openID := e.fetcher.get(ctx, places.openID, "")
	if oauth.err != nil && openID.err != nil {
		e.isUsable(metadataKind, oauth, Error) // once is enough
		return named{}
	}
	first, grade := e.read(oauth, Error), Error
	if first != nil {
		grade = Warning // what is wrong at the second place matters to those only who begin there
	}
	second := e.read(openID, grade)
	switch {
	case first != nil && second != nil:
		e.compare(first, second)
		return e.members(first)
	case first != nil:
		e.good("metadata.document", "the metadata are at RFC 8414's place")
		return e.members(first)
	case second != nil && oauth.isAbsent():
		e.add(onlyOpenID, "the metadata are at OpenID Connect's place only, %s", quote(openID.address))
		return e.members(second)
	case second != nil:
		e.good("metadata.document", "the metadata are at OpenID Connect's place")
		return e.members(second)
	}
	if oauth.isAbsent() && openID.isAbsent() { // otherwise it has been said what is in the way
		e.add(noMetadata, "no metadata, neither at %s nor at %s", quote(places.oauth), quote(places.openID))
	}
	e.lookAstray(ctx, places.astray)
	return named{}
}

// lookAstray looks where issuers with a path often put their metadata by mistake.
func (e *examination) lookAstray(ctx context.Context, place string) {
	if place == "" {
		return
	}
	var m document
	a := e.fetcher.get(ctx, place, "")
	if a.err == nil && a.status == 200 && !a.tooLarge && m.read(a.body) == nil && m.text("issuer") != "" {
		e.add(misplaced, "there are metadata at %s", quote(place))
	}
}

type places struct{ oauth, openID, astray string }

// metadataPlaces returns where the metadata may be: the well-known name before the issuer's path (RFC 8414 §3.1), and
// behind it (OpenID Connect Discovery §4); and where they are astray, if that is another place.
func metadataPlaces(issuer string) places {
	const oauth, openID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	u, err := url.Parse(issuer)
	if err != nil { // CheckIssuer has parsed it before
		return places{}
	}
	origin, path := u.Scheme+"://"+u.Host, strings.TrimSuffix(u.EscapedPath(), "/")
	p := places{oauth: origin + oauth + path, openID: origin + path + openID}
	if path != "" {
		p.astray = origin + path + oauth
	}
	return p
}

// read returns the document in an answer, or nil. That there is none at all is not found here, and a document that is
// JSON but not strictly so is found and read nevertheless.
func (e *examination) read(a answer, grade Grade) *document {
	if a.isAbsent() || !e.isUsable(metadataKind, a, grade) {
		return nil
	}
	if a.followed {
		e.add(metadataKind.redirected(grade), "the metadata are reached by a redirect, at %s", quote(a.address))
	}
	m := &document{address: a.address}
	if err := m.read(a.body); err != nil {
		e.add(notJSON.at(grade), "%s is not a JSON object: %s", quote(a.address), because(err))
		return nil
	}
	var strict map[string]jsontext.Value
	switch err := keys.DecodeObject(bytes.TrimSpace(a.body), &strict); {
	case errors.Is(err, jsontext.ErrDuplicateName):
		e.add(twiceThere.at(grade), "%s has a member twice: %s", quote(a.address), because(err))
	case err != nil:
		e.add(notJSON.at(grade), "%s is not strict JSON: %s", quote(a.address), because(err))
	}
	e.contentType(metadataKind, a)
	return m
}

// compare holds the documents of both places against one another.
func (e *examination) compare(first, second *document) {
	differ := false
	for _, name := range []string{"issuer", "jwks_uri", "token_endpoint"} {
		if a, b := first.text(name), second.text(name); a != b {
			differ = true
			e.add(placesDiffer, "%s is %s at RFC 8414's place and %s at OpenID Connect's", name, quoteOrAbsent(a), quoteOrAbsent(b))
		}
	}
	if !differ {
		e.good("metadata.document", "the metadata are where RFC 8414 and OpenID Connect look, and alike")
	}
}

func quoteOrAbsent(text string) string {
	if text == "" {
		return "absent"
	}
	return quote(text)
}
