package masterkey_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"example.com/signet/issuer/internal/masterkey"
)

var (
	plain      = []byte("a signing key")
	additional = []byte("what it is for")
)

// refuses sees that something does not open.
func refuses(t *testing.T, what string, key *masterkey.Key, sealed, additional []byte) {
	t.Helper()
	opened, err := key.Open(sealed, additional)
	if opened != nil || !errors.Is(err, masterkey.ErrSeal) || err.Error() != "the seal is broken" {
		t.Errorf("%s: %q, %v", what, opened, err)
	}
}

// No bit of what is sealed, or of what it is bound to, can be another.
func TestOpenRefusesAnotherBit(t *testing.T) {
	t.Parallel()
	key := parse(t, one).Newest()
	sealed := key.Seal(plain, additional)
	for i := range 8 * len(sealed) {
		damaged := slices.Clone(sealed)
		damaged[i/8] ^= 1 << (i % 8)
		refuses(t, "another bit of what is sealed", key, damaged, additional)
	}
	for i := range 8 * len(additional) {
		other := slices.Clone(additional)
		other[i/8] ^= 1 << (i % 8)
		refuses(t, "another bit of what it is bound to", key, sealed, other)
	}
	if opened, err := key.Open(sealed, additional); err != nil || !bytes.Equal(opened, plain) {
		t.Errorf("the others: %q, %v", opened, err)
	}
}

func TestOpenRefusesAnotherLength(t *testing.T) {
	t.Parallel()
	key := parse(t, one).Newest()
	sealed := key.Seal(plain, additional)
	for n := range sealed {
		refuses(t, "the beginning of it", key, sealed[:n], additional)
		refuses(t, "the end of it", key, sealed[n+1:], additional)
	}
	refuses(t, "nothing", key, nil, additional)
	refuses(t, "nothing, bound to nothing", key, nil, nil)
	refuses(t, "one octet more", key, append(slices.Clone(sealed), 0), additional)
	refuses(t, "twice", key, append(slices.Clone(sealed), sealed...), additional)
	refuses(t, "bound to nothing", key, sealed, nil)
	refuses(t, "bound to less", key, sealed, additional[:len(additional)-1])
	refuses(t, "bound to more", key, sealed, append(slices.Clone(additional), 0))
	refuses(t, "not sealed", key, plain, additional)
	for _, n := range []int{12, 16, 28, 29, 1000} {
		refuses(t, "zeros", key, make([]byte, n), nil)
	}
}

func TestOpenRefusesAnotherKey(t *testing.T) {
	t.Parallel()
	ring := parse(t, one+"\n"+two)
	sealed := ring.Find(oneID).Seal(plain, additional)
	refuses(t, "the newer key", ring.Newest(), sealed, additional)
	for i := range 8 * 32 {
		other := octets(0)
		other[i/8] ^= 1 << (i % 8)
		refuses(t, "a key with another bit", parse(t, encode(other)).Newest(), sealed, additional)
	}
	if opened, err := parse(t, one).Newest().Open(sealed, additional); err != nil || !bytes.Equal(opened, plain) {
		t.Errorf("the same key, read again: %q, %v", opened, err)
	}
}

// Something that was sealed by another implementation of AES-256-GCM opens, today and always.
func TestOpenWhatWasSealedLongAgo(t *testing.T) {
	t.Parallel()
	sealed := must[[]byte](t)(hex.DecodeString(
		"6465666768696a6b6c6d6e6f293bad0f1e873ff05942348da33c82439528213829898079a26e585847"))
	opened, err := parse(t, one).Newest().Open(sealed, additional)
	if err != nil || !bytes.Equal(opened, plain) {
		t.Errorf("%q, %v", opened, err)
	}
}

// Whatever it is, it opens, and it is AES-256-GCM with the nonce first.
func TestSeal(t *testing.T) {
	t.Parallel()
	key := parse(t, one).Newest()
	aead := must[cipher.AEAD](t)(cipher.NewGCM(must[cipher.Block](t)(aes.NewCipher(octets(0)))))
	rapid.Check(t, func(t *rapid.T) {
		plain, additional := rapid.SliceOf(rapid.Byte()).Draw(t, "plain"), rapid.SliceOf(rapid.Byte()).Draw(t, "additional")
		before := slices.Clone(plain)
		sealed := key.Seal(plain, additional)
		if !bytes.Equal(plain, before) || len(sealed) != 12+len(plain)+16 {
			t.Fatalf("%d octets sealed, and then %x", len(sealed), plain)
		}
		kept := slices.Clone(sealed)
		opened, err := key.Open(sealed, additional)
		if err != nil || !bytes.Equal(opened, plain) || !bytes.Equal(sealed, kept) {
			t.Fatalf("opened: %x, %v", opened, err)
		}
		opened, err = aead.Open(nil, sealed[:12], sealed[12:], additional)
		if err != nil || !bytes.Equal(opened, plain) {
			t.Fatalf("opened by another: %x, %v", opened, err)
		}
	})
}

// The same is never sealed twice the same way: with one nonce for two, both would be readable (NIST SP 800-38D §8). Many
// may use one key at once.
func TestNonceDiffers(t *testing.T) {
	t.Parallel()
	key := parse(t, one).Newest()
	const workers, each = 4, 5000
	var mu sync.Mutex
	nonces := make(map[string]bool)
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for range each {
				sealed := key.Seal(plain, additional)
				mu.Lock()
				nonces[string(sealed[:12])] = true
				mu.Unlock()
				if opened, err := key.Open(sealed, additional); err != nil || !bytes.Equal(opened, plain) {
					t.Errorf("%q, %v", opened, err)
				}
			}
		})
	}
	all.Wait()
	if len(nonces) != workers*each {
		t.Errorf("%d nonces for %d", len(nonces), workers*each)
	}
}
