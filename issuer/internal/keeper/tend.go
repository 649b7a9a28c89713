package keeper

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"example.com/signet/keys"
)

// warnAhead is how long before a rotation that cannot happen the log begins to warn of it, and how often it does.
const warnAhead = 24 * time.Hour

// tend makes the standbys that are missing and removes the keys that are due. The store is locked meanwhile and read
// again first: another keeper may have done it.
func (k *Keeper) tend() error {
	if !k.hasWork(k.Survey()) {
		return nil
	}
	if err := k.cfg.Store.Writable(); err != nil {
		return k.leaveToOperator(err)
	}
	unlock, err := k.cfg.Store.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := k.reload(); err != nil {
		return err
	}
	var problems []error
	for _, survey := range k.Survey() {
		// Read again at once: what is made is published before the next algorithm's key is, which takes a while for RSA.
		problems = append(problems, k.make(survey), k.remove(survey), k.reload())
	}
	return errors.Join(problems...)
}

func (k *Keeper) hasWork(surveys []keys.Survey) bool {
	for _, survey := range surveys {
		if k.missing(survey) || len(k.removable(survey)) > 0 {
			return true
		}
	}
	return false
}

// missing reports whether a standby is to be made now.
func (k *Keeper) missing(survey keys.Survey) bool {
	return !survey.Make.IsZero() && k.cfg.Uptime() >= k.clockGoodFrom && !survey.Make.Equal(k.occupied[survey.Algorithm])
}

func (k *Keeper) make(survey keys.Survey) error {
	if !k.missing(survey) {
		return nil
	}
	key, err := keys.GenerateKey(survey.Algorithm)
	if err != nil {
		return fmt.Errorf("making a standby: %w", err)
	}
	err = k.cfg.Store.Add(keys.RingKey{Key: key, SignsFrom: survey.Make})
	if errors.Is(err, keys.ErrTaken) { // somebody without our lock was faster, or a damaged key stands there
		k.occupied[survey.Algorithm] = survey.Make
		return nil
	}
	var at *fs.PathError
	if errors.As(err, &at) { // without the path, which is another at each try and would be news to the log
		return fmt.Errorf("making a standby in %s: %w", k.cfg.Store.String(), at.Err)
	}
	return err
}

func (k *Keeper) remove(survey keys.Survey) error {
	var problems []error
	for _, kid := range k.removable(survey) {
		problems = append(problems, k.cfg.Store.Remove(kid))
	}
	return errors.Join(problems...)
}

// removable returns the keys that are due and that this process has itself seen retired for the whole retention, on a
// clock that nobody can set. A wall clock that leaps ahead by a year makes a key look due; a key that is deleted on its
// word would be missed when the clock comes back.
func (k *Keeper) removable(survey keys.Survey) []string {
	var kids []string
	for _, key := range survey.Keys {
		kid := key.Key.ID()
		if key.State != keys.Retired && key.State != keys.Due {
			delete(k.retiredSince, kid)
			continue
		}
		since, seen := k.retiredSince[kid]
		if !seen {
			since = k.cfg.Uptime()
			k.retiredSince[kid] = since
		}
		if key.State == keys.Due && k.cfg.Uptime()-since >= k.cfg.Policy.Retention {
			kids = append(kids, kid)
		}
	}
	return kids
}

// watchClock notices a wall clock that has leapt against the one that nobody can set. No standby is made on its word until
// it has stood for the retention: made by a clock a year ahead, one would be the standby for a year.
func (k *Keeper) watchClock() {
	uptime := k.cfg.Uptime()
	began := k.cfg.Now().Round(0).Add(-uptime) // Round: by the wall clock alone
	leap := began.Sub(k.began)
	if leap.Abs() <= max(k.cfg.Policy.PublishAhead, time.Minute) {
		return
	}
	k.began, k.clockGoodFrom = began, uptime+k.cfg.Policy.Retention
	k.cfg.Log.Warn("the clock has leapt; no key is made until it has stood", "leap", leap.String(),
		"for", k.cfg.Policy.Retention.String())
}

// leaveToOperator is what there is to do in a store that cannot be written: say so, a day ahead and every day.
func (k *Keeper) leaveToOperator(cause error) error {
	now := k.cfg.Now()
	for _, survey := range k.Survey() {
		active := survey.Active()
		if active == nil || survey.Make.IsZero() {
			continue
		}
		rotation := active.SignsFrom.Add(k.cfg.Policy.RotateEvery)
		latest := rotation.Add(-k.cfg.Policy.PublishAhead)
		if now.Before(latest.Add(-warnAhead)) || now.Sub(k.warned[survey.Algorithm]).Abs() < warnAhead {
			continue
		}
		k.warned[survey.Algorithm] = now
		k.cfg.Log.Warn("the key directory cannot be written, so rotation is yours: add a key to it",
			"alg", survey.Algorithm, "signs_from", survey.Make, "publish_before", latest, "cause", cause)
	}
	return nil
}
