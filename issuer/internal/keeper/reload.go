package keeper

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"example.com/signet/keys"
)

// Why keys that can be read are not taken over. The ring from before is served until it is mended.
var (
	ErrReplaced = errors.New("another key signs from the same moment as one before")
	ErrEarly    = errors.New("a key would sign before verifiers have it")
	ErrInactive = errors.New("no key would sign")
)

// reload reads the keys if they are not as they were. When they cannot be read, or would break verifiers, the ring stays
// as it is.
func (k *Keeper) reload() error {
	state, err := k.cfg.Store.State()
	if err != nil {
		return err
	}
	if state == k.seen {
		return nil
	}
	read, damage := k.cfg.Store.Read()
	if read == nil {
		return damage
	}
	ring, err := remember(k.Ring(), read, damage)
	if err != nil {
		return err
	}
	if err := k.mayReplace(k.Ring(), ring); err != nil {
		return err
	}
	k.seen, k.damage = state, damage // the state of before the reading: a change in between is seen the next time
	k.ring.Store(ring)
	clear(k.occupied)
	return nil
}

// remember returns ring as far as the ring from before knows better. Each key is published since it first was: files that
// are laid anew, as Kubernetes does with a secret, look younger than their keys are. And a key that was good before and is
// damaged now is kept.
func remember(before, ring *keys.Ring, damage error) (*keys.Ring, error) {
	all := ring.Keys()
	since := make(map[string]time.Time)
	for _, key := range before.Keys() {
		since[key.Key.ID()] = key.PublishedAt
		if isDamaged(damage, key.Key.ID()) {
			all = append(all, key)
		}
	}
	for i, key := range all {
		if known, ok := since[key.Key.ID()]; ok && known.Before(key.PublishedAt) {
			all[i].PublishedAt = known
		}
	}
	return keys.NewRing(all...)
}

func isDamaged(damage error, kid string) bool {
	var damaged *keys.DamagedError
	return errors.As(damage, &damaged) && slices.Contains(damaged.KeyIDs, kid)
}

// mayReplace reports whether verifiers that know the ring from before can follow to the other one.
func (k *Keeper) mayReplace(before, ring *keys.Ring) error {
	var problems []error
	now := k.cfg.Now()
	for _, old := range k.cfg.Policy.Survey(before, now) {
		problems = append(problems, k.mayFollow(old, k.cfg.Policy.SurveyOf(ring, old.Algorithm, now)))
	}
	return errors.Join(problems...)
}

func (k *Keeper) mayFollow(before, after keys.Survey) error {
	for _, old := range before.Keys {
		for _, key := range after.Keys {
			if key.SignsFrom.Equal(old.SignsFrom) && key.Key.ID() != old.Key.ID() && !inTime(key) {
				name := keys.FileName(before.Algorithm, old.SignsFrom)
				return keys.WithHint(fmt.Errorf("%w: %s was %s and is %s", ErrReplaced, name, old.Key.ID(), key.Key.ID()),
					"put the old key back; a new one comes in with: issuer keys import FILE")
			}
		}
	}
	was, is := before.Active(), after.Active()
	switch {
	case was == nil:
		return nil
	case is == nil:
		return keys.WithHint(fmt.Errorf("%w: %s", ErrInactive, before.Algorithm),
			"put the key "+was.Key.ID()+" back, from a moment that has passed")
	case is.Key.ID() == was.Key.ID() || !holds(after, was.Key.ID()): // in place of a key that is gone, at once
		return nil
	}
	if safe := is.SafeAt; k.cfg.Now().Before(safe) {
		return keys.WithHint(fmt.Errorf("%w: %s is published since %v only", ErrEarly, is.Key.ID(), is.PublishedAt.UTC()),
			"let it sign later; the name of its file would be "+keys.FileName(after.Algorithm, safe.Add(time.Second)))
	}
	return nil
}

// inTime reports whether verifiers will have a key before it signs. A revoked standby's successor may sign from the same
// second, and such a one is welcome.
func inTime(key keys.KeyStatus) bool {
	return key.State == keys.Standby && !key.SafeAt.After(key.SignsFrom)
}

func holds(survey keys.Survey, kid string) bool {
	for _, key := range survey.Keys {
		if key.Key.ID() == kid {
			return true
		}
	}
	return false
}
