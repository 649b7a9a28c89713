package tokens_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"sync/atomic"
	"testing"

	"example.com/signet/client/tokens"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

// ways returns in how many ways a request says who asks. One is the most that there may be (RFC 6749 §2.3).
func ways(r request) (n int) {
	for _, is := range []bool{
		len(r.header.Values("Authorization")) > 0,
		r.form.Has("client_secret"),
		r.form.Has("client_assertion") || r.form.Has("client_assertion_type"),
	} {
		if is {
			n++
		}
	}
	return n
}

// one returns the only request that came, after checking that it says once who asks.
func one(t *testing.T, i *issuer) request {
	t.Helper()
	requests := i.Requests()
	if len(requests) != 1 {
		t.Fatalf("%d requests, want one", len(requests))
	}
	r := requests[0]
	if n := ways(r); n != 1 || r.query != "" || r.method != http.MethodPost {
		t.Errorf("%s with query %q authenticates in %d ways", r.method, r.query, n)
	}
	for name, values := range r.form {
		if len(values) != 1 {
			t.Errorf("%s comes %d times", name, len(values))
		}
	}
	return r
}

func encoded(number *big.Int) string { return base64.RawURLEncoding.EncodeToString(number.Bytes()) }

// jwk is a private key as a JWK with a kid.
func jwk(t *testing.T, name, kid string) []byte {
	t.Helper()
	switch raw := keystest.Raw(name).(type) {
	case *ecdsa.PrivateKey:
		point, err := raw.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		d, err := raw.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		part := base64.RawURLEncoding.EncodeToString
		return fmt.Appendf(nil, `{"kty":"EC","crv":"P-256","kid":%q,"x":%q,"y":%q,"d":%q}`, kid, part(point[1:33]), part(point[33:]), part(d))
	case *rsa.PrivateKey:
		return fmt.Appendf(nil, `{"kty":"RSA","kid":%q,"n":%q,"e":"AQAB","d":%q,"p":%q,"q":%q}`,
			kid, encoded(raw.N), encoded(raw.D), encoded(raw.Primes[0]), encoded(raw.Primes[1]))
	}
	t.Fatalf("no JWK of %s", name)
	return nil
}

// driver is a signer whose key nobody sees, as of a key in hardware, until it is out of order.
type driver struct {
	crypto.Signer
	broken atomic.Bool
	signed atomic.Int64
}

var errDriver = errors.New("token not present")

func (d *driver) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	d.signed.Add(1)
	if d.broken.Load() {
		return nil, errDriver
	}
	return d.Signer.Sign(random, digest, opts)
}

func TestPrivateKey(t *testing.T) {
	t.Parallel()
	parse := func(text []byte) func(*testing.T) (*keys.PrivateKey, error) {
		return func(*testing.T) (*keys.PrivateKey, error) { return keys.ParseClientKey(text) }
	}
	fromJWK := func(name, kid string) func(*testing.T) (*keys.PrivateKey, error) {
		return func(t *testing.T) (*keys.PrivateKey, error) { return keys.ParseClientKey(jwk(t, name, kid)) }
	}
	fromDriver := func(name string) func(*testing.T) (*keys.PrivateKey, error) {
		return func(*testing.T) (*keys.PrivateKey, error) {
			return keys.NewPrivateKey(&driver{Signer: keystest.Raw(name)})
		}
	}
	thumbprint := func(name string) string { return keystest.Key(name).ID() }
	for _, test := range []struct {
		name string
		key  func(*testing.T) (*keys.PrivateKey, error)
		kid  string
		alg  keys.Algorithm
	}{
		{"ES256, PEM", parse(keystest.PEM(keystest.ES256)), thumbprint(keystest.ES256), keys.ES256},
		{"RS256, PEM", parse(keystest.PEM(keystest.RS256)), thumbprint(keystest.RS256), keys.RS256},
		{"ES256, JWK with a kid", fromJWK(keystest.ES256, "billing-2026"), "billing-2026", keys.ES256},
		{"RS256, JWK with a kid", fromJWK(keystest.RS256, "billing-2026"), "billing-2026", keys.RS256},
		{"ES256, JWK with an odd kid", fromJWK(keystest.ES256, `a"b é/../`), `a"b é/../`, keys.ES256},
		{"ES256, JWK without kid", fromJWK(keystest.ES256, ""), thumbprint(keystest.ES256), keys.ES256},
		{"RS256, JWK without kid", fromJWK(keystest.RS256, ""), thumbprint(keystest.RS256), keys.RS256},
		{"ES256, in hardware", fromDriver(keystest.ES256), thumbprint(keystest.ES256), keys.ES256},
		{"RS256, in hardware", fromDriver(keystest.RS256), thumbprint(keystest.RS256), keys.RS256},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key, err := test.key(t)
			if err != nil {
				t.Fatal(err)
			}
			set, err := keys.NewSet(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			i := newIssuer(t)
			cfg := config(t, i)
			cfg.Credential = tokens.PrivateKey(key)
			wantToken(t, newSource(t, cfg), "token-1")
			assertion := verified(t, one(t, i), set)
			if want := (keys.Header{Algorithm: test.alg, KeyID: test.kid, Type: "client-authentication+jwt"}); assertion.Header != want {
				t.Errorf("header %+v, want %+v", assertion.Header, want)
			}
			if got := claims(t, assertion); got.Subject != "billing" || len(got.Audience) != 1 || got.Audience[0] != i.URL {
				t.Errorf("claims %+v", got)
			}
		})
	}
}

// A key that does not sign any more is our own trouble: nothing is sent, and nothing tried again at once.
func TestSignerFails(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	signer := &driver{Signer: keystest.Raw(keystest.ES256)}
	key, err := keys.NewPrivateKey(signer)
	if err != nil {
		t.Fatal(err)
	}
	clock := keystest.NewClock()
	cfg := config(t, i)
	cfg.Credential, cfg.Now = tokens.PrivateKey(key), clock.Now
	source := newSource(t, cfg)
	signer.broken.Store(true)
	before := signer.signed.Load()
	_, err = source.Token(t.Context())
	if !errors.Is(err, tokens.ErrCredential) || !errors.Is(err, errDriver) || errors.Is(err, tokens.ErrUnreachable) {
		t.Errorf("got %v, want %v and %v", err, tokens.ErrCredential, errDriver)
	}
	want := "credential cannot be used: signing with key " + key.ID() + ": token not present"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if attempts := signer.signed.Load() - before; attempts != 1 || len(i.Requests()) != 0 {
		t.Errorf("%d attempts, %d requests", attempts, len(i.Requests()))
	}
	signer.broken.Store(false)
	clock.Advance(200 * ms)
	wantToken(t, source, "token-1")
}
