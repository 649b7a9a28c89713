package server_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
)

// longest is what no request may take, and maxLine what no line of the log about one may be longer than.
const (
	longest = time.Second
	maxLine = 2 << 10
)

// hostile is a site that is attacked. When the test ends, its log must be short, whatever came in.
func hostile(t *testing.T) *edge {
	t.Helper()
	e := (&checklist{registry: checklistRegistry(t)}).edge(t)
	t.Cleanup(func() {
		for line := range strings.Lines(e.log.String()) {
			if len(line) > maxLine {
				t.Errorf("a line of %d octets in the log: %.500s", len(line), line)
			}
		}
	})
	return e
}

// timed asks until an answer comes fast enough, three times at most: the machine may be busy with something else.
func timed(t *testing.T, ask func() answer) answer {
	t.Helper()
	for range 2 {
		started := time.Now()
		if a := ask(); time.Since(started) < longest {
			return a
		}
	}
	started := time.Now()
	a := ask()
	if took := time.Since(started); took > longest {
		t.Errorf("took %v", took)
	}
	return a
}

// many are n pieces of a form.
func many(n int, piece func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteByte('&')
		b.WriteString(piece(i))
	}
	return b.String()
}

func TestHostileForms(t *testing.T) {
	t.Parallel()
	e := hostile(t)
	const (
		base    = "grant_type=client_credentials"
		tooLong = "the body is longer than 64 KiB"
		noForm  = "the body is not a form"
		wrong   = "client_assertion_type is missing or not " + urn
	)
	constant := func(text string) func(int) string { return func(int) string { return text } }
	hex := func(i int) string { return strconv.FormatInt(int64(i), 16) }
	rows := []struct {
		name, body        string
		status            int
		code, description string // "" for a token
	}{
		{"1 MB of one value", base + "&nonsense=" + strings.Repeat("a", 1<<20), 413, "invalid_request", tooLong},
		{"1 MB of ampersands", strings.Repeat("&", 1<<20), 413, "invalid_request", tooLong},
		{"1 MB of nothing", strings.Repeat("\x00", 1<<20), 413, "invalid_request", tooLong},
		{"100 KB of assertion", base + "&client_assertion_type=" + urn + "&client_assertion=" + strings.Repeat("eyJ.",
			25_000), 413, "invalid_request", tooLong},
		{"9,999 parameters", base + many(9998, hex), 200, "", ""},
		{"10,000 parameters and one", base + many(10_000, hex), 400, "invalid_request", noForm}, // net/url counts them
		{"60,000 ampersands", base + strings.Repeat("&", 60_000), 400, "invalid_request", noForm},
		{"9,000 times one unknown parameter", base + many(9000, constant("a=b")), 400, "invalid_request", isRepeated},
		{"9,000 times one without value", base + many(9000, constant("a=")), 200, "", ""},
		{"5,000 resources", base + many(5000, constant("resource=a")), 400, "invalid_target",
			"a token is for one resource"},
		{"9,000 scopes", base + "&scope=a" + strings.ReplaceAll(many(9000, hex), "&", "+"), 400, "invalid_scope",
			"a scope is unknown or not allowed"},
		{"30,000 times one scope", base + "&scope=read" + strings.Repeat("+read", 10_000), 200, "", ""},
		{"30,000 spaces", base + "&scope=" + strings.Repeat("+", 30_000), 400, "invalid_scope",
			"the scope is malformed"},
		{"a scope of 60 KB", base + "&scope=" + strings.Repeat("a", 60_000), 400, "invalid_scope",
			"a scope is unknown or not allowed"},
		{"a grant_type of 60 KB", base + strings.Repeat("a", 60_000), 400, "unsupported_grant_type",
			"the only grant_type is client_credentials"},
		{"a name of 60 KB", base + "&" + strings.Repeat("a", 60_000) + "=b", 200, "", ""},
		{"an assertion type of 60 KB", base + "&client_assertion_type=" + strings.Repeat("a", 60_000), 400,
			"invalid_request", twoWays},
		{"NUL in grant_type", base + "%00", 400, "unsupported_grant_type", "the only grant_type is client_credentials"},
		{"NUL in scope", base + "&scope=read%00", 400, "invalid_scope", "the scope is malformed"},
		{"NUL in resource", base + "&resource=" + url.QueryEscape(api) + "%00", 400, "invalid_target", notAbsolute},
		{"a resource of 60 KB", base + "&resource=" + strings.Repeat("a", 60_000), 400, "invalid_target", notAbsolute},
		{"20,000 NUL in a resource", base + "&resource=" + strings.Repeat("%00", 20_000), 400, "invalid_target", notAbsolute},
		{"an assertion as resource", base + "&resource=" + keystest.Forge(keystest.ES256, `{"alg":"ES256"}`, `{"iss":"billing"}`),
			400, "invalid_target", notAbsolute},
		{"the secret as scope", base + "&scope=" + secret, 400, "invalid_scope", "a scope is unknown or not allowed"},
		{"NUL in client_id", base + "&client_id=billing%00", 400, "invalid_request",
			"client_id differs from the client that authenticates"},
		{"NUL in an unknown value", base + "&nonsense=%00", 200, "", ""},
		{"NUL in an unknown name", base + "&%00=nonsense", 200, "", ""},
		{"NUL in a name that begins as a known one", base + "&scope%00=nonsense", 200, "", ""},
		{"20,000 NUL", base + "&nonsense=" + strings.Repeat("%00", 20_000), 200, "", ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			a := timed(t, func() answer {
				return e.send(t, "POST", "", row.body, "Content-Type", urlencoded, "Authorization", basic("billing",
					secret))
			})
			if row.status == 200 {
				grantedToken(t, a)
				return
			}
			checkRefused(t, a, row.status, row.code, row.description)
		})
	}
	for _, name := range []string{"grant_type", "scope", "resource", "client_id", "client_secret", "client_assertion",
		"client_assertion_type", "nonsense"} {
		for _, octets := range []string{"%ff", "%c0%80", "%ed%a0%80", "%f4%90%80%80", "\xff", "a%80"} {
			t.Run("not UTF-8 in "+name+": "+url.PathEscape(octets), func(t *testing.T) {
				body := strings.Replace("nonsense=a&"+name+"="+octets, "nonsense=a&nonsense", "nonsense", 1)
				a := e.send(t, "POST", "", body, "Content-Type", urlencoded, "Authorization", basic("billing", secret))
				checkRefused(t, a, 400, "invalid_request", "the body is not UTF-8")
			})
		}
	}
	t.Run("1 MB in chunks", func(t *testing.T) {
		r := e.request(t, "POST", "/oauth2/token", strings.Repeat("a", 1<<20), "Content-Type", urlencoded)
		r.ContentLength = -1
		checkRefused(t, e.do(t, r), http.StatusRequestEntityTooLarge, "invalid_request", tooLong)
	})
	t.Run("an assertion type that is long, alone", func(t *testing.T) {
		checkRefused(t, e.ask(t, form("client_assertion_type", strings.Repeat("a", 60_000))), 400, "invalid_request",
			wrong)
	})
}

func TestHostileBasic(t *testing.T) {
	t.Parallel()
	e := hostile(t)
	halves := []struct{ name, text string }{
		{"NUL", "\x00"},
		{"NUL encoded", "%00"},
		{"NUL behind", "billing%00"},
		{"not UTF-8", "\xff\xfe"},
		{"not UTF-8 encoded", "%ff%fe"},
		{"overlong", "%c0%af"},
		{"surrogate", "%ed%a0%80"},
		{"line breaks", "billing\r\nX-Forged: 1"},
		{"line breaks encoded", "billing%0d%0aX-Forged:%201"},
		{"10,000 letters", strings.Repeat("a", 10_000)},
		{"10,000 letters encoded", strings.Repeat("%61", 10_000)},
		{"10,000 colons", strings.Repeat(":", 10_000)},
		{"10,000 percent signs", strings.Repeat("%25", 10_000)},
		{"a path", "../../etc/passwd"},
		{"SQL", "billing' OR '1'='1"},
		{"a pattern", ".*"},
	}
	for _, half := range halves {
		for name, header := range map[string]string{
			"id": basic(half.text, secret), "secret": basic("billing", half.text), "both": basic(half.text, half.text),
		} {
			t.Run(half.name+" in "+name, func(t *testing.T) {
				a := timed(t, func() answer { return e.ask(t, form(), "Authorization", header) })
				checkRefused(t, a, 401, "invalid_client", failed)
				if a.Header.Get("X-Forged") != "" {
					t.Error("a header was forged")
				}
			})
		}
		t.Run(half.name+" in post", func(t *testing.T) {
			text, err := url.QueryUnescape(half.text)
			if err != nil {
				text = half.text
			}
			status, code, description := 401, "invalid_client", failed
			if strings.ToValidUTF8(text, "") != text {
				status, code, description = 400, "invalid_request", "the body is not UTF-8"
			}
			a := e.ask(t, form("client_id", text, "client_secret", text))
			checkRefused(t, a, status, code, description)
		})
	}
}

func TestHostileAssertions(t *testing.T) {
	t.Parallel()
	e := hostile(t)
	header, claims := assertionHeader(keystest.ES256Other), e.claims()
	nested := func(open, shut string, depth int) string {
		return strings.Repeat(open, depth) + "1" + strings.Repeat(shut, depth)
	}
	forged := func(header, claims string) string { return keystest.Forge(keystest.ES256Other, header, claims) }
	rows := []struct{ name, assertion string }{
		{"60 KB", strings.Repeat("a", 60_000)},
		{"60 KB of dots", strings.Repeat(".", 60_000)},
		{"60 KB of claims", forged(header.String(), claims.With("nonsense", strconv.Quote(strings.Repeat("a",
			40_000))).String())},
		{"60 KB of header", forged(header.With("nonsense", strconv.Quote(strings.Repeat("a", 40_000))).String(),
			claims.String())},
		{"60 KB of signature", forged(header.String(), claims.String()) + strings.Repeat("A", 59_000)},
		{"arrays 2,500 deep for a claim that is read", forged(header.String(), claims.With("aud", nested("[", "]",
			2500)).String())},
		{"arrays that are not closed", forged(header.String(), "{\"a\":"+strings.Repeat("[", 5000)+"}")},
		{"objects that are not closed", forged(header.String(), strings.Repeat(`{"a":`, 1000)+"}")},
		{"objects 800 deep for a kid", forged(header.With("kid", nested(`{"a":`, "}", 800)).String(), claims.String())},
		{"1,000 members of one name", forged(header.String(), "{"+strings.Repeat(`"a":1,`, 900)+`"a":1}`)},
		{"exp of 4,000 digits", forged(header.String(), claims.With("exp", strings.Repeat("9", 4000)).String())},
		{"exp of 4,000 digits behind the point", forged(header.String(), claims.With("exp", "0."+strings.Repeat("0",
			4000)+"1").String())},
		{"exp 1e999999999", forged(header.String(), claims.With("exp", "1e999999999").String())},
		{"exp 1e-999999999", forged(header.String(), claims.With("exp", "1e-999999999").String())},
		{"exp 9223372036854775807", forged(header.String(), claims.With("exp", "9223372036854775807").String())},
		{"exp -9223372036854775808", forged(header.String(), claims.With("exp", "-9223372036854775808").String())},
		{"exp -0", forged(header.String(), claims.With("exp", "-0").String())},
		{"iat 1e308", forged(header.String(), claims.With("iat", "1e308").String())},
		{"a jti of 5,000 octets", forged(header.String(), claims.With("jti", strconv.Quote(strings.Repeat("a",
			5000))).String())},
		{"a kid of 5,000 octets", forged(header.With("kid", strconv.Quote(strings.Repeat("a", 5000))).String(),
			claims.String())},
		{"NUL in iss", forged(header.String(), claims.With("iss", `"robot\u0000"`).With("sub",
			`"robot\u0000"`).String())},
		{"a raw NUL in iss", forged(header.String(), claims.With("iss", "\"robot\x00\"").String())},
		{"not UTF-8 in iss", forged(header.String(), claims.With("iss", "\"robot\xff\"").String())},
		{"half of a surrogate pair", forged(header.String(), claims.With("iss", `"robot\ud800"`).String())},
		{"not UTF-8 in the header", forged(header.With("kid", "\"\xff\"").String(), claims.String())},
		{"a byte order mark", forged("\ufeff"+header.String(), claims.String())},
		{"a line break in the base64", strings.Replace(forged(header.String(), claims.String()), ".", "\n.", 1)},
		{"a plus, which a form makes a space", strings.Replace(forged(header.String(), claims.String()), ".", " .", 1)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			a := timed(t, func() answer { return e.askAssertion(t, row.assertion) })
			checkRefused(t, a, 401, "invalid_client", failed)
		})
	}
	t.Run("NUL in a jti is a jti", func(t *testing.T) {
		grantedToken(t, e.askAssertion(t, forgeAssertion(e.claims().With("jti", `"a\u0000b"`))))
		grantedToken(t, e.askAssertion(t, forgeAssertion(e.claims().With("jti", `"a"`))))
	})
	t.Run("arrays 2,500 deep for a claim that nobody reads", func(t *testing.T) {
		a := timed(t, func() answer {
			return e.askAssertion(t, forgeAssertion(e.claims().With("nonsense", nested("[", "]", 2500))))
		})
		grantedToken(t, a)
	})
}

// What no client of net/http sends. Some of it net/http answers before anything of ours, and one of its answers is the
// 501 that RFC 9112 §6.1 asks for. Nothing else is a 5xx.
func TestHostileOctets(t *testing.T) {
	t.Parallel()
	e := hostile(t)
	auth := basic("billing", secret)
	e.keep(auth, secret)
	good := "Host: a\r\nAuthorization: " + auth + "\r\nContent-Type: " + urlencoded + "\r\n"
	rows := []struct {
		name, text string
		status     int
		body       string // "" is not looked at: net/http answers before anything of ours
	}{
		{"a body that ends early", good + "Content-Length: 100\r\n\r\ngrant_type=a", 400, errorBody("invalid_request",
			"the body cannot be read")},
		{"chunks that are none", good + "Transfer-Encoding: chunked\r\n\r\nzz\r\ngrant", 400,
			errorBody("invalid_request", "the body cannot be read")},
		{"a chunk of 2^63", good + "Transfer-Encoding: chunked\r\n\r\n8000000000000000\r\ngrant", 400,
			errorBody("invalid_request", "the body cannot be read")},
		{"chunks that end early", good + "Transfer-Encoding: chunked\r\n\r\n5\r\ngrant", 400,
			errorBody("invalid_request", "the body cannot be read")},
		{"two lengths", good + "Content-Length: 5\r\nContent-Length: 6\r\n\r\ngrant_type=a", 400, ""},
		{"a negative length", good + "Content-Length: -1\r\n\r\ngrant_type=a", 400, ""},
		{"a length of 2^64", good + "Content-Length: 18446744073709551616\r\n\r\ngrant_type=a", 400, ""},
		{"a length of 8 EB", good + "Content-Length: 9223372036854775807\r\n\r\ngrant_type=a", 400,
			errorBody("invalid_request", "the body cannot be read")},
		{"NUL in a header", good + "X: a\x00b\r\nContent-Length: 0\r\n\r\n", 400, ""},
		{"NUL in Basic", "Host: a\r\nAuthorization: Basic \x00\r\n\r\n", 400, ""},
		{"not UTF-8 in Basic",
			"Host: a\r\nAuthorization: Basic \xff\xfe\r\nContent-Type: " + urlencoded +
				"\r\nContent-Length: 3\r\n\r\na=b",
			401, errorBody("invalid_client", failed)},
		{"not UTF-8 in Content-Type",
			"Host: a\r\nContent-Type: " + urlencoded + "; charset=\xff\r\nContent-Length: 3\r\n\r\na=b",
			400, errorBody("invalid_request", notForm)},
		{"an unknown Transfer-Encoding", good + "Transfer-Encoding: gzip\r\n\r\n", 501, ""},
		{"an unknown Expect", good + "Expect: nonsense\r\nContent-Length: 3\r\n\r\na=b", 417, ""},
		{"a body in gzip", good + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00", 400,
			errorBody("invalid_request", notUTF8)},
		{"no Host", "Content-Length: 0\r\n\r\n", 400, ""},
		{"a folded header", "Host: a\r\nAuthorization: Basic\r\n " + auth + "\r\nContent-Length: 0\r\n\r\n", 400, ""},
		{"2 MB of header", "Host: a\r\nX: " + strings.Repeat("a", 2<<20) + "\r\n\r\n", 431, ""},
		{"20,000 Authorization headers", good + strings.Repeat("Authorization: a\r\n",
			20_000) + "Content-Length: 3\r\n\r\na=b", 400, errorBody("invalid_request", twoWays)},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			a := timed(t, func() answer { return e.raw(t, "POST /oauth2/token HTTP/1.1\r\n"+row.text) })
			if a.StatusCode != row.status || (row.body != "" && a.body != row.body+"\n") {
				t.Errorf("status %d, body %q, want %d, %q", a.StatusCode, a.body, row.status, row.body)
			}
			if strings.Contains(a.body, secret) || strings.Contains(fmt.Sprint(a.Header), auth) {
				t.Error("the answer has the credentials")
			}
		})
	}
	t.Run("it goes on", func(t *testing.T) { grantedToken(t, e.askAs(t)) })
}
