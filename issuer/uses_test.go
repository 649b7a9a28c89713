package main

import (
	"encoding/json"
	"testing"
	"time"
)

// lastUse returns when the client's only secret was last used, as clients show tells it; zero: not.
func (h *home) lastUse(id string) time.Time {
	h.t.Helper()
	var shown struct {
		Known   bool `json:"last_use_known"`
		Secrets []struct {
			LastUse time.Time `json:"last_use"`
		} `json:"secrets"`
	}
	h.must(json.Unmarshal([]byte(h.ok("clients", "show", id, "-o", "json")), &shown))
	if !shown.Known || len(shown.Secrets) != 1 {
		h.t.Fatalf("shown: %+v", shown)
	}
	return shown.Secrets[0].LastUse
}

// When a secret was last used is known once the issuer has stopped, and still when the next one has started; what does not
// prove anybody is no use.
func TestLastUse(t *testing.T) {
	t.Parallel()
	registry, secret := keyed(t)
	onEachDatabase(t, registry, func(h *home) {
		p := h.start(unlimited()...)
		wrong, _ := freshSecret()
		got, err := p.withSecret("legacy", wrong)
		h.must(wants(401, got, err))
		p.stop()
		if at := h.lastUse("legacy"); !at.IsZero() {
			h.t.Errorf("used at %v, by another secret", at)
		}

		var used [2]time.Time
		for i := range used {
			p = h.start(unlimited()...)
			before := time.Now().Truncate(time.Second)
			got, err := p.withSecret("legacy", secret)
			h.must(wants(200, got, err))
			after := time.Now()
			p.stop()
			used[i] = h.lastUse("legacy")
			if used[i].Before(before) || used[i].After(after) {
				h.t.Errorf("used at %v, want from %v to %v", used[i], before, after)
			}
		}
		p = h.start(unlimited()...)
		p.stop()
		if at := h.lastUse("legacy"); !at.Equal(used[1]) {
			h.t.Errorf("used at %v, want %v still", at, used[1])
		}
		h.ok("clients", "delete", "legacy")
		h.ok("registry", "apply", "-f", h.path("registry.yaml"))
		if at := h.lastUse("legacy"); !at.IsZero() {
			h.t.Errorf("a client that is there anew was used at %v", at)
		}
	})
}
