package keys_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/signet/keys"
)

// Histories are played in so many parts at once, each of so many, unless -rapid.checks says otherwise.
const (
	historyParts = 4
	historiesIn  = "3000"
)

func TestMain(m *testing.M) {
	if play, ok := children[os.Getenv(childVariable)]; ok {
		os.Exit(play())
	}
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "rapid.checks" })
	if !asked {
		if err := flag.Set("rapid.checks", historiesIn); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// TestRotationHistories plays random histories of time, clocks, restarts, rotations, emergencies and changes of policy
// and holds these properties against each step. There, d is how far clocks of issuers are apart, zero to a minute.
//
//  1. On each issuer's clock the key that signs is the newest whose moment has come, and only that one, also when the
//     ring is read anew in another order. There is none only on a clock that is behind the moment given to the very
//     first key or in an emergency, so for d at the most; and, when d > Retention, on one that is so far behind that
//     another issuer has removed the key already.
//  2. No key signs on any clock before PublishAhead − d has passed since it was published, save the very first and
//     those of an emergency; by the clock of the issuer that made it, it is never less than PublishAhead.
//  3. A token verifies against every set published within the last max-age until an issuer's clock can have reached
//     its exp + leeway, so until its exp everywhere when d ≤ leeway. It takes PublishAhead ≥ max-age + d, which Check's
//     2 × max-age is when d ≤ max-age; otherwise, the sets are those of the last PublishAhead − d. The tokens of a key of
//     an emergency verify against the sets since it was published, those of a revoked key are nobody's concern. A token
//     that an issuer ahead has signed, by its clock, after the moment that a key then gets that succeeds its key ends as
//     much earlier: d at the most, rounded up to a second, with a manual rotation; else d − PublishAhead, so mostly nothing.
//  4. Once an issuer has looked, no key is there whose successor signs since Retention on that issuer's clock.
//  5. Once an issuer has looked, there are at most MostKeys keys. Each of these adds to that: one key for each period by
//     which d exceeds the first, for each manual rotation within the Retention, and when two issuers without a lock made
//     standbys at the two sides of the last moment that is in time; and the shortest period counts that ever was policy.
//  6. There is always a key, and once an issuer has looked, a standby on its clock, whole periods after its active key,
//     PublishAhead from then at least and a period more at most; two issuers ask for the same one, save at that moment.
//  7. No state changes before Next, and one does at Next.
func TestRotationHistories(t *testing.T) {
	t.Parallel()
	pool := make([]*keys.PrivateKey, 192)
	for i := range pool {
		pool[i] = must(keys.GenerateKey(keys.ES256))
	}
	for part := range historyParts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { newHistory(t, pool).play(t) })
		})
	}
}

// history is one world: the true time, issuers with clocks of their own, the keys they share and what they signed.
type history struct {
	now      time.Time       // the true time
	apart    time.Duration   // d
	clocks   []time.Duration // how far each issuer's clock is ahead of the true time, 0 to d
	maxAge   time.Duration
	longest  time.Duration
	leeway   time.Duration
	policy   keys.Policy
	shortest time.Duration // RotateEvery, the shortest so far

	pool      []*keys.PrivateKey
	made      int          // keys so far; they are taken from the pool in turn
	shared    []sharedKey  // what the directory or database holds, oldest first
	ring      *keys.Ring   // shared, as it is read
	certain   time.Time    // on a clock that is behind, perhaps no key signs
	manual    []time.Time  // when keys of manual rotations signed from
	doubled   bool         // two issuers made two standbys
	published []publishing // newest last
	tokens    []signed
}

type sharedKey struct {
	keys.RingKey               // PublishedAt is what the issuer's clock said that made it
	published    time.Time     // the true time
	ahead        time.Duration // how long it was to be published before it signs
	urgent       bool          // the very first, or of an emergency: signs at once
	manual       bool          // promoted by hand
}

type publishing struct {
	since time.Time
	kids  map[string]bool
}

type signed struct {
	key      sharedKey
	iat, exp time.Time
	late     time.Duration // how long after the moment of the key's successor it was signed, before that moment was known
}

func newHistory(t *rapid.T, pool []*keys.PrivateKey) *history {
	unit := rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, time.Minute, time.Hour}).Draw(t, "unit")
	units := func(least, most int, label string) time.Duration {
		return time.Duration(rapid.IntRange(least, most).Draw(t, label)) * unit
	}
	h := &history{now: start.Add(rapid.SampledFrom([]time.Duration{0, 1, time.Second - 1}).Draw(t, "start")), pool: pool}
	h.apart = time.Duration(rapid.SampledFrom([]int{0, 1, 999, 30_000, 60_000}).Draw(t, "apart")) * time.Millisecond
	h.maxAge, h.longest, h.leeway = units(1, 5, "max-age"), units(1, 20, "longest"), units(0, 3, "leeway")
	h.clocks = make([]time.Duration, rapid.IntRange(1, 3).Draw(t, "issuers"))
	for i := range h.clocks {
		h.clocks[i] = h.drawClock(t)
	}
	h.shortest = 1 << 62
	h.changePolicy(t)
	h.look(t) // from here on there is a key
	return h
}

func (h *history) play(t *rapid.T) {
	t.Repeat(map[string]func(*rapid.T){
		"":               h.check,
		"time passes":    h.pass,
		"until an event": h.passToEvent,
		"look":           h.look,
		"live":           h.live,
		"race":           h.race,
		"restart":        h.restart,
		"rotate":         h.rotate,
		"revoke":         h.revoke,
		"revoke all":     h.revokeAll,
		"change policy":  h.changePolicy,
		"issue":          h.issue,
		"issue 2":        h.issue,
	})
}

func (h *history) drawClock(t *rapid.T) time.Duration {
	return h.apart * time.Duration(rapid.SampledFrom([]int{0, 1, 50, 99, 100}).Draw(t, "ahead")) / 100
}

func (h *history) drawIssuer(t *rapid.T) int {
	return rapid.IntRange(0, len(h.clocks)-1).Draw(t, "issuer")
}

func (h *history) clock(issuer int) time.Time { return h.now.Add(h.clocks[issuer]) }

func (h *history) survey(issuer int) keys.Survey {
	return h.policy.SurveyOf(h.ring, keys.ES256, h.clock(issuer))
}

// Steps.

func (h *history) pass(t *rapid.T) {
	longest := rapid.SampledFrom([]time.Duration{h.maxAge, h.policy.RotateEvery, 5 * h.policy.RotateEvery}).Draw(t, "up to")
	h.now = h.now.Add(longest * time.Duration(rapid.IntRange(1, 20).Draw(t, "twentieths")) / 20)
}

// passToEvent stops where something happens on an issuer's clock, or right before or after it.
func (h *history) passToEvent(t *rapid.T) {
	issuer := h.drawIssuer(t)
	next := h.survey(issuer).Next
	if next.IsZero() {
		h.pass(t)
		return
	}
	to := next.Add(time.Duration(rapid.IntRange(-1, 1).Draw(t, "nanoseconds"))).Add(-h.clocks[issuer])
	if to.After(h.now) {
		h.now = to
	}
}

func (h *history) look(t *rapid.T) {
	issuer := h.drawIssuer(t)
	plan := h.survey(issuer)
	h.checkMake(t, plan, h.clock(issuer))
	if !plan.Make.IsZero() {
		h.makeKey(plan.Make, h.clock(issuer), len(h.shared) == 0)
	}
	h.removeDue(plan)
	h.checkLooked(t, issuer)
}

// live is ordinary life: whatever happens, an issuer looks and signs a token.
func (h *history) live(t *rapid.T) {
	for range rapid.IntRange(1, 12).Draw(t, "events") {
		h.passToEvent(t)
		h.look(t)
		h.check(t)
		h.issue(t)
	}
}

// race is what a database allows: two issuers read the same keys, and then each adds what it misses.
func (h *history) race(t *rapid.T) {
	var plans []keys.Survey
	for issuer := range h.clocks {
		plans = append(plans, h.survey(issuer))
	}
	h.checkSameMake(t, plans)
	before := len(h.shared)
	for issuer, plan := range plans {
		if !plan.Make.IsZero() {
			h.makeKey(plan.Make, h.clock(issuer), false)
		}
	}
	h.doubled = h.doubled || len(h.shared) > before+1
	for _, plan := range plans {
		h.removeDue(plan)
	}
}

// restart sets an issuer's clock, perhaps, and reads the keys in another order.
func (h *history) restart(t *rapid.T) {
	h.clocks[h.drawIssuer(t)] = h.drawClock(t)
	var shuffled []keys.RingKey
	for _, k := range rapid.Permutation(h.shared).Draw(t, "order") {
		shuffled = append(shuffled, k.RingKey)
	}
	ring, err := keys.NewRing(shuffled...)
	if err != nil {
		t.Fatal(err)
	}
	h.ring = ring
}

// rotate is a manual rotation: the standby signs from now, if it is safe.
func (h *history) rotate(t *rapid.T) {
	issuer := h.drawIssuer(t)
	standby, now := h.survey(issuer).Standby(), h.clock(issuer)
	if standby == nil || now.Before(h.policy.SafeFrom(standby.PublishedAt)) || h.taken(now) {
		return
	}
	k := h.take(standby.Key.ID())
	k.SignsFrom, k.ahead, k.manual = now.Truncate(time.Second), min(k.ahead, h.policy.PublishAhead), true
	h.manual = append(h.manual, k.SignsFrom)
	h.put(k)
}

// revoke removes a key. When it was the one that signs, the standby or else a new key signs from now, or from the
// second after the one from which the revoked key did: that is past on all clocks.
func (h *history) revoke(t *rapid.T) {
	issuer := h.drawIssuer(t)
	plan := h.survey(issuer)
	revoked := rapid.SampledFrom(plan.Keys).Draw(t, "revoked")
	at := h.clock(issuer).Truncate(time.Second)
	if rapid.Bool().Draw(t, "backdated") {
		at = revoked.SignsFrom.Add(time.Second)
	}
	if revoked.State == keys.Active && h.taken(at) {
		return
	}
	if revoked.State != keys.Active && len(h.shared) == 1 {
		return
	}
	h.take(revoked.Key.ID())
	h.tokens = slices.DeleteFunc(h.tokens, func(token signed) bool { return token.key.Key == revoked.Key })
	if revoked.State != keys.Active {
		h.certain = h.becomesCertain(revoked)
		h.read()
		return
	}
	h.certain = latest(h.certain, at)
	standby := plan.Standby()
	if standby == nil {
		h.makeKey(at, h.clock(issuer), true)
		return
	}
	k := h.take(standby.Key.ID())
	k.SignsFrom, k.urgent = at, true
	h.put(k)
}

// becomesCertain is from when on a key signs on all clocks when one is revoked that signed on some only.
func (h *history) becomesCertain(revoked keys.KeyStatus) time.Time {
	if oldest := h.shared[0].SignsFrom; revoked.SignsFrom.Before(oldest) {
		return latest(h.certain, oldest)
	}
	return h.certain
}

// revokeAll replaces every key by a new one.
func (h *history) revokeAll(t *rapid.T) {
	if rapid.IntRange(0, 5).Draw(t, "really") > 0 {
		return // often, it would leave no history to speak of
	}
	at := h.clock(h.drawIssuer(t))
	if rapid.Bool().Draw(t, "backdated") {
		at = h.shared[0].SignsFrom
	}
	h.shared, h.tokens = nil, nil
	h.certain = latest(h.certain, at.Truncate(time.Second))
	h.makeKey(at, at, true)
}

func (h *history) changePolicy(t *rapid.T) {
	seconds := func(least, most time.Duration, label string) time.Duration {
		step := max((most-least)/20, time.Second).Truncate(time.Second)
		return least + step*time.Duration(rapid.IntRange(0, 20).Draw(t, label))
	}
	p := keys.Policy{PublishAhead: seconds(2*h.maxAge, 10*h.maxAge, "publish ahead")}
	p.RotateEvery = seconds(p.PublishAhead+time.Second, 5*p.PublishAhead, "rotate every")
	p.Retention = seconds(h.longest+h.leeway, 2*h.longest+h.leeway, "retention")
	if err := p.Check(h.maxAge, h.longest, h.leeway); err != nil {
		t.Fatal(err)
	}
	h.policy, h.shortest = p, min(h.shortest, p.RotateEvery)
}

func (h *history) issue(t *rapid.T) {
	issuer := h.drawIssuer(t)
	key, err := h.ring.Active(keys.ES256, h.clock(issuer))
	if err != nil {
		return // check says whether there may be none
	}
	life := h.longest / time.Duration(rapid.SampledFrom([]int{1, 1, 2, 100}).Draw(t, "part of the longest"))
	iat := h.clock(issuer).Truncate(time.Second) // claims are in seconds
	h.tokens = append(h.tokens, signed{key: h.shared[h.find(key.ID())], iat: iat, exp: iat.Add(life)})
}

// The shared keys.

func (h *history) find(kid string) int {
	return slices.IndexFunc(h.shared, func(k sharedKey) bool { return k.Key.ID() == kid })
}

func (h *history) taken(moment time.Time) bool {
	return slices.ContainsFunc(h.shared, func(k sharedKey) bool { return k.SignsFrom.Equal(moment.Truncate(time.Second)) })
}

func (h *history) makeKey(signsFrom, clock time.Time, urgent bool) {
	if h.taken(signsFrom) {
		return
	}
	key := h.pool[h.made%len(h.pool)]
	h.made++
	if urgent {
		h.certain = latest(h.certain, signsFrom.Truncate(time.Second))
	}
	h.put(sharedKey{
		RingKey:   keys.RingKey{Key: key, SignsFrom: signsFrom.Truncate(time.Second), PublishedAt: clock},
		published: h.now, ahead: h.policy.PublishAhead, urgent: urgent,
	})
}

func (h *history) take(kid string) sharedKey {
	i := h.find(kid)
	k := h.shared[i]
	h.shared = slices.Delete(h.shared, i, i+1)
	return k
}

func (h *history) put(k sharedKey) {
	h.shared = append(h.shared, k)
	slices.SortFunc(h.shared, func(a, b sharedKey) int { return a.SignsFrom.Compare(b.SignsFrom) })
	h.read()
}

func (h *history) removeDue(plan keys.Survey) {
	for _, k := range plan.Keys {
		if k.State == keys.Due && h.find(k.Key.ID()) >= 0 {
			h.take(k.Key.ID())
		}
	}
	if h.apart > h.policy.Retention {
		h.certain = latest(h.certain, h.shared[0].SignsFrom)
	}
	h.read()
}

// read makes the ring of the keys, and publishes it.
func (h *history) read() {
	var all []keys.RingKey
	for _, k := range h.shared {
		all = append(all, k.RingKey)
	}
	ring, err := keys.NewRing(all...)
	if err != nil {
		panic(err) // the set must never be empty
	}
	h.ring = ring
	kids := make(map[string]bool)
	for _, k := range h.shared {
		kids[k.Key.ID()] = true
	}
	h.published = append(h.published, publishing{h.now, kids})
	for i, token := range h.tokens {
		if next := h.find(token.key.Key.ID()) + 1; next > 0 && next < len(h.shared) {
			h.tokens[i].late = max(token.late, token.iat.Sub(h.shared[next].SignsFrom))
			h.checkLate(token.iat.Sub(h.shared[next].SignsFrom), h.shared[next])
		}
	}
}

// checkLate holds the bound in property 3.
func (h *history) checkLate(late time.Duration, next sharedKey) {
	bound := max(0, h.apart-next.ahead)
	if next.manual || next.urgent { // in an emergency, a key may take the place of one that was promoted by hand
		bound = h.apart
	}
	if bound += time.Second - 1; late > bound.Truncate(time.Second) {
		panic(fmt.Sprintf("a token was signed %v after its key had a successor, more than %v", late, bound))
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Properties.

func (h *history) check(t *rapid.T) {
	for issuer := range h.clocks {
		h.checkSigner(t, issuer)
	}
	h.forget()
	for _, token := range h.tokens {
		h.checkToken(t, token)
	}
}

// checkSigner holds properties 1, 2 and 7 on one issuer's clock.
func (h *history) checkSigner(t *rapid.T, issuer int) {
	clock := h.clock(issuer)
	survey := h.survey(issuer)
	want := -1
	for i, k := range h.shared {
		if !k.SignsFrom.After(clock) {
			want = i
		}
	}
	for i, k := range survey.Keys {
		if (k.State == keys.Active) != (i == want) || k.Key != h.shared[i].Key {
			t.Fatalf("key %d is %s, and key %d signs", i, k.State, want)
		}
	}
	active, err := h.ring.Active(keys.ES256, clock)
	if want < 0 {
		if !clock.Before(h.certain) {
			t.Fatalf("no key signs at %v, since %v one must: %v", clock, h.certain, err)
		}
	} else if k := h.shared[want]; err != nil || active != k.Key || survey.Active().Key != k.Key {
		t.Fatalf("the ring and the survey differ about who signs: %v", err)
	} else if published := h.now.Sub(k.published); !k.urgent && published < k.ahead-h.apart {
		t.Fatalf("a key signs that is published %v, less than %v - %v", published, k.ahead, h.apart)
	}
	h.checkNext(t, survey, clock)
}

func (h *history) checkNext(t *rapid.T, survey keys.Survey, clock time.Time) {
	moments := make([]time.Time, len(h.shared))
	for i, k := range h.shared {
		moments[i] = k.SignsFrom
	}
	now := h.policy.Plan(moments, clock).States
	until, changes := survey.Next.Add(-1), true
	if survey.Next.IsZero() {
		until, changes = clock.Add(100*h.policy.RotateEvery), false
	}
	if !slices.Equal(now, h.policy.Plan(moments, until).States) {
		t.Fatalf("a state changes before %v", survey.Next)
	}
	if changes && (!survey.Next.After(clock) || slices.Equal(now, h.policy.Plan(moments, survey.Next).States)) {
		t.Fatalf("no state changes at %v", survey.Next)
	}
}

// forget drops tokens that may be refused and sets that no verifier has.
func (h *history) forget() {
	h.tokens = slices.DeleteFunc(h.tokens, func(token signed) bool {
		return !h.now.Add(h.apart).Before(token.exp.Add(h.leeway - token.late))
	})
	for len(h.published) > 1 && !h.published[1].since.After(h.now.Add(-h.maxAge)) {
		h.published = h.published[1:]
	}
}

// checkToken holds property 3.
func (h *history) checkToken(t *rapid.T, token signed) {
	age := h.maxAge
	if token.key.urgent {
		age = min(age, h.now.Sub(token.key.published))
	} else {
		age = min(age, token.key.ahead-h.apart)
	}
	asOf := h.now.Add(-age)
	for i, set := range h.published {
		ended := i+1 < len(h.published) && !h.published[i+1].since.After(asOf)
		if !ended && age >= 0 && !set.kids[token.key.Key.ID()] {
			t.Fatalf("a token that expires at %v fails at %v against the set of %v, its key was published at %v",
				token.exp, h.now, set.since, token.key.published)
		}
	}
}

// checkMake holds property 6 before an issuer adds a key.
func (h *history) checkMake(t *rapid.T, plan keys.Survey, clock time.Time) {
	missing := len(plan.Keys) == 0 || plan.Keys[len(plan.Keys)-1].State == keys.Active
	if missing == plan.Make.IsZero() {
		t.Fatalf("a standby is missing: %v, and the plan is to make one at %v", missing, plan.Make)
	}
	if !missing || len(plan.Keys) == 0 {
		return
	}
	after := plan.Make.Sub(plan.Active().SignsFrom)
	soonest := clock.Add(h.policy.PublishAhead)
	if every := h.policy.RotateEvery; after <= 0 || after%every != 0 || plan.Make.Before(soonest) ||
		after > every && !plan.Make.Add(-every).Before(soonest) {
		t.Fatalf("the standby is to sign %v after the active key, at %v, and it is %v", after, plan.Make, clock)
	}
}

func (h *history) checkSameMake(t *rapid.T, plans []keys.Survey) {
	for i, a := range plans {
		for j, b := range plans {
			if a.Make.IsZero() || !a.Make.Before(b.Make) {
				continue
			}
			last := a.Make.Add(-h.policy.PublishAhead) // when it can be made in time
			if h.clock(i).After(last) || !h.clock(j).After(last) {
				t.Fatalf("one asks for %v, the other for %v", a.Make, b.Make)
			}
		}
	}
}

// checkLooked holds properties 4, 5 and 6 after an issuer looked.
func (h *history) checkLooked(t *rapid.T, issuer int) {
	clock := h.clock(issuer)
	for _, next := range h.shared[1:] {
		if !next.SignsFrom.Add(h.policy.Retention).After(clock) {
			t.Fatalf("the key before that of %v is still there at %v", next.SignsFrom, clock)
		}
	}
	if last := h.shared[len(h.shared)-1]; !last.SignsFrom.After(clock) && h.made > 1 {
		t.Fatalf("no standby at %v", clock)
	}
	most := keys.Policy{RotateEvery: h.shortest, Retention: h.policy.Retention}.MostKeys()
	if h.apart > 0 {
		most += int((h.apart - 1) / h.shortest)
	}
	for _, moment := range h.manual {
		if moment.Add(h.policy.Retention).After(clock) {
			most++
		}
	}
	if h.doubled {
		most++
	}
	if len(h.shared) > most {
		t.Fatalf("%d keys, more than %d", len(h.shared), most)
	}
}
