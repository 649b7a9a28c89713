package doctor_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"example.com/signet/client/internal/doctor"
	"example.com/signet/keys/keystest"
)

var quiet = log.New(io.Discard, "", 0)

// What the issuer writes reaches the report quoted, wherever it writes it. That nothing else does, every test checks.
func TestHostileTexts(t *testing.T) {
	const escape = "\u009b2J\u202e" // in UTF-8, which net/http lets through; it does not let ESC
	inJSON := `"\u001b]0;owned\u0007\u001b[2J\r\n  ok       all is well\u202e"`
	long := strconv.Quote("http://" + strings.Repeat("a", 400<<10))
	dead := []string{"note token_endpoint.examined"}
	odd := func(c int) keystest.Object {
		return rsaJWK(2048+c).With("kid", `"`+strings.Repeat(fmt.Sprintf(`\u%04x`, c), 100)+`"`)
	}
	runRows(t, []row{
		{"issuer", with("issuer", inJSON), []string{"error metadata.issuer"}, `"\x1b]0;owned\a\x1b[2J\r\n  ok       all is well\u202e"`},
		{"long issuer", with("issuer", long), []string{"error metadata.issuer"}, `aaa...", but was asked`},
		{"member name", with(`\u001b[2J_endpoint`, `"http://issuer.example.com/"`),
			[]string{"error metadata.json", "error metadata.plain_http", "warning metadata.json"}, ""},
		{"name of an empty array", with("\u009b2J", "[]"), []string{"note metadata.empty_array"}, `"\u009b2J"`},
		{"address", with("token_endpoint", inJSON), append([]string{"error metadata.address"}, dead...), ""},
		{"grant", with("grant_types_supported", "["+inJSON+"]"), []string{"warning metadata.grant_types"}, `\x1b`},
		{"method", with("token_endpoint_auth_methods_supported", "["+inJSON+"]"), []string{"warning metadata.auth_methods"}, `\x1b`},
		{"algorithm", with("token_endpoint_auth_signing_alg_values_supported", "["+inJSON+"]"), []string{"warning metadata.auth_algs"}, ""},
		{"a thousand grants", with("grant_types_supported", "["+strings.Repeat(`"a",`, 999)+`"b"]`),
			[]string{"warning metadata.grant_types"}, "and 995 more"},
		{"content type", at(having("Content-Type", "text/"+escape), oauthPlace), []string{"warning metadata.content_type"}, `"text/\u009b2J`},
		{"long content type", at(having("Content-Type", strings.Repeat("a", 30_000)), jwksPlace), []string{"warning jwks.content_type"}, `aaa..."`},
		{"location", at(redirectTo("http://127.0.0.1:1/"+escape), jwksPlace), []string{"error jwks.redirect"}, ""},
		{"kid", first(member("kid", inJSON)), []string{"error jwks.kid", "note cache.next_key"}, `"\x1b]0;owned`},
		{"long kids", more(odd(1), odd(2), odd(3), odd(4), odd(5), odd(6)), []string{"error jwks.kid"}, `\x01...": a kid that is not printable; "`},
		{"alg", first(member("alg", inJSON)), []string{"note cache.next_key", "note jwks.alg_unsupported"}, `alg "\x1b]0;owned`},
		{"kty", first(member("kty", inJSON)), []string{"error jwks.alg", "note cache.next_key"}, ""},
		{"use", first(member("use", inJSON)), []string{"note cache.next_key", "note jwks.use"}, `use is "\x1b]0;owned`},
		{"duplicate member of a key", first(member(`x\u001b`, "1")), []string{"error jwks.key_json", "note cache.next_key"}, ""},
		{"ETag", at(having("ETag", `"`+escape+`"`), jwksPlace), []string{"note cache.etag"}, `\u009b2J\u202e`},
		{"long ETag", at(having("ETag", `"`+strings.Repeat("a", 30_000)+`"`), jwksPlace), []string{"note cache.conditional"}, ""},
		{"Vary", at(having("Vary", escape), jwksPlace), []string{"note cache.vary"}, `\u009b2J\u202e`},
		{"Cache-Control", at(having("Cache-Control", escape), jwksPlace), []string{"warning cache.max_age"}, `\u009b2J\u202e`},
		{"error code", at(body(`{"error":`+inJSON+`}`), tokenPlace), nil, ""},
		{"depth", at(body(strings.Repeat(`{"a":`, 50_000)), jwksPlace), []string{"error jwks.json"}, ""},
		{"depth of a key", first(member("x", strings.Repeat("[", 9_000)+strings.Repeat("]", 9_000))),
			[]string{"error jwks.encoding", "note cache.next_key"}, ""},
	})
}

// raw answers every connection with the same octets, which need not be HTTP.
func raw(t *testing.T, answer string) (issuer string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4<<10))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}

func TestHostileHTTP(t *testing.T) {
	t.Parallel()
	broken := []string{"error metadata.status", "error metadata.status"}
	away := []string{"error metadata.reachable"}
	const escape = "\x1b[2J"
	rows := []struct {
		name, answer string
		want         []string
	}{
		{"status text", "HTTP/1.1 500 " + escape + "all is well\r\nContent-Length: 0\r\n\r\n", broken},
		{"status of other kind", "HTTP/1.1 999 x\r\nContent-Length: 0\r\n\r\n", broken},
		{"status of words", "HTTP/1.1 " + escape + " OK\r\n\r\n", away},
		{"not HTTP", escape + "SSH-2.0-OpenSSH\r\n", away},
		{"header without colon", "HTTP/1.1 200 OK\r\n" + escape + "\r\n\r\n", away},
		{"bad location", "HTTP/1.1 302 Found\r\nLocation: http://[" + escape + "\r\nContent-Length: 0\r\n\r\n", away},
		{"cut off", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", away},
		{"bad gzip", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nxx", away},
		{"header of a megabyte", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n{}", away},
		{"nothing", "", away},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			report, err := doctor.Examine(t.Context(), doctor.Config{Issuer: raw(t, row.answer)})
			if err != nil {
				t.Fatal(err)
			}
			checkReport(t, report)
			if diff := cmp.Diff(blind(row.want...), faultsBut(report, "clock")); diff != "" {
				t.Error(diff, report)
			}
		})
	}
}

// forever writes and writes until the reader goes.
func forever(chunk string, every time.Duration, written *atomic.Int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			n, err := io.WriteString(w, chunk)
			written.Add(int64(n))
			if err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-time.After(every):
			case <-r.Context().Done():
			}
		}
	}
}

// No answer costs more than its limits: in time, in memory, in requests.
func TestHostileWithoutEnd(t *testing.T) {
	t.Parallel()
	var flood, trickle atomic.Int64
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	rows := []struct {
		name    string
		handler http.HandlerFunc
		place   string
		want    []string
		says    string
	}{
		{"metadata without end", forever(strings.Repeat(" ", 64<<10), 0, &flood), oauthPlace,
			[]string{"error metadata.size"}, ""},
		{"metadata hang", hang, oauthPlace, []string{"error metadata.reachable"}, "no complete answer within 300ms"},
		{"metadata trickle", forever(" ", 5*time.Millisecond, &trickle), oauthPlace,
			[]string{"error metadata.reachable"}, "no complete answer within 300ms"},
		{"JWK Set without end", forever(strings.Repeat(" ", 64<<10), 0, &flood), jwksPlace, []string{"error jwks.size"}, ""},
		{"JWK Set hangs", hang, jwksPlace, []string{"error jwks.reachable"}, "no complete answer within 300ms"},
		{"JWK Set trickles", forever(" ", 5*time.Millisecond, &trickle), jwksPlace, []string{"error jwks.reachable"}, ""},
		{"token endpoint without end", forever(strings.Repeat(" ", 64<<10), 0, &flood), tokenPlace,
			[]string{"error token_endpoint.status"}, ""},
		{"token endpoint hangs", hang, tokenPlace, []string{"error token_endpoint.reachable"}, "no complete answer within 300ms"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, plain)
			at(serving(row.handler), row.place)(f)
			client := f.Client()
			client.Timeout = 300 * time.Millisecond
			start := time.Now()
			report := f.examineAs(doctor.Config{Issuer: f.URL, HTTPClient: client})
			if diff := cmp.Diff(row.want, faultsBut(report, "clock")); diff != "" {
				t.Error(diff)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			if text := fmt.Sprintf("%+v", report); !strings.Contains(text, row.says) {
				t.Errorf("%q is missing in %s", row.says, text)
			}
		})
	}
	t.Cleanup(func() {
		if n := flood.Load(); n > 64<<20 {
			t.Errorf("%d octets were written", n)
		}
	})
}

// faultsBut leaves out the faults of an area: the clock's when what answers is not the fake, which has one of its own.
func faultsBut(report doctor.Report, area string) (found []string) {
	for _, fault := range faults(report) {
		if !strings.Contains(fault, area) {
			found = append(found, fault)
		}
	}
	return found
}

// Redirects everywhere, each good for one step more: twelve requests are the most there are.
func TestHostileRedirects(t *testing.T) {
	t.Parallel()
	f := newFake(t, plain)
	for _, place := range []string{oauthPlace, openIDPlace, jwksPlace} {
		redirect(place, "/1"+place)(f)
		redirect("/1"+place, "/2"+place)(f)
		redirect("/2"+place, "/3"+place)(f)
	}
	report := f.examine()
	want := []string{"error jwks.redirect", "error metadata.redirect", "warning metadata.redirect"}
	if diff := cmp.Diff(want, faults(report)); diff != "" {
		t.Error(diff, report)
	}
	if n := len(f.asked()); n != 2+1+2+5 {
		t.Errorf("%d requests: %q", n, f.asked())
	}
}

// Another origin is not asked, be it the same host, and cookies go nowhere.
func TestHostileOrigins(t *testing.T) {
	t.Parallel()
	other := newFake(t, plain)
	for i, place := range []string{oauthPlace, openIDPlace, jwksPlace, tokenPlace, tokenByGET} {
		f := newFake(t, plain)
		at(redirectTo(other.URL+place), place)(f)
		for _, p := range f.pages {
			p.header.Set("Set-Cookie", "a=b")
		}
		client := f.Client()
		client.Jar = keepAll{}
		report := f.examineAs(doctor.Config{Issuer: f.URL, HTTPClient: client})
		if text := fmt.Sprint(faults(report)); strings.Contains(text, "redirect") != (i < 4) {
			t.Errorf("%s: %s", place, text)
		}
	}
	if asked := other.asked(); len(asked) > 0 {
		t.Errorf("asked %q", asked)
	}
}
