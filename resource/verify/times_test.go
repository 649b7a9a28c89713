package verify_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/resource/verify"
)

func TestTimes(t *testing.T) {
	t.Parallel()
	b := newBench(t, verify.Config{})
	rows := []row{
		{"exp missing", b.without("exp"), verify.ErrClaims},
		{"exp is now", b.with("exp", b.at(0)), verify.ErrExpired},
		{"exp is now, and a bit", b.with("exp", b.at(0)+".0"), verify.ErrExpired},
		{"exp a second ago", b.with("exp", b.at(-time.Second)), verify.ErrExpired},
		{"exp in 1970", b.with("exp", "1"), verify.ErrExpired},
		{"exp twice", b.forge(b.header, b.claims.Twice("exp", b.at(time.Hour))), verify.ErrClaims},
		{"nbf in a second", b.with("nbf", b.at(time.Second)), verify.ErrNotYetValid},
		{"nbf in a year", b.with("nbf", b.at(365*24*time.Hour)), verify.ErrNotYetValid},
		{"iat in a second", b.with("iat", b.at(time.Second)), verify.ErrNotYetValid},
		{"iat missing", b.without("iat"), verify.ErrClaims},
		{"expired and not yet valid", b.forge(b.header, b.claims.With("exp", b.at(-1)).With("nbf", b.at(time.Hour))), verify.ErrExpired},
	}
	for _, claim := range []string{"exp", "nbf", "iat"} {
		for name, value := range map[string]string{
			"null": "null", "a string": strconv.Quote(b.at(time.Minute)), "RFC 3339": `"2026-11-23T10:25:00Z"`, "empty text": `""`,
			"an array": "[" + b.at(time.Minute) + "]", "an object": "{}", "true": "true", "-1": "-1", "0": "0", "-0": "-0",
			"0.5": "0.5", "1e300": "1e300", "1e400": "1e400", "-1e400": "-1e400", "1e-400": "1e-400", "2^63": "9223372036854775808",
			"2^64 + soon": "18446744073709551616", "milliseconds": b.at(time.Minute) + "000", "the year 10000": "253402300800",
			"more digits than a float holds": "1" + strings.Repeat("0", 400), "NaN": "NaN", "Infinity": "Infinity",
			"hexadecimal": "0x7fffffff", "a leading zero": "01795428900", "a plus sign": "+1795428900", "no digit": ".5",
		} {
			rows = append(rows, row{claim + " " + name, b.with(claim, value), verify.ErrClaims})
		}
	}
	b.run(t, rows)
}

// The leeway is for clocks that are apart, and it is exact.
func TestLeeway(t *testing.T) {
	t.Parallel()
	for _, leeway := range []time.Duration{30 * time.Second, 5 * time.Minute} {
		b := newBench(t, verify.Config{Leeway: leeway})
		b.run(t, []row{
			{"exp past by less", b.with("exp", b.at(-leeway+time.Second)), nil},
			{"exp past by just that", b.with("exp", b.at(-leeway)), verify.ErrExpired},
			{"exp past by more", b.with("exp", b.at(-leeway-time.Second)), verify.ErrExpired},
			{"nbf ahead by just that", b.with("nbf", b.at(leeway)), nil},
			{"nbf ahead by more", b.with("nbf", b.at(leeway+time.Second)), verify.ErrNotYetValid},
			{"iat ahead by just that", b.with("iat", b.at(leeway)), nil},
			{"iat ahead by more", b.with("iat", b.at(leeway+time.Second)), verify.ErrNotYetValid},
		})
	}
}
