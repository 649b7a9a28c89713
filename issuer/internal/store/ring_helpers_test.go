package store_test

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/issuer/internal/masterkey"
	"example.com/signet/issuer/internal/store"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// newRing returns the ring of a store under a new master key.
func newRing(t *testing.T, s *store.Store) store.Ring {
	t.Helper()
	path := filepath.Join(t.TempDir(), "master.key")
	_, err := masterkey.Create(path)
	must(t, err)
	return store.Ring{Store: s, MasterKeys: path}
}

// ringKey makes a key that signs so long after the test's clock began, and was published a day before.
func ringKey(t *testing.T, after time.Duration) keys.RingKey {
	t.Helper()
	key, err := keys.GenerateKey(keys.ES256)
	must(t, err)
	return ringKeyOf(key, after)
}

func ringKeyOf(key *keys.PrivateKey, after time.Duration) keys.RingKey {
	from := keystest.NewClock().Now().Add(after)
	return keys.RingKey{Key: key, SignsFrom: from, PublishedAt: from.Add(-24 * time.Hour)}
}

// filled returns a ring of three keys and the keys, newest first.
func filled(t *testing.T, s *store.Store) (ring store.Ring, all []keys.RingKey) {
	t.Helper()
	ring = newRing(t, s)
	all = []keys.RingKey{
		ringKey(t, 2*time.Hour), ringKeyOf(keystest.Key(keystest.RS256), time.Hour), ringKey(t, 0),
	}
	must(t, ring.AddAll(all...))
	return ring, all
}

// line is a key as a test compares it. The PEM proves that it is the key, and no other of that name.
type line struct {
	Alg, Kid, PEM          string
	SignsFrom, PublishedAt int64
}

func linesOf(t *testing.T, all []keys.RingKey) (lines []line) {
	t.Helper()
	for _, k := range all {
		text, err := k.Key.MarshalPEM()
		must(t, err)
		lines = append(lines, line{
			string(k.Key.Algorithm()), k.Key.ID(), string(text), k.SignsFrom.Unix(), k.PublishedAt.Unix(),
		})
	}
	return lines
}

// wantKeys sees that the ring has these keys, newest first, and no others.
func wantKeys(t *testing.T, ring store.Ring, want ...keys.RingKey) {
	t.Helper()
	got, err := ring.Read()
	must(t, err)
	if diff := cmp.Diff(linesOf(t, want), linesOf(t, got.Keys())); diff != "" {
		t.Errorf("the ring, - want + got:\n%s", diff)
	}
}

func stateOf(t *testing.T, ring store.Ring) string {
	t.Helper()
	state, err := ring.State()
	must(t, err)
	return state
}

// masterIDs are those in the ring's file, the newest last.
func masterIDs(t *testing.T, ring store.Ring) []string {
	t.Helper()
	masters, err := masterkey.Read(ring.MasterKeys)
	must(t, err)
	return masters.IDs()
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	return string(text)
}

// material is what of the keys and the master keys must be nowhere else: the lines, and the octets that they stand for.
func material(t *testing.T, ring store.Ring, all []keys.RingKey) (secrets []string) {
	t.Helper()
	for _, line := range linesOf(t, all) {
		block, _ := pem.Decode([]byte(line.PEM))
		secrets = append(secrets, line.PEM, string(block.Bytes[30:62]), line.PEM[40:80])
	}
	const prefix = "signet-master-key-1:"
	return append(secrets, readFile(t, ring.MasterKeys)[len(prefix):len(prefix)+43])
}
