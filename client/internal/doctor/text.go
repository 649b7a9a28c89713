package doctor

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

const (
	lineWidth  = 96
	markWidth  = len("warning")
	saysIndent = 2 + markWidth + 2
)

// areas are the groups that people see, and the checks that belong there by the first word of their name.
var areas = []struct {
	title string
	words []string
}{
	{"metadata", []string{"identifier", "metadata"}},
	{"JWK Set", []string{"jwks"}},
	{"caching and rotation", []string{"cache"}},
	{"token endpoint", []string{"token_endpoint"}},
	{"clock", []string{"clock"}},
	{"TLS", []string{"tls"}},
}

var colours = map[Grade]string{Good: "\x1b[32m", Note: "\x1b[36m", Warning: "\x1b[33m", Error: "\x1b[1;31m"}

const (
	bold   = "\x1b[1m"
	dim    = "\x1b[2m"
	normal = "\x1b[0m"
)

// WriteText writes the report for people: a line for each finding, with reason and remedy below those that are not good,
// and in the end once more what is wrong, for that is where people look. Color puts colours in, for a terminal.
func (r Report) WriteText(w io.Writer, color bool) error {
	p := printer{color: color}
	p.line(p.painted(bold, printable(r.Issuer)))
	for _, area := range areas {
		p.area(area.title, r.of(area.words))
	}
	p.line("")
	p.line(p.painted(colours[r.Worst()], r.summary()))
	for _, grade := range []Grade{Error, Warning} {
		p.again(grade, r.Findings)
	}
	_, err := io.WriteString(w, p.text.String())
	return err
}

// of returns the findings of an area.
func (r Report) of(words []string) (found []Finding) {
	for _, f := range r.Findings {
		first, _, _ := strings.Cut(f.Check, ".")
		for _, word := range words {
			if first == word {
				found = append(found, f)
			}
		}
	}
	return found
}

func (r Report) summary() string {
	return counted(r.Errors, "error") + ", " + counted(r.Warnings, "warning")
}

func counted(n int, thing string) string {
	if n == 0 {
		return "no " + thing + "s"
	}
	return plural(n, thing)
}

// printer makes the text; what it is given is printable.
type printer struct {
	text  strings.Builder
	color bool
}

func (p *printer) line(text string) { fmt.Fprintln(&p.text, text) }

func (p *printer) painted(colour, text string) string {
	if !p.color {
		return text
	}
	return colour + text + normal
}

func (p *printer) area(title string, findings []Finding) {
	if len(findings) == 0 {
		return
	}
	p.line("")
	p.line(p.painted(bold, title))
	for _, f := range findings {
		p.says(f)
		p.below("why", f.Why)
		p.below("do", f.Do)
	}
}

// again repeats what the findings of a grade say.
func (p *printer) again(grade Grade, findings []Finding) {
	for _, f := range findings {
		if f.Grade == grade {
			p.says(f)
		}
	}
}

func (p *printer) says(f Finding) {
	mark := f.Grade.String()
	padding := strings.Repeat(" ", saysIndent-2-len(mark))
	p.wrapped("  "+p.painted(colours[f.Grade], mark)+padding, saysIndent, f.Says)
}

func (p *printer) below(label, text string) {
	if text == "" {
		return
	}
	const width = len("why") + 2
	start := strings.Repeat(" ", saysIndent) + p.painted(dim, label) + strings.Repeat(" ", width-len(label))
	p.wrapped(start, saysIndent+width, text)
}

// wrapped writes a text behind start, and its further lines with an indentation.
func (p *printer) wrapped(start string, indent int, text string) {
	p.text.WriteString(start)
	column := indent
	for i, word := range strings.Fields(printable(text)) {
		width := utf8.RuneCountInString(word)
		switch {
		case i > 0 && column+1+width > lineWidth:
			p.text.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		case i > 0:
			p.text.WriteString(" ")
			column++
		}
		p.text.WriteString(word)
		column += width
	}
	p.line("")
}
