package remote_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"example.com/signet/keys/remote"
)

func TestRedirects(t *testing.T) {
	t.Parallel()
	good := goodSet(t)
	elsewhere := serve(t, answer(good))
	to := func(address string, args ...any) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/there" {
				_, _ = w.Write([]byte(good))
				return
			}
			w.Header().Set("Location", fmt.Sprintf(address, args...))
			w.WriteHeader(http.StatusFound)
		}
	}
	other, err := url.Parse(elsewhere.URL)
	if err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		name     string
		handler  http.HandlerFunc
		text     string // in the error; "" when it is followed
		requests int64
	}{
		{"to another port", to("%s/there", elsewhere.URL), "redirect to another origin", 1},
		{"to another name of this host", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+strings.Replace(r.Host, "127.0.0.1", "localhost", 1)+"/there", http.StatusFound)
		}, "redirect to another origin", 1},
		{"to https", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://"+r.Host+"/there", http.StatusFound)
		}, "redirect to another origin", 1},
		{"to another host, scheme left out", to("//%s/there", other.Host), "redirect to another origin", 1},
		{"to a file", to("file:///etc/passwd"), "redirect to another origin", 1},
		{"to no URL", to("http://[::1"), "parse", 1},
		{"loop", to("/loop"), "too many redirects", 4},
		{"here and then elsewhere", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Redirect(w, r, "/next", http.StatusFound)
				return
			}
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		}, "redirect to another origin", 2},
		{"within the origin", to("/there"), "", 2},
		{"within the origin, permanently", func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/there" {
				_, _ = w.Write([]byte(good))
				return
			}
			http.Redirect(w, r, "/there", http.StatusPermanentRedirect)
		}, "", 2},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, row.handler)
			_, err := remote.Fetcher{}.JWKS(t.Context(), s.URL+"/", nil)
			if row.text != "" {
				wantError(t, err, remote.ErrFetch, row.text)
			} else if err != nil {
				t.Error(err)
			}
			if n := s.requests.Load(); n != row.requests {
				t.Errorf("%d requests, want %d", n, row.requests)
			}
		})
	}
	t.Cleanup(func() { // after the parallel rows
		if n := elsewhere.requests.Load(); n != 0 {
			t.Errorf("the other origin was asked %d times", n)
		}
	})
}

// The caller's own client keeps its policy: ours is for our copy.
func TestSameOriginLeavesTheClientAlone(t *testing.T) {
	t.Parallel()
	client := &http.Client{}
	if strict := remote.SameOrigin(client); strict == client || strict.CheckRedirect == nil || client.CheckRedirect != nil {
		t.Error("the caller's client was changed")
	}
	if remote.SameOrigin(nil) == http.DefaultClient || http.DefaultClient.CheckRedirect != nil {
		t.Error("the default client was changed")
	}
}
