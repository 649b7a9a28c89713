package clients_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/clients"
)

// RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), one space between two.
func TestParseScope(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name string
		text string
		want clients.Scope
	}{
		{"no scope", "", nil},
		{"one", "read", clients.Scope{"read"}},
		{"order is kept", "write read", clients.Scope{"write", "read"}},
		{"case counts", "Read read", clients.Scope{"Read", "read"}},
		{"repeated counts once", "read write read", clients.Scope{"read", "write"}},
		{"first and last characters of each range", "! # [ ] ~", clients.Scope{"!", "#", "[", "]", "~"}},
		{"a URI", "https://api.example.com/read", clients.Scope{"https://api.example.com/read"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			got, err := clients.ParseScope(row.text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Errorf("scope (-want +got):\n%s", diff)
			}
			if again, err := clients.ParseScope(got.String()); err != nil || !slices.Equal(again, got) {
				t.Errorf("String %q reads back as %q, %v", got.String(), again, err)
			}
		})
	}
}

func TestParseScopeRefuses(t *testing.T) {
	t.Parallel()
	const want = "scope values are printable ASCII without space, quote and backslash, one space between them"
	rows := []struct{ name, text string }{
		{"a space alone", " "},
		{"space before", " read"},
		{"space after", "read "},
		{"two spaces", "read  write"},
		{"tab", "read\twrite"},
		{"line break", "read\nwrite"},
		{"NUL", "read\x00"},
		{"DEL", "read\x7f"},
		{"quote", `re"ad`},
		{"backslash", `re\ad`},
		{"not ASCII", "lesen-für"},
		{"no-break space", "read\u00a0write"},
		{"not UTF-8", "read\xff"},
		{"bad one after good ones", "read write \x1f"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got, err := clients.ParseScope(row.text); err == nil || err.Error() != want {
				t.Errorf("scope %q, error %v", got, err)
			}
		})
	}
}

func TestScopeMissing(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name             string
		has, asked, want clients.Scope
	}{
		{"nothing of nothing", nil, nil, nil},
		{"nothing is in anything", clients.Scope{"a"}, nil, nil},
		{"all there", clients.Scope{"a", "b"}, clients.Scope{"b", "a"}, nil},
		{"one is not", clients.Scope{"a"}, clients.Scope{"a", "b"}, clients.Scope{"b"}},
		{"prefix is not the value", clients.Scope{"admin"}, clients.Scope{"adm"}, clients.Scope{"adm"}},
		{"case counts", clients.Scope{"read"}, clients.Scope{"READ"}, clients.Scope{"READ"}},
		{"from none", nil, clients.Scope{"a"}, clients.Scope{"a"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, row.has.Missing(row.asked)); diff != "" {
				t.Errorf("missing (-want +got):\n%s", diff)
			}
		})
	}
}

func TestCheckID(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, id string
		ok       bool
	}{
		{"a word", "billing", true},
		{"one letter", "b", true},
		{"every sign", "a._~@/-0", true},
		{"128", strings.Repeat("a", 128), true},
		{"129", strings.Repeat("a", 129), false},
		{"empty", "", false},
		{"sign first", "-billing", false},
		{"dot first", "../billing", false},
		{"space", "bil ling", false},
		{"line break at the end", "billing\n", false},
		{"NUL, which would join with a jti", "billing\x00", false},
		{"not ASCII, could look like another", "bіlling", false},
		{"percent", "a%41", false},
		{"colon, where Basic credentials are cut", "urn:billing", false},
		{"quote", `a"b`, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if err := clients.CheckID(row.id); (err == nil) != row.ok {
				t.Errorf("CheckID(%q): %v", row.id, err)
			}
		})
	}
}

// I29: an absolute URI without fragment.
func TestCheckAudience(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, audience string
		ok             bool
	}{
		{"https", "https://api.example.com", true},
		{"path and query", "https://api.example.com/v1?x=1", true},
		{"http on loopback", "http://127.0.0.1:9000", true},
		{"URN", "urn:example:billing", true},
		{"empty", "", false},
		{"a word", "billing", false},
		{"a path", "/billing", false},
		{"no scheme", "//api.example.com", false},
		{"scheme alone", "https:", false},
		{"no host", "https:///billing", false},
		{"fragment", "https://api.example.com#a", false},
		{"empty fragment", "https://api.example.com#", false},
		{"space", "https://api.example.com/a b", false},
		{"quote", `https://api.example.com/"`, false},
		{"backslash", `https://api.example.com/\`, false},
		{"control", "https://api.example.com/\x01", false},
		{"not ASCII", "https://api.example.com/ü", false},
		{"not UTF-8", "https://api.example.com/\xff", false},
		{"bad escape", "https://api.example.com/%zz", false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if err := clients.CheckAudience(row.audience); (err == nil) != row.ok {
				t.Errorf("CheckAudience(%q): %v", row.audience, err)
			}
		})
	}
}

func TestCheckLifetime(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name     string
		lifetime time.Duration
		ok       bool
	}{
		{"shortest", time.Second, true},
		{"longest", time.Hour, true},
		{"zero", 0, false},
		{"negative", -time.Minute, false},
		{"too long", time.Hour + time.Second, false},
		{"below a second", time.Millisecond, false},
		{"a fraction", 1500 * time.Millisecond, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if err := clients.CheckLifetime(row.lifetime); (err == nil) != row.ok {
				t.Errorf("CheckLifetime(%v): %v", row.lifetime, err)
			}
		})
	}
}

func TestParseType(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"at+jwt", "JWT"} {
		if typ, err := clients.ParseType(good); err != nil || string(typ) != good {
			t.Errorf("ParseType(%q): %q, %v", good, typ, err)
		}
	}
	for _, bad := range []string{"", "jwt", "AT+JWT", "application/at+jwt", "client-authentication+jwt"} {
		if typ, err := clients.ParseType(bad); err == nil {
			t.Errorf("ParseType(%q): %q without error", bad, typ)
		}
	}
}
