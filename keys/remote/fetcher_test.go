package remote_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/remote"
)

// Timeout is for one document, its body included, and the caller need not set a limit of its own.
func TestFetcherTimeout(t *testing.T) {
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
	fetcher := remote.Fetcher{Timeout: 50 * time.Millisecond}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, row.handler)
			start := time.Now()
			_, err := fetcher.JWKS(t.Context(), s.URL, nil)
			wantError(t, err, remote.ErrFetch, "")
			_, err = fetcher.Metadata(t.Context(), s.URL)
			wantError(t, err, remote.ErrFetch, "")
			if took := time.Since(start); took < 100*time.Millisecond || took > 3*time.Second {
				t.Errorf("took %v for two documents of 50 ms each", took)
			}
			if n := s.requests.Load(); n != 2 { // no answer is no reason to look for the metadata elsewhere
				t.Errorf("%d requests", n)
			}
		})
	}
}

// A longer Timeout does not outlive the caller's context.
func TestFetcherTimeoutAndContext(t *testing.T) {
	t.Parallel()
	s := serve(t, hang)
	start := time.Now()
	_, err := remote.Fetcher{Timeout: time.Hour}.JWKS(soon(t, 50*time.Millisecond), s.URL, nil)
	wantError(t, err, remote.ErrFetch, "")
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v after a deadline of 50 ms", took)
	}
}

// setOf is a JWK Set of n odd keys and a good one.
func setOf(t *testing.T, n int) string {
	t.Helper()
	odd := strings.Repeat(`{"kty":"oct","kid":"k","k":"AQ"},`, n)
	return `{"keys":[` + odd + strings.TrimPrefix(goodSet(t), `{"keys":[`)
}

func TestFetcherLimits(t *testing.T) {
	t.Parallel()
	good := goodSet(t)
	spaced := func(size int) string { return good + strings.Repeat(" ", size-len(good)) }
	rows := []struct {
		name   string
		limits keys.SetLimits
		body   string
		want   error
		text   string
	}{
		{"as long as may be", keys.SetLimits{Size: 1000}, spaced(1000), nil, ""},
		{"one octet more", keys.SetLimits{Size: 1000}, spaced(1001), remote.ErrFetch, "longer than 1000 octets"},
		{"longer than usual", keys.SetLimits{Size: 1 << 20}, spaced(1 << 20), nil, ""},
		{"longer than that", keys.SetLimits{Size: 1 << 20}, spaced(1<<20 + 1), remote.ErrFetch, "longer than 1048576 octets"},
		{"as many keys as may be", keys.SetLimits{Keys: 3}, setOf(t, 2), nil, ""},
		{"one key more", keys.SetLimits{Keys: 3}, setOf(t, 3), keys.ErrNotSet, "4 keys, at most 3 are read"},
		{"more keys than usual", keys.SetLimits{Keys: 150}, setOf(t, 149), nil, ""},
		{"no limits, 101 keys", keys.SetLimits{}, setOf(t, 100), keys.ErrNotSet, "101 keys, at most 100 are read"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, answer(row.body))
			fetcher := remote.Fetcher{Limits: row.limits}
			fetched, errFetched := fetcher.JWKS(t.Context(), s.URL, nil)
			read, errRead := fetcher.ReadJWKS(strings.NewReader(row.body))
			for _, got := range []struct {
				document *remote.Document
				err      error
			}{{fetched, errFetched}, {read, errRead}} {
				if row.want != nil {
					wantError(t, got.err, row.want, row.text)
					if got.document != nil {
						t.Errorf("a document beside the error: %+v", got.document)
					}
				} else if got.err != nil || got.document.Set.Len() != 1 {
					t.Errorf("%+v, %v", got.document, got.err)
				}
			}
		})
	}
}

// The limits are those of a JWK Set, not of metadata.
func TestFetcherLimitsLeaveMetadata(t *testing.T) {
	t.Parallel()
	s, _ := issuerSite(t, map[string]string{oauthPlace: `{"issuer":"%s","x":"` + strings.Repeat("x", 1000) + `"}`})
	if _, err := (remote.Fetcher{Limits: keys.SetLimits{Size: 100, Keys: 1}}).Metadata(t.Context(), s.URL); err != nil {
		t.Error(err)
	}
}

func TestReadJWKS(t *testing.T) {
	t.Parallel()
	document, err := remote.Fetcher{}.ReadJWKS(iotest.OneByteReader(strings.NewReader(" " + setOf(t, 2) + "\n")))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{keystest.Key(keystest.ES256).ID()}, kidsOf(document)); diff != "" {
		t.Error(diff)
	}
	if len(document.Skipped) != 2 || document.MaxAge != 0 {
		t.Errorf("skipped %v, to be kept for %v", document.Skipped, document.MaxAge)
	}

	// It came from nowhere, so it is no reason to ask whether it still stands.
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if _, asked := r.Header["If-None-Match"]; asked {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		answer(goodSet(t))(w, r)
	})
	if fetched, err := (remote.Fetcher{}).JWKS(t.Context(), s.URL, document); err != nil || fetched.Set == document.Set {
		t.Errorf("fetched after it was read: %v", err)
	}
}

func TestReadJWKSRefuses(t *testing.T) {
	t.Parallel()
	good := goodSet(t)
	broken := errors.New("broken")
	rows := []struct {
		name   string
		reader io.Reader
		want   error
		text   string
	}{
		{"nothing", strings.NewReader(""), keys.ErrNotSet, ""},
		{"half of it", strings.NewReader(good[:len(good)/2]), keys.ErrNotSet, ""},
		{"two of them", strings.NewReader(good + good), keys.ErrNotSet, ""},
		{"no usable key", strings.NewReader(`{"keys":[{"kty":"oct","kid":"k","k":"AQ"}]}`), keys.ErrNoKeys, ""},
		{"a PEM file", strings.NewReader(string(keystest.PEM(keystest.ES256))), keys.ErrNotSet, ""},
		{"without end", endless{}, remote.ErrFetch, "longer than 524288 octets"},
		{"a failure in between", io.MultiReader(strings.NewReader(good), iotest.ErrReader(broken)), remote.ErrFetch,
			"broken"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			document, err := remote.Fetcher{}.ReadJWKS(row.reader)
			wantError(t, err, row.want, row.text)
			if document != nil {
				t.Errorf("a document beside the error: %+v", document)
			}
		})
	}
}

// endless is a file that never ends, such as /dev/zero.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// OpenID Connect's place is asked where the first says that it has nothing, in whatever words, and not where it may
// have something to say later or has said something bad.
func TestMetadataFallsBack(t *testing.T) {
	t.Parallel()
	rows := []struct {
		status   int
		fallback bool
	}{
		{201, false}, {204, false}, {206, false}, {300, false}, {304, false},
		{400, true}, {401, true}, {403, true}, {404, true}, {405, true}, {406, true}, {410, true}, {451, true}, {499, true},
		{429, false}, {500, false}, {501, false}, {502, false}, {503, false}, {504, false},
	}
	for _, row := range rows {
		t.Run(fmt.Sprint(row.status), func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == oauthPlace {
					w.WriteHeader(row.status)
					return
				}
				_, _ = fmt.Fprintf(w, `{"issuer":"http://%s","jwks_uri":"http://%s/k"}`, r.Host, r.Host)
			})
			got, err := remote.Fetcher{}.Metadata(t.Context(), s.URL)
			if row.fallback {
				if err != nil || got.JWKSURI != s.URL+"/k" || s.requests.Load() != 2 {
					t.Errorf("%+v, %v, %d requests", got, err, s.requests.Load())
				}
				return
			}
			wantError(t, err, remote.ErrFetch, fmt.Sprintf("status %d", row.status))
			if !reflect.DeepEqual(got, remote.Metadata{}) || s.requests.Load() != 1 {
				t.Errorf("%+v, %d requests", got, s.requests.Load())
			}
		})
	}
}

// What the second place says counts in full: it is no better trusted, and its failure is the failure of both.
func TestMetadataFallbackFails(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, body string
		want       error
		text       string
	}{
		{"nothing there either", "status 410", remote.ErrFetch, "status 410"},
		{"500", "status 500", remote.ErrFetch, "status 500"},
		{"another issuer", `{"issuer":"https://evil.example.com","jwks_uri":"%s/k"}`, remote.ErrIssuer, "evil.example.com"},
		{"keys in plain text elsewhere", `{"issuer":"%s","jwks_uri":"http://192.0.2.1/k"}`, remote.ErrURL, ""},
		{"HTML", "<html>", remote.ErrDocument, ""},
		{"the issuer twice", `{"issuer":"%s","issuer":"%s"}`, remote.ErrDocument, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s, asked := issuerSite(t, map[string]string{openidPlace: row.body})
			got, err := remote.Fetcher{}.Metadata(t.Context(), s.URL)
			wantError(t, err, row.want, row.text)
			if !reflect.DeepEqual(got, remote.Metadata{}) {
				t.Errorf("metadata beside the error: %+v", got)
			}
			if diff := cmp.Diff([]string{oauthPlace, openidPlace}, *asked); diff != "" {
				t.Error(diff)
			}
		})
	}
}
