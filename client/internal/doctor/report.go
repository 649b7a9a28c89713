package doctor

import (
	"fmt"
	"strings"
)

// Grade says how bad a finding is.
type Grade int

// The grades, from good to bad.
const (
	Good    Grade = iota // as it should be
	Note                 // worth knowing
	Warning              // works, but not always, not for everybody or not safely
	Error                // broken, or open to attack
)

var gradeNames = [...]string{Good: "ok", Note: "note", Warning: "warning", Error: "error"}

// String returns ok, note, warning or error.
func (g Grade) String() string {
	if g < Good || g > Error {
		return fmt.Sprintf("grade %d", int(g))
	}
	return gradeNames[g]
}

// MarshalText returns what String does.
func (g Grade) MarshalText() ([]byte, error) { return []byte(g.String()), nil }

// Finding is one thing that was looked at.
type Finding struct {
	Check string `json:"check"`         // its name, which stays the same: area and subject, such as jwks.key_size
	Grade Grade  `json:"grade"`         // how bad it is
	Says  string `json:"says"`          // what was found
	Why   string `json:"why,omitempty"` // why it matters; empty for what is good, or a plain note
	Do    string `json:"do,omitempty"`  // what to do about it; empty where Why is
}

// Report is all that was found at an issuer. Its texts are printable, whatever the issuer has sent.
type Report struct {
	Issuer   string    `json:"issuer"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Findings []Finding `json:"findings"` // in the order in which they were made, area by area
}

// Worst returns the worst grade of all findings.
func (r Report) Worst() Grade {
	worst := Good
	for _, f := range r.Findings {
		worst = max(worst, f.Grade)
	}
	return worst
}

func (e *examination) report() Report {
	r := Report{Issuer: printable(e.issuer), Findings: e.findings}
	for _, f := range r.Findings {
		switch f.Grade {
		case Error:
			r.Errors++
		case Warning:
			r.Warnings++
		}
	}
	return r
}

// rule is what a check thinks of what it finds.
type rule struct {
	check string
	grade Grade
	why   string
	do    string
}

// at returns the rule with another grade.
func (r rule) at(grade Grade) rule {
	r.grade = grade
	return r
}

const maxSays = 600 // octets

func (r rule) finding(format string, args ...any) Finding {
	says := clip(printable(fmt.Sprintf(format, args...)), maxSays)
	return Finding{Check: r.check, Grade: r.grade, Says: says, Why: r.why, Do: r.do}
}

// plural is a number of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

const maxListed = 5

// listed names the first few.
func listed(names []string, separator string) string {
	more := ""
	if n := len(names) - maxListed; n > 0 {
		names, more = names[:maxListed], fmt.Sprintf("%sand %d more", separator, n)
	}
	return strings.Join(names, separator) + more
}
