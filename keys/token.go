package keys

import (
	"encoding/base64"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Limits on what [Parse] reads.
const (
	MaxTokenSize = 8 << 10 // octets of a compact token
	maxKeyIDSize = 256     // octets of a kid

	maxHeaderSize = 1 << 10 // octets of a header; reading more would cost more than checking a signature
)

// Header is what the header of a token says (RFC 7515 §4.1). The members that a token could use to bring or point to
// its own key (jku, jwk, x5u, x5c) are never read.
type Header struct {
	Algorithm Algorithm
	KeyID     string // at most 256 octets; empty only after [ParseAssertion]
	Type      string // as written; "" when absent
}

// Token is a token whose signature has been verified.
type Token struct {
	Header  Header
	Key     *PublicKey // that verified it
	Payload []byte     // the octets that the signature covers; the reader owns them
}

// Unverified is a well-formed token that nobody has vouched for: anyone can write one. [Set.VerifyParsed] turns it into
// a [Token].
type Unverified struct {
	header    Header
	input     string // header and payload as the signature covers them, encoded
	payload   []byte
	signature []byte
}

// Header returns what the token claims in its header, for choosing how to check it. It is not proved.
func (u Unverified) Header() Header { return u.header }

// InsecurePayload returns the payload without any proof that it is genuine. Use it to show a token or to choose the keys
// to verify it with; never to decide anything else.
func (u Unverified) InsecurePayload() string { return string(u.payload) }

// The rules of form, in the order in which they are checked.
var (
	errTooLong     = malformed("longer than 8 KiB")
	errSegments    = malformed("not three segments")
	errLineBreak   = malformed("line break in it")
	errBase64      = malformed("not canonical unpadded base64url")
	errNoSignature = malformed("empty signature")
	errHeader      = malformed("header is not a strict JSON object")
	errCritical    = malformed("header has crit") // RFC 7515 §4.1.11: not understood, so refused
	errB64         = malformed("header has b64")  // RFC 7797 §7: would change what is signed
	errZip         = malformed("header has zip")
	errLongHeader  = malformed("header longer than 1 KiB")
	errNoKeyID     = malformed("header has no kid")
	errLongKeyID   = malformed("kid longer than 256 octets")

	errNotAllowed = error(&rule{ErrAlgorithm, "header names neither ES256 nor RS256"})
)

// Parse checks everything about a compact token that needs no key: at most 8 KiB; three segments of canonical unpadded
// base64url (RFC 7515 §2, §3.1); a header of at most 1 KiB that is one strict JSON object as [DecodeObject] reads it,
// with an algorithm of [Algorithms] and a kid, and without crit, b64 or zip. It neither reads nor vouches for the
// payload. Errors wrap [ErrMalformed] or [ErrAlgorithm].
func Parse(token string) (Unverified, error) { return parse(token, nil) }

// ParseAssertion is [Parse] for client assertions, whose header needs no kid (RFC 7523 §3) and may be as long as the
// whole, for some clients put their certificates there. [Set.VerifyAny] verifies what it returns.
func ParseAssertion(token string) (Unverified, error) { return split(token, MaxTokenSize, nil) }

// parse is Parse; known has the encoded headers that need not be read again.
func parse(token string, known map[string]Header) (Unverified, error) {
	u, err := split(token, maxHeaderSize, known)
	if err == nil && u.header.KeyID == "" {
		return Unverified{}, errNoKeyID
	}
	return u, err
}

// split is parse for a header that may be without kid, and of another length.
func split(token string, maxHeader int, known map[string]Header) (Unverified, error) {
	if len(token) > MaxTokenSize {
		return Unverified{}, errTooLong
	}
	header, rest, dot1 := strings.Cut(token, ".")
	payload, signature, dot2 := strings.Cut(rest, ".")
	switch {
	case !dot1 || !dot2 || strings.IndexByte(signature, '.') >= 0:
		return Unverified{}, errSegments
	case signature == "":
		return Unverified{}, errNoSignature
	case base64.RawURLEncoding.DecodedLen(len(header)) > maxHeader:
		return Unverified{}, errLongHeader
	}
	// Go's base64 decoder skips line breaks, so they are refused before it sees them.
	if strings.IndexByte(token, '\n') >= 0 || strings.IndexByte(token, '\r') >= 0 {
		return Unverified{}, errLineBreak
	}
	return decode(token, len(header), len(header)+1+len(payload), known)
}

// decode decodes the three segments, with the dots at first and last, into one buffer.
func decode(token string, first, last int, known map[string]Header) (Unverified, error) {
	buf := make([]byte, 0, len(token)*3/4)
	payload, buf, errP := appendDecoded(buf, token[first+1:last])
	signature, buf, errS := appendDecoded(buf, token[last+1:])
	if errP != nil || errS != nil {
		return Unverified{}, errBase64
	}
	header, isKnown := known[token[:first]]
	if !isKnown {
		text, _, err := appendDecoded(buf, token[:first])
		if err != nil {
			return Unverified{}, errBase64
		}
		if header, err = parseHeader(text); err != nil {
			return Unverified{}, err
		}
	}
	return Unverified{header: header, input: token[:last], payload: payload, signature: signature}, nil
}

var strictBase64 = base64.RawURLEncoding.Strict()

// appendDecoded decodes segment behind buf. The part it returns cannot grow into what comes after it.
func appendDecoded(buf []byte, segment string) (part, whole []byte, err error) {
	start := len(buf)
	whole, err = strictBase64.AppendDecode(buf, []byte(segment))
	return whole[start:len(whole):len(whole)], whole, err
}

// header is what is looked at in a header. The last three only have to be absent.
type header struct {
	Alg  string         `json:"alg"`
	Kid  string         `json:"kid"`
	Typ  string         `json:"typ"`
	Crit jsontext.Value `json:"crit"`
	B64  jsontext.Value `json:"b64"`
	Zip  jsontext.Value `json:"zip"`
}

func parseHeader(data []byte) (Header, error) {
	h, plain := plainHeader(string(data))
	if !plain {
		var err error
		if h, err = strictHeader(data); err != nil {
			return Header{}, errHeader
		}
	}
	switch {
	case h.Crit != nil:
		return Header{}, errCritical
	case h.B64 != nil:
		return Header{}, errB64
	case h.Zip != nil:
		return Header{}, errZip
	}
	alg := Algorithm(h.Alg)
	if alg != ES256 && alg != RS256 {
		return Header{}, errNotAllowed
	}
	if len(h.Kid) > maxKeyIDSize {
		return Header{}, errLongKeyID
	}
	return Header{Algorithm: alg, KeyID: h.Kid, Type: h.Typ}, nil
}

func strictHeader(data []byte) (h header, err error) {
	err = DecodeObject(data, &h)
	return h, err
}

// plainHeader reads a header of alg, kid, typ and strings that nobody needs; false means that strictHeader has to. It
// allocates nothing.
func plainHeader(text string) (h header, plain bool) {
	only := true
	plain = PlainMembers(text, func(name, value string) {
		content, isString := PlainString(value)
		only = only && isString
		switch name {
		case "alg":
			h.Alg = content
		case "kid":
			h.Kid = content
		case "typ":
			h.Typ = content
		case "crit", "b64", "zip":
			only = false
		}
	})
	return h, plain && only
}
