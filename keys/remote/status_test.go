package remote_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/remote"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	const (
		date  = "Mon, 23 Nov 2026 10:15:00 GMT"
		later = "Mon, 23 Nov 2026 10:15:42 GMT"
	)
	for _, row := range []struct {
		name  string
		after []string
		date  string
		want  time.Duration
	}{
		{"negative", []string{"-1"}, date, 0},
		{"with a sign", []string{"+5"}, date, 0},
		{"a fraction", []string{"1.5"}, date, 0},
		{"an exponent", []string{"1e3"}, date, 0},
		{"hexadecimal", []string{"0x10"}, date, 0},
		{"underscores", []string{"1_000"}, date, 0},
		{"a unit", []string{"5s"}, date, 0},
		{"a space inside", []string{"1 0"}, date, 0},
		{"digits of another script", []string{"٣"}, date, 0},
		{"a list", []string{"5, 6"}, date, 0},
		{"garbage", []string{"\x1b[2Jsoon"}, date, 0},
		{"empty", []string{""}, date, 0},
		{"absent", nil, date, 0},
		{"zero", []string{"0"}, date, 0},
		{"date in the past", []string{"Mon, 23 Nov 2026 10:14:59 GMT"}, date, 0},
		{"date long past", []string{"Thu, 01 Jan 1970 00:00:00 GMT"}, date, 0},
		{"date in year 1", []string{"Mon, 01 Jan 0001 00:00:00 GMT"}, date, 0},
		{"date that is none", []string{"Mon, 31 Feb 2027 00:00:00 GMT"}, date, 0},
		{"date of ISO 8601", []string{"2026-11-23T10:15:42Z"}, date, 0},
		{"date of the answer", []string{date}, date, 0},
		{"date without Date, in the past", []string{"Thu, 01 Jan 1970 00:00:00 GMT"}, "", 0},

		{"an hour and a second", []string{"3601"}, date, time.Hour},
		{"31 bits", []string{"2147483647"}, date, time.Hour},
		{"beyond 31 bits", []string{"2147483648"}, date, time.Hour},
		{"beyond 64 bits", []string{"18446744073709551616"}, date, time.Hour},
		{"what overflows a Duration", []string{"9223372037"}, date, time.Hour},
		{"a hundred digits", []string{"1" + strings.Repeat("0", 100)}, date, time.Hour},
		{"date far off", []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, date, time.Hour},
		{"date far off, Date long past", []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, "Mon, 01 Jan 0001 00:00:00 GMT", time.Hour},
		{"date far off without Date", []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, "", time.Hour},
		{"date far off, Date garbage", []string{"Fri, 31 Dec 9999 23:59:59 GMT"}, "soon", time.Hour},

		{"seconds", []string{"42"}, date, 42 * time.Second},
		{"seconds without Date", []string{"42"}, "", 42 * time.Second},
		{"leading zeros", []string{"007"}, date, 7 * time.Second},
		{"an hour", []string{"3600"}, date, time.Hour},
		{"the first of two", []string{"5", "6"}, date, 5 * time.Second},
		{"date", []string{later}, date, 42 * time.Second},
		{"date as in RFC 850", []string{"Monday, 23-Nov-26 10:15:42 GMT"}, date, 42 * time.Second},
		{"date as asctime writes it", []string{"Mon Nov 23 10:15:42 2026"}, date, 42 * time.Second},
		{"both dates in other spellings", []string{"Mon Nov 23 10:15:42 2026"}, "Monday, 23-Nov-26 10:15:00 GMT", 42 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{}
			if row.after != nil {
				h["Retry-After"] = row.after
			}
			if row.date != "" {
				h.Set("Date", row.date)
			}
			if got := remote.RetryAfter(h); got != row.want {
				t.Errorf("got %v, want %v", got, row.want)
			}
		})
	}
}

// Without a Date of the answer, a date counts from our own clock.
func TestRetryAfterByOurClock(t *testing.T) {
	t.Parallel()
	in := func(d time.Duration) http.Header {
		return http.Header{"Retry-After": {time.Now().Add(d).UTC().Format(http.TimeFormat)}}
	}
	if got := remote.RetryAfter(in(30 * time.Minute)); got < 25*time.Minute || got > 30*time.Minute {
		t.Errorf("got %v, want about 30 m", got)
	}
	if got := remote.RetryAfter(in(-30 * time.Minute)); got != 0 {
		t.Errorf("got %v, want 0", got)
	}
}

// Whoever fetches learns the status and when to come again, whichever document it is.
func TestStatusError(t *testing.T) {
	t.Parallel()
	fetches := []struct {
		name  string
		fetch func(ctx context.Context, address string) error
	}{
		{"metadata", func(ctx context.Context, address string) error {
			_, err := remote.Fetcher{}.Metadata(ctx, address)
			return err
		}},
		{"JWK Set", func(ctx context.Context, address string) error {
			_, err := remote.Fetcher{}.JWKS(ctx, address, nil)
			return err
		}},
	}
	for _, row := range []struct {
		name   string
		status int
		after  string
		want   time.Duration
	}{
		{"500", 500, "", 0},
		{"503 with seconds", 503, "120", 2 * time.Minute},
		{"503 with a date", 503, "Mon, 23 Nov 2026 10:15:42 GMT", 42 * time.Second},
		{"503 with garbage", 503, "soon", 0},
		{"429", 429, "7", 7 * time.Second},
		{"404", 404, "9", 9 * time.Second},
		{"204", 204, "", 0},
		{"304 that nobody asked for", 304, "", 0},
		{"redirect without a place", 302, "", 0},
	} {
		for _, fetch := range fetches {
			t.Run(row.name+", "+fetch.name, func(t *testing.T) {
				t.Parallel()
				s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Date", "Mon, 23 Nov 2026 10:15:00 GMT")
					if row.after != "" {
						w.Header().Set("Retry-After", row.after)
					}
					w.WriteHeader(row.status)
				})
				err := fetch.fetch(t.Context(), s.URL)
				wantError(t, err, remote.ErrFetch, "status ")
				var status *remote.StatusError
				if !errors.As(err, &status) {
					t.Fatalf("%v is no StatusError", err)
				}
				if want := (remote.StatusError{Status: row.status, RetryAfter: row.want}); *status != want {
					t.Errorf("got %+v, want %+v", *status, want)
				}
			})
		}
	}
}

// An answer of the right status is no StatusError, whatever else is wrong with it, nor is the lack of one.
func TestNoStatusError(t *testing.T) {
	t.Parallel()
	down := serve(t, answer(""))
	down.Close()
	for name, address := range map[string]string{"not JSON": serve(t, answer("<html>")).URL, "down": down.URL, "no URL": "::"} {
		_, errMetadata := remote.Fetcher{}.Metadata(t.Context(), address)
		_, errSet := remote.Fetcher{}.JWKS(t.Context(), address, nil)
		for _, err := range []error{errMetadata, errSet} {
			var status *remote.StatusError
			if err == nil || errors.As(err, &status) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	}
}

func TestStatusErrorText(t *testing.T) {
	t.Parallel()
	err := &remote.StatusError{Status: 503, RetryAfter: time.Minute}
	if want := "fetching failed: status 503"; err.Error() != want || !errors.Is(err, remote.ErrFetch) {
		t.Errorf("got %q, want %q", err, want)
	}
}
