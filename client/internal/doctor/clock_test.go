package doctor_test

import (
	"net/http"
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	ahead := func(d time.Duration) func(*fake) { return func(f *fake) { f.ahead = d } }
	everywhere := func(change func(*page)) func(*fake) {
		return at(change, oauthPlace, openIDPlace, jwksPlace, tokenPlace, tokenByGET)
	}
	// date gives pages a Date of their own, with an Age.
	date := func(d time.Duration, age string, places ...string) func(*fake) {
		return func(f *fake) {
			for _, place := range places {
				having("Date", f.clock.Now().Add(d).Format(http.TimeFormat))(f.pages[place])
				having("Age", age)(f.pages[place])
			}
		}
	}
	wrong, off := []string{"error clock"}, []string{"warning clock"}
	const second, minute = time.Second, time.Minute
	runRows(t, []row{
		{"ten minutes ahead", ahead(10 * minute), wrong, "the issuer's clock is 10 minutes ahead of ours"},
		{"ten minutes behind", ahead(-10 * minute), wrong, "the issuer's clock is 10 minutes behind ours"},
		{"years behind", ahead(-20 * 365 * 24 * time.Hour), wrong, "the issuer's clock is 7300 days behind ours"},
		// A Date has whole seconds: it may have been written up to one later than it says.
		{"30 s ahead", ahead(30 * second), wrong, ""},
		{"29 s ahead", ahead(29 * second), off, "30 seconds ahead of ours"},
		{"31 s behind", ahead(-31 * second), wrong, ""},
		{"30 s behind", ahead(-30 * second), off, "behind ours"},
		{"5 s ahead", ahead(5 * second), off, ""},
		{"4 s ahead", ahead(4 * second), nil, ""},
		{"6 s behind", ahead(-6 * second), off, ""},
		{"5 s behind", ahead(-5 * second), nil, ""},
		{"no Date", everywhere(func(p *page) { p.header["Date"] = nil }), []string{"note clock.date"}, ""},
		{"a Date of words", everywhere(having("Date", "today")), []string{"note clock.date"}, ""},
		{"a Date in the metadata only", all(ahead(minute), at(func(p *page) { p.header["Date"] = nil }, jwksPlace, tokenPlace, tokenByGET)),
			wrong, ""},
		{"the metadata's is wrong, the token endpoint's right", date(time.Hour, "0", oauthPlace, openIDPlace), nil, ""},
		{"the metadata's is right, the token endpoint's wrong", date(time.Hour, "0", tokenPlace, tokenByGET), wrong, ""},
		{"out of a cache", date(-4*minute, "240", jwksPlace, oauthPlace, openIDPlace, tokenPlace, tokenByGET), nil, ""},
		{"out of a cache, wrong", date(-4*minute, "10", jwksPlace, oauthPlace, openIDPlace, tokenPlace, tokenByGET), wrong, ""},
		{"one out of a cache, wrong, another fresh", date(time.Hour, "10", tokenPlace, tokenByGET), nil, ""},
	})
}

// How long a question takes is no difference of clocks.
func TestClockOfSlowAnswer(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	good := f.pageAt(tokenByGET)
	f.pages[tokenByGET].serve = func(w http.ResponseWriter, r *http.Request) {
		f.clock.Advance(40 * time.Second)
		good(w, r)
		f.clock.Advance(40 * time.Second)
	}
	if found := faults(f.examine()); len(found) > 0 {
		t.Error(found)
	}
}
