package verify_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/remote"
	"example.com/signet/resource/verify"
)

// symmetric is a JWK that no verifier can use, and that should never have been published.
const symmetric = `{"kty":"oct","kid":"s","alg":"HS256","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}`

// setFile is a JWK Set in a file, which is replaced as a careful writer does it: in one step.
type setFile string

func newSetFile(t testing.TB, names ...string) setFile {
	t.Helper()
	f := setFile(filepath.Join(t.TempDir(), "jwks.json"))
	f.write(t, jwksText(t, names...))
	return f
}

func (f setFile) write(t testing.TB, text string) {
	t.Helper()
	if err := os.WriteFile(string(f)+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(string(f)+".new", string(f)); err != nil {
		t.Fatal(err)
	}
}

func (f setFile) config() verify.Config {
	return verify.Config{
		Issuers:  []verify.Issuer{{ID: bubbleIssuer, JWKSFile: string(f)}},
		Audience: audience,
		Fetch:    verify.Fetch{Client: noNetwork},
	}
}

// noNetwork is the client of verifiers that have no business on the network.
var noNetwork = &http.Client{Transport: forbidden{}}

type forbidden struct{}

func (forbidden) RoundTrip(r *http.Request) (*http.Response, error) {
	panic("a request for " + r.URL.String())
}

// badFiles are contents that are no JWK Set with a usable key.
func badFiles(t testing.TB) []struct {
	name, text string
	want       error
} {
	return []struct {
		name, text string
		want       error
	}{
		{"nothing", "", keys.ErrNotSet},
		{"white space", " \n", keys.ErrNotSet},
		{"HTML", "<!doctype html><title>502 Bad Gateway</title>", keys.ErrNotSet},
		{"PEM", string(keystest.PEM(keystest.ES256)), keys.ErrNotSet},
		{"cut short", jwksText(t, keystest.RS256)[:100], keys.ErrNotSet},
		{"two sets", jwksText(t, keystest.RS256) + jwksText(t, keystest.RS256), keys.ErrNotSet},
		{"an array", "[]", keys.ErrNotSet},
		{"null keys", `{"keys":null}`, keys.ErrNotSet},
		{"too large", jwksText(t, keystest.RS256) + strings.Repeat(" ", 512<<10), remote.ErrFetch},
		{"too many keys", `{"keys":[` + strings.Repeat("{},", 100) + `{}]}`, keys.ErrNotSet},
		{"no keys", `{"keys":[]}`, keys.ErrNoKeys},
		{"only a symmetric key", `{"keys":[` + symmetric + `]}`, keys.ErrNoKeys},
	}
}

// Not parallel: it looks at all goroutines. A file without usable keys is a mistake that shows at once, and nothing has
// been started then, for no other issuer either.
func TestNewRefusesFile(t *testing.T) {
	before := goleak.IgnoreCurrent()
	refuse := func(t *testing.T, f setFile, want error) {
		t.Helper()
		cfg := f.config() // with noNetwork: the first issuer's fetch would be seen
		cfg.Issuers = []verify.Issuer{{ID: issuerA}, cfg.Issuers[0], {ID: issuerB}}
		cfg.OnFetch = func(f verify.Fetched) {
			if f.Issuer != bubbleIssuer || f.Err == nil || f.Keys != 0 || f.Changed {
				t.Errorf("told about %+v", f)
			}
		}
		v, err := verify.New(cfg)
		if v != nil || !errors.Is(err, want) {
			t.Fatalf("%v, want %v", err, want)
		}
		if text := err.Error(); !strings.HasPrefix(text, "verify: ") || !strings.Contains(text, string(f)) {
			t.Errorf("%q does not say verify and which file", text)
		}
		goleak.VerifyNone(t, before)
	}
	t.Run("missing", func(t *testing.T) { refuse(t, setFile(filepath.Join(t.TempDir(), "none")), os.ErrNotExist) })
	t.Run("a directory", func(t *testing.T) { refuse(t, setFile(t.TempDir()), remote.ErrFetch) })
	for _, row := range badFiles(t) {
		t.Run(row.name, func(t *testing.T) {
			f := newSetFile(t, keystest.ES256)
			f.write(t, row.text)
			refuse(t, f, row.want)
		})
	}
}

// A file's good keys are there when New returns, the odd ones skipped.
func TestFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newSetFile(t, keystest.ES256)
		f.write(t, `{"keys":[`+symmetric+`,`+strings.TrimPrefix(jwksText(t, keystest.ES256), `{"keys":[`)+"\n")
		v := newVerifier(t, f.config())
		if err := v.Ready(); err != nil {
			t.Error(err)
		}
		start := time.Now()
		check(t, v, bubbleToken(keystest.ES256), nil)
		check(t, v, bubbleToken(keystest.RS256), verify.ErrUnknownKey)
		mac := keystest.AccessHeader(keystest.ES256).With("alg", `"HS256"`).With("kid", `"s"`)
		check(t, v, issuedAs(bubbleIssuer, keystest.ES256, mac), verify.ErrAlgorithm)
		check(t, v, issuedAs(bubbleIssuer, keystest.ES256, mac.With("alg", `"ES256"`)), verify.ErrUnknownKey)
		if took := time.Since(start); took != 0 {
			t.Errorf("took %v", took)
		}
	})
}

// A file is read again every minute: a key that was removed there is refused without anybody asking.
func TestFileReplaced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newSetFile(t, keystest.ES256, keystest.RS256)
		v := startBubble(t, f.config())
		revoked, other := bubbleToken(keystest.ES256), bubbleToken(keystest.RS256)
		for range 3 { // the last time from the cache
			check(t, v, revoked, nil)
			check(t, v, other, nil)
		}
		f.write(t, jwksText(t, keystest.RS256))
		check(t, v, revoked, nil)
		time.Sleep(66 * time.Second) // a minute, and the tenth that is left to chance
		synctest.Wait()
		check(t, v, revoked, verify.ErrUnknownKey)
		check(t, v, other, nil)
	})
}

// An unknown kid makes the file be read at once, as often as the cool-down allows.
func TestFileUnknownKid(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newSetFile(t, keystest.ES256)
		cfg := f.config()
		var reads atomic.Int64
		cfg.OnFetch = func(verify.Fetched) { reads.Add(1) }
		v := startBubble(t, cfg)
		time.Sleep(cooldown)
		fresh, start, before := bubbleToken(keystest.RS256), time.Now(), reads.Load()
		f.write(t, jwksText(t, keystest.ES256, keystest.RS256))
		check(t, v, fresh, nil)
		for range 100 {
			check(t, v, bubbleToken(keystest.ES256Other), verify.ErrUnknownKey)
		}
		if took := time.Since(start); took != 0 || reads.Load() != before+1 {
			t.Errorf("took %v and %d reads", took, reads.Load()-before)
		}
	})
}

// Bad contents never replace good keys, which last until they are too old; good contents mend it.
func TestFileSpoiled(t *testing.T) {
	t.Parallel()
	rows := badFiles(t)
	for _, row := range append(rows, rows[0]) {
		spoil := func(t *testing.T, f setFile) { f.write(t, row.text) }
		if row.name == rows[0].name {
			row.name = "gone"
			spoil = func(t *testing.T, f setFile) {
				if err := os.Remove(string(f)); err != nil {
					t.Fatal(err)
				}
			}
		}
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newSetFile(t, keystest.ES256)
				v := startBubble(t, f.config())
				good := bubbleToken(keystest.ES256)
				spoil(t, f)
				time.Sleep(23*time.Hour + 58*time.Minute)
				check(t, v, good, nil)
				check(t, v, bubbleToken(keystest.RS256), verify.ErrUnknownKey)
				time.Sleep(5 * time.Minute)
				check(t, v, good, verify.ErrUnavailable)
				f.write(t, jwksText(t, keystest.ES256))
				time.Sleep(66 * time.Second)
				synctest.Wait()
				check(t, v, good, nil)
			})
		})
	}
}

// Not parallel: it looks at all goroutines.
func TestCloseFile(t *testing.T) {
	before := goleak.IgnoreCurrent()
	v, err := verify.New(newSetFile(t, keystest.ES256).config())
	if err != nil {
		t.Fatal(err)
	}
	check(t, v, bubbleToken(keystest.ES256), nil)
	v.Close()
	v.Close()
	goleak.VerifyNone(t, before)
	check(t, v, bubbleToken(keystest.ES256), nil)
}
