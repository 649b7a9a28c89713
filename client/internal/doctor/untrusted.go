package doctor

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxQuoted = 80 // octets of a text of the issuer's that a finding repeats

// quote is a text of the issuer's, for people: in quotes, on one line, in ASCII, not long.
func quote(text string) string {
	return strconv.QuoteToASCII(clip(text, maxQuoted))
}

func quoteAll(texts []string) []string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = quote(text)
	}
	return quoted
}

// because is an error for people: what it quotes of the issuer's is not ours to trust.
func because(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "json: "), "jsontext: ")
	return clip(printable(text), 3*maxQuoted)
}

// clip shortens a text to at most limit octets and a sign that it was longer.
func clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "..."
}

// printable escapes what could move a cursor, hide or turn round: control characters, marks of direction, bad UTF-8.
func printable(text string) string {
	isOdd := func(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }
	if !strings.ContainsFunc(text, isOdd) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if isOdd(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
