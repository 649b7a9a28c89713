package bearer_test

import (
	"io"
	"net/http"
	"strings"
)

// transports are about how a token is presented; nothing is wrong with the token.
func (e *edge) transports() []hostile {
	token := e.token
	by := func(name string, status int, code string, request func(r *http.Request)) hostile {
		return hostile{name: name, token: token, request: request, status: status, code: code}
	}
	authorization := func(values ...string) func(r *http.Request) {
		return func(r *http.Request) { r.Header["Authorization"] = values }
	}
	posting := func(r *http.Request, body string) {
		r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
	return []hostile{
		by("bearer in small letters", 200, "", authorization("bearer "+token)),
		by("BEARER", 200, "", authorization("BEARER "+token)),
		by("Bearer and more spaces", 200, "", authorization("Bearer   "+token)), // RFC 9110 §11.4: 1*SP
		by("Token and Authorization", 400, "invalid_request", func(r *http.Request) {
			r.Header.Set("Token", token)
			r.Header.Set("Authorization", "Bearer "+token)
		}),
		by("Token and Basic", 400, "invalid_request", func(r *http.Request) {
			r.Header.Set("Token", token)
			r.SetBasicAuth("billing", "secret")
		}),
		by("Token twice", 400, "invalid_request", func(r *http.Request) { r.Header["Token"] = []string{token, token} }),
		by("Token twice, another first", 400, "invalid_request",
			func(r *http.Request) { r.Header["Token"] = []string{"x", token} }),
		by("Token twice, one empty", 400, "invalid_request",
			func(r *http.Request) { r.Header["Token"] = []string{token, ""} }),
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
			posting(r, "access_token="+token)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}),
		by("in JSON", 401, "", func(r *http.Request) {
			posting(r, `{"access_token":"`+token+`"}`)
			r.Header.Set("Content-Type", "application/json")
		}),
		by("in a cookie", 401, "", func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "Token", Value: token}) }),
		by("in the path", 401, "", func(r *http.Request) { r.URL.Path = "/" + token }),
		by("in Proxy-Authorization", 401, "",
			func(r *http.Request) { r.Header.Set("Proxy-Authorization", "Bearer "+token) }),
		by("in X-Forwarded-Access-Token", 401, "",
			func(r *http.Request) { r.Header.Set("X-Forwarded-Access-Token", token) }),
		by("in a trailer", 401, "", func(r *http.Request) {
			posting(r, "x")
			r.ContentLength = -1 // in chunks, or there is no place for a trailer
			r.Trailer = http.Header{"Token": {token}}
		}),
	}
}
