package masterkey_test

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/signet/issuer/internal/masterkey"
)

const (
	noKey = "line 1 is no master key as issuer master-key generate makes it"
	count = " keys; one, or two while one replaces the other, are needed"
)

// hostile are files that are none, and what is said of each.
func hostile() []struct{ name, text, want string } {
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimPrefix(three, prefix))
	return []struct{ name, text, want string }{
		{"nothing", "", "it has 0" + count},
		{"a line break", "\n", "it has 0" + count},
		{"blank lines and comments", "# " + one + "\n \n\t\n#\n", "it has 0" + count},
		{"three keys", one + "\n" + two + "\n" + three + "\n", "it has 3" + count},
		{"a key twice", one + "\n" + one + "\n", "line 2 has the same key again"},
		{"a key twice, far apart", one + "\n\n# old\n" + two + "\n" + one + "\n", "line 5 has the same key again"},
		{"a key twice, spelled otherwise", one + "\n  " + one + "\r\n", "line 2 has the same key again"},
		{"no prefix", one[len(prefix):], noKey},
		{"another version", strings.Replace(one, "-1:", "-2:", 1), noKey},
		{"prefix in capitals", strings.ToUpper(prefix) + one[len(prefix):], noKey},
		{"prefix twice", prefix + one, noKey},
		{"prefix alone", prefix, noKey},
		{"blank behind the prefix", strings.Replace(one, ":", ": ", 1), noKey},
		{"something before it", "key=" + one, noKey},
		{"31 octets", encode(octets(0)[:31]), noKey},
		{"33 octets", encode(append(octets(0), 0)), noKey},
		{"16 octets", encode(octets(0)[:16]), noKey},
		{"a digit short", one[:len(one)-1], noKey},
		{"a digit more", one + "A", noKey},
		{"padding", one + "=", noKey},
		{"the standard alphabet", prefix + standard, noKey},
		{"bits that no octet has", one[:len(one)-1] + "9", noKey},
		{"hexadecimal", prefix + strings.Repeat("0f", 32), noKey},
		{"blank within", one[:30] + " " + one[30:], noKey},
		{"carriage return within", one[:30] + "\r" + one[30:], noKey},
		{"two lines", one[:30] + "\n" + one[30:], noKey},
		{"NUL within", one[:30] + "\x00" + one[30:], noKey},
		{"NUL behind it", one + "\x00", noKey},
		{"not UTF-8", one[:30] + "\xff" + one[31:], noKey},
		{"a letter of another script", strings.Replace(one, "signet", "sіgnet", 1), noKey},
		{"garbage behind it", one + " garbage", noKey},
		{"a comment behind it", one + "# the old one", noKey},
		{"two keys in a line", one + " " + two, noKey},
		{"two keys in a line that old machines end", one + "\r" + two, noKey},
		{"a byte order mark", "\ufeff" + one, noKey},
		{"UTF-16", strings.Join(strings.Split(one, ""), "\x00") + "\x00", noKey},
		{"PEM", "-----BEGIN PRIVATE KEY-----\n", noKey},
		{"JSON", `{"key":"` + one + `"}`, noKey},
		{"garbage behind a key", one + "\ngarbage\n", strings.Replace(noKey, "1", "2", 1)},
		{"garbage behind two keys", one + "\n" + two + "\n" + "x", strings.Replace(noKey, "1", "3", 1)},
	}
}

// What is wrong is said without a word of what is in the file.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range hostile() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ring, err := masterkey.Parse([]byte(row.text))
			if ring != nil || !errors.Is(err, masterkey.ErrFile) {
				t.Fatalf("%v, %v", ring, err)
			}
			if want := "not a file of master keys: " + row.want; err.Error() != want || !quiet.MatchString(want) {
				t.Errorf("error %q\nwant  %q", err, want)
			}
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	first, second := parse(t, one).IDs()[0], parse(t, two).IDs()[0]
	if first != oneID || second == oneID {
		t.Fatalf("ids %s and %s", first, second)
	}
	rows := []struct {
		name, text string
		want       []string
	}{
		{"as it is made", one + "\n", []string{first}},
		{"without an end", one, []string{first}},
		{"two, the newest last", one + "\n" + two + "\n", []string{first, second}},
		{"the other way round", two + "\n" + one + "\n", []string{second, first}},
		{"with comments", "# made by hand\n\n" + one + "\n  # " + three + "\n" + two + "\n\n", []string{first, second}},
		{"lines as Windows ends them", one + "\r\n" + two + "\r\n", []string{first, second}},
		{"blanks around it", " \t" + one + " \t\n", []string{first}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ring := parse(t, row.text)
			if got := ring.IDs(); !slices.Equal(got, row.want) {
				t.Errorf("ids %q, want %q", got, row.want)
			}
			if got, want := ring.Newest().ID(), row.want[len(row.want)-1]; got != want {
				t.Errorf("the newest is %s, want %s", got, want)
			}
			for _, id := range row.want {
				if key := ring.Find(id); key == nil || key.ID() != id {
					t.Errorf("Find(%s) = %v", id, key)
				}
			}
			for _, id := range []string{"", "0000000000000000", strings.ToUpper(first), first[:15], first + "0"} {
				if key := ring.Find(id); key != nil {
					t.Errorf("Find(%q) = %v", id, key)
				}
			}
		})
	}
}

// What is made is read, and no two are the same.
func TestGenerate(t *testing.T) {
	t.Parallel()
	lines, ids := make(map[string]bool), make(map[string]bool)
	for range 1000 {
		line, key := masterkey.Generate()
		if !made.MatchString(line) {
			t.Fatal("a line that is none")
		}
		if ring := parse(t, line); ring.Newest().ID() != key.ID() || len(ring.IDs()) != 1 {
			t.Fatalf("%v is read as %v", key, ring.IDs())
		}
		lines[line], ids[key.ID()] = true, true
	}
	if len(lines) != 1000 || len(ids) != 1000 {
		t.Errorf("of 1000 keys %d differ, by id %d", len(lines), len(ids))
	}
}

var (
	made = regexp.MustCompile(`^signet-master-key-1:[A-Za-z0-9_-]{43}\n$`)
	id   = regexp.MustCompile(`^[0-9a-f]{16}$`)
)

// FuzzParse: reading never panics, gives one or two different keys, each of which stands in a line of its own in the one
// way of writing it, or an error that has nothing of the text.
func FuzzParse(f *testing.F) {
	for _, row := range hostile() {
		f.Add([]byte(row.text))
	}
	f.Add([]byte(one))
	f.Add([]byte("# old\r\n" + one + "\r\n\t" + two + " \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ring, err := masterkey.Parse(text)
		if err != nil {
			if ring != nil || !errors.Is(err, masterkey.ErrFile) || !quiet.MatchString(err.Error()) {
				t.Errorf("%v, %v", ring, err)
			}
			return
		}
		ids := ring.IDs()
		if n := len(ids); n < 1 || n > 2 || ids[0] == ids[n-1] && n == 2 || ring.Newest() != ring.Find(ids[n-1]) {
			t.Fatalf("keys %q, the newest %v", ids, ring.Newest())
		}
		var lines []string
		for line := range bytes.Lines(text) {
			if line := strings.TrimSpace(string(line)); line != "" && line[0] != '#' {
				lines = append(lines, line)
			}
		}
		if len(lines) != len(ids) {
			t.Fatalf("%d keys in %d lines", len(ids), len(lines))
		}
		for i, line := range lines {
			if !made.MatchString(line+"\n") || !id.MatchString(ids[i]) || parse(t, line).Newest().ID() != ids[i] {
				t.Errorf("key %q in line %d", ids[i], i)
			}
		}
	})
}
