package main

import (
	"testing"
	"unicode"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"plain", "read write", "read write"},
		{"JSON text", `{"a":"b"}`, `{"a":"b"}`},
		{"escape", "\x1b[2J", `\x1b[2J`},
		{"line break", "a\r\nb", `a\r\nb`},
		{"tab, which would move the table", "a\tb", `a\tb`},
		{"DEL", "\x7f", `\x7f`},
		{"C1", "\u009b1m", `\u009b1m`},
		{"right to left", "\u202egnp.exe", `\u202egnp.exe`},
		{"look-alike", "аdmin", `\u0430dmin`}, // Cyrillic
		{"not UTF-8", "\xff", `\xff`},
		{"NUL and quote", "\x00\"", `\x00"`},
		{"escaped already", "\x1b\\x1b", `\x1b\\x1b`}, // cannot be taken for another escape
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := printable(test.text); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func FuzzPrintable(f *testing.F) {
	for _, seed := range []string{"", "plain", "\x1b[2J", "\u202e\u009b\x00", "\xff\"\\", `\x1b`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range printable(text) {
			if r > unicode.MaxASCII || r < ' ' || r == 0x7f {
				t.Errorf("%q is in what %q became", r, text)
			}
		}
	})
}

func TestLegible(t *testing.T) {
	t.Parallel()
	hostile := "reading é: \x1b]0;owned\a\u009b\u202e\xff\nsecond line"
	if got, want := legible(hostile), "reading é: \ufffd]0;owned\ufffd\ufffd\ufffd\ufffd\nsecond line"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
