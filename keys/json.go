package keys

import (
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var (
	errNotObject   = errors.New("not exactly one JSON object")
	errEscapedName = errors.New("member name with an escape")
)

// DecodeObject decodes data into the struct that v points to and is strict about it: data is one JSON object (RFC 8259)
// in valid UTF-8 with no byte before or after it, no object has the same member twice, member names are matched exactly
// and are spelled without escapes, and each value has the type of its field or is null, which is the field's zero
// unless its type refuses it. Members that v does not name are checked likewise and ignored. The error says what is
// wrong and may quote the data.
func DecodeObject(data []byte, v any) error {
	if len(data) < 2 || data[0] != '{' || data[len(data)-1] != '}' {
		return errNotObject
	}
	if err := json.Unmarshal(data, v); err != nil {
		return err
	}
	if bytes.IndexByte(data, '\\') >= 0 {
		return checkNames(data)
	}
	return nil
}

// checkNames refuses escapes in member names: readers that compare the raw bytes of a name and readers that unescape it
// first would see two different objects.
func checkNames(data []byte) error {
	dec := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		kind, length := dec.StackIndex(dec.StackDepth())
		isName := kind == jsontext.KindBeginObject && length%2 == 0 && dec.PeekKind() == jsontext.KindString
		if !isName {
			if _, err := dec.ReadToken(); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			continue
		}
		name, err := dec.ReadValue()
		if err != nil {
			return err
		}
		if bytes.IndexByte(name, '\\') >= 0 {
			return errEscapedName
		}
	}
}
