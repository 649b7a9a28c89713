package doctor_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/keys/keystest"
)

func notModified(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotModified) }

// inTurn answers requests for the JWK Set with one text after another.
func inTurn(texts ...string) func(*fake) {
	var n atomic.Int64
	return func(f *fake) {
		f.pages[jwksPlace].serve = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/jwk-set+json")
			w.Header().Set("Cache-Control", "max-age=300")
			w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n.Load()))
			w.Header().Set("Date", f.clock.Now().Format(http.TimeFormat))
			_, _ = io.WriteString(w, texts[min(int(n.Add(1)), len(texts))-1])
		}
	}
}

func setOf(names ...string) string {
	text, err := keystest.Set(names...).MarshalJSON()
	if err != nil {
		panic(err)
	}
	return string(text)
}

func TestCaching(t *testing.T) {
	set := func(changes ...func(*page)) func(*fake) {
		return func(f *fake) {
			for _, change := range changes {
				at(change, jwksPlace)(f)
			}
		}
	}
	control := func(value string) func(*fake) { return set(having("Cache-Control", value)) }
	four := setOf(keystest.ES256, keystest.RS256, keystest.ES256Other, keystest.RS256Other)
	turned := setOf(keystest.RS256, keystest.ES256, keystest.ES256Other, keystest.RS256Other)
	two := setOf(keystest.ES256, keystest.ES256Other)
	fail := func(status int) func(*fake) {
		return func(f *fake) {
			good := f.pageAt(jwksPlace)
			f.pages[jwksPlace].serve = func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("If-None-Match") != "" {
					w.WriteHeader(status)
					return
				}
				good(w, r)
			}
		}
	}
	runRows(t, []row{
		{"no Cache-Control", set(without("Cache-Control")), []string{"warning cache.max_age"}, "no Cache-Control"},
		{"no max-age", control("public"), []string{"warning cache.max_age"}, `"public", without a max-age that can be read`},
		{"max-age of words", control("max-age=soon"), []string{"warning cache.max_age"}, ""},
		{"max-age negative", control("max-age=-1"), []string{"warning cache.max_age"}, ""},
		{"max-age out of range", control("max-age=99999999999"), []string{"warning cache.max_age"}, ""},
		{"no-store", control("no-store"), []string{"warning cache.no_store"}, "no-store"},
		{"no-cache beside max-age", control("max-age=300, No-Cache"), []string{"warning cache.no_store"}, "no-cache"},
		{"max-age 0", control("max-age=0"), []string{"warning cache.no_store"}, "max-age=0"},
		{"max-age of 59 s", control("max-age=59"), []string{"note cache.max_age"}, "59 seconds"},
		{"max-age of 60 s", control("max-age=60"), nil, ""},
		{"max-age quoted", control(`max-age="60"`), nil, ""},
		{"max-age of a day", control("public, max-age=86400"), nil, ""},
		{"max-age of a day and a second", control("public, max-age=86401"), []string{"warning cache.max_age"}, "max-age is 86401: 24 hours"},
		{"max-age of a year", control("max-age=31536000"), []string{"warning cache.max_age"}, "365 days"},
		{"max-age in a second header", set(func(p *page) { p.header["Cache-Control"] = []string{"public", "max-age=60"} }), nil, ""},

		{"Age above max-age", set(having("Age", "301")), []string{"warning cache.age"}, "Age is 5 minutes"},
		{"Age of max-age", set(having("Age", "300")), nil, ""},
		{"Vary", set(having("Vary", "Origin, Cookie")), []string{"note cache.vary"}, `"Origin, Cookie"`},
		{"Vary by all", set(having("Vary", "*")), []string{"note cache.vary"}, ""},
		{"Vary by the usual", set(having("Vary", "Accept-Encoding, origin")), nil, ""},
		{"cookie", set(having("Set-Cookie", "lb=1")), []string{"note cache.cookie"}, ""},

		{"no ETag", set(without("Etag")), []string{"note cache.etag"}, "no ETag"},
		{"ETag without quotes", set(having("ETag", "abc")), []string{"note cache.etag"}, `ETag is "abc", which is none`},
		{"ETag open", set(having("ETag", `"`)), []string{"note cache.etag"}, ""},
		{"ETag with blank", set(having("ETag", `"a b"`)), []string{"note cache.etag"}, ""},
		{"ETag not looked at", set(having("ETag", `W/"a"`)), []string{"note cache.conditional"}, `W/\"a\"`},
		{"304 to everything", fail(304), []string{"error cache.stuck"}, ""},
		{"412", fail(412), []string{"warning jwks.status", "warning jwks.status"}, "412 (Precondition Failed)"},
		{"away the second time", fail(503), []string{"warning jwks.status", "warning jwks.status"}, ""},

		{"another set the second time", inTurn(four, two), []string{"note cache.conditional", "warning cache.replicas"}, ""},
		{"no set the second time", inTurn(four, "{}"), []string{"note cache.conditional", "warning cache.replicas"}, ""},
		{"another order the second time", inTurn(four, turned), []string{"note cache.bytes", "note cache.conditional"}, ""},
		{"broken in two ways", inTurn("{}", "{ }"), []string{"error jwks.json", "note cache.conditional"}, ""},
		{"the same", inTurn(four), []string{"note cache.conditional"}, ""},

		{"one key, nobody knows for how long", all(only(publicJWK(keystest.ES256)), set(without("Cache-Control"))),
			[]string{"warning cache.max_age", "warning cache.next_key"}, ""},
		{"one key, not kept", all(only(publicJWK(keystest.ES256)), control("no-store")), []string{"note cache.next_key", "warning cache.no_store"},
			"keep the set for no time"},
		{"one key, kept for five minutes", all(only(publicJWK(keystest.ES256)), control("max-age=300")), []string{"note cache.next_key"}, ""},
		{"one key, kept for longer", all(only(publicJWK(keystest.ES256)), control("max-age=301")), []string{"warning cache.next_key"}, ""},
	})
}

// Each question comes on a connection of its own, so that a balancer can give it to another replica.
func TestCachingConnections(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	good := f.pageAt(jwksPlace)
	seen := make(map[string]bool)
	f.pages[jwksPlace].serve = func(w http.ResponseWriter, r *http.Request) {
		seen[r.RemoteAddr] = true // one request after another
		good(w, r)
	}
	if found := faults(f.examine()); len(found) > 0 {
		t.Error(found)
	}
	f.Close()
	if len(seen) != 3 {
		t.Errorf("%d connections", len(seen))
	}
}

// What the second question says it has was never given out.
func TestCachingQuestions(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	good := f.pageAt(jwksPlace)
	tags := make(chan string, 3)
	f.pages[jwksPlace].serve = func(w http.ResponseWriter, r *http.Request) {
		tags <- r.Header.Get("If-None-Match")
		good(w, r)
	}
	f.examine()
	got := []string{<-tags, <-tags, <-tags}
	if diff := cmp.Diff([]string{"", `"client-check-never-issued"`}, got[:2]); diff != "" || !strings.HasPrefix(got[2], `"`) || got[2] == got[1] {
		t.Errorf("%q", got)
	}
}
