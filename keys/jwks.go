package keys

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Limits of [ParseSet].
const (
	MaxSetSize = 512 << 10 // octets of the document
	MaxSetKeys = 100       // keys in it, odd ones included
)

// SetLimits bounds the JWK Sets that [SetLimits.Parse] reads. The zero value of a field is the limit of [ParseSet].
type SetLimits struct {
	Size int // octets of the document
	Keys int // keys in it, odd ones included
}

func (l SetLimits) withDefaults() SetLimits {
	return SetLimits{Size: cmp.Or(l.Size, MaxSetSize), Keys: cmp.Or(l.Keys, MaxSetKeys)}
}

// jwkMembers are the members of a JWK that Signet writes and checks (RFC 7517 §4, RFC 7518 §6). The private ones are
// only there to be noticed.
type jwkMembers struct {
	Kty    string   `json:"kty"`
	Use    string   `json:"use,omitempty"`
	KeyOps []string `json:"key_ops,omitempty"`
	Alg    string   `json:"alg"`
	Kid    string   `json:"kid"`

	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`

	K   jsontext.Value `json:"k,omitempty"`
	D   jsontext.Value `json:"d,omitempty"`
	P   jsontext.Value `json:"p,omitempty"`
	Q   jsontext.Value `json:"q,omitempty"`
	DP  jsontext.Value `json:"dp,omitempty"`
	DQ  jsontext.Value `json:"dq,omitempty"`
	QI  jsontext.Value `json:"qi,omitempty"`
	Oth jsontext.Value `json:"oth,omitempty"`
}

// isPrivate reports whether any private member is there: each of them gives the whole key away.
func (m *jwkMembers) isPrivate() bool {
	return slices.ContainsFunc([]jsontext.Value{m.D, m.P, m.Q, m.DP, m.DQ, m.QI, m.Oth},
		func(member jsontext.Value) bool { return member != nil })
}

// ParseSet reads a JWK Set (RFC 7517 §5) of at most 512 KiB and 100 keys, as strictly as [DecodeObject]. A key that
// Signet cannot use is left out and its reason returned in skipped, so that one odd key does not cost the others:
// another type, curve or use, no kid or alg, an alg that does not fit, too weak, symmetric, private, not strict JSON.
// Different keys under one kid are all left out, for none of them can be told to be the right one. The error wraps
// [ErrNotSet] when the document as a whole is unusable and [ErrNoKeys] when no key is left.
func ParseSet(document []byte) (set *Set, skipped []error, err error) {
	return SetLimits{}.Parse(document)
}

// Parse is [ParseSet] with other limits.
func (l SetLimits) Parse(document []byte) (set *Set, skipped []error, err error) {
	members, err := splitSet(document, l.withDefaults())
	if err != nil {
		return nil, nil, err
	}
	var usable []*PublicKey
	for i, member := range members {
		key, err := ParseJWK(member)
		if err != nil {
			skipped = append(skipped, fmt.Errorf("key %d of the set: %w", i, err))
			continue
		}
		usable = append(usable, key)
	}
	usable, ambiguous := dropAmbiguous(usable)
	skipped = append(skipped, ambiguous...)
	if len(usable) == 0 {
		return nil, skipped, fmt.Errorf("%w: none of the %d keys of the set is usable", ErrNoKeys, len(members))
	}
	set, err = NewSet(usable...)
	return set, skipped, err
}

// splitSet returns the members of the keys array, each still JSON. The rest of the document is held to the rules of
// DecodeObject here; what is wrong inside a key is left for ParseJWK to find, so that it costs that key alone.
func splitSet(document []byte, limits SetLimits) ([]jsontext.Value, error) {
	if len(document) > limits.Size {
		return nil, fmt.Errorf("%w: longer than %d octets", ErrNotSet, limits.Size)
	}
	document = trimJSONSpace(document)
	var doc struct {
		Keys keysMember `json:"keys"`
	}
	err := json.Unmarshal(document, &doc, looseJSON)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: not strict JSON", ErrNotSet)
	case doc.Keys.values == nil:
		return nil, fmt.Errorf("%w: no keys array", ErrNotSet)
	case len(doc.Keys.values) > limits.Keys:
		return nil, fmt.Errorf("%w: %d keys, at most %d are read", ErrNotSet, len(doc.Keys.values), limits.Keys)
	}
	rest := slices.Concat(document[:doc.Keys.start], []byte("null"), document[doc.Keys.end:])
	if err := DecodeObject(rest, &struct{}{}); err != nil {
		return nil, fmt.Errorf("%w: not strict JSON", ErrNotSet)
	}
	return doc.Keys.values, nil
}

var looseJSON = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

// keysMember is the keys array, unread, and where it stands in its document.
type keysMember struct {
	values     []jsontext.Value
	start, end int64
}

// UnmarshalJSONFrom implements [json.UnmarshalerFrom].
func (k *keysMember) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	array, err := dec.ReadValue()
	if err != nil {
		return err
	}
	k.end = dec.InputOffset()
	k.start = k.end - int64(len(array))
	return json.Unmarshal(array, &k.values, looseJSON)
}

// dropAmbiguous leaves each key once and removes every kid that names more than one key.
func dropAmbiguous(all []*PublicKey) (kept []*PublicKey, dropped []error) {
	first := make(map[string]*PublicKey)
	ambiguous := make(map[string]bool)
	for _, key := range all {
		switch prior := first[key.id]; {
		case prior == nil:
			first[key.id] = key
		case !prior.Equal(key) && !ambiguous[key.id]:
			ambiguous[key.id] = true
			dropped = append(dropped, fmt.Errorf("%w: kid %.64q names different keys", ErrKey, key.id))
		}
	}
	for _, key := range all {
		if first[key.id] == key && !ambiguous[key.id] {
			kept = append(kept, key)
		}
	}
	return kept, dropped
}

// ParseJWK reads one public key (RFC 7517 §4) under its own kid. The rules are those of [ParseSet]; a key that breaks
// one is an [ErrKey].
func ParseJWK(text []byte) (*PublicKey, error) {
	var m jwkMembers
	if err := DecodeObject(trimJSONSpace(text), &m); err != nil {
		return nil, fmt.Errorf("%w: not a strict JSON object of JWK members", ErrKey)
	}
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	raw, err := m.raw()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	alg, err := algorithmOf(raw)
	if err != nil {
		return nil, err
	}
	if string(alg) != m.Alg {
		return nil, fmt.Errorf("%w: alg %.20q does not fit a key for %s", ErrKey, m.Alg, alg)
	}
	return &PublicKey{id: m.Kid, alg: alg, raw: publicOnly{raw}}, nil
}

// check applies the rules that do not need the key itself.
func (m *jwkMembers) check() error {
	switch {
	case m.K != nil || m.Kty == "oct":
		return errors.New("symmetric")
	case m.isPrivate():
		return errors.New("private: it must be replaced, for whoever read this has it")
	case m.Kid == "" || len(m.Kid) > maxKeyIDSize || strings.ContainsFunc(m.Kid, isUnprintable):
		return errors.New("kid is missing, too long or not printable")
	case m.Alg == "":
		return errors.New("alg is missing")
	case m.Use != "" && m.Use != "sig":
		return fmt.Errorf("use is %.20q, not sig", m.Use)
	case m.KeyOps != nil && !slices.Contains(m.KeyOps, "verify"):
		return errors.New("key_ops is without verify")
	}
	return nil
}

// isUnprintable reports whether a rune could forge a line of a log, or hide in one.
func isUnprintable(r rune) bool { return !unicode.IsPrint(r) }

func (m *jwkMembers) raw() (crypto.PublicKey, error) {
	switch m.Kty {
	case "EC":
		return m.rawEC()
	case "RSA":
		return m.rawRSA()
	}
	return nil, fmt.Errorf("kty is %.20q, neither EC nor RSA", m.Kty)
}

// rawEC reads a P-256 point: two coordinates of exactly 32 octets (RFC 7518 §6.2.1).
func (m *jwkMembers) rawEC() (*ecdsa.PublicKey, error) {
	x, errX := decodeMember(m.X)
	y, errY := decodeMember(m.Y)
	if m.Crv != "P-256" || errX != nil || errY != nil || len(x) != 32 || len(y) != 32 {
		return nil, errors.New("not a P-256 point of two times 32 octets")
	}
	uncompressed := slices.Concat([]byte{4}, x, y) // SEC 1 §2.3.3
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed)
	if err != nil {
		return nil, errors.New("point not on P-256")
	}
	return key, nil
}

// decodeMember decodes base64url in its one spelling. The decoder alone passes over line breaks, strict or not.
func decodeMember(text string) ([]byte, error) {
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("line break in base64url")
	}
	return strictBase64.DecodeString(text)
}

// rawRSA reads modulus and exponent, both without leading zeros (RFC 7518 §6.3.1, §2 Base64urlUInt). The exponent is
// bounded here, before it could overflow an int.
func (m *jwkMembers) rawRSA() (*rsa.PublicKey, error) {
	n, errN := decodeMember(m.N)
	e, errE := decodeMember(m.E)
	if errN != nil || errE != nil || len(n) == 0 || len(e) == 0 || n[0] == 0 || e[0] == 0 || len(e) > 4 {
		return nil, errors.New("RSA modulus or exponent is missing, malformed or out of range")
	}
	exponent := new(big.Int).SetBytes(e).Int64()
	if exponent > maxRSAExponent {
		return nil, errors.New("RSA exponent out of range")
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent)}, nil
}

// MarshalJSON returns the set as a JWK Set document: the keys in order, each with kty, use, alg, kid and its public
// members, and nothing else. Equal sets give equal bytes.
func (s *Set) MarshalJSON() ([]byte, error) {
	doc := struct {
		Keys []jwkMembers `json:"keys"`
	}{Keys: []jwkMembers{}}
	for key := range s.All() {
		members, err := key.members()
		if err != nil {
			return nil, err
		}
		doc.Keys = append(doc.Keys, members)
	}
	return json.Marshal(doc)
}

func (k *PublicKey) members() (jwkMembers, error) {
	m := jwkMembers{Use: "sig", Alg: string(k.alg), Kid: k.id}
	switch raw := k.raw.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := raw.Bytes() // 4, x, y (SEC 1 §2.3.3)
		if err != nil {
			return m, fmt.Errorf("%w: %w", ErrKey, err)
		}
		m.Kty, m.Crv = "EC", "P-256"
		m.X = strictBase64.EncodeToString(point[1:33])
		m.Y = strictBase64.EncodeToString(point[33:65])
	case *rsa.PublicKey:
		m.Kty = "RSA"
		m.N = strictBase64.EncodeToString(raw.N.Bytes())
		m.E = strictBase64.EncodeToString(big.NewInt(int64(raw.E)).Bytes())
	}
	return m, nil
}

// trimJSONSpace removes the insignificant white space around a document (RFC 8259 §2): files end with a line break.
func trimJSONSpace(data []byte) []byte {
	isSpace := func(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
	for len(data) > 0 && isSpace(data[0]) {
		data = data[1:]
	}
	for len(data) > 0 && isSpace(data[len(data)-1]) {
		data = data[:len(data)-1]
	}
	return data
}
