package masterkey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"example.com/signet/issuer/internal/masterkey"
)

// printed is whatever a program may print by mistake.
func printed(key *masterkey.Key, ring *masterkey.Ring) map[string]any {
	return map[string]any{
		"key":              key,
		"copy":             *key,
		"ring":             ring,
		"copy of the ring": *ring,
		"keys":             []*masterkey.Key{key},
		"copies":           []masterkey.Key{*key},
		"map":              map[string]masterkey.Key{"key": *key},
		"field":            struct{ Key *masterkey.Key }{key},
		"copy in a field":  struct{ Key masterkey.Key }{*key},
		"hidden field":     struct{ key *masterkey.Key }{key},
		"hidden copy":      struct{ key masterkey.Key }{*key},
		"pointer to it":    &key,
		"error":            fmt.Errorf("sealing under %v: %w", key, masterkey.ErrSeal),
	}
}

// Printing shows the id of a key at most, whatever the verb.
func TestPrint(t *testing.T) {
	t.Parallel()
	ring := parse(t, one)
	for name, value := range printed(ring.Newest(), ring) {
		for _, verb := range "vsqxXdotcUebT" {
			for _, flags := range []string{"%", "%+", "%#", "% "} {
				format := flags + string(verb)
				discreet(t, name+" "+format, fmt.Sprintf(format, value))
			}
		}
		discreet(t, name+" println", fmt.Sprintln(value))
		text, _ := json.Marshal(value) //nolint:errcheck // nothing is as good
		discreet(t, name+" JSON", string(text))
		var log bytes.Buffer
		for _, handler := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
			slog.New(handler).Info("log", "value", value, slog.Group("group", "value", value))
		}
		discreet(t, name+" log", log.String())
	}
}

// It is of use, too.
func TestPrintShowsTheID(t *testing.T) {
	t.Parallel()
	key := parse(t, one).Newest()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{key, *key} {
			if got := fmt.Sprintf(verb, value); got != "master key "+oneID {
				t.Errorf("%s of %T: %q", verb, value, got)
			}
		}
	}
	for _, value := range []any{key, *key} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("log", "value", value)
		if !strings.HasSuffix(log.String(), " value="+oneID+"\n") {
			t.Errorf("log %q", log.String())
		}
	}
}

// discreet sees that nothing of the key one is in a text: no four octets in a row, however they are written.
func discreet(t *testing.T, name, text string) {
	t.Helper()
	raw := octets(0)
	for i := 0; i+4 <= len(raw); i++ {
		four := raw[i : i+4]
		for _, needle := range []string{
			string(four),
			hex.EncodeToString(four),
			fmt.Sprintf("% x", four),
			fmt.Sprintf("%#v", four)[len("[]byte{") : len("[]byte{")+10],
			strings.Trim(fmt.Sprint(four), "[]"),
			fmt.Sprint(binary.BigEndian.Uint32(four)),
			fmt.Sprint(binary.LittleEndian.Uint32(four)),
			fmt.Sprintf("%#x", binary.BigEndian.Uint32(four)),
		} {
			if strings.Contains(strings.ToLower(text), needle) {
				t.Errorf("%s shows octets %d to %d", name, i, i+3)
				return
			}
		}
	}
	for _, encoding := range []*base64.Encoding{base64.RawURLEncoding, base64.RawStdEncoding} {
		encoded := encoding.EncodeToString(raw)
		for i := 0; i+6 <= len(encoded); i++ {
			if strings.Contains(text, encoded[i:i+6]) {
				t.Errorf("%s shows digits %d to %d", name, i, i+5)
				return
			}
		}
	}
}
