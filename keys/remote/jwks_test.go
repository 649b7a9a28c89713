package remote_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/remote"
)

func TestJWKSBadAnswers(t *testing.T) {
	t.Parallel()
	good := goodSet(t)
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}
	}
	rows := []struct {
		name    string
		handler http.HandlerFunc
		want    error
		text    string
	}{
		{"500", status(500, "oops"), remote.ErrFetch, "status 500"},
		{"500 with a good set in it", status(500, good), remote.ErrFetch, "status 500"},
		{"404 with a good set in it", status(404, good), remote.ErrFetch, "status 404"},
		{"204", status(204, ""), remote.ErrFetch, "status 204"},
		{"201 with a good set in it", status(201, good), remote.ErrFetch, "status 201"},
		{"206 with a good set in it", status(206, good), remote.ErrFetch, "status 206"},
		{"304 without asking", status(304, ""), remote.ErrFetch, "status 304"},
		{"300 without a place", status(300, good), remote.ErrFetch, "status 300"},
		{"302 without a place", status(302, good), remote.ErrFetch, "302"},
		{"HTML", answer("<!doctype html><title>Sign in</title>"), keys.ErrNotSet, ""},
		{"nothing", answer(""), keys.ErrNotSet, ""},
		{"no keys", answer(`{}`), keys.ErrNotSet, ""},
		{"empty keys", answer(`{"keys":[]}`), keys.ErrNoKeys, ""},
		{"null keys", answer(`{"keys":null}`), keys.ErrNotSet, ""},
		{"keys an object", answer(`{"keys":{}}`), keys.ErrNotSet, ""},
		{"a bare array", answer(`[]`), keys.ErrNotSet, ""},
		{"keys twice", answer(`{"keys":[],` + good[1:]), keys.ErrNotSet, ""},
		{"a set and more", answer(good + good), keys.ErrNotSet, ""},
		{"cut short", answer(good[:len(good)-2]), keys.ErrNotSet, ""},
		{"one symmetric key", answer(`{"keys":[{"kty":"oct","kid":"k","alg":"HS256","k":"AAAA"}]}`), keys.ErrNoKeys, ""},
		{"10 MB", answer(strings.Repeat(" ", 10<<20) + good), remote.ErrFetch, "longer than 524288 octets"},
		{"one octet too many", answer(good + strings.Repeat(" ", keys.MaxSetSize+1-len(good))), remote.ErrFetch, "longer"},
		{"a gzip bomb", bomb(t), remote.ErrFetch, "longer"},
		{"less than Content-Length says", short(good), remote.ErrFetch, "reading the answer"},
		{"connection closed", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, remote.ErrFetch, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, row.handler)
			document, err := remote.Fetcher{}.JWKS(soon(t, 5*time.Second), s.URL, nil)
			wantError(t, err, row.want, row.text)
			if document != nil {
				t.Errorf("a document beside the error: %+v", document)
			}
		})
	}
}

// bomb answers with 8 MB in a few kilobytes.
func bomb(t *testing.T) http.HandlerFunc {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	for range 8 {
		if _, err := z.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(packed.Bytes())
	}
}

func short(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100000")
		_, _ = w.Write([]byte(body))
	}
}

// An answer without end costs no more than the cap and what the sockets hold.
func TestJWKSNeverEnds(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	s := serve(t, forever(bytes.Repeat([]byte(" "), 32<<10), 0, &written))
	start := time.Now()
	_, err := remote.Fetcher{}.JWKS(soon(t, 5*time.Second), s.URL, nil)
	wantError(t, err, remote.ErrFetch, "longer than 524288 octets")
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("took %v: it read on behind the cap", took)
	}
	s.Close() // waits for the handler: its context has ended, because the reader hung up
	if n := written.Load(); n > 64<<20 {
		t.Errorf("the server got rid of %d octets", n)
	}
}

// The time limit is for the whole answer: a server that stays busy without getting anywhere does not hold us.
func TestJWKSStopsWaiting(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	rows := []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"hangs", hang},
		{"hangs after the header", func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}},
		{"trickles", forever([]byte(" "), 5*time.Millisecond, &written)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, row.handler)
			start := time.Now()
			_, err := remote.Fetcher{}.JWKS(soon(t, 100*time.Millisecond), s.URL, nil)
			wantError(t, err, remote.ErrFetch, "")
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("took %v after a deadline of 100 ms", took)
			}
		})
	}
}

func TestJWKSAccepts(t *testing.T) {
	t.Parallel()
	good := goodSet(t)
	odd := func(jwk string) string { return `{"keys":[` + jwk + `,` + good[len(`{"keys":[`):] }
	rows := []struct {
		name    string
		body    string
		skipped int
	}{
		{"one key", good, 0},
		{"white space around", "\r\n\t " + good + "\n", 0},
		{"exactly as much as is read", good + strings.Repeat(" ", keys.MaxSetSize-len(good)), 0},
		{"unknown members", `{"x":1,` + good[1:], 0},
		{"an odd key: symmetric", odd(`{"kty":"oct","kid":"k","alg":"HS256","k":"AAAA"}`), 1},
		{"an odd key: of a type from the future", odd(`{"kty":"AKP","kid":"k","alg":"ML-DSA-44","pub":"AAAA"}`), 1},
		{"an odd key: not an object", odd(`7`), 1},
		{"an odd key: encryption", odd(strings.Replace(good[len(`{"keys":[`):len(good)-2], `"sig"`, `"enc"`, 1)), 1},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, answer(row.body))
			document, err := remote.Fetcher{}.JWKS(t.Context(), s.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{keystest.Key(keystest.ES256).ID()}, kidsOf(document)); diff != "" {
				t.Error(diff)
			}
			if len(document.Skipped) != row.skipped {
				t.Errorf("skipped %v, want %d", document.Skipped, row.skipped)
			}
		})
	}
}

// A document is asked for again by its ETag, at the address that gave it and nowhere else: a tag means nothing to
// another server, which may well use the same one.
func TestJWKSConditional(t *testing.T) {
	t.Parallel()
	good := goodSet(t)
	tagged := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.Header().Set("Cache-Control", "max-age=60")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Cache-Control", "max-age=600")
		_, _ = w.Write([]byte(good))
	}
	here, elsewhere := serve(t, tagged), serve(t, tagged)

	first, err := remote.Fetcher{}.JWKS(t.Context(), here.URL, nil)
	if err != nil || first.MaxAge != 10*time.Minute {
		t.Fatalf("first: %+v, %v", first, err)
	}
	second, err := remote.Fetcher{}.JWKS(t.Context(), here.URL, first)
	if err != nil || second.Set != first.Set || second.MaxAge != time.Minute {
		t.Fatalf("304: %+v, %v; want the same set with the new age", second, err)
	}
	third, err := remote.Fetcher{}.JWKS(t.Context(), here.URL, second)
	if err != nil || third.Set != first.Set {
		t.Fatalf("304 again: %+v, %v", third, err)
	}
	moved, err := remote.Fetcher{}.JWKS(t.Context(), elsewhere.URL, first)
	if err != nil || moved.Set == first.Set {
		t.Errorf("another address: %v; want a set of its own", err)
	}
}

func TestJWKSSendsNoETagWithoutOne(t *testing.T) {
	t.Parallel()
	good := goodSet(t)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, asked := r.Header["If-None-Match"]; asked {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write([]byte(good))
	})
	first, err := remote.Fetcher{}.JWKS(t.Context(), s.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (remote.Fetcher{}).JWKS(t.Context(), s.URL, first); err != nil {
		t.Error(err)
	}
}
