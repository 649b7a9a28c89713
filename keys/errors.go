package keys

import (
	"errors"
	"slices"
)

// What can be wrong with a token. Every error of [Parse], [Set.Verify] and [Set.VerifyParsed] wraps exactly one of
// these; its text names the rule that broke and holds no byte of the token.
var (
	ErrMalformed  = errors.New("malformed token")
	ErrAlgorithm  = errors.New("algorithm not allowed")
	ErrUnknownKey = errors.New("unknown key")
	ErrSignature  = errors.New("signature does not verify")
)

// What can be wrong with a key, a key file, a ring or a JWK Set.
var (
	ErrKey       = errors.New("unusable key")              // wrong type, too weak, not a pair, not a key at all
	ErrLooseMode = errors.New("key file open to others")   // group or others may read or write a private key
	ErrNoKeys    = errors.New("no keys")                   // a directory or a JWK Set without one usable key
	ErrDamaged   = errors.New("damaged key")               // one that a ring is read without; the others are good
	ErrNotSet    = errors.New("not a JWK Set")             // the document as a whole is unusable
	ErrInactive  = errors.New("no key signs at this time") // every key of the algorithm signs from later on
)

// rule is a broken rule of a token: made once, so that refusing costs no allocation.
type rule struct {
	kind error
	text string
}

func (r *rule) Error() string { return r.kind.Error() + ": " + r.text }
func (r *rule) Unwrap() error { return r.kind }

func malformed(text string) error { return &rule{ErrMalformed, text} }

// hinted is an error that knows what its reader should do next.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// Hint says what to do about the error.
func (h *hinted) Hint() string { return h.hint }

// WithHint returns err with a sentence on what to do about it, for whoever prints errors to people: it has a method Hint.
func WithHint(err error, hint string) error { return &hinted{err, hint} }

// DamagedError is an [ErrDamaged] that names the keys a ring was read without.
type DamagedError struct {
	KeyIDs     []string
	Algorithms []Algorithm // of each, as far as can be told: "" where it cannot; may be shorter
	Cause      error       // what is wrong with each
}

// AlgorithmOf returns the algorithm of a damaged key, or "" where it cannot be told.
func (e *DamagedError) AlgorithmOf(kid string) Algorithm {
	if i := slices.Index(e.KeyIDs, kid); i >= 0 && i < len(e.Algorithms) {
		return e.Algorithms[i]
	}
	return ""
}

func (e *DamagedError) Error() string { return ErrDamaged.Error() + ": " + e.Cause.Error() }

// Unwrap returns [ErrDamaged] and the cause.
func (e *DamagedError) Unwrap() []error { return []error{ErrDamaged, e.Cause} }

// Hint says what to do about it.
func (e *DamagedError) Hint() string {
	return "restore the key from a backup, or give it up: issuer keys revoke -- " + e.KeyIDs[0]
}
