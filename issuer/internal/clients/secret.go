package clients

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"sync/atomic"
	"time"
)

// Secret is a client secret as it is kept: its SHA-256, never the secret. A secret is 256 random bits, which no guessing
// finds, so a slow hash would add nothing.
type Secret struct {
	Digest  [sha256.Size]byte
	Expires time.Time // zero: never

	noted *atomic.Int64 // when its use was last noted, Unix seconds; nil: never
}

// Name returns the first 8 digits of the secret's SHA-256, which tell a client's secrets apart and give nothing away.
func (s *Secret) Name() string { return hex.EncodeToString(s.Digest[:4]) }

// noteEvery is how exactly the last use of a secret is known.
const noteEvery = time.Minute

// Use tells that the secret has proved its client at now, and reports whether that is worth noting: the first time, and
// then no oftener than every minute.
func (s *Secret) Use(now time.Time) bool {
	if s.noted == nil {
		return true
	}
	before, seconds := s.noted.Load(), now.Unix()
	return seconds-before >= int64(noteEvery/time.Second) && s.noted.CompareAndSwap(before, seconds)
}

// nobody's digest is compared when there is no client, so that the answer takes as long as for a wrong secret.
var nobody = []Secret{{}}

// MatchSecret returns the client's secret that secret is and that has not expired at now, or nil. A nil or disabled client
// has none, and finding that out takes as long as finding a wrong secret.
func (c *Client) MatchSecret(secret string, now time.Time) *Secret {
	secrets := nobody
	known := c != nil && c.Enabled && len(c.Secrets) > 0
	if known {
		secrets = c.Secrets
	}
	digest := sha256.Sum256([]byte(secret))
	var match *Secret
	for i := range secrets {
		live := secrets[i].Expires.IsZero() || now.Before(secrets[i].Expires)
		if subtle.ConstantTimeCompare(digest[:], secrets[i].Digest[:]) == 1 && live {
			match = &secrets[i]
		}
	}
	if !known {
		return nil
	}
	return match
}

// ParseDigest reads a SHA-256 in 64 hexadecimal digits.
func ParseDigest(text string) (digest [sha256.Size]byte, err error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != len(digest) {
		return digest, errors.New("not a SHA-256 in 64 hexadecimal digits")
	}
	copy(digest[:], raw)
	return digest, nil
}

// secretSize is how many random octets a secret has.
const secretSize = 32

// GenerateSecret returns a new secret, in characters that no encoding changes, and its SHA-256, which is all that is kept.
func GenerateSecret() (text string, digest [sha256.Size]byte) {
	raw := make([]byte, secretSize)
	rand.Read(raw) // never fails
	text = base64.RawURLEncoding.EncodeToString(raw)
	return text, sha256.Sum256([]byte(text))
}
