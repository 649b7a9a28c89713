package keeper

import (
	"errors"
	"fmt"
	"os"
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

// Operator changes a ring at a person's word, through the files alone: a running issuer sees the change as any other.
// Each method holds the directory's lock, and stops at any step with a ring that loads.
type Operator struct {
	Dir    keys.Directory
	Policy keys.Policy
	Now    func() time.Time // nil: time.Now
}

func (o Operator) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// change reads the ring, nil when there are no keys, and lets do change the directory, under its lock.
func (o Operator) change(do func(*keys.Ring) error) error {
	unlock, err := o.Dir.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	ring, err := o.Dir.Read()
	if err != nil && !errors.Is(err, keys.ErrNoKeys) {
		return err
	}
	return do(ring)
}

// changeKeys is change where there are keys; without any it is a [keys.ErrNoKeys].
func (o Operator) changeKeys(do func(*keys.Ring) error) error {
	return o.change(func(ring *keys.Ring) error {
		if ring == nil {
			return fmt.Errorf("%w in %s", keys.ErrNoKeys, o.Dir)
		}
		return do(ring)
	})
}

// Generate makes the key of alg that the schedule misses: the first, which signs at once, or a standby. It makes the
// directory too. When none is missing, the error is an [ErrNothingMissing].
func (o Operator) Generate(alg keys.Algorithm) (made keys.RingKey, err error) {
	if err := os.MkdirAll(string(o.Dir), 0o700); err != nil {
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
	return k, o.Dir.Add(k)
}

// Import takes a key from elsewhere into the ring: as the first of its algorithm, which signs at once, or as the last
// standby, a full period after the one before it. It makes the directory too. A key that is there is a [keys.ErrTaken].
func (o Operator) Import(key *keys.PrivateKey) (imported keys.RingKey, err error) {
	if err := os.MkdirAll(string(o.Dir), 0o700); err != nil {
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
		return o.Dir.Add(imported)
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
			return &hinted{fmt.Errorf("%w: %s", ErrNoStandby, alg), "make one: issuer keys generate --alg " + string(alg)}
		}
		if safe := standby.SafeAt; o.now().Before(safe) {
			return &hinted{
				fmt.Errorf("%w: verifiers may not have %s yet", ErrTooEarly, standby.Key.ID()),
				"it is safe from " + safe.UTC().Format(time.RFC3339) + " on; if a key is stolen: issuer keys revoke KID"}
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
	return k, o.Dir.Move(k.Key.ID(), k.SignsFrom)
}

// momentAfter is this second, or the next one where active signs from this very second.
func (o Operator) momentAfter(active *keys.KeyStatus) time.Time {
	moment := o.now().Truncate(time.Second)
	if active != nil && !moment.After(active.SignsFrom) {
		return active.SignsFrom.Add(time.Second)
	}
	return moment
}

// Revoke deletes a key at once. When it is the one that signs, the standby signs from now on, and a new standby is made;
// without a standby nothing is done and the error is an [ErrNoStandby].
func (o Operator) Revoke(kid string) error {
	return o.changeKeys(func(ring *keys.Ring) error {
		for _, survey := range o.Policy.Survey(ring, o.now()) {
			for _, key := range survey.Keys {
				if key.Key.ID() == kid {
					return o.revoke(survey, key)
				}
			}
		}
		return &hinted{fmt.Errorf("%w: %.64q", keys.ErrUnknownKID, kid), "issuer keys list shows the kids"}
	})
}

func (o Operator) revoke(survey keys.Survey, key keys.KeyStatus) error {
	if key.State == keys.Active {
		if survey.Standby() == nil {
			return &hinted{fmt.Errorf("%w of %s", ErrNoStandby, key.Key.ID()),
				"make one first: issuer keys generate --alg " + string(survey.Algorithm) + "; or replace all: issuer keys revoke --all"}
		}
		promoted, err := o.promote(survey)
		if err != nil {
			return err
		}
		time.Sleep(promoted.SignsFrom.Sub(o.now())) // at most a second: so that there is always a key that signs
	}
	if err := o.Dir.Remove(key.Key.ID()); err != nil {
		return err
	}
	return o.fill(survey.Algorithm)
}

// fill makes the standby that is missing.
func (o Operator) fill(alg keys.Algorithm) error {
	ring, err := o.Dir.Read()
	if err != nil {
		return err
	}
	if missing := o.Policy.SurveyOf(ring, alg, o.now()).Make; !missing.IsZero() {
		_, err = o.add(alg, missing)
	}
	return err
}

// RevokeAll replaces every key: new ones sign at once, with a standby each, and all others are deleted. It is for a
// stolen host or directory.
func (o Operator) RevokeAll() error {
	return o.changeKeys(func(ring *keys.Ring) error {
		for _, survey := range o.Policy.Survey(ring, o.now()) {
			if err := o.replaceAll(survey); err != nil {
				return err
			}
		}
		return nil
	})
}

// replaceAll adds before it removes: at every moment there is a key that signs.
func (o Operator) replaceAll(survey keys.Survey) error {
	signsFrom := o.momentAfter(survey.Active())
	if _, err := o.add(survey.Algorithm, signsFrom); err != nil {
		return err
	}
	time.Sleep(signsFrom.Sub(o.now()))
	for _, key := range survey.Keys {
		if err := o.Dir.Remove(key.Key.ID()); err != nil {
			return err
		}
	}
	return o.fill(survey.Algorithm)
}
