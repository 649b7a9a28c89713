package verifytest

import (
	"testing"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// Cooldown is how long the verifier of a [Stage] asks for no key after it asked for one.
const Cooldown = 30 * time.Second

// Stage is a verifier with its issuer, and rows to play on it. The issuer has published [keystest.ES256Other] and has
// removed it, and the verifier has taken notice. From now on, Issuer.Fetches may grow by one, until the clock is moved.
type Stage struct {
	Issuer   *keystest.Server
	Clock    *keystest.Clock
	Verifier *verify.Verifier
	Rows     []Row
}

// NewStage sets a stage for the test t, at whose end it is taken down. What [Rows] needs of cfg is overwritten.
func NewStage(t testing.TB, cfg verify.Config) *Stage {
	t.Helper()
	s := &Stage{Clock: keystest.NewClock()}
	s.Issuer = keystest.NewServer(keystest.Set(keystest.ES256, keystest.RS256, keystest.ES256Other))
	t.Cleanup(s.Issuer.Close)
	cfg.Issuer, cfg.Audience, cfg.Now = s.Issuer.Issuer(), keystest.Audience, s.Clock.Now
	cfg.Leeway, cfg.Fetch.Cooldown = -1, Cooldown
	verifier, err := verify.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(verifier.Close)
	s.Verifier = verifier
	s.retire(t)
	s.Rows = Rows(s.Issuer.Issuer(), s.Clock.Now())
	return s
}

// retire removes a key that the verifier knows, and makes it fetch the keys that are left.
func (s *Stage) retire(t testing.TB) {
	t.Helper()
	m := newMaker(s.Issuer.Issuer(), s.Clock.Now())
	if _, err := s.Verifier.Verify(t.Context(), keystest.AccessToken(keystest.ES256Other, m.claims)); err != nil {
		t.Fatalf("the key that is about to be removed: %v", err) // this waited for the first fetch
	}
	s.Issuer.Publish(keystest.Set(keystest.ES256, keystest.RS256))
	s.Clock.Advance(Cooldown)
	if _, err := s.Verifier.Verify(t.Context(), m.head("kid", `"unknown"`)); err == nil {
		t.Fatal("a key that nobody has published was accepted")
	}
	s.Clock.Advance(Cooldown)
}
