package tokens_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

// A client assertion from another time is refused. Then the answer's Date tells whose clock is wrong.
func TestClockOff(t *testing.T) {
	t.Parallel()
	const minute = time.Minute
	now := keystest.NewClock().Now()
	ago := func(d time.Duration) string { return now.Add(-d).Format(http.TimeFormat) }
	ahead := func(d string) string { return " (this machine's clock is " + d + " ahead of the issuer's)" }
	behind := func(d string) string { return " (this machine's clock is " + d + " behind the issuer's)" }
	for _, test := range []struct {
		name string
		date string
		off  time.Duration
		text string
	}{
		{"ten minutes ahead", ago(10 * minute), 10 * minute, ahead("10m0s")},
		{"ten minutes behind", ago(-10 * minute), -10 * minute, behind("10m0s")},
		{"a year ahead", ago(365 * 24 * time.Hour), 365 * 24 * time.Hour, ahead("8760h0m0s")},
		{"half a minute ahead", ago(30 * time.Second), 30 * time.Second, ahead("30s")},
		{"half a minute behind", ago(-30 * time.Second), -30 * time.Second, behind("30s")},
		{"nearly half a minute ahead", ago(29 * time.Second), 0, ""},
		{"nearly half a minute behind", ago(-29 * time.Second), 0, ""},
		{"right", ago(0), 0, ""},
		{"empty", "", 0, ""},
		{"no date", "yesterday", 0, ""},
		{"seconds", "1795429500", 0, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.Answer(func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Date"] = []string{test.date}
				answer(http.StatusUnauthorized, invalidClient)(w, r)
			})
			cfg := config(t, i)
			cfg.Now = keystest.NewClock().Now
			_, err := newSource(t, cfg).Token(t.Context())
			var refused *tokens.RefusedError
			if !errors.As(err, &refused) || refused.ClockOff != test.off {
				t.Fatalf("got %+v, want a clock that is off by %v", refused, test.off)
			}
			want := "obtaining a token from " + i.URL + `: issuer refused: "invalid_client"` + test.text
			if err.Error() != want {
				t.Errorf("got  %v\nwant %s", err, want)
			}
		})
	}
}
