package keys

import (
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
)

// Set is an immutable set of public keys with distinct kids, in order. It is safe for concurrent use. The zero value
// and nil are the empty set.
type Set struct {
	keys []*PublicKey
	byID map[string]*PublicKey

	// known are the headers that Signet writes for these keys, encoded. They are made when first needed: of the many
	// sets of clients' keys, none needs them.
	known atomic.Pointer[map[string]Header]
}

// NewSet returns the set of the given keys in the given order. Two keys with one kid are an [ErrKey].
func NewSet(keys ...*PublicKey) (*Set, error) {
	set := &Set{
		keys: slices.Clone(keys),
		byID: make(map[string]*PublicKey, len(keys)),
	}
	for _, key := range keys {
		if set.byID[key.id] != nil {
			return nil, fmt.Errorf("%w: kid %.64q twice in one set", ErrKey, key.id)
		}
		set.byID[key.id] = key
	}
	return set, nil
}

// knownHeaders returns s.known. Two callers at once make it twice, and alike.
func (s *Set) knownHeaders() map[string]Header {
	if known := s.known.Load(); known != nil {
		return *known
	}
	known := make(map[string]Header)
	for _, key := range s.keys {
		for typ, encoded := range encodeHeaders(key) {
			known[encoded] = Header{Algorithm: key.alg, KeyID: key.id, Type: string(typ)}
		}
	}
	s.known.Store(&known)
	return known
}

// Len returns the number of keys.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return len(s.keys)
}

// All yields the keys in order.
func (s *Set) All() iter.Seq[*PublicKey] {
	if s == nil {
		return func(func(*PublicKey) bool) {}
	}
	return slices.Values(s.keys)
}

// Key returns the key named id, or nil.
func (s *Set) Key(id string) *PublicKey {
	if s == nil {
		return nil
	}
	return s.byID[id]
}

// Equal reports whether both have the same keys under the same kids, in whatever order.
func (s *Set) Equal(other *Set) bool {
	if s.Len() != other.Len() {
		return false
	}
	for key := range s.All() {
		if twin := other.Key(key.id); twin == nil || !key.Equal(twin) {
			return false
		}
	}
	return true
}

var (
	errUnknownKey  = error(&rule{ErrUnknownKey, "kid is not in the set"})
	errMismatch    = error(&rule{ErrAlgorithm, "header and key name different algorithms"})
	errNotVerified = error(&rule{ErrSignature, "not made by the key that kid names"})
	errNotAny      = error(&rule{ErrSignature, "not made by any key of the set"})
)

// Verify returns the header and payload of a compact token that a key of the set has signed. It applies the rules of
// [Parse], and then: the kid is in the set, the header's algorithm is the key's, the signature verifies (RFC 7515
// §5.2). It says nothing about type and claims: those are the caller's to check. Errors wrap [ErrMalformed],
// [ErrAlgorithm], [ErrUnknownKey] or [ErrSignature].
func (s *Set) Verify(token string) (Token, error) {
	parsed, err := s.Parse(token)
	if err != nil {
		return Token{}, err
	}
	return s.VerifyParsed(parsed)
}

// Parse is the function [Parse]; it is faster when the header is spelled as Signet spells it for a key of the set.
func (s *Set) Parse(token string) (Unverified, error) {
	if s == nil {
		return Parse(token)
	}
	return parse(token, s.knownHeaders())
}

// VerifyParsed does what [Set.Verify] does after Parse, for callers that look at the header in between.
func (s *Set) VerifyParsed(u Unverified) (Token, error) {
	key := s.Key(u.header.KeyID)
	switch {
	case key == nil:
		return Token{}, errUnknownKey
	case key.alg != u.header.Algorithm:
		return Token{}, errMismatch
	case !key.verify(u.input, u.signature):
		return Token{}, errNotVerified
	}
	return Token{Header: u.header, Key: key, Payload: u.payload}, nil
}

// VerifyAny verifies a token that need not name its key well, as client assertions do not: with the key that its kid
// names, or where the set has none of that name with every key of the header's algorithm in turn, for a kid is a hint
// (RFC 7515 §4.1.4) and the set holds nothing but keys that may sign. The errors are those of [Set.Verify]; with
// [ErrUnknownKey] the set has no key of the algorithm.
func (s *Set) VerifyAny(u Unverified) (Token, error) {
	if s.Key(u.header.KeyID) != nil {
		return s.VerifyParsed(u)
	}
	err := errUnknownKey
	for key := range s.All() {
		if key.alg != u.header.Algorithm {
			continue
		}
		if key.verify(u.input, u.signature) {
			return Token{Header: u.header, Key: key, Payload: u.payload}, nil
		}
		err = errNotAny
	}
	return Token{}, err
}
