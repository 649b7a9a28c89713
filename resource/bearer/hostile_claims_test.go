package bearer_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
)

func (e *edge) types() []hostile {
	rows := []hostile{
		fine("AT+JWT", e.withHeader("typ", `"AT+JWT"`)),
		fine("application/at+jwt", e.withHeader("typ", `"application/at+jwt"`)),
		bad("missing", e.forge(e.header.Without("typ"), e.claims)),
		bad("null", e.withHeader("typ", "null")),
		bad("an array", e.withHeader("typ", `["at+jwt"]`)),
	}
	for _, typ := range []string{"", "JWT", "id_token", "dpop+jwt", "client-authentication+jwt", "logout+jwt", "secevent+jwt",
		"text/at+jwt", "at+jwt;v=1", " at+jwt"} {
		rows = append(rows, bad(strconv.Quote(typ), e.withHeader("typ", strconv.Quote(typ))))
	}
	return rows
}

func (e *edge) times() []hostile {
	rows := []hostile{
		fine("exp in a second", e.withClaim("exp", e.at(time.Second))),
		fine("nbf now", e.withClaim("nbf", e.at(0))),
		bad("exp missing", e.withoutClaim("exp")),
		bad("exp now", e.withClaim("exp", e.at(0))),
		bad("exp a second ago", e.withClaim("exp", e.at(-time.Second))),
		bad("exp twice", e.forge(e.header, e.claims.Twice("exp", e.at(time.Hour)))),
		bad("iat missing", e.withoutClaim("iat")),
		bad("iat in a second", e.withClaim("iat", e.at(time.Second))),
		bad("nbf in a second", e.withClaim("nbf", e.at(time.Second))),
		bad("nbf null", e.withClaim("nbf", "null")),
		bad("nbf a string", e.withClaim("nbf", `"0"`)),
		bad("iat a string", e.withClaim("iat", strconv.Quote(e.at(0)))),
	}
	for name, value := range map[string]string{
		"null": "null", "a string": strconv.Quote(e.at(time.Minute)), "an array": "[" + e.at(time.Minute) + "]", "true": "true",
		"-1": "-1", "0": "0", "0.5": "0.5", "1e300": "1e300", "1e400": "1e400", "2^63": "9223372036854775808",
		"NaN": "NaN", "RFC 3339": `"2026-11-23T10:25:00Z"`, "milliseconds": e.at(time.Minute) + "000",
	} {
		rows = append(rows, bad("exp "+name, e.withClaim("exp", value)))
	}
	return rows
}

func (e *edge) identities() []hostile {
	iss, aud := strconv.Quote(e.issuer.Issuer()), strconv.Quote(keystest.Audience)
	rows := []hostile{
		fine("aud an array with ours", e.withClaim("aud", `["https://a.example.com",`+aud+`]`)),
		bad("iss missing", e.withoutClaim("iss")),
		bad("iss null", e.withClaim("iss", "null")),
		bad("iss with a trailing slash", e.withClaim("iss", strconv.Quote(e.issuer.Issuer()+"/"))),
		bad("iss in capitals", e.withClaim("iss", strconv.Quote(strings.ToUpper(e.issuer.Issuer())))),
		bad("iss an array", e.withClaim("iss", "["+iss+"]")),
		bad("iss another", e.withClaim("iss", `"https://evil.example.com"`)),
		bad("iss twice", e.forge(e.header, e.claims.Twice("iss", iss))),
		bad("aud missing", e.withoutClaim("aud")),
		bad("aud null", e.withClaim("aud", "null")),
		bad("aud a number", e.withClaim("aud", "1")),
		bad("aud an empty array", e.withClaim("aud", "[]")),
		bad("aud an array with a number", e.withClaim("aud", "["+aud+",1]")),
		bad("aud an array with null", e.withClaim("aud", "["+aud+",null]")),
		bad("aud an object", e.withClaim("aud", "{"+aud+":true}")),
		bad("aud another's", e.withClaim("aud", `"https://billing.example.com"`)),
		bad("aud with a trailing slash", e.withClaim("aud", strconv.Quote(keystest.Audience+"/"))),
		bad("aud that begins like ours", e.withClaim("aud", strconv.Quote(keystest.Audience+".evil.example.com"))),
		bad("aud in capitals", e.withClaim("aud", strings.ToUpper(aud))),
		bad("scope an array", e.withClaim("scope", `["orders:read"]`)),
		bad("cnf", e.withClaim("cnf", `{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}`)),
		bad("cnf null", e.withClaim("cnf", "null")),
	}
	for _, claim := range []string{"sub", "client_id", "jti"} {
		rows = append(rows,
			bad(claim+" missing", e.withoutClaim(claim)),
			bad(claim+" empty", e.withClaim(claim, `""`)),
			bad(claim+" null", e.withClaim(claim, "null")),
			bad(claim+" a number", e.withClaim(claim, "7")),
			bad(claim+" an array", e.withClaim(claim, `["admin"]`)),
			bad(claim+" twice", e.forge(e.header, e.claims.Twice(claim, `"admin"`))))
	}
	return rows
}

func (e *edge) claimsTexts() []hostile {
	text := e.claims.String()
	return []hostile{
		fine("unknown claims in another letter case", e.forge(e.header, e.claims.With("EXP", "1").With("Sub", `"admin"`))),
		bad("EXP instead of exp", e.forge(e.header, e.claims.Without("exp").With("EXP", e.at(time.Hour)))),
		bad("Iss instead of iss", e.forge(e.header, e.claims.Without("iss").With("Iss", e.claims[0].Value))),
		bad("exp with an escape", e.forge(e.header, e.claims.Without("exp").With(`\u0065xp`, e.at(time.Hour)))),
		bad("sub again with an escape", e.forge(e.header, e.claims.With(`s\u0075b`, `"admin"`))),
		bad("a duplicate inside a claim", e.withClaim("x", `{"y":1,"y":2}`)),
		bad("invalid UTF-8", e.withClaim("x", "\"\xff\"")),
		bad("invalid UTF-8 in a name", e.withClaim("\xff", "1")),
		bad("lone surrogate", e.withClaim("sub", `"\ud800"`)),
		bad("trailing letter", e.payload(text+"x")),
		bad("trailing object", e.payload(text+"{}")),
		bad("trailing NUL", e.payload(text+"\x00")),
		bad("trailing space", e.payload(text+" ")),
		bad("byte order mark", e.payload("\ufeff"+text)),
		bad("an array", e.payload("["+text+"]")),
		bad("a string", e.payload(strconv.Quote(text))),
		bad("null", e.payload("null")),
		bad("empty", e.payload("")),
		bad("cut short", e.payload(text[:len(text)-1])),
		bad("not JSON", e.payload("sub=billing&exp=9999999999")),
	}
}

const maxTokenSize = 8 << 10

// The server's own limit on headers is 1 MiB by default, so that all of these reach us; cmd resource allows 32 KiB, and
// net/http answers 431 to the last three.
func (e *edge) sizes() []hostile {
	token := e.genuine()
	long := e.claims
	for len(e.forge(e.header, long)) <= maxTokenSize {
		long = long.Twice("pad"+strconv.Itoa(len(long)), `"`+strings.Repeat("x", 100)+`"`)
	}
	exact := e.claims.With("pad", `""`)
	for n := 0; len(e.forge(e.header, exact)) < maxTokenSize-3; n++ {
		exact = exact.With("pad", `"`+strings.Repeat("x", (maxTokenSize-len(e.forge(e.header, exact)))*3/4+len(exact[len(exact)-1].Value)-2)+`"`)
	}
	return []hostile{
		fine("just within 8 KiB, and genuine", e.forge(e.header, exact)),
		bad("just over 8 KiB, and genuine but for that", e.forge(e.header, long)),
		bad("8 KiB and 1", token+strings.Repeat("A", maxTokenSize+1-len(token))),
		bad("8 KiB of letters", strings.Repeat("A", maxTokenSize)),
		bad("8 KiB of dots", strings.Repeat(".", maxTokenSize)),
		bad("5,000 arrays in each other, unclosed", e.withClaim("x", strings.Repeat("[", 5000))),
		bad("depth 10,000", e.withClaim("x", strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000))),
		bad("10,000 claims", e.payload("{"+strings.Repeat(`"c":0,`, 10_000)+e.claims.String()[1:])),
		bad("1 MB", token+strings.Repeat("A", 1_000_000)),
		bad("1 MB of payload, signed", e.withClaim("x", `"`+strings.Repeat("x", 700_000)+`"`)),
		bad("a million dots", strings.Repeat(".", 1_000_000)),
	}
}

// Two issuers: one that we trust and one that we do not, each with keys of its own, and one kid in both sets.
func (e *edge) mixUps(t *testing.T) []hostile {
	t.Helper()
	other := keystest.NewServer(keystest.Set(keystest.ES256Other)) // it publishes well; nobody here asks it
	t.Cleanup(other.Close)
	theirClaims := keystest.AccessClaims(other.Issuer(), keystest.Audience, e.clock.Now())
	return []hostile{
		bad("the other's own token", keystest.AccessToken(keystest.ES256Other, theirClaims)),
		bad("the other's key under our iss", keystest.AccessToken(keystest.ES256Other, e.claims)),
		bad("the other's key under our iss and our kid", keystest.Forge(keystest.ES256Other, e.header.String(), e.claims.String())),
		bad("our key under the other's iss", e.forge(e.header, theirClaims)),
		bad("the other's key under our kid and its iss", keystest.Forge(keystest.ES256Other, e.header.String(), theirClaims.String())),
	}
}

func (e *edge) transports() []hostile {
	token := e.genuine()
	by := func(name string, status int, code string, request func(r *http.Request)) hostile {
		return hostile{name: name, token: token, request: request, status: status, code: code}
	}
	authorization := func(values ...string) func(r *http.Request) {
		return func(r *http.Request) { r.Header["Authorization"] = values }
	}
	return []hostile{
		by("bearer in small letters", 200, "", authorization("bearer "+token)),
		by("BEARER", 200, "", authorization("BEARER "+token)),
		by("Token and Authorization", 400, "invalid_request", func(r *http.Request) {
			r.Header.Set("Token", token)
			r.Header.Set("Authorization", "Bearer "+token)
		}),
		by("Token and Basic", 400, "invalid_request", func(r *http.Request) {
			r.Header.Set("Token", token)
			r.SetBasicAuth("billing", "secret")
		}),
		by("Token twice", 400, "invalid_request", func(r *http.Request) { r.Header["Token"] = []string{token, token} }),
		by("Token twice, another first", 400, "invalid_request", func(r *http.Request) { r.Header["Token"] = []string{"x", token} }),
		by("Authorization twice", 400, "invalid_request", authorization("Bearer "+token, "Bearer "+token)),
		by("Basic and Bearer", 400, "invalid_request", authorization("Basic eDp4", "Bearer "+token)),
		by("Bearer with none", 400, "invalid_request", authorization("Bearer")),
		by("Bearer and two words", 400, "invalid_request", authorization("Bearer "+token+" "+token)),
		by("Bearer and a comma", 400, "invalid_request", authorization("Bearer "+token+","+token)),
		by("Bearer and a list", 400, "invalid_request", authorization("Bearer "+token+", Bearer "+token)),
		by("Token empty", 400, "invalid_request", func(r *http.Request) { r.Header.Set("Token", "") }),
		by("Token in two letter cases", 400, "invalid_request", func(r *http.Request) {
			r.Header["Token"], r.Header["tOKEN"] = []string{token}, []string{token}
		}),
		by("nothing", 401, "", func(*http.Request) {}),
		by("Authorization empty", 401, "", authorization("")),
		by("Basic", 401, "", authorization("Basic eDp4")),
		by("Basic with our token", 401, "", authorization("Basic "+token)),
		by("DPoP", 401, "", authorization("DPoP "+token)),
		by("no scheme", 401, "", authorization(token)),
		by("Bearer and a tab", 401, "", authorization("Bearer\t"+token)),
		by("in the query", 401, "", func(r *http.Request) {
			r.URL.RawQuery = "access_token=" + token + "&token=" + token + "&Token=" + token
		}),
		by("in a form", 401, "", func(r *http.Request) {
			r.Method, r.Body = http.MethodPost, http.NoBody
			form := "access_token=" + token
			posted, _ := http.NewRequest(http.MethodPost, r.URL.String(), strings.NewReader(form))
			r.Body, r.ContentLength = posted.Body, posted.ContentLength
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}),
		by("in a cookie", 401, "", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "Token", Value: token}) }),
		by("in the path", 401, "", func(r *http.Request) { r.URL.Path = "/" + token }),
		by("in a trailer", 401, "", func(r *http.Request) {
			r.Method, r.Body, r.ContentLength = http.MethodPost, http.NoBody, -1
			posted, _ := http.NewRequest(http.MethodPost, r.URL.String(), strings.NewReader("x"))
			r.Body = posted.Body
			r.Trailer = http.Header{"Token": {token}}
		}),
	}
}
