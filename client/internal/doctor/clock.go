package doctor

import (
	"net/http"
	"slices"
	"time"
)

var (
	clockWrong = rule{"clock", Error,
		"Assertions and tokens say from when until when they are good (RFC 7519 §4.1, RFC 7523 §3). With clocks " +
			"that far apart fresh ones are refused as from the future or expired: Signet allows 30 s.",
		"Set the clock that is wrong by NTP: compare both with a third one. Clients and resource servers need it as " +
			"much as the issuer."}
	clockOff = rule{"clock", Warning,
		"The difference eats into the 30 s that Signet allows, and grows if a clock is not kept by NTP (RFC 7519 " +
			"§4.1).",
		"Set the clock that is wrong by NTP: compare both with a third one."}
	noDate = rule{"clock.date", Note,
		"A server with a clock says what it shows (RFC 9110 §6.6.1). Without that a difference of clocks is found " +
			"only when tokens are refused.",
		"Let the issuer, and the proxy before it, send Date."}
)

const (
	clockLeeway = 30 * time.Second
	clockSlack  = 5 * time.Second
)

// reading is an answer's header and when it came, by our clock.
type reading struct {
	sent, received time.Time
	header         http.Header
}

// date is what the server's clock shows now: an answer out of a cache has the date at which it was made, and its age since
// (RFC 9111 §5.1).
func (r reading) date() (date time.Time, aged, ok bool) {
	date, err := http.ParseTime(r.header.Get("Date"))
	age, _ := readSeconds(r.header.Get("Age"))
	return date.Add(age), age > 0, err == nil
}

// offset is by how much the server's clock is ahead: the best guess, and the least that explains the date, which has
// whole seconds only and was written at some moment between question and answer.
func (r reading) offset(date time.Time) (guess, least time.Duration) {
	early, late := date.Sub(r.received), date.Add(time.Second).Sub(r.sent)
	guess = early/2 + late/2
	switch {
	case early > 0:
		least = early
	case late < 0:
		least = late
	}
	return guess, least
}

// clock compares the issuer's clock with ours: by the last answer, for that is the token endpoint's where it has one, and
// by one that no cache has kept if there is such a one.
func (e *examination) clock() {
	var best *reading
	for _, r := range slices.Backward(e.fetcher.readings) {
		_, aged, ok := r.date()
		if ok && !aged {
			best = &r
			break
		}
		if ok && best == nil {
			best = &r
		}
	}
	switch {
	case best != nil:
		date, _, _ := best.date()
		e.compareClocks(best.offset(date))
	case len(e.fetcher.readings) > 0:
		e.add(noDate, "no answer has a Date that can be read")
	}
}

func (e *examination) compareClocks(guess, least time.Duration) {
	direction := "ahead of"
	if guess < 0 {
		direction = "behind"
	}
	switch {
	case least.Abs() >= clockLeeway:
		e.add(clockWrong, "the issuer's clock is %s %s ours", spoken(guess.Abs()), direction)
	case least.Abs() >= clockSlack:
		e.add(clockOff, "the issuer's clock is %s %s ours", spoken(guess.Abs()), direction)
	default:
		e.good("clock", "the issuer's clock and ours agree")
	}
}
