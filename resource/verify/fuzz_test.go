package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
	"example.com/signet/resource/verify/verifytest"
)

// newFuzzBench is a bench whose issuer has a fixed name: the fuzzer's workers are processes of their own, and a seed of
// an issuer at another port would say nothing to them.
func newFuzzBench(f *testing.F) (bench, []verifytest.Row) {
	f.Helper()
	clock, cfg := keystest.NewClock(), newBubble(keystest.ES256, keystest.RS256).config()
	cfg.Now, cfg.Leeway, cfg.Fetch.Cooldown = clock.Now, -1, 24*time.Hour
	v := newVerifier(f, cfg)
	ready(f, v)
	b := bench{bubbleIssuer, clock, v, keystest.AccessHeader(keystest.ES256),
		keystest.AccessClaims(bubbleIssuer, audience, clock.Now())}
	return b, verifytest.Rows(b.issuer, clock.Now())
}

// The fuzzer writes header, payload and signature. With sign it gets a genuine signature over what it wrote, and so
// comes past the signature to the claims.
func FuzzVerify(f *testing.F) {
	b, rows := newFuzzBench(f)
	for _, row := range rows {
		parts := strings.Split(row.Token, ".")
		if len(row.Token) > keys.MaxTokenSize || len(parts) != 3 || row.Class == "spelling" {
			continue
		}
		sign := row.Class != "algorithm" && row.Class != "signature"
		f.Add(lenientBase64(parts[0]), lenientBase64(parts[1]), lenientBase64(parts[2]), sign)
	}
	f.Fuzz(func(t *testing.T, header, claims, signature []byte, sign bool) {
		input := keystest.Encode(header) + "." + keystest.Encode(claims)
		if sign {
			signature = keystest.SignRaw(keystest.ES256, input)
		}
		b.differ(t, input+"."+keystest.Encode(signature))
	})
}

// FuzzVerifyText gives the fuzzer the whole spelling.
func FuzzVerifyText(f *testing.F) {
	b, rows := newFuzzBench(f)
	for _, row := range rows {
		isText := slices.Contains([]string{"signature", "form", "spelling", "size"}, row.Class)
		if isText && len(row.Token) <= keys.MaxTokenSize+1 {
			f.Add(row.Token)
		}
	}
	f.Fuzz(func(t *testing.T, token string) { b.differ(t, token) })
}

// differ holds Verify against a lenient reader made of the standard library. What Verify accepts, that reader accepts
// as well and understands alike, and it has one spelling: no other spelling of it is accepted, before or after Verify
// has seen the canonical one.
func (b bench) differ(t *testing.T, token string) {
	t.Helper()
	accepted, err := b.once(t, token)
	if err == nil {
		b.compare(t, token, accepted)
	}
	canonical := respell(token)
	if canonical == token {
		return
	}
	if err == nil {
		t.Fatalf("accepted, and its canonical spelling is %q", canonical)
	}
	if claims, err := b.once(t, canonical); err == nil {
		b.compare(t, canonical, claims)
	}
	if _, again := b.once(t, token); again == nil || again.Error() != err.Error() {
		t.Fatalf("%v, and after its canonical spelling was seen: %v", err, again)
	}
}

// once verifies twice, which must be as good as once.
func (b bench) once(t *testing.T, token string) (verify.Claims, error) {
	t.Helper()
	claims, err := b.verifier.Verify(t.Context(), token)
	again, errAgain := b.verifier.Verify(t.Context(), token)
	if err == nil && errAgain == nil {
		if diff := cmp.Diff(saidBy(claims), saidBy(again)); diff != "" {
			t.Fatalf("the second time: %s", diff)
		}
		return claims, nil
	}
	wantOneSentinel(t, err)
	if errAgain == nil || errAgain.Error() != err.Error() {
		t.Fatalf("%v, and the second time: %v", err, errAgain)
	}
	return verify.Claims{}, err
}

func wantOneSentinel(t *testing.T, err error) {
	t.Helper()
	for _, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			wantError(t, err, sentinel)
			return
		}
	}
	t.Fatalf("%v is none of the promised errors", err)
}

// compare holds an accepted token against the lenient reader.
func (b bench) compare(t *testing.T, token string, got verify.Claims) {
	t.Helper()
	read := leniently(t, token)
	now := b.clock.Now()
	switch {
	case len(token) > keys.MaxTokenSize:
		t.Errorf("%d octets", len(token))
	case !strings.HasSuffix(strings.ToLower(read.header.Typ), "at+jwt"):
		t.Errorf("typ %q", read.header.Typ)
	case read.Issuer != b.issuer || !slices.Contains(read.Audience, audience):
		t.Errorf("iss %q, aud %q", read.Issuer, read.Audience)
	case !read.Expires.After(now) || read.IssuedAt.After(now) || read.NotBefore.After(now):
		t.Errorf("exp %v, iat %v, nbf %v at %v", read.Expires, read.IssuedAt, read.NotBefore, now)
	case read.Subject == "" || read.ClientID == "" || read.ID == "" || read.IssuedAt.IsZero():
		t.Errorf("something is missing: %+v", read.said)
	case read.isBound:
		t.Error("a cnf")
	}
	if diff := cmp.Diff(read.said, saidBy(got), nearly); diff != "" {
		t.Errorf("a lenient reader understands something else: %s", diff)
	}
}

// said is what a token says, as a reader has understood it.
type said struct {
	Issuer, Subject, ClientID, ID string
	Audience, Scope               []string
	Expires, IssuedAt, NotBefore  time.Time
}

// nearly is for times that went through a float.
var nearly = cmp.Options{cmpopts.EquateApproxTime(time.Millisecond), cmpopts.EquateEmpty()}

// saidBy is the one place here that knows what Claims looks like.
func saidBy(c verify.Claims) said {
	return said{c.Issuer(), c.Subject(), c.ClientID(), c.ID(), c.Audience(), slices.Collect(c.Scopes()), c.Expires(), c.IssuedAt(),
		c.NotBefore()}
}

// words leaves out the empty ones, which two spaces in a row make and which no scope is.
func words(scope []string) []string {
	return slices.DeleteFunc(slices.Clone(scope), func(word string) bool { return word == "" })
}

// lenient is a token as the standard library alone reads it.
type lenient struct {
	said
	header  struct{ Alg, Kid, Typ string }
	isBound bool
}

// leniently reads a token as many do: any base64, encoding/json, and the signature by the key that kid names. It fails
// the test where even that does not accept the token.
func leniently(t *testing.T, token string) (read lenient) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%d segments", len(parts))
	}
	var claims struct {
		Iss, Sub, Jti, Scope string
		ClientID             string `json:"client_id"`
		Aud                  json.RawMessage
		Exp, Iat, Nbf        float64
	}
	lenientJSON(t, lenientBase64(parts[0]), &read.header)
	members := lenientJSON(t, lenientBase64(parts[1]), &claims)
	_, read.isBound = members["cnf"]
	read.said = said{claims.Iss, claims.Sub, claims.ClientID, claims.Jti, oneOrMany(t, claims.Aud),
		words(strings.Split(claims.Scope, " ")),
		date(claims.Exp), date(claims.Iat), date(claims.Nbf)}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	key := published()[read.header.Kid]
	if key.alg != read.header.Alg || !verifyRaw(key.public, digest[:], lenientBase64(parts[2])) {
		t.Fatalf("the standard library does not verify it with the key %q for %q", read.header.Kid, read.header.Alg)
	}
	return read
}

type publishedKey struct {
	alg    string
	public crypto.PublicKey
}

// published are the issuer's keys by kid, read once: the fuzzer has no time for more.
var published = sync.OnceValue(func() map[string]publishedKey {
	all := make(map[string]publishedKey)
	for alg, name := range map[string]string{"ES256": keystest.ES256, "RS256": keystest.RS256} {
		all[keystest.Key(name).ID()] = publishedKey{alg, keystest.Raw(name).Public()}
	}
	return all
})

// lenientJSON is encoding/json, which matches names in any letter case and takes the last. Verify takes names exactly;
// to it the others are unknown members, which it may accept: they are left out here.
func lenientJSON(t *testing.T, data []byte, v any) map[string]json.RawMessage {
	t.Helper()
	var members map[string]json.RawMessage
	if err := json.Unmarshal(data, &members); err != nil {
		t.Fatalf("encoding/json refuses %q: %v", data, err)
	}
	for name := range members {
		if strings.ToLower(name) != name || strings.ContainsAny(name, "\u017f\u212a") { // ſ and the Kelvin sign
			delete(members, name)
		}
	}
	kept, err := json.Marshal(members)
	if err == nil {
		err = json.Unmarshal(kept, v)
	}
	if err != nil {
		t.Fatalf("encoding/json refuses %q: %v", data, err)
	}
	return members
}

func oneOrMany(t *testing.T, data []byte) (many []string) {
	t.Helper()
	var one string
	if json.Unmarshal(data, &one) == nil {
		return []string{one}
	}
	if err := json.Unmarshal(data, &many); err != nil {
		t.Fatalf("encoding/json refuses the aud %q: %v", data, err)
	}
	return many
}

func date(seconds float64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)).UTC()
}

// lenientBase64 decodes either alphabet, with or without padding, and passes over what else is there.
func lenientBase64(segment string) []byte {
	segment = strings.Map(func(r rune) rune {
		switch {
		case r == '+':
			return '-'
		case r == '/':
			return '_'
		case r == '-', r == '_', '0' <= r && r <= '9', 'A' <= r && r <= 'Z', 'a' <= r && r <= 'z':
			return r
		}
		return -1
	}, segment)
	if len(segment)%4 == 1 {
		segment = segment[:len(segment)-1]
	}
	decoded, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		panic(err) // nothing is left that could be wrong
	}
	return decoded
}

// respell is the canonical spelling of the octets that a lenient reader finds in a token.
func respell(token string) string {
	parts := strings.Split(token, ".")
	for i := range parts {
		parts[i] = base64.RawURLEncoding.EncodeToString(lenientBase64(parts[i]))
	}
	return strings.Join(parts, ".")
}

// verifyRaw verifies a signature as a JWS has it; public may be nil.
func verifyRaw(public crypto.PublicKey, digest, signature []byte) bool {
	if key, ok := public.(*ecdsa.PublicKey); ok {
		half := len(signature) / 2
		return ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:half]),
			new(big.Int).SetBytes(signature[half:]))
	}
	key, ok := public.(*rsa.PublicKey)
	return ok && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil
}
