package remote

import (
	"net/http"
	"testing"
	"time"
)

func TestMaxAge(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name  string
		lines []string
		want  time.Duration
	}{
		{"plain", []string{"max-age=300"}, 5 * time.Minute},
		{"among others", []string{"public, max-age=300, must-revalidate"}, 5 * time.Minute},
		{"no space after the comma", []string{"public,max-age=300"}, 5 * time.Minute},
		{"capitals", []string{"Public, Max-Age=300"}, 5 * time.Minute},
		{"quoted", []string{`max-age="300"`}, 5 * time.Minute},
		{"on a second line", []string{"public", "max-age=300"}, 5 * time.Minute},
		{"leading zeros", []string{"max-age=0300"}, 5 * time.Minute},
		{"zero", []string{"max-age=0"}, 0},
		{"the largest that is read", []string{"max-age=2147483647"}, 2147483647 * time.Second},
		{"no answer may be kept", []string{"no-store"}, 0},
		{"every use is to be asked for", []string{"no-cache, max-age=300"}, 0},

		{"absent", nil, unsaid},
		{"empty", []string{""}, unsaid},
		{"s-maxage alone", []string{"s-maxage=300"}, unsaid}, // for shared caches
		{"without a value", []string{"max-age"}, unsaid},
		{"with an empty value", []string{"max-age="}, unsaid},
		{"negative", []string{"max-age=-1"}, unsaid},
		{"with a sign", []string{"max-age=+300"}, unsaid},
		{"a fraction", []string{"max-age=1.5"}, unsaid},
		{"hexadecimal", []string{"max-age=0x10"}, unsaid},
		{"huge", []string{"max-age=99999999999999999999"}, unsaid},
		{"2^31", []string{"max-age=2147483648"}, unsaid},
		{"2^63", []string{"max-age=9223372036854775808"}, unsaid},
		{"words", []string{"max-age=forever"}, unsaid},
		{"space around the sign", []string{"max-age = 300"}, unsaid},
		{"part of another name", []string{"x-max-age=300"}, unsaid},
	}
	for _, row := range rows {
		h := http.Header{"Cache-Control": row.lines}
		if got := maxAge(h); got != row.want {
			t.Errorf("%s: %q: %v, want %v", row.name, row.lines, got, row.want)
		}
	}
}
