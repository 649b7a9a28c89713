package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"example.com/signet/keys"
)

var (
	jwksNotExamined = rule{"jwks.examined", Note,
		"Its address is in the metadata. As long as they give none that may be asked, keys, caching and rotation " +
			"stay unknown.",
		"Mend what is said of the metadata, then check again."}
	jwksNotStrict = rule{"jwks.json", Error,
		"The document is one JSON object in UTF-8 with an array of keys, and no member twice (RFC 7517 §5). Signet " +
			"reads nothing less, for what is read in two ways can be used to deceive one of the readers.",
		"Have the document made by a program that writes JSON."}
	tooManyKeys = rule{"jwks.count", Error,
		"Readers have limits, so that a set cannot keep them busy; Signet refuses one of more than 100 keys.",
		"Take out keys that sign no more, once the last token that they signed has expired."}
	noUsableKey = rule{"jwks.usable", Error,
		"A resource server that uses Signet can verify no token of this issuer: it verifies ES256 and RS256 (RFC " +
			"7518 §3.1), with keys that have kid and alg.",
		"Publish a key for ES256 or RS256, with kid and alg."}
)

// keySet examines the JWK Set at address, and how it may be kept.
func (e *examination) keySet(ctx context.Context, address string) {
	if address == "" {
		e.add(jwksNotExamined, "the JWK Set has not been examined")
		return
	}
	a := e.fetcher.get(ctx, address, "")
	if !e.isUsable(jwksKind, a, Error) {
		return
	}
	if a.followed {
		e.add(jwksKind.redirected(Warning), "the JWK Set is reached by a redirect, at %s", quote(a.address))
	}
	e.contentType(jwksKind, a)
	set := e.examineSet(a.body)
	e.caching(ctx, a, set)
}

// examineSet examines a JWK Set and returns what a resource server makes of it.
func (e *examination) examineSet(body []byte) *keys.Set {
	set, _, err := keys.ParseSet(body)
	published, split := splitKeys(body)
	switch {
	case split && len(published) > keys.MaxSetKeys:
		e.add(tooManyKeys, "%d keys; the first %d have been examined", len(published), keys.MaxSetKeys)
		published = published[:keys.MaxSetKeys]
	case errors.Is(err, keys.ErrNotSet):
		e.add(jwksNotStrict, "the document is not a JWK Set: %s", because(err))
	}
	begin := len(e.findings)
	e.eachKey(published)
	e.twins(published)
	if split {
		e.usable(set, published)
	}
	slices.SortStableFunc(e.findings[begin:], worstFirst)
	return set
}

// worstFirst puts keys that are given away before all else.
func worstFirst(a, b Finding) int {
	rank := func(f Finding) int {
		if f.Check == privateKey.check || f.Check == symmetricKey.check {
			return int(Error) + 1
		}
		return int(f.Grade)
	}
	return rank(b) - rank(a)
}

// splitKeys returns the elements of the keys array; false when there is none.
func splitKeys(body []byte) (published []publishedKey, ok bool) {
	var d document
	if d.read(body) != nil || d.members["keys"].Kind() != jsontext.KindBeginArray {
		return nil, false
	}
	var elements []jsontext.Value
	if json.Unmarshal(d.members["keys"], &elements, loose) != nil {
		return nil, false
	}
	for i, element := range elements {
		key := publishedKey{number: i + 1, source: element}
		key.isObject = key.read(element) == nil
		published = append(published, key)
	}
	return published, true
}

// eachKey examines the keys one by one, and reports together what they have in common.
func (e *examination) eachKey(published []publishedKey) {
	forSigning := 0
	for _, key := range published {
		if !key.isForEncryption() {
			forSigning++
		}
	}
	var found []*keyFault
	encryption := 0
	for _, key := range published {
		if key.isForEncryption() {
			encryption++
		}
		for _, f := range key.faults(forSigning > 1) {
			found = gather(found, f)
		}
	}
	for _, f := range found {
		e.add(f.rule, "%s", listed(f.says, "; "))
	}
	if encryption > 0 {
		e.good("jwks.encryption", "%s for encryption, which no token is verified with", plural(encryption, "key"))
	}
}

// keyFault is what a rule has found in one or more keys.
type keyFault struct {
	rule rule
	says []string
}

func gather(found []*keyFault, f keyFault) []*keyFault {
	for _, prior := range found {
		if prior.rule == f.rule {
			prior.says = append(prior.says, f.says...)
			return found
		}
	}
	return append(found, &f)
}

// usable says with how many keys a resource server can verify.
func (e *examination) usable(set *keys.Set, published []publishedKey) {
	if set.Len() == 0 {
		e.add(noUsableKey, "%s", spokenUnusable(len(published)))
		return
	}
	var counts []string
	count := countByAlgorithm(set)
	for _, alg := range keys.Algorithms() {
		if count[alg] > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", count[alg], alg))
		}
	}
	e.good("jwks.usable", "%d of %s can be used by Signet: %s", set.Len(), plural(len(published), "key"), strings.Join(counts, ", "))
}

// spokenUnusable is a set of n keys that are of no use.
func spokenUnusable(n int) string {
	switch n {
	case 0:
		return "the set is empty"
	case 1:
		return "the only key cannot be used by Signet"
	}
	return fmt.Sprintf("none of %d keys can be used by Signet", n)
}

func countByAlgorithm(set *keys.Set) map[keys.Algorithm]int {
	count := make(map[keys.Algorithm]int)
	for key := range set.All() {
		count[key.Algorithm()]++
	}
	return count
}

var (
	duplicateKid = rule{"jwks.duplicate_kid", Error,
		"A kid names one key (RFC 7517 §4.5). Some verifiers take the first of that name and refuse what the other " +
			"has signed; Signet uses neither.",
		"Give each key a kid of its own: its RFC 7638 thumbprint cannot clash."}
	sameKey = rule{"jwks.same_key", Note,
		"One key that stands there twice protects no better, and looks like a next key where there is none.",
		"Publish each key once."}
)

// twins finds keys that share a kid, or are the same.
func (e *examination) twins(published []publishedKey) {
	var clashes, same []string
	byKid, byMaterial := make(map[string]publishedKey), make(map[string]publishedKey)
	for _, key := range published {
		kid, material := key.text("kid"), key.material()
		if prior, there := byKid[kid]; there && kid != "" && prior.material() != material {
			clashes = append(clashes, fmt.Sprintf("keys %d and %d are both %s", prior.number, key.number, quote(kid)))
		}
		if prior, there := byMaterial[material]; there && material != "" {
			same = append(same, fmt.Sprintf("keys %d and %d", prior.number, key.number))
		}
		byKid[kid], byMaterial[material] = key, key
	}
	if len(clashes) > 0 {
		e.add(duplicateKid, "different keys have one kid: %s", listed(clashes, "; "))
	}
	if len(same) > 0 {
		e.add(sameKey, "the same key more than once: %s", listed(same, "; "))
	}
}

// material is what makes a key that key and no other; "" when it cannot be told.
func (k publishedKey) material() string {
	parts := []string{k.text("kty"), k.text("crv"), k.text("x"), k.text("y"),
		k.text("n"), k.text("e")}
	if len(bytes.TrimSpace([]byte(strings.Join(parts[2:], "")))) == 0 {
		return ""
	}
	return strings.Join(parts, "|")
}
