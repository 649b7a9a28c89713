package clients

import (
	"errors"
	"slices"
	"strings"
)

// Scope is a list of distinct scope values in order (RFC 6749 §3.3). The empty scope is no scope.
type Scope []string

var errScope = errors.New("scope values are printable ASCII without space, quote and backslash, one space between them")

// ParseScope reads scope values with single spaces between them. Repeated values count once. Empty text is the empty
// scope.
func ParseScope(text string) (Scope, error) {
	if text == "" {
		return nil, nil
	}
	return NewScope(strings.Split(text, " ")...)
}

// NewScope returns the scope of the given values, each once.
func NewScope(values ...string) (Scope, error) {
	if slices.ContainsFunc(values, func(value string) bool { return !isScopeValue(value) }) {
		return nil, errScope
	}
	if len(values) == 1 {
		return Scope(values), nil
	}
	var scope Scope
	seen := make(map[string]bool) // callers send thousands of values to see how long this takes
	for _, value := range values {
		if !seen[value] {
			seen[value] = true
			scope = append(scope, value)
		}
	}
	return scope, nil
}

func isScopeValue(value string) bool {
	forbidden := func(r rune) bool { return r < 0x21 || r > 0x7E || r == '"' || r == '\\' }
	return value != "" && !strings.ContainsFunc(value, forbidden)
}

// String joins the values with single spaces.
func (s Scope) String() string { return strings.Join(s, " ") }

// Missing returns the values of other that s does not have.
func (s Scope) Missing(other Scope) Scope {
	var missing Scope
	for _, value := range other {
		if !slices.Contains(s, value) {
			missing = append(missing, value)
		}
	}
	return missing
}
