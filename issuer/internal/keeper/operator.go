package keeper

import (
	"errors"
	"fmt"
	"time"

	"example.com/signet/keys"
)

// Why an operator's wish is refused. The ring is as it was.
var (
	ErrNothingMissing = errors.New("nothing is missing")
	ErrTooEarly       = errors.New("the standby is not published for long enough")
	ErrNoStandby      = errors.New("there is no standby to sign instead")
	ErrNotWanted      = errors.New("no resource wants this algorithm")
)

// Operator changes a ring at a person's word, through the store alone: a running issuer sees the change as any other.
// Each method holds the lock, and stops at any step with a ring that loads.
type Operator struct {
	Store  Store
	Policy keys.Policy
	Now    func() time.Time // nil: time.Now
}

func (o Operator) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// locked runs do while nobody else changes the store.
func (o Operator) locked(do func() error) error {
	unlock, err := o.Store.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	return do()
}

// change reads the ring, nil when there are no keys, and lets do change the store, under its lock. With a damaged key
// nothing is done: it has to be given up first.
func (o Operator) change(do func(*keys.Ring) error) error {
	return o.locked(func() error {
		ring, err := o.Store.Read()
		if errors.Is(err, keys.ErrDamaged) || (err != nil && !errors.Is(err, keys.ErrNoKeys)) {
			return err
		}
		return do(ring)
	})
}

// Generate makes the key of alg that the schedule misses: the first, which signs at once, or a standby. It makes the
// store too. When none is missing, the error is an [ErrNothingMissing].
func (o Operator) Generate(alg keys.Algorithm) (made keys.RingKey, err error) {
	if err := o.Store.Make(); err != nil {
		return keys.RingKey{}, err
	}
	err = o.change(func(ring *keys.Ring) error {
		survey := o.Policy.SurveyOf(ring, alg, o.now())
		signsFrom := survey.Make
		if survey.Active() == nil { // the first, or all others sign later: nobody can sign now, so nothing is lost
			signsFrom = o.now().Truncate(time.Second)
		}
		if signsFrom.IsZero() {
			return fmt.Errorf("%w: %s has a key that signs and a standby", ErrNothingMissing, alg)
		}
		made, err = o.add(alg, signsFrom)
		return err
	})
	return made, err
}

func (o Operator) add(alg keys.Algorithm, signsFrom time.Time) (keys.RingKey, error) {
	key, err := keys.GenerateKey(alg)
	if err != nil {
		return keys.RingKey{}, err
	}
	k := keys.RingKey{Key: key, SignsFrom: signsFrom, PublishedAt: o.now()}
	return k, o.Store.Add(k)
}

// Import takes a key from elsewhere into the ring: as the first of its algorithm, which signs at once, or as the last
// standby, a full period after the one before it. It makes the store too. A key that is there is a [keys.ErrTaken].
func (o Operator) Import(key *keys.PrivateKey) (imported keys.RingKey, err error) {
	if err := o.Store.Make(); err != nil {
		return keys.RingKey{}, err
	}
	err = o.change(func(ring *keys.Ring) error {
		survey := o.Policy.SurveyOf(ring, key.Algorithm(), o.now())
		imported = keys.RingKey{Key: key, SignsFrom: survey.Make, PublishedAt: o.now()}
		for _, k := range survey.Keys {
			if k.Key.ID() == key.ID() {
				return fmt.Errorf("%w: %s", keys.ErrTaken, key.ID())
			}
			if survey.Make.IsZero() {
				imported.SignsFrom = k.SignsFrom.Add(o.Policy.RotateEvery)
			}
		}
		return o.Store.Add(imported)
	})
	return imported, err
}

// Rotate makes the standby of alg sign now and returns it. While the standby is published for less than the policy's
// PublishAhead the error is an [ErrTooEarly] with the moment from which it is safe.
func (o Operator) Rotate(alg keys.Algorithm) (promoted keys.RingKey, err error) {
	err = o.change(func(ring *keys.Ring) error {
		survey := o.Policy.SurveyOf(ring, alg, o.now())
		standby := survey.Standby()
		if standby == nil {
			return keys.WithHint(fmt.Errorf("%w: %s", ErrNoStandby, alg), "make one: issuer keys generate --alg "+string(alg))
		}
		if safe := standby.SafeAt; o.now().Before(safe) {
			return keys.WithHint(
				fmt.Errorf("%w: verifiers may not have %s yet", ErrTooEarly, standby.Key.ID()),
				"it is safe from "+safe.UTC().Format(time.RFC3339)+" on; if a key is stolen: issuer keys revoke KID")
		}
		promoted, err = o.promote(survey)
		return err
	})
	return promoted, err
}

// promote makes the standby sign now.
func (o Operator) promote(survey keys.Survey) (keys.RingKey, error) {
	k := survey.Standby().RingKey
	k.SignsFrom = o.momentAfter(survey.Active())
	err := o.Store.Move(k.Key.ID(), k.SignsFrom)
	if errors.Is(err, keys.ErrTaken) { // by a damaged key, of which no survey knows
		k.SignsFrom = k.SignsFrom.Add(time.Second)
		err = o.Store.Move(k.Key.ID(), k.SignsFrom)
	}
	return k, err
}

// momentAfter is this second, or the next one where active signs from this very second.
func (o Operator) momentAfter(active *keys.KeyStatus) time.Time {
	moment := o.now().Truncate(time.Second)
	if active != nil && !moment.After(active.SignsFrom) {
		return active.SignsFrom.Add(time.Second)
	}
	return moment
}

// Revoke deletes a key at once, damaged or not. When it is the one that signs, the standby signs from now on, and a new
// standby is made; without a standby nothing is done and the error is an [ErrNoStandby].
func (o Operator) Revoke(kid string) error {
	return o.locked(func() error {
		ring, err := o.Store.Read()
		var damaged *keys.DamagedError
		if errors.As(err, &damaged) && isDamaged(err, kid) {
			return o.revokeDamaged(ring, kid, damaged.AlgorithmOf(kid))
		}
		if ring == nil {
			return err
		}
		for _, survey := range o.Policy.Survey(ring, o.now()) {
			for _, key := range survey.Keys {
				if key.Key.ID() == kid {
					return o.revoke(survey, key)
				}
			}
		}
		return keys.WithHint(fmt.Errorf("%w: %.64q", keys.ErrUnknownKID, kid), "issuer keys list shows the kids")
	})
}

// revokeDamaged deletes a key of which nothing is known but its kid and, perhaps, its algorithm. Where nobody signs without
// it, the standby does from now on, or a new key; the ring is nil when there is no other key.
func (o Operator) revokeDamaged(ring *keys.Ring, kid string, alg keys.Algorithm) error {
	surveys := o.Policy.Survey(ring, o.now())
	for _, survey := range surveys {
		if survey.Active() == nil {
			if _, err := o.promote(survey); err != nil {
				return err
			}
		}
	}
	if err := o.Store.Remove(kid); err != nil {
		return err
	}
	if alg != "" {
		if err := o.begin(alg); err != nil {
			return err
		}
	} else if len(surveys) == 0 {
		return noKeysLeft()
	}
	for _, survey := range surveys {
		if err := o.fill(survey.Algorithm); err != nil {
			return err
		}
	}
	return nil
}

// begin makes keys of an algorithm that has none left: an issuer that keeps a damaged one in memory would else go on
// signing with it, for it follows no ring in which nobody signs.
func (o Operator) begin(alg keys.Algorithm) error {
	ring, err := o.Store.Read()
	if ring == nil && !errors.Is(err, keys.ErrNoKeys) && !errors.Is(err, keys.ErrDamaged) {
		return err
	}
	if len(o.Policy.SurveyOf(ring, alg, o.now()).Keys) > 0 {
		return nil
	}
	if _, err := o.add(alg, o.now().Truncate(time.Second)); err != nil {
		return err
	}
	if err := o.fill(alg); !errors.Is(err, keys.ErrTaken) { // by another damaged one
		return err
	}
	return nil
}

// noKeysLeft is when damaged keys were given up, and there were no others: of which algorithm they were nobody knows.
func noKeysLeft() error {
	return keys.WithHint(fmt.Errorf("%w are left; a running issuer signs with those from before", keys.ErrNoKeys),
		"make new ones at once: issuer keys generate --alg ES256, or RS256, or both")
}

func (o Operator) revoke(survey keys.Survey, key keys.KeyStatus) error {
	if key.State == keys.Active {
		if survey.Standby() == nil {
			return keys.WithHint(fmt.Errorf("%w of %s", ErrNoStandby, key.Key.ID()),
				"make one first: issuer keys generate --alg "+string(survey.Algorithm)+"; or replace all: issuer keys revoke --all")
		}
		promoted, err := o.promote(survey)
		if err != nil {
			return err
		}
		time.Sleep(promoted.SignsFrom.Sub(o.now())) // at most a second: so that there is always a key that signs
	}
	if err := o.Store.Remove(key.Key.ID()); err != nil {
		return err
	}
	return o.fill(survey.Algorithm)
}

// fill makes the standby that is missing.
func (o Operator) fill(alg keys.Algorithm) error {
	ring, err := o.Store.Read()
	if ring == nil {
		return err
	}
	if missing := o.Policy.SurveyOf(ring, alg, o.now()).Make; !missing.IsZero() {
		_, err := o.add(alg, missing)
		return err
	}
	return nil
}

// RevokeAll replaces every key: new ones sign at once, with a standby each, and all others are deleted, damaged ones too.
// It is for a stolen host or store.
func (o Operator) RevokeAll() error {
	return o.locked(func() error {
		removed, lost, err := o.removeDamaged()
		if err != nil {
			return err
		}
		for _, alg := range lost {
			if err := o.begin(alg); err != nil {
				return err
			}
		}
		ring, err := o.Store.Read()
		if removed && errors.Is(err, keys.ErrNoKeys) {
			return noKeysLeft()
		}
		if err != nil {
			return err
		}
		for _, survey := range o.Policy.Survey(ring, o.now()) {
			if err := o.replaceAll(survey); err != nil {
				return err
			}
		}
		return nil
	})
}

// removeDamaged reports whether there were any, and of which algorithms, as far as is known.
func (o Operator) removeDamaged() (removed bool, lost []keys.Algorithm, err error) {
	_, err = o.Store.Read()
	var damaged *keys.DamagedError
	if !errors.As(err, &damaged) {
		return false, nil, nil
	}
	for _, kid := range damaged.KeyIDs {
		if err := o.Store.Remove(kid); err != nil {
			return removed, lost, err
		}
		removed = true
		if alg := damaged.AlgorithmOf(kid); alg != "" {
			lost = append(lost, alg)
		}
	}
	return removed, lost, nil
}

// replaceAll adds before it removes: at every moment there is a key that signs.
func (o Operator) replaceAll(survey keys.Survey) error {
	signsFrom := o.momentAfter(survey.Active())
	if _, err := o.add(survey.Algorithm, signsFrom); err != nil {
		return err
	}
	time.Sleep(signsFrom.Sub(o.now()))
	for _, key := range survey.Keys {
		if err := o.Store.Remove(key.Key.ID()); err != nil {
			return err
		}
	}
	return o.fill(survey.Algorithm)
}
