package verify_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys"
	"example.com/signet/resource/verify"
	"example.com/signet/resource/verify/verifytest"
)

// hostileStage plays the rows and remembers what was accepted, to see that it stays so.
type hostileStage struct {
	*verifytest.Stage
	accepted []acceptedRow
}

type acceptedRow struct {
	verifytest.Row
	claims verify.Claims
}

// TestHostile plays every class of attack on a token at the library's edge: the exact sentinel, in less than a second,
// with nothing of the token in the error, and without one fetch more than the cool-down allows. A verifier that
// remembers what it has accepted must say the same every time, and of no other spelling.
func TestHostile(t *testing.T) {
	t.Parallel()
	s := &hostileStage{Stage: verifytest.NewStage(t, verify.Config{})}
	fetches := s.Issuer.Fetches()
	s.first(t)
	refused := len(s.Rows) - len(s.accepted)
	t.Logf("%d rows: %d refused, %d accepted", len(s.Rows), refused, len(s.accepted))
	if refused < 500 || len(s.accepted) < 40 {
		t.Errorf("only %d refused and %d accepted", refused, len(s.accepted))
	}
	t.Run("once more, all at once", s.again)
	t.Run("spellings of what was accepted", s.respelled)
	if n := s.Issuer.Fetches() - fetches; n != 1 {
		t.Errorf("%d fetches of the JWK Set in one cool-down, want 1 for the first unknown kid", n)
	}
	t.Run("after they expired", s.expired)
}

// first plays each row twice in a row.
func (s *hostileStage) first(t *testing.T) {
	names := make(map[string]bool)
	for _, row := range s.Rows {
		name := row.Class + "/" + row.Name
		if names[name] {
			t.Errorf("two rows %q", name)
		}
		names[name] = true
		t.Run(name, func(t *testing.T) {
			claims, err := s.play(t, row)
			if row.Want != nil {
				s.play(t, row)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(leniently(t, row.Token).said, saidBy(claims), nearly); diff != "" {
				t.Errorf("a lenient reader understands something else: %s", diff)
			}
			again := acceptedRow{row, claims}
			s.accepted = append(s.accepted, again)
			again.check(t, s)
		})
	}
}

// play verifies a row's token and holds a refusal against what it must be.
func (s *hostileStage) play(t *testing.T, row verifytest.Row) (verify.Claims, error) {
	t.Helper()
	start := time.Now()
	claims, err := s.Verifier.Verify(t.Context(), row.Token)
	if took := time.Since(start); took > 5*time.Second { // a second, and room for a busy machine
		t.Errorf("took %v", took)
	}
	if row.Want != nil {
		s.wantRefusal(t, row, claims, err)
	}
	return claims, err
}

func (s *hostileStage) wantRefusal(t *testing.T, row verifytest.Row, claims verify.Claims, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s/%s: accepted", row.Class, row.Name)
		return
	}
	wantError(t, err, row.Want)
	if leak := verifytest.Leak(err.Error(), row.Token); leak != "" {
		t.Errorf("%q of the token is in %q", leak, err)
	}
	if claims != (verify.Claims{}) {
		t.Errorf("claims beside the error %q", err)
	}
}

// check verifies a token that was accepted before.
func (row acceptedRow) check(t *testing.T, s *hostileStage) {
	t.Helper()
	claims, err := s.play(t, row.Row)
	if err != nil {
		t.Errorf("%s/%s: refused when it came again: %v", row.Class, row.Name, err)
	} else if !cmp.Equal(saidBy(claims), saidBy(row.claims)) {
		t.Errorf("%s/%s: %+v, and before %+v", row.Class, row.Name, claims, row.claims)
	}
}

// again plays all rows from several goroutines, now that every accepted token was seen.
func (s *hostileStage) again(t *testing.T) {
	for i := range 4 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for _, row := range s.accepted {
				row.check(t, s)
			}
			for _, row := range s.Rows {
				if row.Want != nil {
					s.play(t, row)
				}
			}
		})
	}
}

// respelled gives each accepted token in every other spelling, and then in its own once more.
func (s *hostileStage) respelled(t *testing.T) {
	n := 0
	for _, row := range s.accepted {
		for _, variant := range verifytest.Spellings(row.Token) {
			n++
			if s.play(t, variant); t.Failed() {
				t.Fatalf("%s of %s/%s", variant.Name, row.Class, row.Name)
			}
		}
		row.check(t, s)
	}
	t.Logf("%d spellings of %d tokens", n, len(s.accepted))
}

// expired moves the clock past most of what was accepted: having been accepted once does not count.
func (s *hostileStage) expired(t *testing.T) {
	s.Clock.Advance(time.Hour)
	over := 0
	for _, row := range s.accepted {
		if row.claims.Expires().After(s.Clock.Now()) {
			row.check(t, s)
			continue
		}
		over++
		row.Want = verify.ErrExpired
		s.play(t, row.Row)
	}
	if over < len(s.accepted)/2 {
		t.Errorf("only %d of %d have expired", over, len(s.accepted))
	}
}

// What is too long costs no more than reading its length. It is not parallel, because it counts allocations.
func TestHostileSizeCostsNothing(t *testing.T) {
	s := &hostileStage{Stage: verifytest.NewStage(t, verify.Config{})}
	n := 0
	for _, row := range s.Rows {
		if len(row.Token) <= keys.MaxTokenSize {
			continue
		}
		n++
		if allocations := testing.AllocsPerRun(100, func() {
			_,
				_ = s.Verifier.Verify(t.Context(), row.Token)
		}); allocations != 0 {
			t.Errorf("%s/%s: %v allocations", row.Class, row.Name, allocations)
		}
		if each := s.fastest(t, row.Token); each > 20*time.Microsecond { // reading 1 MB takes longer
			t.Errorf("%s/%s: %v each", row.Class, row.Name, each)
		}
	}
	if n < 10 {
		t.Errorf("only %d rows are too long", n)
	}
}

// fastest is how long a refusal takes in the best of a few rounds, for the machine may be busy.
func (s *hostileStage) fastest(t *testing.T, token string) time.Duration {
	t.Helper()
	const rounds, times = 10, 100
	best := time.Hour
	for range rounds {
		start := time.Now()
		for range times {
			if _, err := s.Verifier.Verify(t.Context(), token); !errors.Is(err, verify.ErrMalformed) {
				t.Fatal(err)
			}
		}
		best = min(best, time.Since(start)/times)
	}
	return best
}
