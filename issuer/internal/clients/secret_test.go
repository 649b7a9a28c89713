package clients_test

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func secretOf(text string, expires time.Time) clients.Secret {
	return clients.Secret{Digest: sha256.Sum256([]byte(text)), Expires: expires}
}

func TestMatchSecret(t *testing.T) {
	t.Parallel()
	forever := time.Time{}
	two := []clients.Secret{secretOf("old", noon), secretOf("new", forever)}
	rows := []struct {
		name   string
		client *clients.Client
		secret string
		now    time.Time
		want   bool
	}{
		{"right", &clients.Client{Enabled: true, Secrets: two[1:]}, "new", noon, true},
		{"the first of two live ones", &clients.Client{Enabled: true, Secrets: two}, "old", noon.Add(-time.Second), true},
		{"the second of two live ones", &clients.Client{Enabled: true, Secrets: two}, "new", noon.Add(-time.Second), true},
		{"the second when the first has expired", &clients.Client{Enabled: true, Secrets: two}, "new", noon, true},
		{"expired at this moment", &clients.Client{Enabled: true, Secrets: two}, "old", noon, false},
		{"expired long ago", &clients.Client{Enabled: true, Secrets: two}, "old", noon.Add(time.Hour), false},
		{"wrong", &clients.Client{Enabled: true, Secrets: two}, "other", noon, false},
		{"empty", &clients.Client{Enabled: true, Secrets: two}, "", noon, false},
		{"with a line break", &clients.Client{Enabled: true, Secrets: two}, "new\n", noon, false},
		{"the digest is not the secret", &clients.Client{Enabled: true, Secrets: two}, string(two[1].Digest[:]), noon, false},
		{"nor is its spelling", &clients.Client{Enabled: true, Secrets: two}, hex.EncodeToString(two[1].Digest[:]), noon, false},
		{"disabled client", &clients.Client{Enabled: false, Secrets: two}, "new", noon, false},
		{"client without secrets", &clients.Client{Enabled: true}, "new", noon, false},
		{"client without secrets, nothing given", &clients.Client{Enabled: true}, "", noon, false},
		{"no client", nil, "new", noon, false},
		{"no client, nothing given", nil, "", noon, false},
		{"a digest of zeros is nobody's secret", &clients.Client{Enabled: true, Secrets: []clients.Secret{{}}}, strings.Repeat("\x00", 32), noon, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := row.client.MatchSecret(row.secret, row.now); (got != nil) != row.want {
				t.Errorf("MatchSecret = %v", got)
			}
		})
	}
}

// A match with what is compared for nobody must not count: here it is made to match. Not parallel, for that.
func TestMatchSecretOfNobody(t *testing.T) {
	saved := *clients.Nobody()
	t.Cleanup(func() { *clients.Nobody() = saved })
	*clients.Nobody() = secretOf("guessed", time.Time{})
	live := []clients.Secret{secretOf("other", time.Time{})}
	rows := []struct {
		name   string
		client *clients.Client
	}{
		{"no client", nil},
		{"client without secrets", &clients.Client{Enabled: true}},
		{"disabled client", &clients.Client{Secrets: live}},
		{"client with another secret", &clients.Client{Enabled: true, Secrets: live}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if row.client.MatchSecret("guessed", noon) != nil {
				t.Error("accepted")
			}
		})
	}
}

// A use is worth noting the first time, and then no oftener than every minute.
func TestSecretUse(t *testing.T) {
	t.Parallel()
	secret := &lookUp(t, openLive(t, generation(1, 1)).live.Registry(), "c000").Secrets[0]
	steps := []struct {
		name string
		at   time.Duration // after noon
		want bool
	}{
		{"the first", 0, true},
		{"the same moment", 0, false},
		{"a second later", time.Second, false},
		{"a nanosecond short of a minute", time.Minute - 1, false},
		{"a minute later", time.Minute, true},
		{"a minute after the first but one", time.Minute + 59*time.Second, false},
		{"another minute later", 2 * time.Minute, true},
		{"a clock that is put back", -time.Hour, false},
		{"a year later", 365 * 24 * time.Hour, true},
		{"again", 365 * 24 * time.Hour, false},
	}
	for _, step := range steps { // in order
		if got := secret.Use(noon.Add(step.at)); got != step.want {
			t.Errorf("%s: %v", step.name, got)
		}
	}
	if got := secret.Name(); got != digestOf("secret")[:8] {
		t.Errorf("name %q", got)
	}
}

// Each secret has a minute of its own, and one that is in no registry has none.
func TestSecretUseOfEach(t *testing.T) {
	t.Parallel()
	f := openLive(t, generation(1, 2))
	secret := func(id string) *clients.Secret { return &lookUp(t, f.live.Registry(), id).Secrets[0] }
	if !secret("c000").Use(noon) || !secret("c001").Use(noon) {
		t.Error("the same secret of two clients has one minute")
	}
	alone := secretOf("secret", time.Time{})
	for range 2 {
		if !alone.Use(noon) {
			t.Error("a use passed over, and nobody can have noted it")
		}
	}
}

// Of two that use it at the same moment, one notes it.
func TestSecretUseByTwoAtOnce(t *testing.T) {
	t.Parallel()
	const minutes = 30_000
	secret := &lookUp(t, openLive(t, generation(1, 1)).live.Registry(), "c000").Secrets[0]
	var ready, noted atomic.Int64
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for minute := range int64(minutes) {
				ready.Add(1)
				for spin := 1; ready.Load() < 2*(minute+1); spin++ { // until the other is here too
					if spin%100 == 0 {
						runtime.Gosched()
					}
				}
				if secret.Use(noon.Add(time.Duration(minute) * time.Minute)) {
					noted.Add(1)
				}
			}
		})
	}
	both.Wait()
	if got := noted.Load(); got != minutes {
		t.Errorf("%d minutes were noted %d times", minutes, got)
	}
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	want := sha256.Sum256([]byte("secret"))
	good := hex.EncodeToString(want[:])
	for _, text := range []string{good, strings.ToUpper(good)} {
		if got, err := clients.ParseDigest(text); err != nil || got != want {
			t.Errorf("ParseDigest(%q): %x, %v", text, got, err)
		}
	}
	rows := []struct{ name, text string }{
		{"empty", ""},
		{"63 digits", good[1:]},
		{"62 digits", good[2:]},
		{"66 digits", good + "00"},
		{"not hexadecimal", "g" + good[1:]},
		{"white space", " " + good[1:]},
		{"as sha256sum prints it", good + "  -"},
		{"the secret itself", "secret"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := clients.ParseDigest(row.text)
			if err == nil || err.Error() != "not a SHA-256 in 64 hexadecimal digits" {
				t.Errorf("error %v", err)
			}
		})
	}
}
