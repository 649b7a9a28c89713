package keeper

import "example.com/signet/keys"

// events are the names of the audit events of a key's life, by the state that it enters.
var events = map[keys.State]string{
	keys.Standby: "key.published",
	keys.Active:  "key.signs",
	keys.Retired: "key.retired",
	keys.Due:     "key.due",
}

// audit tells the log which keys have entered another state since the last look.
func (k *Keeper) audit() {
	current := make(map[string]keys.State)
	for _, survey := range k.Survey() {
		for _, key := range survey.Keys {
			kid := key.Key.ID()
			current[kid] = key.State
			if k.states[kid] == key.State {
				continue
			}
			k.cfg.Audit.Info("audit", "event", events[key.State], "kid", kid, "alg", survey.Algorithm,
				"signs_from", key.SignsFrom, "published_at", key.PublishedAt)
		}
	}
	for kid := range k.states {
		if _, there := current[kid]; !there {
			k.cfg.Audit.Info("audit", "event", "key.removed", "kid", kid)
		}
	}
	k.states = current
}
