package keys

import (
	"errors"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// NumericDate is a moment in a token (RFC 7519 §2): decoding accepts a JSON number of seconds from 1 to 253402300799
// (the end of the year 9999), fractions included, and nothing else, null neither. Zero means that the claim is absent.
type NumericDate float64

const latestDate = 253402300799

var errDate = errors.New("not a number of seconds from 1 to 253402300799")

// UnmarshalJSONFrom reads a date strictly.
func (d *NumericDate) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	value, err := dec.ReadValue()
	if err != nil {
		return err
	}
	if value.Kind() != jsontext.KindNumber {
		return errDate
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil || seconds < 1 || seconds > latestDate {
		return errDate
	}
	*d = NumericDate(seconds)
	return nil
}

// Time returns the moment in UTC, the zero time when the claim is absent.
func (d NumericDate) Time() time.Time {
	if d == 0 {
		return time.Time{}
	}
	whole, fraction := math.Modf(float64(d))
	return time.Unix(int64(whole), int64(fraction*float64(time.Second))).UTC()
}

// Audience is the aud claim (RFC 7519 §4.1.3): decoding accepts a string or a non-empty array of strings, and nothing
// else. Nil means that the claim is absent.
type Audience []string

var errAudience = errors.New("not a string or a non-empty array of strings")

// UnmarshalJSONFrom reads an audience strictly.
func (a *Audience) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case jsontext.KindString:
		var one string
		if err := json.UnmarshalDecode(dec, &one); err != nil {
			return err
		}
		*a = Audience{one}
		return nil
	case jsontext.KindBeginArray:
		return a.readArray(dec)
	}
	return errAudience
}

func (a *Audience) readArray(dec *jsontext.Decoder) error {
	var many []*string // pointers, because null decodes into a string without a word
	if err := json.UnmarshalDecode(dec, &many); err != nil {
		return err
	}
	if len(many) == 0 || slices.Contains(many, nil) {
		return errAudience
	}
	*a = nil
	for _, one := range many {
		*a = append(*a, *one)
	}
	return nil
}

// Contains reports whether the audience names id, compared as strings.
func (a Audience) Contains(id string) bool { return slices.Contains(a, id) }

// Is reports whether id is the only value of the audience.
func (a Audience) Is(id string) bool { return len(a) == 1 && a[0] == id }
