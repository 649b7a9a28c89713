package keys_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

const aName = "es256-20261223T101500Z.pem"

func TestParseRingKeyRefuses(t *testing.T) {
	t.Parallel()
	es, rs := keystest.PEM(keystest.ES256), keystest.PEM(keystest.RS256)
	rows := []struct {
		name string
		file string
		text []byte
		say  string
	}{
		{"another algorithm's key", aName, rs, "named ES256, but the key is for RS256"},
		{"key of another algorithm", "rs256-20261223T101500Z.pem", es, "named RS256, but the key is for ES256"},
		{"no text", aName, nil, "not PEM"},
		{"text", aName, []byte("not a key"), "not PEM"},
		{"cut off", aName, es[:len(es)/2], "truncated or damaged"},
		{"weak", "rs256-20261223T101500Z.pem", keystest.PEM(keystest.WeakRSA), "RSA of 1024 bits"},
		{"another curve", aName, keystest.PEM(keystest.WrongCurve), "curve is not P-256"},
		{"two keys", aName, append(slices.Clone(es), rs...), "something follows"},
		{"public", aName, must(keystest.Key(keystest.ES256).Public().MarshalPEM()), "this is a PUBLIC KEY"},

		{"no name", "", es, "named by when it signs"},
		{"no name and no key", "", nil, "named by when it signs"},
		{"a path", "keys/" + aName, es, "named by when it signs"},
		{"a path to above", "../" + aName, es, "named by when it signs"},
		{"no ending", strings.TrimSuffix(aName, ".pem"), es, "named by when it signs"},
		{"ending twice", aName + ".pem", es, "named by when it signs"},
		{"ending in capitals", "es256-20261223T101500Z.PEM", es, "named by when it signs"},
		{"white space", aName + " ", es, "named by when it signs"},
		{"a line break", aName + "\n", es, "named by when it signs"},
		{"a NUL", aName + "\x00", es, "named by when it signs"},
		{"upper-case algorithm", "ES256-20261223T101500Z.pem", es, "named by when it signs"},
		{"an algorithm that none has", "es384-20261223T101500Z.pem", es, "named by when it signs"},
		{"no moment", "es256-.pem", es, "named by when it signs"},
		{"day that is not", "es256-20261131T101500Z.pem", es, "named by when it signs"},
		{"fraction", "es256-20261223T101500.5Z.pem", es, "named by when it signs"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			key, err := keys.ParseRingKey(row.file, row.text)
			wantError(t, err, keys.ErrKey, row.say)
			if key != (keys.RingKey{}) {
				t.Errorf("a key beside the error: %v", key)
			}
			if leak := keyMaterialIn(err.Error(), row.text); leak != "" {
				t.Errorf("error %q holds %q of the input", err, leak)
			}
			if isName := row.say == "named by when it signs"; isName != strings.Contains(hintOf(err), "rename it") {
				t.Errorf("hint %q", hintOf(err))
			}
		})
	}
}

func TestParseRingKey(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, file, key string
		signsFrom       time.Time
	}{
		{"ES256", aName, keystest.ES256, time.Date(2026, 12, 23, 10, 15, 0, 0, time.UTC)},
		{"RS256", "rs256-20261123T101500Z.pem", keystest.RS256, at(0)},
		{"long ago", "es256-00010101T000001Z.pem", keystest.ES256Other, time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			text := bytes.Clone(keystest.PEM(row.key))
			k, err := keys.ParseRingKey(row.file, text)
			if err != nil {
				t.Fatal(err)
			}
			if k.Key.ID() != idOf(row.key) || !k.SignsFrom.Equal(row.signsFrom) || !k.PublishedAt.IsZero() {
				t.Errorf("got %+v", k)
			}
			if !bytes.Equal(text, keystest.PEM(row.key)) {
				t.Error("the text has changed")
			}
		})
	}
}

// What is read has the name that FileName spells, so that a directory that is written from it is the same ring.
func FuzzParseRingKey(f *testing.F) {
	for _, name := range []string{aName, "rs256-20261123T101500Z.pem", "es256-20261223T101500+0100.pem",
		"es256-99991231T235959Z.pem", "ES256-.pem", ""} {
		for _, key := range []string{keystest.ES256, keystest.RS256, keystest.WeakRSA} {
			f.Add(name, keystest.PEM(key))
		}
		f.Add(name, []byte(nil))
	}
	f.Fuzz(func(t *testing.T, name string, text []byte) {
		k, err := keys.ParseRingKey(name, text)
		if err != nil {
			checkRefusal(t, err, name, keys.ErrKey)
			return
		}
		if got := keys.FileName(k.Key.Algorithm(), k.SignsFrom); got != name {
			t.Fatalf("%q was read as %q", name, got)
		}
	})
}
