package verifytest

import (
	"strings"
	"time"

	"example.com/signet/resource/verify"
)

func (m maker) times() []row {
	rows := []row{
		{"exp missing", m.without("exp"), verify.ErrClaims},
		{"exp now", m.with("exp", m.at(0)), verify.ErrExpired}, // RFC 7519 §4.1.4: on or after is too late
		{"exp now, with a fraction of nothing", m.with("exp", m.at(0)+".000"), verify.ErrExpired},
		{"exp later than now by less than a float can say", m.with("exp", m.at(0)+".00000001"), verify.ErrExpired},
		{"exp half a second ago", m.with("exp", m.at(-time.Second)+".5"), verify.ErrExpired},
		{"exp a second ago", m.with("exp", m.at(-time.Second)), verify.ErrExpired},
		{"exp 1", m.with("exp", "1"), verify.ErrExpired},
		{"exp 1.0", m.with("exp", "1.0"), verify.ErrExpired},
		{"exp 1e3", m.with("exp", "1e3"), verify.ErrExpired},
		{"exp 1E+3", m.with("exp", "1E+3"), verify.ErrExpired},
		{"exp 1e9 and a fraction", m.with("exp", "1000000000.999999"), verify.ErrExpired},
		{"exp 2e9 with an exponent that makes it small", m.with("exp", "2000000000e-9"), verify.ErrExpired},
		{"exp twice", m.twice("exp", m.at(time.Hour)), verify.ErrClaims},
		{"exp twice, the first past", m.forge(m.header, m.claims.With("exp", "1").Twice("exp", m.at(time.Hour))),
			verify.ErrClaims},
		{"exp in a second", m.with("exp", m.at(time.Second)), nil},
		{"exp in half a second", m.with("exp", m.at(0)+".5"), nil},
		{"exp 2e9", m.with("exp", "2e9"), nil},
		{"exp 0.2e+10", m.with("exp", "0.2e+10"), nil},
		{"exp 2^31", m.with("exp", "2147483648"), nil}, // 2038: an int of 32 bits would be negative
		{"exp 2^32", m.with("exp", "4294967296"), nil},
		{"exp at the end of the year 9999", m.with("exp", "253402300799"), nil},
		{"nbf now", m.with("nbf", m.at(0)), nil},
		{"nbf 1e0", m.with("nbf", "1e0"), nil},
		{"nbf half a second ahead", m.with("nbf", m.at(0)+".5"), verify.ErrNotYetValid},
		{"nbf in a second", m.with("nbf", m.at(time.Second)), verify.ErrNotYetValid},
		{"nbf in a year", m.with("nbf", m.at(365*24*time.Hour)), verify.ErrNotYetValid},
		{"nbf at the end of the year 9999", m.with("nbf", "253402300799"), verify.ErrNotYetValid},
		{"nbf twice", m.forge(m.header, m.claims.With("nbf", m.at(0)).Twice("nbf", m.at(0))), verify.ErrClaims},
		{"iat missing", m.without("iat"), verify.ErrClaims},
		{"iat now, with a fraction of nothing", m.with("iat", m.at(0)+".0"), nil},
		{"iat in a second", m.with("iat", m.at(time.Second)), verify.ErrNotYetValid},
		{"iat in a year", m.with("iat", m.at(365*24*time.Hour)), verify.ErrNotYetValid},
		{"expired, and not yet valid", m.forge(m.header,
			m.claims.With("exp", m.at(-time.Second)).With("nbf", m.at(time.Hour))), verify.ErrExpired},
		{"valid again after it expires", m.forge(m.header,
			m.claims.With("exp", m.at(time.Minute)).With("nbf", m.at(time.Hour))), verify.ErrNotYetValid},
	}
	for _, claim := range []string{"exp", "nbf", "iat"} {
		for _, bad := range m.notDates() {
			rows = append(rows, row{claim + " " + bad.name, m.with(claim, bad.value), verify.ErrClaims})
		}
	}
	return rows
}

// notDates are values that no time claim can have: not a number, or not from 1 to the end of the year 9999.
func (m maker) notDates() []named {
	soon := m.at(time.Minute)
	return []named{
		{"null", "null"}, {"a string", quote(soon)}, {"empty text", `""`}, {"an array", "[" + soon + "]"},
		{"an empty array", "[]"}, {"an object", `{"$date":` + soon + "}"}, {"true", "true"}, {"false", "false"},
		{"RFC 3339", `"2026-11-23T10:25:00Z"`}, {"a leap second", `"2016-12-31T23:59:60Z"`},
		{"HTTP's date", `"Mon, 23 Nov 2026 10:25:00 GMT"`}, {"-1", "-1"}, {"-0.5", "-0.5"}, {"0", "0"}, {"-0", "-0"},
		{"0.0", "0.0"}, {"0e9", "0e9"}, {"0.5", "0.5"}, {"0.999999999", "0.999999999"}, {"1e-400", "1e-400"},
		{"-1e400", "-1e400"}, {"1e300", "1e300"}, {"1e400", "1e400"},
		{"1e99999999999999999999", "1e99999999999999999999"}, {"2^53 + 1", "9007199254740993"},
		{"2^63 - 1", "9223372036854775807"}, {"2^63", "9223372036854775808"}, {"2^64 and soon", "18446744075504980816"},
		{"milliseconds", soon + "000"}, {"nanoseconds", soon + "000000000"}, {"the year 10000", "253402300800"},
		{"half a second into the year 10000", "253402300799.5"}, {"400 digits", "1" + strings.Repeat("0", 400)},
		// Not JSON at all, whatever JavaScript, Go or Python would make of it.
		{"00", "00"}, {"a leading zero", "0" + soon}, {"a plus sign", "+" + soon}, {"no digit before the point", ".5"},
		{"no digit behind", soon + "."}, {"half an exponent", "2e"}, {"two points", "1.2.3"},
		{"hexadecimal", "0x7fffffff"}, {"octal", "0o17777777777"}, {"an underscore", "2_000_000_000"},
		{"thousands", "2,000,000,000"}, {"full-width digits", "２０００００００００"}, {"NaN", "NaN"}, {"Infinity", "Infinity"},
		{"a sum", "1+1"}, {"a big number of JavaScript", soon + "n"},
	}
}
