package clients

import "bytes"

// cut cuts a registry up at the lines that begin a client, size clients to a batch. It looks at lines alone and does
// not know whether they are what they seem: that shows when the parts are decoded. It returns false when there is no
// list of clients in block style, or the text has something that could make a part mean another thing than in its
// place.
func cut(text []byte, size int) (p parts, ok bool) {
	head := afterKey(text)
	if head < 0 || unusual(text, text[:head]) {
		return parts{}, false
	}
	first := lineAt(text, head)
	for first.empty && first.end < len(text) {
		first = lineAt(text, first.end)
	}
	if !first.item {
		return parts{}, false
	}
	var end int
	p.batches, end = cutItems(text, first, size)
	empty := append(bytes.Repeat([]byte(" "), first.indent), "- {}\n"...)
	p.frame = bytes.Join([][]byte{text[:first.start], empty, text[end:]}, nil)
	p.line = bytes.Count(text[:first.start], []byte("\n")) + 1
	p.column = first.indent + len("- ") + 1
	return p, true
}

// afterKey returns where the line after the first line "clients:" begins, or -1.
func afterKey(text []byte) int {
	const key = "clients:"
	start := 0
	if !bytes.HasPrefix(text, []byte(key)) {
		start = bytes.Index(text, []byte("\n"+key)) + 1
		if start == 0 {
			return -1
		}
	}
	if rest := lineAt(text, start+len(key)); rest.empty {
		return rest.end
	}
	return -1
}

// unusual reports whether a text has what the cutting of lines would have to know about: other line ends than \n, tabs,
// a byte order mark, and before the clients a directive, which holds for the whole document (YAML 1.2.2 §6.8).
func unusual(text, head []byte) bool {
	for _, odd := range []string{"\t", "\r", "\u0085", "\u2028", "\u2029", "\ufeff"} {
		if bytes.Contains(text, []byte(odd)) {
			return true
		}
	}
	return bytes.HasPrefix(text, []byte("%")) || bytes.Contains(head, []byte("\n%"))
}

// cutItems returns the items of the list that begins at first, in batches, and where it ends: at the first line that is
// not further in and begins no item.
func cutItems(text []byte, first line, size int) (batches []batch, end int) {
	start, items := first.start, 0
	at := first
	for ; at.start < len(text); at = lineAt(text, at.end) {
		if at.empty || at.indent > first.indent {
			continue
		}
		if !at.item || at.indent < first.indent {
			break
		}
		if items == size {
			batches = append(batches, batch{text[start:at.start], items})
			start, items = at.start, 0
		}
		items++
	}
	return append(batches, batch{text[start:at.start], items}), at.start
}

// line is one line of a text, or what is left of it.
type line struct {
	start, end int  // end is where the next line starts
	indent     int  // spaces before the first character
	empty      bool // it has nothing, or a comment
	item       bool // it begins an item of a list in block style
}

func lineAt(text []byte, start int) line {
	l := line{start: start, end: len(text)}
	if n := bytes.IndexByte(text[start:], '\n'); n >= 0 {
		l.end = start + n + 1
	}
	content := bytes.TrimSuffix(text[start:l.end], []byte("\n"))
	for l.indent < len(content) && content[l.indent] == ' ' {
		l.indent++
	}
	content = content[l.indent:]
	l.empty = len(content) == 0 || content[0] == '#'
	l.item = bytes.HasPrefix(content, []byte("- ")) || string(content) == "-"
	return l
}
