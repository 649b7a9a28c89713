package keys

import "strings"

// maxPlainMembers is how many members a plain object has at most: each name is compared with all before it.
const maxPlainMembers = 24

// PlainMembers yields name and value, as JSON text, of each member of a JSON object that is spelled in the plainest
// way: no white space, no escapes, nothing but printable ASCII, values that are strings, integers of up to 15 digits,
// true, false, null or arrays of such strings, at most 24 members, none twice. It returns false, which says nothing
// about the object, as soon as it meets anything else: what it yielded is to be forgotten then, and [DecodeObject] to
// be asked. Whatever it returns true for, DecodeObject reads in the same way; it exists because it takes a fifth of the
// time, and nearly all tokens are spelled so. It allocates nothing.
func PlainMembers(text string, yield func(name, value string)) bool {
	if len(text) < 2 || text[0] != '{' || !isPlain(text) {
		return false
	}
	var names [maxPlainMembers]string
	for n, rest := 0, text[1:]; n < maxPlainMembers; n++ {
		size := plainString(rest)
		if size == 0 || size == len(rest) || rest[size] != ':' {
			return false
		}
		name := rest[1 : size-1]
		for _, other := range names[:n] {
			if other == name {
				return false
			}
		}
		names[n] = name
		rest = rest[size+1:]
		size = plainValue(rest)
		if size == 0 || size == len(rest) {
			return false
		}
		yield(name, rest[:size])
		if rest[size] == '}' {
			return size+1 == len(rest)
		}
		if rest[size] != ',' {
			return false
		}
		rest = rest[size+1:]
	}
	return false
}

// PlainString returns what a JSON string that [PlainMembers] has yielded stands for, and false for a value of another
// type.
func PlainString(value string) (string, bool) {
	if value[0] != '"' {
		return "", false
	}
	return value[1 : len(value)-1], true
}

// plainValue returns the length of the plain value that text begins with, 0 when it does not.
func plainValue(text string) int {
	if text == "" {
		return 0
	}
	switch text[0] {
	case '"':
		return plainString(text)
	case '[':
		return plainArray(text)
	case 't', 'n':
		if strings.HasPrefix(text, "true") || strings.HasPrefix(text, "null") {
			return 4
		}
		return 0
	case 'f':
		if strings.HasPrefix(text, "false") {
			return 5
		}
		return 0
	}
	return plainInteger(text)
}

// isPlain reports whether text is printable ASCII without escapes.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '\\' {
			return false
		}
	}
	return true
}

// plainString returns the length of the string that text begins with, quotes included.
func plainString(text string) int {
	if text == "" || text[0] != '"' {
		return 0
	}
	end := strings.IndexByte(text[1:], '"')
	if end < 0 {
		return 0
	}
	return end + 2
}

// plainInteger returns the length of the integer that text begins with.
func plainInteger(text string) int {
	size := 0
	for size < len(text) && '0' <= text[size] && text[size] <= '9' {
		size++
	}
	if size > 15 || (size > 1 && text[0] == '0') { // RFC 8259 §6: no leading zero
		return 0
	}
	return size // what follows is looked at by the caller: a fraction or an exponent is neither comma nor brace
}

// plainArray returns the length of the array of plain strings, at least one, that text begins with.
func plainArray(text string) int {
	at := 1
	for {
		size := plainString(text[at:])
		at += size
		if size == 0 || at == len(text) {
			return 0
		}
		at++
		switch text[at-1] {
		case ']':
			return at
		case ',':
			continue
		}
		return 0
	}
}
