package main

import (
	"archive/tar"
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

const passphrase = "correct horse battery staple"

// packed is a file of an archive of keys.
type packed struct {
	name string
	text []byte
}

// pack makes an archive as issuer keys export --private does, but one that opens without taking a second.
func pack(t *testing.T, files ...packed) []byte {
	t.Helper()
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		t.Fatal(err)
	}
	recipient.SetWorkFactor(4)
	return sealFor(t, recipient, files...)
}

func sealFor(t *testing.T, recipient age.Recipient, files ...packed) []byte {
	t.Helper()
	var out bytes.Buffer
	sealed, err := age.Encrypt(&out, recipient)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(sealed)
	for _, file := range files {
		header := &tar.Header{Name: file.name, Mode: 0o600, Size: int64(len(file.text)), ModTime: time.Now()}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(file.text); err != nil {
			t.Fatal(err)
		}
	}
	for _, end := range []io.Closer{archive, sealed} {
		if err := end.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

const (
	firstName  = "es256-20260101T000000Z.pem"
	secondName = "es256-20260201T000000Z.pem"
)

// An archive is taken in as a whole or not at all: whatever somebody has put into it, nothing is left of it, inside of the
// key directory or outside.
func TestArchiveRefused(t *testing.T) {
	t.Parallel()
	first, other := keystest.PEM(keystest.ES256), keystest.PEM(keystest.ES256Other)
	good := pack(t, packed{firstName, first}, packed{secondName, other})
	stranger, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	cut := func(size int) []byte { return good[:size] }
	flip := func(at int) []byte {
		text := bytes.Clone(good)
		text[at] ^= 1
		return text
	}
	const badName = "unusable key: a signing key's file is named by when it signs, like es256-20261123T101500Z.pem"
	rows := []struct {
		name    string
		archive []byte
		cause   string
	}{
		{"another passphrase", nil, "incorrect passphrase"},
		{"sealed for somebody else", sealFor(t, stranger.Recipient(), packed{firstName, first}),
			"identity did not match any of the recipients"},
		{"no keys", pack(t), "no keys"},
		{"a damaged header", flip(40), "opening ARCHIVE: "},
		{"a damaged key", flip(len(good) - 100), "not an archive of keys: failed to decrypt and authenticate payload chunk"},
		{"half of a header", cut(60), "opening ARCHIVE: failed to read header"},
		{"half of a key", cut(len(good) / 2), "not an archive of keys: "},
		{"the last octet missing", cut(len(good) - 1), "not an archive of keys: "},
		{"the first line alone", []byte("age-encryption.org/v1\n"), "opening ARCHIVE: failed to read header"},
		{"a name out of the directory", pack(t, packed{"../" + firstName, first}), badName},
		{"a name in a folder", pack(t, packed{"keys/" + firstName, first}), badName},
		{"an absolute name", pack(t, packed{"/tmp/" + firstName, first}), badName},
		{"a name that says nothing", pack(t, packed{firstName, first}, packed{"README", other}), badName},
		{"a name of another algorithm", pack(t, packed{"rs256-20260101T000000Z.pem", first}),
			"unusable key: named RS256, but the key is for ES256"},
		{"a moment that is none", pack(t, packed{"es256-20261301T000000Z.pem", first}), badName},
		{"the same key twice", pack(t, packed{firstName, first}, packed{secondName, first}), "twice"},
		{"two keys for one moment", pack(t, packed{firstName, first}, packed{firstName, other}),
			"unusable key: two ES256 keys sign from 20260101T000000Z"},
		{"a public key", pack(t, packed{firstName, publicPEM(t)}), "unusable key: this is a PUBLIC KEY, a private key is needed"},
		{"a weak key", pack(t, packed{"rs256-20260101T000000Z.pem", keystest.PEM(keystest.WeakRSA)}),
			"unusable key: RSA of 1024 bits, want 2048 to 8192"},
		{"half of a key's text", pack(t, packed{firstName, first[:100]}), "unusable key: PEM is truncated or damaged"},
		{"an empty key", pack(t, packed{firstName, nil}), "unusable key: "},
		{"larger than any ring", pack(t, packed{firstName, bytes.Repeat([]byte("\n"), 2<<20)}), "not an archive of keys: "},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.archive == nil {
				archiveRefused(t, good, "correct horse battery stable", row.cause)
				return
			}
			archiveRefused(t, row.archive, passphrase, row.cause)
		})
	}
}

func archiveRefused(t *testing.T, archive []byte, passphrase, cause string) {
	t.Helper()
	h := newHome(t, "")
	h.settings = []string{"--keys-dir", h.path("back")}
	h.write("ring.age", archive)
	h.write("passphrase", []byte(passphrase+"\n"))
	got := h.run("keys", "import", h.path("ring.age"), "--passphrase-file", h.path("passphrase"))
	cause = strings.ReplaceAll(cause, "ARCHIVE", h.path("ring.age"))
	if got.code != exitUsage || got.stdout != "" || !strings.HasPrefix(got.stderr, "error: ") ||
		!strings.Contains(got.stderr, cause) {
		t.Errorf("code %d, stdout %q, stderr\n%swant %q", got.code, got.stdout, got.stderr, cause)
	}
	if strings.Contains(got.stderr, "BEGIN") || strings.Contains(got.stderr, "horse") {
		t.Errorf("a key or the passphrase is shown:\n%s", got.stderr)
	}
	if _, err := os.Stat(h.path("back")); !os.IsNotExist(err) {
		t.Errorf("the key directory was made: error %v", err)
	}
}

func publicPEM(t *testing.T) []byte {
	t.Helper()
	text, err := keystest.Key(keystest.ES256).Public().MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What age and tar have made is as good as what the issuer has: the same moments, and nothing is taken in twice.
func TestArchiveTakenIn(t *testing.T) {
	t.Parallel()
	h := newHome(t, "")
	h.settings = []string{"--keys-dir", h.path("back")}
	h.write("passphrase", []byte(passphrase))
	key, err := keys.GenerateKey(keys.ES256)
	h.must(err)
	third, err := key.MarshalPEM()
	h.must(err)
	first := packed{firstName, keystest.PEM(keystest.ES256)}
	h.write("one.age", pack(t, first))
	h.write("two.age", pack(t, first, packed{secondName, keystest.PEM(keystest.ES256Other)}))
	h.write("taken.age", pack(t, packed{secondName, third}))
	take := func(file string, want ran) {
		t.Helper()
		got := h.run("keys", "import", h.path(file), "--passphrase-file", h.path("passphrase"))
		if got != want {
			t.Errorf("%s: %+v\nwant %+v", file, got, want)
		}
	}
	take("one.age", ran{stdout: keystest.Key(keystest.ES256).ID() + "\tES256\tsigns from 2026-01-01T00:00:00Z\n"})
	take("two.age", ran{stdout: keystest.Key(keystest.ES256Other).ID() + "\tES256\tsigns from 2026-02-01T00:00:00Z\n"})
	take("two.age", ran{stderr: "every key is there already\n"})
	take("taken.age", ran{stderr: "error: a key is there already: " + secondName + "\n", code: exitUsage})
	if got, want := h.ok("keys", "export"), jwksOf(t, keystest.ES256Other, keystest.ES256); got != want {
		t.Errorf("keys %s\nwant %s", got, want)
	}
}

// jwksOf is the JWK Set of those keys.
func jwksOf(t *testing.T, names ...string) string {
	t.Helper()
	set, err := keystest.Set(names...).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return string(set)
}
