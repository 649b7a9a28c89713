package main

import (
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/signet/keys"
)

// ruleError is the rule that a token breaks, under the name that a resource server's metrics have for it.
type ruleError struct {
	name string
	text string
	hint string
}

func (e *ruleError) Error() string { return e.name + ": " + e.text }

// ruleOf names the rule of an error of package keys.
func ruleOf(err error) error {
	for name, kind := range map[string]error{
		"malformed":   keys.ErrMalformed,
		"algorithm":   keys.ErrAlgorithm,
		"unknown_key": keys.ErrUnknownKey,
		"signature":   keys.ErrSignature,
	} {
		if errors.Is(err, kind) {
			return &ruleError{name, strings.TrimPrefix(err.Error(), kind.Error()+": "), hintsOfRules[name]}
		}
	}
	return err
}

// hintsOfRules say what a person may have overlooked.
var hintsOfRules = map[string]string{
	"malformed":   "an access token is three base64url texts with dots between",
	"unknown_key": "is --jwks the set of the issuer that signed, and fresh?",
	"issuer":      "name the issuer you trust with --issuer",
	"audience":    "is --audience the resource that the token was asked for?",
	"type":        "an ID token or a client assertion is no access token (RFC 9068 §2.1)",
}

// accessClaims are the claims that the rules are about. Decoding them checks every type.
type accessClaims struct {
	Issuer       stringClaim      `json:"iss"`
	Subject      stringClaim      `json:"sub"`
	ClientID     stringClaim      `json:"client_id"`
	Audience     keys.Audience    `json:"aud"`
	Scope        stringClaim      `json:"scope"`
	ID           stringClaim      `json:"jti"`
	Expires      keys.NumericDate `json:"exp"`
	IssuedAt     keys.NumericDate `json:"iat"`
	NotBefore    keys.NumericDate `json:"nbf"`
	Confirmation jsontext.Value   `json:"cnf"`
}

// stringClaim is a claim that is a string. Into a plain string null would decode too.
type stringClaim string

// UnmarshalJSONFrom reads a string strictly.
func (s *stringClaim) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	if dec.PeekKind() != jsontext.KindString {
		return errors.New("not a string")
	}
	return json.UnmarshalDecode(dec, (*string)(s))
}

// checkUnsigned applies the rules that need no key. Nothing is granted on them.
func (v verification) checkUnsigned(token keys.Unverified) error {
	if !keys.TypeAccessToken.Is(token.Header().Type) {
		return broken("type", "typ is not at+jwt (RFC 9068 §4)")
	}
	var c accessClaims
	if err := keys.DecodeObject([]byte(token.InsecurePayload()), &c); err == nil && string(c.Issuer) != v.issuer {
		return broken("issuer", "iss is not "+v.issuer)
	}
	return nil
}

func broken(name, text string) error { return &ruleError{name, text, hintsOfRules[name]} }

// checkClaims applies the rules that stand after the signature (RFC 9068 §4, RFC 7519 §4.1).
func (v verification) checkClaims(payload string) error {
	var c accessClaims
	if err := keys.DecodeObject([]byte(payload), &c); err != nil {
		return broken("claims", "not one strict JSON object with claims of the right types")
	}
	latest := v.now.Add(v.leeway)
	for _, rule := range []struct {
		isBroken   bool
		name, text string
	}{
		{string(c.Issuer) != v.issuer, "issuer", "iss is not " + v.issuer},
		{!c.Audience.Contains(v.audience), "audience", "aud does not contain " + v.audience},
		{c.Expires == 0, "claims", "exp is missing"},
		{!v.now.Before(c.Expires.Time().Add(v.leeway)), "expired", "exp was " + spoken(c.Expires.Time(), v.now)},
		{c.NotBefore.Time().After(latest), "not_yet_valid", "nbf is " + spoken(c.NotBefore.Time(), v.now)},
		{c.IssuedAt.Time().After(latest), "not_yet_valid", "iat is " + spoken(c.IssuedAt.Time(), v.now)},
		{c.Subject == "" || c.ClientID == "" || c.ID == "" || c.IssuedAt == 0, "claims", "sub, client_id, jti or iat is missing"},
		{c.Confirmation != nil, "confirmation", "bound to a key (cnf), which is not checked here"},
	} {
		if rule.isBroken {
			return broken(rule.name, rule.text)
		}
	}
	return nil
}
