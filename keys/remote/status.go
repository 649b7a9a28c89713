package remote

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// StatusError is an answer whose status is not the one that is needed. It wraps [ErrFetch].
type StatusError struct {
	Status     int
	RetryAfter time.Duration // when the server wants to be asked again; 0: it does not say
}

func (e *StatusError) Error() string { return fmt.Sprintf("%v: status %d", ErrFetch, e.Status) }

// Unwrap returns [ErrFetch].
func (e *StatusError) Unwrap() error { return ErrFetch }

const maxRetryAfter = time.Hour

// RetryAfter reads Retry-After (RFC 9110 §10.2.3): seconds, or a date, which counts from the answer's own Date where it
// has one, so that no clock of ours is needed. At most an hour; 0 when it does not say, or says what cannot be read.
func RetryAfter(h http.Header) time.Duration {
	text := h.Get("Retry-After")
	switch seconds, err := strconv.ParseUint(text, 10, 31); {
	case err == nil:
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	case errors.Is(err, strconv.ErrRange):
		return maxRetryAfter
	}
	then, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	return min(max(then.Sub(now), 0), maxRetryAfter)
}
