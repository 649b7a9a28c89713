package verify_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// What Verify accepts, a lenient reader made of the standard library accepts as well and understands alike, and it has
// one spelling. The fuzzer writes header, payload and signature; with sign it gets a genuine signature over what it
// wrote, and so comes past the signature to the claims.
func FuzzVerify(f *testing.F) {
	b := newBench(f, verify.Config{})
	header, claims := b.header.String(), b.claims.String()
	signature := string(keystest.SignRaw(keystest.ES256, keystest.Encode(header)+"."+keystest.Encode(claims)))
	f.Add(header, claims, "", true)
	f.Add(header, claims, signature, false)
	f.Add(header, claims, signature+"\x00", false)
	f.Add(b.header.With("typ", `"AT+JWT"`).String(), b.claims.With("aud", `["a","`+audience+`"]`).String(), "", true)
	for _, o := range []keystest.Object{b.header.With("alg", `"none"`), b.header.Twice("alg", `"ES256"`), b.header.With("crit", "[]"),
		b.header.With(`\u0061lg`, "1"), b.header.Without("kid"), b.header.With("b64", "false")} {
		f.Add(o.String(), claims, "", true)
	}
	for _, o := range []keystest.Object{b.claims.With("exp", "1e400"), b.claims.With("exp", `"1"`), b.claims.Twice("iss", `"x"`),
		b.claims.With("EXP", "1"), b.claims.With("sub", `"\ud800"`), b.claims.With("cnf", "null"), b.claims.With("nbf", "1.5e0")} {
		f.Add(header, o.String(), "", true)
	}
	f.Fuzz(func(t *testing.T, header, claims, signature string, sign bool) {
		input := keystest.Encode(header) + "." + keystest.Encode(claims)
		if sign {
			signature = string(keystest.SignRaw(keystest.ES256, input))
		}
		token := input + "." + keystest.Encode(signature)
		got, err := b.verifier.Verify(t.Context(), token)
		if err != nil {
			wantOneSentinel(t, err)
			return
		}
		if len(token) > keys.MaxTokenSize {
			t.Fatalf("accepted %d octets", len(token))
		}
		b.compare(t, token, got)
	})
}

// FuzzVerifyText gives the fuzzer the whole spelling.
func FuzzVerifyText(f *testing.F) {
	b := newBench(f, verify.Config{})
	for _, name := range []string{keystest.ES256, keystest.RS256, keystest.ES256Other} {
		token := keystest.AccessToken(name, b.claims)
		for _, text := range []string{token, token + "=", token + "\n", " " + token, token + ".", token[:len(token)-1],
			strings.ToUpper(token), strings.Replace(token, ".", "..", 1)} {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, token string) {
		got, err := b.verifier.Verify(t.Context(), token)
		if err != nil {
			wantOneSentinel(t, err)
			return
		}
		b.compare(t, token, got)
	})
}

func wantOneSentinel(t *testing.T, err error) {
	t.Helper()
	for _, sentinel := range sentinels {
		if strings.HasPrefix(err.Error(), sentinel.Error()+": ") {
			wantError(t, err, sentinel)
			return
		}
	}
	t.Fatalf("%v is none of the promised errors", err)
}

// compare holds an accepted token against the lenient reader.
func (b bench) compare(t *testing.T, token string, got verify.Claims) {
	t.Helper()
	segments := strings.Split(token, ".")
	if len(segments) != 3 {
		t.Fatalf("accepted %d segments", len(segments))
	}
	var decoded [3][]byte
	for i, segment := range segments {
		octets, err := base64.RawURLEncoding.DecodeString(segment)
		if err != nil || base64.RawURLEncoding.EncodeToString(octets) != segment {
			t.Fatalf("segment %d has another spelling: %q, %v", i, segment, err)
		}
		decoded[i] = octets
	}
	var header struct{ Alg, Kid, Typ string }
	var claims struct {
		Iss, Sub, Jti string
		ClientID      string `json:"client_id"`
		Aud           any
		Exp, Iat, Nbf float64
		Cnf           any
	}
	// encoding/json matches names in any letter case and takes the last: where it reads something else than Verify did,
	// that name was there in a second spelling. Verify may accept such tokens, for to it they are unknown members.
	exact := func(data []byte, v any) {
		var all map[string]json.RawMessage
		if err := json.Unmarshal(data, &all); err != nil {
			t.Fatalf("encoding/json refuses %q: %v", data, err)
		}
		for name := range all {
			if strings.ToLower(name) != name || strings.ContainsAny(name, "ſK") {
				delete(all, name)
			}
		}
		kept, err := json.Marshal(all)
		if err == nil {
			err = json.Unmarshal(kept, v)
		}
		if err != nil {
			t.Fatalf("encoding/json refuses %q: %v", data, err)
		}
	}
	exact(decoded[0], &header)
	exact(decoded[1], &claims)
	now := float64(b.clock.Now().Unix())
	switch audiences, _ := claims.Aud.([]any); {
	case !strings.HasSuffix(strings.ToLower(header.Typ), "at+jwt"):
		t.Errorf("typ %q", header.Typ)
	case claims.Iss != b.issuer || got.Issuer != b.issuer:
		t.Errorf("iss %q, %q", claims.Iss, got.Issuer)
	case claims.Aud != audience && !slices.Contains(audiences, any(audience)):
		t.Errorf("aud %v", claims.Aud)
	case claims.Exp <= now || claims.Iat > now || claims.Nbf > now:
		t.Errorf("exp %v, iat %v, nbf %v at %v", claims.Exp, claims.Iat, claims.Nbf, now)
	case claims.Sub == "" || claims.Sub != got.Subject || claims.ClientID == "" || claims.ClientID != got.ClientID ||
		claims.Jti == "" || claims.Jti != got.ID:
		t.Errorf("%+v and %+v", claims, got)
	case claims.Cnf != nil:
		t.Error("cnf")
	}
	name := map[string]string{"ES256": keystest.ES256, "RS256": keystest.RS256}[header.Alg]
	if name == "" || keystest.Key(name).ID() != header.Kid {
		t.Fatalf("alg %q, kid %q", header.Alg, header.Kid)
	}
	digest := sha256.Sum256([]byte(segments[0] + "." + segments[1]))
	if !verifyRaw(keystest.Raw(name).Public(), digest[:], decoded[2]) {
		t.Errorf("the standard library does not verify %q", token)
	}
}

// verifyRaw verifies a signature as a JWS has it.
func verifyRaw(public crypto.PublicKey, digest, signature []byte) bool {
	if key, ok := public.(*ecdsa.PublicKey); ok {
		half := len(signature) / 2
		return ecdsa.Verify(key, digest, new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:]))
	}
	return rsa.VerifyPKCS1v15(public.(*rsa.PublicKey), crypto.SHA256, digest, signature) == nil
}
