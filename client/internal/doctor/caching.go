package doctor

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/signet/keys"
)

var (
	noMaxAge = rule{"cache.max_age", Warning,
		"How long verifiers keep the keys is left to each of them (RFC 9111 §4.2.2): minutes for some, a day for " +
			"others. So nobody can say when a new key may sign, or when a revoked one is forgotten.",
		"Send Cache-Control: public, max-age=300."}
	longMaxAge = rule{"cache.max_age", Warning,
		"Verifiers may go on trusting a revoked key for as long as that (RFC 9111 §5.2.2.1), and new keys must be " +
			"published as long before they sign.",
		"Send Cache-Control: public, max-age=300."}
	shortMaxAge = rule{"cache.max_age", Note,
		"Each verifier asks again as often as that, so an issuer that is away is noticed at once. Signet keeps keys " +
			"for a minute at least.",
		"Send Cache-Control: public, max-age=300."}
	notKept = rule{"cache.no_store", Warning,
		"Verifiers that obey ask for the keys again with each token (RFC 9111 §5.2.2.4, §5.2.2.5): they are slow, " +
			"and when the issuer is away nobody is let in.",
		"Send Cache-Control: public, max-age=300. The keys are public."}
	noETag = rule{"cache.etag", Note,
		"With an entity tag a verifier asks whether anything has changed, and gets no document when it has not (RFC " +
			"9110 §8.8.3).",
		"Send a strong ETag made from the content, such as its hash."}
	unconditional = rule{"cache.conditional", Note,
		"The ETag is there but not looked at: who sends it in If-None-Match should get 304 and no body (RFC 9110 " +
			"§13.1.2).",
		"Answer If-None-Match; see whether a proxy takes the header away."}
	alwaysSame = rule{"cache.stuck", Error,
		"304 says that nothing has changed since an answer that was never given (RFC 9110 §15.4.5). A verifier that " +
			"asks so would never see a new key, nor that one was revoked.",
		"Compare If-None-Match with the current ETag, in the issuer and in each proxy before it."}
	stale = rule{"cache.age", Warning,
		"A cache on the way serves the set longer than the issuer allows (RFC 9111 §4.2, §5.1): new keys arrive " +
			"late and revoked keys stay.",
		"Make the cache obey max-age, or pass it by for this address."}
	noNextKey = rule{"cache.next_key", Warning,
		"Unless the issuer publishes a new key well before it signs, verifiers that still keep this set refuse good " +
			"tokens after a rotation, for as long as they keep it or until they look again for an unknown kid. " +
			"Nothing in the set shows that it does.",
		"Publish the next key before it signs, by more than max-age. If the issuer does so shortly before each " +
			"rotation, all is well."}
	vary = rule{"cache.vary", Note,
		"Caches keep a copy for each value of those headers (RFC 9110 §12.5.5); the keys are the same for everybody.",
		"Leave Vary out, but for Accept-Encoding and Origin."}
	cookie = rule{"cache.cookie", Note,
		"Many caches do not keep an answer with a cookie (RFC 9111 §7.3), and no verifier sends one back. It " +
			"usually comes from a load balancer.",
		"Serve the JWK Set without cookies."}
	replicasDisagree = rule{"cache.replicas", Warning,
		"Replicas of the issuer publish different keys. Verifiers that ask the one refuse what the other signs.",
		"Give all replicas the same keys, and publish a key everywhere before it signs anywhere. If a rotation " +
			"happened just now, check again."}
	unstable = rule{"cache.bytes", Note,
		"The same keys in other octets cannot have the same strong ETag, so conditional requests never save " +
			"anything (RFC 9110 §8.8.1).",
		"Write the set in one order, and the same on all replicas."}
)

const (
	neverIssued = `"client-check-never-issued"`
	maxMaxAge   = 24 * time.Hour
	minMaxAge   = time.Minute
	shortWait   = 5 * time.Minute // for which a rotation without a next key may do harm and few notice
)

// caching looks at how verifiers may keep the JWK Set in a, and what this means when keys change. It asks twice more.
func (e *examination) caching(ctx context.Context, a answer, set *keys.Set) {
	control := readCacheControl(a.header)
	e.cacheControl(control, a.header)
	e.nextKey(control, set)
	// The tag of an old set, as a verifier has it after a rotation.
	second := e.fetcher.get(ctx, a.address, neverIssued)
	if second.status == http.StatusNotModified {
		e.add(alwaysSame, "If-None-Match with a tag that was never issued is answered with 304")
	} else {
		e.replicas(a, second, set)
	}
	e.conditional(ctx, a)
}

// cacheControl is what Cache-Control says (RFC 9111 §5.2.2).
type cacheControl struct {
	maxAge  time.Duration
	said    bool // there is a max-age that can be read
	notKept string
}

func readCacheControl(h http.Header) (c cacheControl) {
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name = strings.ToLower(name); name {
		case "no-store", "no-cache":
			c.notKept = name
		case "max-age":
			if seconds, ok := readSeconds(strings.Trim(value, `"`)); ok {
				c.maxAge, c.said = seconds, true
			}
		}
	}
	if c.notKept == "" && c.said && c.maxAge == 0 {
		c.notKept = "max-age=0"
	}
	return c
}

func readSeconds(text string) (time.Duration, bool) {
	seconds, err := strconv.ParseUint(text, 10, 31)
	return time.Duration(seconds) * time.Second, err == nil
}

func (e *examination) cacheControl(c cacheControl, h http.Header) {
	switch {
	case c.notKept != "":
		e.add(notKept, "Cache-Control has %s", c.notKept)
	case !c.said && h.Get("Cache-Control") != "":
		e.add(noMaxAge, "Cache-Control is %s, without a max-age that can be read", quote(h.Get("Cache-Control")))
	case !c.said:
		e.add(noMaxAge, "no Cache-Control")
	case c.maxAge > maxMaxAge:
		e.add(longMaxAge, "max-age is %.0f: %s", c.maxAge.Seconds(), spoken(c.maxAge))
	case c.maxAge < minMaxAge:
		e.add(shortMaxAge, "max-age is %s", spoken(c.maxAge))
	default:
		e.good("cache.max_age", "verifiers may keep the keys for %s", spoken(c.maxAge))
	}
	if age, ok := readSeconds(h.Get("Age")); ok && c.said && age > c.maxAge {
		e.add(stale, "Age is %s, max-age %s", spoken(age), spoken(c.maxAge))
	}
	if named := h.Values("Vary"); slices.ContainsFunc(named, variesMuch) {
		e.add(vary, "Vary is %s", quote(strings.Join(named, ", ")))
	}
	if h.Get("Set-Cookie") != "" {
		e.add(cookie, "the JWK Set comes with a cookie")
	}
}

func variesMuch(named string) bool {
	for name := range strings.SplitSeq(named, ",") {
		if name = strings.ToLower(strings.TrimSpace(name)); name != "accept-encoding" && name != "origin" && name != "" {
			return true
		}
	}
	return false
}

// nextKey looks for a second key of each algorithm: the one that will sign next, or the one that has signed before.
func (e *examination) nextKey(c cacheControl, set *keys.Set) {
	var alone []string
	for alg, n := range countByAlgorithm(set) {
		if n == 1 {
			alone = append(alone, string(alg))
		}
	}
	slices.Sort(alone)
	r, kept := noNextKey, "as long as each likes"
	switch {
	case c.notKept != "":
		r, kept = r.at(Note), "no time"
	case c.said:
		kept = "up to " + spoken(c.maxAge)
		if c.maxAge <= shortWait {
			r = r.at(Note)
		}
	}
	if len(alone) > 0 {
		e.add(r, "only one usable key for %s, and verifiers keep the set for %s", strings.Join(alone, " and for "), kept)
	} else if set.Len() > 0 {
		e.good("cache.next_key", "more than one key for each algorithm, so the next one can be known before it signs")
	}
}

// replicas compares two answers that may come from two replicas.
func (e *examination) replicas(first, second answer, set *keys.Set) {
	if second.err != nil || second.status != http.StatusOK || second.tooLarge {
		e.isUsable(jwksKind, second, Warning)
		return
	}
	if bytes.Equal(first.body, second.body) {
		e.good("cache.replicas", "asked twice, the JWK Set is the same")
		return
	}
	other, _, _ := keys.ParseSet(second.body) // without a usable key: the empty set
	switch {
	case set.Len() == 0 && other.Len() == 0: // nothing to compare
	case !set.Equal(other):
		e.add(replicasDisagree, "asked twice, the JWK Set has %s and then %s, not all the same",
			plural(set.Len(), "usable key"), plural(other.Len(), "usable key"))
	default:
		e.add(unstable, "asked twice, the JWK Set has the same keys, written differently")
	}
}

// conditional asks whether the set is still what it was.
func (e *examination) conditional(ctx context.Context, a answer) {
	tag := a.header.Get("ETag")
	switch {
	case tag == "":
		e.add(noETag, "no ETag")
		return
	case !isEntityTag(tag):
		e.add(noETag, "ETag is %s, which is none", quote(tag))
		return
	}
	again := e.fetcher.get(ctx, a.address, tag)
	switch {
	case again.err == nil && again.status == http.StatusNotModified:
		e.good("cache.conditional", "If-None-Match with the ETag is answered with 304")
	case again.err == nil && again.status == http.StatusOK:
		e.add(unconditional, "If-None-Match with the ETag %s is answered with 200", quote(tag))
	default:
		e.isUsable(jwksKind, again, Warning)
	}
}

// isEntityTag reports whether a text is an entity tag (RFC 9110 §8.8.3), in ASCII: what is none must not be sent back.
func isEntityTag(text string) bool {
	inside, opened := strings.CutPrefix(strings.TrimPrefix(text, "W/"), `"`)
	inside, closed := strings.CutSuffix(inside, `"`)
	isOdd := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' }
	return opened && closed && !strings.ContainsFunc(inside, isOdd)
}

// spoken is a duration as people say it.
func spoken(d time.Duration) string {
	d = d.Round(time.Second)
	switch {
	case d >= 2*24*time.Hour:
		return plural(int(d/(24*time.Hour)), "day")
	case d >= 2*time.Hour:
		return plural(int(d/time.Hour), "hour")
	case d >= 2*time.Minute:
		return plural(int(d/time.Minute), "minute")
	}
	return plural(int(d/time.Second), "second")
}
