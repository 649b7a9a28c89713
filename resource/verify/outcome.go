package verify

import (
	"errors"
	"time"
)

// Outcome is what became of one call of [Verifier.Verify].
type Outcome struct {
	Err    error // nil when the token was accepted
	Cached bool  // the token was in the cache of verified tokens
}

// Fetched is what became of one fetch of an issuer's keys.
type Fetched struct {
	Issuer  string
	Err     error         // nil when the keys are as fresh as they can be
	Keys    int           // how many usable ones there are now
	Changed bool          // they are others than before
	Took    time.Duration // of the machine's clock
}

// reasons names the sentinels, in the order in which their rules are applied.
var reasons = []struct {
	kind error
	name string
}{
	{ErrMalformed, "malformed"},
	{ErrAlgorithm, "algorithm"},
	{ErrType, "type"},
	{ErrUnknownKey, "unknown_key"},
	{ErrSignature, "signature"},
	{ErrClaims, "claims"},
	{ErrIssuer, "issuer"},
	{ErrAudience, "audience"},
	{ErrExpired, "expired"},
	{ErrNotYetValid, "not_yet_valid"},
	{ErrConfirmation, "confirmation"},
	{ErrUnavailable, "unavailable"},
}

// Reason returns the name of the rule that an error of [Verifier.Verify] is about, for a metric's label: "malformed",
// "algorithm", "type", "unknown_key", "signature", "claims", "issuer", "audience", "expired", "not_yet_valid",
// "confirmation", "unavailable"; "other" for any other error, and "" for nil.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	for _, reason := range reasons {
		if errors.Is(err, reason.kind) {
			return reason.name
		}
	}
	return "other"
}

// Reasons returns every name that [Reason] gives to a refusal, in the order in which the rules are applied.
func Reasons() []string {
	names := make([]string, 0, len(reasons)+1)
	for _, reason := range reasons {
		names = append(names, reason.name)
	}
	return append(names, "other")
}

// refusal is a broken rule: made once, so that refusing costs no allocation.
type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string { return r.kind.Error() + ": " + r.text }
func (r *refusal) Unwrap() error { return r.kind }

func refuse(kind error, text string) error { return &refusal{kind, text} }

var (
	errType      = refuse(ErrType, "typ is not at+jwt")
	errClaims    = refuse(ErrClaims, "not one strict JSON object with claims of the right types")
	errIssuer    = refuse(ErrIssuer, "iss is not the configured issuer")
	errAudience  = refuse(ErrAudience, "aud does not contain this resource server")
	errNoExpiry  = refuse(ErrClaims, "no exp")
	errExpired   = refuse(ErrExpired, "exp is past")
	errNotBefore = refuse(ErrNotYetValid, "nbf is in the future")
	errIssuedAt  = refuse(ErrNotYetValid, "iat is in the future")
	errMissing   = refuse(ErrClaims, "sub, client_id, jti or iat is missing")
	errBound     = refuse(ErrConfirmation, "cnf cannot be checked")

	errNoKeys  = refuse(ErrUnavailable, "none fetched yet")
	errTooOld  = refuse(ErrUnavailable, "not refreshed for too long")
	errUnknown = refuse(ErrUnknownKey, "kid is not among the issuer's keys")
	errWaiting = refuse(ErrUnavailable, "still being fetched")
)
