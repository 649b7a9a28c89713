package keys_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// tenHours is the policy of most rows: a key signs for ten hours, is published three before, and stays two after.
var tenHours = keys.Policy{RotateEvery: 10 * time.Hour, PublishAhead: 3 * time.Hour, Retention: 2 * time.Hour}

func hours(all ...int) []time.Time {
	var moments []time.Time
	for _, h := range all {
		moments = append(moments, at(h))
	}
	return moments
}

func states(all ...keys.State) []keys.State { return append([]keys.State{}, all...) }

func TestPolicyPlan(t *testing.T) {
	t.Parallel()
	never := time.Time{}
	rows := []struct {
		name    string
		moments []time.Time
		now     time.Time
		want    keys.Plan
	}{
		{"no keys", nil, at(0), keys.Plan{States: states(), Active: -1, Make: at(0)}},
		{"no keys, between two seconds", nil, at(0).Add(time.Second - 1), keys.Plan{States: states(), Active: -1, Make: at(0)}},

		{"one key", hours(0), at(1), keys.Plan{States: states(keys.Active), Make: at(10)}},
		{"one key, the moment it signs", hours(0), at(0), keys.Plan{States: states(keys.Active), Make: at(10)}},
		{"one key, the last moment to publish in time", hours(0), at(7), keys.Plan{States: states(keys.Active), Make: at(10)}},
		{"one key, a nanosecond later", hours(0), at(7).Add(1), keys.Plan{States: states(keys.Active), Make: at(20)}},
		{"one key, its period is over", hours(0), at(10), keys.Plan{States: states(keys.Active), Make: at(20)}},
		{"issuer off for three periods", hours(0), at(35), keys.Plan{States: states(keys.Active), Make: at(40)}},
		{"issuer off for three periods, in time to the moment", hours(0), at(37), keys.Plan{States: states(keys.Active), Make: at(40)}},
		{"issuer off for three periods, too late", hours(0), at(37).Add(1), keys.Plan{States: states(keys.Active), Make: at(50)}},
		{"issuer off for three periods and all but a moment", hours(0), at(40).Add(-1), keys.Plan{States: states(keys.Active), Make: at(50)}},
		{"issuer off for a year", hours(3), at(8763), keys.Plan{States: states(keys.Active), Make: at(8773)}},

		{"active and standby", hours(0, 10), at(5), keys.Plan{States: states(keys.Active, keys.Standby), Next: at(10)}},
		{"a nanosecond before the standby signs", hours(0, 10), at(10).Add(-1),
			keys.Plan{States: states(keys.Active, keys.Standby), Next: at(10)}},
		{"the moment the standby signs", hours(0, 10), at(10),
			keys.Plan{States: states(keys.Retired, keys.Active), Active: 1, Make: at(20), Next: at(12)}},
		{"retired until the last nanosecond", hours(0, 10), at(12).Add(-1),
			keys.Plan{States: states(keys.Retired, keys.Active), Active: 1, Make: at(20), Next: at(12)}},
		{"due to the moment", hours(0, 10), at(12), keys.Plan{States: states(keys.Due, keys.Active), Active: 1, Make: at(20)}},
		{"long due", hours(0, 10), at(16), keys.Plan{States: states(keys.Due, keys.Active), Active: 1, Make: at(20)}},
		{"retired, active, standby: the retired key is next", hours(0, 10, 20), at(11),
			keys.Plan{States: states(keys.Retired, keys.Active, keys.Standby), Active: 1, Next: at(12)}},
		{"retired, active, standby: the standby is next", hours(0, 10, 11), at(10).Add(time.Minute),
			keys.Plan{States: states(keys.Retired, keys.Active, keys.Standby), Active: 1, Next: at(11)}},
		{"each retired key counts from its own successor", hours(0, 10, 11, 20), at(12),
			keys.Plan{States: states(keys.Due, keys.Retired, keys.Active, keys.Standby), Active: 2, Next: at(13)}},

		{"several standbys", hours(0, 10, 20, 33), at(1),
			keys.Plan{States: states(keys.Active, keys.Standby, keys.Standby, keys.Standby), Next: at(10)}},
		{"several standbys passed unseen", hours(0, 10, 20, 33), at(21),
			keys.Plan{States: states(keys.Due, keys.Retired, keys.Active, keys.Standby), Active: 2, Next: at(22)}},
		{"one in the future", hours(5), at(0), keys.Plan{States: states(keys.Standby), Active: -1, Next: at(5)}},
		{"all in the future", hours(5, 15), at(0), keys.Plan{States: states(keys.Standby, keys.Standby), Active: -1, Next: at(5)}},
		{"all in the future but for a nanosecond", hours(5, 15), at(5).Add(-1),
			keys.Plan{States: states(keys.Standby, keys.Standby), Active: -1, Next: at(5)}},
		{"another time zone", []time.Time{at(0).In(time.FixedZone("", -8*3600))}, at(1),
			keys.Plan{States: states(keys.Active), Make: at(10), Next: never}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, tenHours.Plan(row.moments, row.now)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPolicySurvey(t *testing.T) {
	t.Parallel()
	ring := must(keys.NewRing(ringKey(keystest.ES256Other, 10), ringKey(keystest.ES256, 0), ringKey(keystest.RS256, 9)))
	all := tenHours.Survey(ring, at(11))
	if len(all) != 2 || all[0].Algorithm == all[1].Algorithm {
		t.Fatalf("%d surveys: %v", len(all), all)
	}
	ec, rsa := tenHours.SurveyOf(ring, keys.ES256, at(11)), tenHours.SurveyOf(ring, keys.RS256, at(11))
	rows := []struct {
		name      string
		got, want any
	}{
		{"keys, oldest first", []string{ec.Keys[0].Key.ID(), ec.Keys[1].Key.ID()}, []string{idOf(keystest.ES256), idOf(keystest.ES256Other)}},
		{"states", []keys.State{ec.Keys[0].State, ec.Keys[1].State}, states(keys.Retired, keys.Active)},
		{"due", []time.Time{ec.Keys[0].DueAt, ec.Keys[1].DueAt}, []time.Time{at(12), {}}},
		{"active", ec.Active().Key.ID(), idOf(keystest.ES256Other)},
		{"no standby", ec.Standby() == nil, true},
		{"make and next", []time.Time{ec.Make, ec.Next}, []time.Time{at(20), at(12)}},
		{"each algorithm for itself", []time.Time{rsa.Make, rsa.Next}, []time.Time{at(19), {}}},
		{"active of the other", rsa.Active().Key.ID(), idOf(keystest.RS256)},
		{"of one and of all", len(all[0].Keys) + len(all[1].Keys), 3},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, row.got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPolicySurveyOfNoKeys(t *testing.T) {
	t.Parallel()
	onlyEC := must(keys.NewRing(ringKey(keystest.ES256, 0)))
	for name, ring := range map[string]*keys.Ring{"no ring": nil, "no key of that algorithm": onlyEC} {
		survey := tenHours.SurveyOf(ring, keys.RS256, at(1))
		if survey.Algorithm != keys.RS256 || len(survey.Keys) != 0 || !survey.Make.Equal(at(1)) || !survey.Next.IsZero() ||
			survey.Active() != nil || survey.Standby() != nil {
			t.Errorf("%s: %+v", name, survey)
		}
	}
	if all := tenHours.Survey(nil, at(1)); len(all) != 0 {
		t.Errorf("of no ring: %v", all)
	}
	if all := tenHours.Survey(onlyEC, at(1)); len(all) != 1 || all[0].Algorithm != keys.ES256 {
		t.Errorf("an algorithm without keys: %v", all)
	}
}

// With several standbys, the one that signs next is the standby.
func TestSurveyStandbyIsTheFirst(t *testing.T) {
	t.Parallel()
	ring := must(keys.NewRing(ringKey(keystest.ES256Other, 20), ringKey(keystest.ES256, 10)))
	survey := tenHours.SurveyOf(ring, keys.ES256, at(0))
	if survey.Active() != nil || survey.Standby().Key.ID() != idOf(keystest.ES256) {
		t.Errorf("active %v, standby %v", survey.Active(), survey.Standby())
	}
}

func TestPolicySafeFrom(t *testing.T) {
	t.Parallel()
	if got := tenHours.SafeFrom(at(1)); !got.Equal(at(4)) {
		t.Errorf("got %v", got)
	}
}

func TestPolicyMostKeys(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name          string
		rotate, after time.Duration
		want          int
	}{
		{"nothing is retained", time.Hour, 0, 3},
		{"retained for a nanosecond", time.Hour, 1, 4},
		{"a moment less than a period", time.Hour, time.Hour - 1, 4},
		{"one period", time.Hour, time.Hour, 4},
		{"a moment more than a period", time.Hour, time.Hour + 1, 5},
		{"many periods", 4 * time.Second, 21 * time.Second, 9},
		{"the defaults", 30 * 24 * time.Hour, 10*time.Minute + 30*time.Second, 4},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := (keys.Policy{RotateEvery: row.rotate, Retention: row.after}).MostKeys(); got != row.want {
				t.Errorf("got %d, want %d", got, row.want)
			}
		})
	}
}

// The verifiers and tokens that the rows of Check are about.
const (
	checkMaxAge  = 5 * time.Minute
	checkLongest = 10 * time.Minute
	checkLeeway  = 30 * time.Second
)

// Each row breaks the rules that it says; the changes that the error names, all at once, mend it, and a change smaller
// by the smallest step does not.
func TestPolicyCheck(t *testing.T) {
	t.Parallel()
	const (
		second, minute, hour = time.Second, time.Minute, time.Hour
		full                 = 10*minute + 30*second
	)
	type policy = keys.Policy
	rows := []struct {
		name        string
		policy      policy
		say         []string // each a line
		mended      policy
		tooSmall    policy // a step less than mended
		hasTooSmall bool
	}{
		{"the defaults", policy{720 * hour, 24 * hour, full}, nil, policy{}, policy{}, false},
		{"as tight as can be", policy{10*minute + second, 10 * minute, full}, nil, policy{}, policy{}, false},
		{"published too late", policy{hour, 10*minute - 1, full},
			[]string{"a key is published 9m59.999999999s before it signs, and a verifier that misses one refresh learns it only " +
				"10m0s later (2 × the JWK Set's max-age): publish ahead by at least 10m0s"},
			policy{hour, 10 * minute, full}, policy{hour, 10*minute - 1, full}, true},
		{"rotates as fast as it publishes", policy{hour, hour, full},
			[]string{"a key signs for 1h0m0s, and the next must be published 1h0m0s before: rotate every 1h0m1s or more"},
			policy{hour + second, hour, full}, policy{hour, hour, full}, true},
		{"rotates before it publishes", policy{minute, hour, full},
			[]string{"a key signs for 1m0s, and the next must be published 1h0m0s before: rotate every 1h0m1s or more"},
			policy{hour + second, hour, full}, policy{hour, hour, full}, true},
		{"publishes for a broken second", policy{hour, hour + 500*time.Millisecond, full},
			[]string{"a key signs for 1h0m0s, and the next must be published 1h0m0.5s before: rotate every 1h0m1s or more"},
			policy{hour + second, hour + 500*time.Millisecond, full}, policy{hour, hour + 500*time.Millisecond, full}, true},
		{"rotates within a second", policy{hour + 1, 30 * minute, full},
			[]string{"a key signs from a full second, and so not for 1h0m0.000000001s: rotate every 1h0m1s"},
			policy{hour + second, 30 * minute, full}, policy{hour + second - 1, 30 * minute, full}, true},
		{"retains too briefly", policy{hour, 30 * minute, full - 1},
			[]string{"a retired key stays for 10m29.999999999s, and its last token is accepted for 10m30s (longest token lifetime " +
				"10m0s + leeway 30s): retain for at least 10m30s"},
			policy{hour, 30 * minute, full}, policy{hour, 30 * minute, full - 1}, true},
		{"mending one must not break the other", policy{8 * minute, 2 * minute, full},
			[]string{"a key is published 2m0s before it signs, and a verifier that misses one refresh learns it only " +
				"10m0s later (2 × the JWK Set's max-age): publish ahead by at least 10m0s",
				"a key signs for 8m0s, and the next must be published 10m0s before: rotate every 10m1s or more"},
			policy{10*minute + second, 10 * minute, full}, policy{10 * minute, 10 * minute, full}, true},
		{"nothing is set", policy{},
			[]string{"a key is published 0s before it signs, and a verifier that misses one refresh learns it only " +
				"10m0s later (2 × the JWK Set's max-age): publish ahead by at least 10m0s",
				"a key signs for 0s, and the next must be published 10m0s before: rotate every 10m1s or more",
				"a retired key stays for 0s, and its last token is accepted for 10m30s (longest token lifetime 10m0s + leeway 30s): " +
					"retain for at least 10m30s"},
			policy{10*minute + second, 10 * minute, full}, policy{10*minute + second, 10 * minute, full - 1}, true},
	}
	check := func(p keys.Policy) error { return p.Check(checkMaxAge, checkLongest, checkLeeway) }
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			err := check(row.policy)
			if (err != nil) != (len(row.say) > 0) {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				return
			}
			if diff := cmp.Diff(row.say, strings.Split(err.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
			if err := check(row.mended); err != nil {
				t.Errorf("mended: %v", err)
			}
			if err := check(row.tooSmall); row.hasTooSmall && err == nil {
				t.Error("a smaller change does as well")
			}
		})
	}
}

// A longer max-age, lifetime or leeway is what the rules are measured against.
func TestPolicyCheckFollowsVerifiers(t *testing.T) {
	t.Parallel()
	tight := keys.Policy{RotateEvery: 601 * time.Second, PublishAhead: 10 * time.Minute, Retention: 630 * time.Second}
	rows := []struct {
		name                    string
		maxAge, longest, leeway time.Duration
		ok                      bool
	}{
		{"just right", checkMaxAge, checkLongest, checkLeeway, true},
		{"longer max-age", checkMaxAge + 1, checkLongest, checkLeeway, false},
		{"longer lifetime", checkMaxAge, checkLongest + 1, checkLeeway, false},
		{"longer leeway", checkMaxAge, checkLongest, checkLeeway + 1, false},
		{"one for the other", checkMaxAge, checkLongest - time.Second, checkLeeway + time.Second, true},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			err := tight.Check(row.maxAge, row.longest, row.leeway)
			if row.ok != (err == nil) {
				t.Errorf("got %v", err)
			}
			var joined interface{ Unwrap() []error }
			if err != nil && (!errors.As(err, &joined) || len(joined.Unwrap()) == 0) {
				t.Errorf("%v is not a list", err)
			}
		})
	}
}
