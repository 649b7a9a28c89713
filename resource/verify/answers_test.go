package verify_test

import (
	"net/http"
	"strings"
	"testing"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

// A bad answer never replaces a good set (V38), and no token of a good key is refused because of one.
func TestBadAnswersKeepGoodKeys(t *testing.T) {
	t.Parallel()
	elsewhere := newServer(t, keystest.ES256Other)
	write := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
	}
	redirect := func(address string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, address, http.StatusFound) }
	}
	symmetric := `{"kty":"oct","kid":"` + keystest.Key(keystest.ES256).ID() + `","alg":"HS256","k":"c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"}`
	tooMany := make([]string, 10_000)
	for i := range tooMany {
		tooMany[i] = `{}`
	}
	rows := []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"500", status(500)},
		{"404", status(404)},
		{"204", status(204)},
		{"304 without asking", status(304)},
		{"401", status(401)},
		{"HTML", write("<!doctype html>")},
		{"nothing", write("")},
		{"an empty object", write("{}")},
		{"empty keys", write(`{"keys":[]}`)},
		{"null keys", write(`{"keys":null}`)},
		{"only odd keys", write(`{"keys":[7,{},{"kty":"AKP"}]}`)},
		{"only a symmetric key, under our kid", write(`{"keys":[` + symmetric + `]}`)},
		{"10,000 keys", write(`{"keys":[` + strings.Join(tooMany, ",") + `]}`)},
		{"10 MB", write(strings.Repeat(" ", 10<<20))},
		{"never ends", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}},
		{"redirect to another origin", redirect(elsewhere.URL + "/.well-known/jwks.json")},
		{"redirect loop", redirect("/.well-known/jwks.json")},
		{"connection closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
		{"answer cut short", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"keys":[`))
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newSourceBench(t, keystest.ES256)
			good, forged := b.token(keystest.ES256), b.forged(keystest.ES256, keystest.ES256Other)
			b.server.Fail(row.answer)
			b.clock.Advance(cooldown)
			check(t, b.Verifier, b.unknown(), verify.ErrUnknownKey) // returns when the bad answer has come
			if b.server.Fetches() < 2 {
				t.Fatal("the bad answer was not asked for")
			}
			check(t, b.Verifier, good, nil)
			check(t, b.Verifier, forged, verify.ErrSignature)
			check(t, b.Verifier, b.token(keystest.ES256Other), verify.ErrUnknownKey) // elsewhere's key is not ours
			if err := b.Ready(); err != nil {
				t.Error(err)
			}
			b.server.Publish(keystest.Set(keystest.ES256, keystest.ES256Other))
			b.server.Fail(nil)
			eventually(t, "a new key after the issuer was mended", func() bool {
				b.clock.Advance(cooldown)
				_, err := b.Verify(t.Context(), b.token(keystest.ES256Other))
				return err == nil
			})
		})
	}
}

// The keys of one odd JWK are skipped alone.
func TestOddKeysAreSkipped(t *testing.T) {
	t.Parallel()
	good, err := keystest.Set(keystest.ES256).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := keystest.Set(keystest.ES256Other).MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	other := string(theirs[len(`{"keys":[`) : len(theirs)-2])
	for name, odd := range map[string]string{
		"symmetric":      `{"kty":"oct","kid":"k","alg":"HS256","k":"AAAA"}`,
		"private":        strings.TrimSuffix(other, "}") + `,"d":"AAAA"}`,
		"encryption":     strings.Replace(other, `"sig"`, `"enc"`, 1),
		"key_ops":        strings.TrimSuffix(other, "}") + `,"key_ops":["encrypt"]}`,
		"no alg":         strings.Replace(other, `"alg":"ES256",`, "", 1),
		"another alg":    strings.Replace(other, `"ES256"`, `"RS256"`, 1),
		"not JSON twice": `{"kty":"EC","kty":"EC"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, clock := newServer(t, keystest.ES256), keystest.NewClock()
			server.Fail(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write([]byte(`{"keys":[` + odd + `,` + string(good[len(`{"keys":[`):])))
			})
			b := sourceBench{server, clock, newVerifier(t, verify.Config{Issuer: server.Issuer(), Now: clock.Now})}
			ready(t, b.Verifier)
			check(t, b.Verifier, b.token(keystest.ES256), nil)
			check(t, b.Verifier, b.token(keystest.ES256Other), verify.ErrUnknownKey)
		})
	}
}
