package doctor

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// document is a JSON object that is read as far as it can be, so that one fault does not hide the others.
type document struct {
	address string
	members map[string]jsontext.Value
}

var loose = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

var errNoObject = errors.New("it does not begin with a brace")

func (d *document) read(text []byte) error {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || text[0] != '{' {
		return errNoObject
	}
	return json.Unmarshal(text, &d.members, loose)
}

// has reports whether there is such a member that is not null.
func (d *document) has(name string) bool {
	value, there := d.members[name]
	return there && value.Kind() != jsontext.KindNull
}

// text returns a member that is a string, otherwise "".
func (d *document) text(name string) (value string) {
	if d.members[name].Kind() != jsontext.KindString || json.Unmarshal(d.members[name], &value, loose) != nil {
		return ""
	}
	return value
}

// list returns a member that is an array of strings, otherwise nil.
func (d *document) list(name string) (values []string) {
	if !d.has(name) || json.Unmarshal(d.members[name], &values, loose) != nil {
		return nil
	}
	return values
}

// isOfType reports whether a member has the type that it should have, or is not there.
func (d *document) isOfType(name string, list bool) bool {
	var values []string
	switch {
	case !d.has(name):
		return true
	case list:
		return json.Unmarshal(d.members[name], &values, loose) == nil
	}
	return d.members[name].Kind() == jsontext.KindString
}

func (d *document) isEmptyArray(name string) bool {
	var elements []jsontext.Value
	isArray := d.members[name].Kind() == jsontext.KindBeginArray
	return isArray && json.Unmarshal(d.members[name], &elements, loose) == nil && len(elements) == 0
}
