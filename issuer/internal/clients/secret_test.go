package clients_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func secretOf(text string, expires time.Time) clients.Secret {
	return clients.Secret{Digest: sha256.Sum256([]byte(text)), Expires: expires}
}

func TestMatchSecret(t *testing.T) {
	t.Parallel()
	forever := time.Time{}
	two := []clients.Secret{secretOf("old", noon), secretOf("new", forever)}
	rows := []struct {
		name   string
		client *clients.Client
		secret string
		now    time.Time
		want   bool
	}{
		{"right", &clients.Client{Enabled: true, Secrets: two[1:]}, "new", noon, true},
		{"the first of two live ones", &clients.Client{Enabled: true, Secrets: two}, "old", noon.Add(-time.Second), true},
		{"the second of two live ones", &clients.Client{Enabled: true, Secrets: two}, "new", noon.Add(-time.Second), true},
		{"the second when the first has expired", &clients.Client{Enabled: true, Secrets: two}, "new", noon, true},
		{"expired at this moment", &clients.Client{Enabled: true, Secrets: two}, "old", noon, false},
		{"expired long ago", &clients.Client{Enabled: true, Secrets: two}, "old", noon.Add(time.Hour), false},
		{"wrong", &clients.Client{Enabled: true, Secrets: two}, "other", noon, false},
		{"empty", &clients.Client{Enabled: true, Secrets: two}, "", noon, false},
		{"with a line break", &clients.Client{Enabled: true, Secrets: two}, "new\n", noon, false},
		{"the digest is not the secret", &clients.Client{Enabled: true, Secrets: two}, string(two[1].Digest[:]), noon, false},
		{"nor is its spelling", &clients.Client{Enabled: true, Secrets: two}, hex.EncodeToString(two[1].Digest[:]), noon, false},
		{"disabled client", &clients.Client{Enabled: false, Secrets: two}, "new", noon, false},
		{"client without secrets", &clients.Client{Enabled: true}, "new", noon, false},
		{"client without secrets, nothing given", &clients.Client{Enabled: true}, "", noon, false},
		{"no client", nil, "new", noon, false},
		{"no client, nothing given", nil, "", noon, false},
		{"a digest of zeros is nobody's secret", &clients.Client{Enabled: true, Secrets: []clients.Secret{{}}}, strings.Repeat("\x00", 32), noon, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := row.client.MatchSecret(row.secret, row.now); (got != nil) != row.want {
				t.Errorf("MatchSecret = %v", got)
			}
		})
	}
}

// A match with what is compared for nobody must not count: here it is made to match. Not parallel, for that.
func TestMatchSecretOfNobody(t *testing.T) {
	saved := *clients.Nobody()
	t.Cleanup(func() { *clients.Nobody() = saved })
	*clients.Nobody() = secretOf("guessed", time.Time{})
	live := []clients.Secret{secretOf("other", time.Time{})}
	rows := []struct {
		name   string
		client *clients.Client
	}{
		{"no client", nil},
		{"client without secrets", &clients.Client{Enabled: true}},
		{"disabled client", &clients.Client{Secrets: live}},
		{"client with another secret", &clients.Client{Enabled: true, Secrets: live}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if row.client.MatchSecret("guessed", noon) != nil {
				t.Error("accepted")
			}
		})
	}
}

func TestParseDigest(t *testing.T) {
	t.Parallel()
	want := sha256.Sum256([]byte("secret"))
	good := hex.EncodeToString(want[:])
	for _, text := range []string{good, strings.ToUpper(good)} {
		if got, err := clients.ParseDigest(text); err != nil || got != want {
			t.Errorf("ParseDigest(%q): %x, %v", text, got, err)
		}
	}
	rows := []struct{ name, text string }{
		{"empty", ""},
		{"63 digits", good[1:]},
		{"62 digits", good[2:]},
		{"66 digits", good + "00"},
		{"not hexadecimal", "g" + good[1:]},
		{"white space", " " + good[1:]},
		{"as sha256sum prints it", good + "  -"},
		{"the secret itself", "secret"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := clients.ParseDigest(row.text)
			if err == nil || err.Error() != "not a SHA-256 in 64 hexadecimal digits" {
				t.Errorf("error %v", err)
			}
		})
	}
}
