package keys

import (
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
)

// Type is what kind of token a JWT is: the typ of its header (RFC 8725 §3.11). The zero value is no type.
type Type string

// The types that Signet signs.
const (
	TypeAccessToken     Type = "at+jwt"                    // RFC 9068 §2.1
	TypeClientAssertion Type = "client-authentication+jwt" // the revision of RFC 7523
	TypeJWT             Type = "JWT"                       // for resource servers that read nothing more precise
)

// Is reports whether typ, the value in a header, names t: letter case does not count, and neither does a leading
// "application/" (RFC 7515 §4.1.9).
func (t Type) Is(typ string) bool {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		typ = typ[len(prefix):]
	}
	return strings.EqualFold(typ, string(t))
}

// Sign returns payload as a compact token of type typ (RFC 7515 §3.1), signed with the key and naming it. Payload is
// the JSON text of the claims and is signed as it is. A typ that is not one of the constants is a programmer's error
// and is refused; otherwise Sign fails only when the signer does. Safe for concurrent use.
func (k *PrivateKey) Sign(typ Type, payload []byte) (string, error) {
	header, ok := k.headers[typ]
	if !ok {
		return "", fmt.Errorf("signing: no token type %q", string(typ))
	}
	const signatureRoom = 1 + (minRSABits+5)/6 // the dot and the longest usual signature
	token := make([]byte, 0, len(header)+1+base64.RawURLEncoding.EncodedLen(len(payload))+signatureRoom)
	token = append(append(token, header...), '.')
	token = base64.RawURLEncoding.AppendEncode(token, payload)
	signature, err := k.sign(token)
	if err != nil {
		return "", fmt.Errorf("signing with key %s: %w", k.ID(), err)
	}
	token = append(token, '.')
	return string(base64.RawURLEncoding.AppendEncode(token, signature)), nil
}

// encodeHeaders encodes the header that Signet writes for key, for each type of token.
func encodeHeaders(key *PublicKey) map[Type]string {
	encoded := make(map[Type]string)
	for _, typ := range []Type{TypeAccessToken, TypeClientAssertion, TypeJWT} {
		header := struct {
			Alg Algorithm `json:"alg"`
			Kid string    `json:"kid"`
			Typ Type      `json:"typ"`
		}{key.alg, key.id, typ}
		text, err := json.Marshal(header)
		if err != nil { // the kid is not UTF-8: no token can name it
			continue
		}
		encoded[typ] = base64.RawURLEncoding.EncodeToString(text)
	}
	return encoded
}
