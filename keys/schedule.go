package keys

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Policy says how signing keys come and go. Everything else follows from it, the keys and the clock.
type Policy struct {
	RotateEvery  time.Duration // how long each key signs
	PublishAhead time.Duration // how long a key is published before it signs, at the least
	Retention    time.Duration // how long a key stays published after its successor has begun to sign
}

// State is where a key is in its life.
type State string

// The states, in the order of a life. A key in any of them is published; one that is due is to be removed.
const (
	Standby State = "standby" // published, and will sign
	Active  State = "active"  // signs
	Retired State = "retired" // its successor signs; its last tokens are still valid
	Due     State = "due"     // its last token has expired
)

// Plan is what a policy makes of the keys of one algorithm at one moment.
type Plan struct {
	States []State   // of each key, in the order of the keys
	Active int       // which key signs; -1 when there is none
	Make   time.Time // a standby is missing, and this is when it is to sign from; zero: none is missing
	Next   time.Time // when a key's state will be another one; zero: never by itself
}

// Plan is a pure function of what it is given. Moments are when the keys of one algorithm sign from, oldest first and
// all different. It asks for a standby whenever there is none: for now when there is no key at all, otherwise for the
// first full period after the active key that leaves time to publish it. All issuers that see the same keys ask for the
// same moment, however far their clocks are apart, unless now is within that distance of the last moment at which the
// standby could be made in time.
func (p Policy) Plan(moments []time.Time, now time.Time) Plan {
	plan := Plan{States: make([]State, len(moments)), Active: -1}
	for i, signsFrom := range moments {
		if !signsFrom.After(now) {
			plan.Active = i
		}
	}
	for i := range moments {
		plan.States[i] = p.state(moments, i, plan.Active, now)
	}
	switch {
	case len(moments) == 0:
		plan.Make = now.Truncate(time.Second)
	case plan.Active == len(moments)-1:
		plan.Make = p.standbyMoment(moments[plan.Active], now)
	}
	plan.Next = p.next(moments, plan, now)
	return plan
}

func (p Policy) state(moments []time.Time, i, active int, now time.Time) State {
	switch {
	case i > active:
		return Standby
	case i == active:
		return Active
	case now.Before(p.dueAt(moments, i)):
		return Retired
	}
	return Due
}

// dueAt is when the last token of a key that has a successor has expired everywhere.
func (p Policy) dueAt(moments []time.Time, i int) time.Time { return moments[i+1].Add(p.Retention) }

// standbyMoment is the first moment, whole periods after the active key's, that is at least PublishAhead from now.
func (p Policy) standbyMoment(active, now time.Time) time.Time {
	periods := time.Duration(1)
	if late := now.Add(p.PublishAhead).Sub(active); late > p.RotateEvery {
		periods = (late + p.RotateEvery - 1) / p.RotateEvery
	}
	return active.Add(periods * p.RotateEvery)
}

// next is the first moment at which a standby begins to sign or a retired key becomes due.
func (p Policy) next(moments []time.Time, plan Plan, now time.Time) time.Time {
	var events []time.Time
	for i, state := range plan.States {
		switch state {
		case Standby:
			events = append(events, moments[i])
		case Retired:
			events = append(events, p.dueAt(moments, i))
		}
	}
	events = slices.DeleteFunc(events, func(t time.Time) bool { return !t.After(now) })
	if len(events) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(events, time.Time.Compare)
}

// SafeFrom is when a key that was published at the given moment may sign: every verifier has it then.
func (p Policy) SafeFrom(publishedAt time.Time) time.Time { return publishedAt.Add(p.PublishAhead) }

// MostKeys is how many keys of one algorithm there are at the most, once those that are due are gone.
func (p Policy) MostKeys() int {
	return 3 + int((p.Retention+p.RotateEvery-1)/p.RotateEvery)
}

// KeyStatus is where one key of a ring is in its life.
type KeyStatus struct {
	RingKey
	State  State
	SafeAt time.Time // when every verifier has it
	DueAt  time.Time // when it is to be removed; zero: it has no successor yet
}

// Survey is what a policy makes of a ring's keys of one algorithm at one moment.
type Survey struct {
	Algorithm Algorithm
	Keys      []KeyStatus // oldest first
	Make      time.Time   // a standby is missing, and this is when it is to sign from; zero: none is missing
	Next      time.Time   // when something changes; zero: nothing does by itself
}

// Active returns the key that signs, or nil.
func (s Survey) Active() *KeyStatus { return s.first(Active) }

// Standby returns the key that will sign next, or nil.
func (s Survey) Standby() *KeyStatus { return s.first(Standby) }

func (s Survey) first(state State) *KeyStatus {
	for i := range s.Keys {
		if s.Keys[i].State == state {
			return &s.Keys[i]
		}
	}
	return nil
}

// Survey looks at each algorithm that the ring, nil being the empty one, has keys of.
func (p Policy) Survey(r *Ring, now time.Time) []Survey {
	var all []Survey
	for _, alg := range Algorithms() {
		if survey := p.SurveyOf(r, alg, now); len(survey.Keys) > 0 {
			all = append(all, survey)
		}
	}
	return all
}

// SurveyOf looks at one algorithm, whether the ring has keys of it or not.
func (p Policy) SurveyOf(r *Ring, alg Algorithm, now time.Time) Survey {
	var moments []time.Time
	survey := Survey{Algorithm: alg}
	if r != nil {
		for _, k := range slices.Backward(r.keys) {
			if k.Key.Algorithm() == alg {
				moments = append(moments, k.SignsFrom)
				survey.Keys = append(survey.Keys, KeyStatus{RingKey: k})
			}
		}
	}
	plan := p.Plan(moments, now)
	survey.Make, survey.Next = plan.Make, plan.Next
	for i := range survey.Keys {
		survey.Keys[i].State = plan.States[i]
		survey.Keys[i].SafeAt = p.SafeFrom(survey.Keys[i].PublishedAt)
		if i+1 < len(moments) {
			survey.Keys[i].DueAt = p.dueAt(moments, i)
		}
	}
	return survey
}

// Check proves that no valid token can fail under the policy, whatever the time: verifiers keep the set for maxAge, and
// tokens live for longest with clocks leeway apart. The error names the inequality that is broken and the smallest
// change that mends it.
func (p Policy) Check(maxAge, longest, leeway time.Duration) error {
	var problems []error
	if least := 2 * maxAge; p.PublishAhead < least {
		problems = append(problems, fmt.Errorf("a key is published %v before it signs, and a verifier that misses one "+
			"refresh learns it only %v later (2 × the JWK Set's max-age): publish ahead by at least %v",
			p.PublishAhead, least, least))
	}
	ahead := max(p.PublishAhead, 2*maxAge) // so that mending the one does not break the other
	if least := ahead.Truncate(time.Second) + time.Second; p.RotateEvery <= ahead {
		problems = append(problems, fmt.Errorf("a key signs for %v, and the next must be published %v before: "+
			"rotate every %v or more", p.RotateEvery, ahead, least))
	} else if whole := p.RotateEvery.Truncate(time.Second); whole != p.RotateEvery {
		problems = append(problems, fmt.Errorf("a key signs from a full second, and so not for %v: rotate every %v",
			p.RotateEvery, whole+time.Second))
	}
	if least := longest + leeway; p.Retention < least {
		problems = append(problems, fmt.Errorf("a retired key stays for %v, and its last token is accepted for %v "+
			"(longest token lifetime %v + leeway %v): retain for at least %v", p.Retention, least, longest, leeway, least))
	}
	return errors.Join(problems...)
}
