package doctor_test

import (
	"strconv"
	"strings"
	"testing"

	"example.com/signet/keys/keystest"
)

func TestTokenEndpoint(t *testing.T) {
	post := func(changes ...func(*page)) func(*fake) {
		return func(f *fake) {
			for _, change := range changes {
				at(change, tokenPlace)(f)
			}
		}
	}
	nobody, err := keystest.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	runRows(t, []row{
		{"nobody there", with("token_endpoint", strconv.Quote("http://"+nobody)), []string{"error token_endpoint.reachable"}, "connection refused"},
		{"not there", post(status(404)), []string{"error token_endpoint.status"}, "404 (Not Found)"},
		{"no POST", post(status(405)), []string{"error token_endpoint.status"}, ""},
		{"server error", post(status(500)), []string{"error token_endpoint.status"}, "500 (Internal Server Error)"},
		{"overloaded", post(status(503)), []string{"error token_endpoint.status"}, ""},
		{"a token for nothing", post(status(200), body(`{"access_token":"a"}`)), []string{"error token_endpoint.status"}, "200 (OK)"},
		{"a page, 200", post(status(200), body("<html>")), []string{"error token_endpoint.status"}, ""},
		{"a page, 400", post(status(400), body(" <html>")), []string{"error token_endpoint.error"}, "and with a page of HTML"},
		{"text", post(body("no")), []string{"error token_endpoint.error"}, "and without an OAuth error in JSON"},
		{"no body", post(body(" ")), []string{"error token_endpoint.error"}, ""},
		{"without error", post(body(`{"message":"no"}`)), []string{"error token_endpoint.error"}, ""},
		{"error an object", post(body(`{"error":{"code":401}}`)), []string{"error token_endpoint.error"}, ""},
		{"too large", post(body(`{"error":"` + strings.Repeat("x", 512<<10) + `"}`)), []string{"error token_endpoint.error"}, "more than 512 KiB"},
		{"redirect", post(status(308), having("Location", tokenPlace+"/")), []string{"error token_endpoint.redirect"}, `"/oauth2/token/"`},
		{"redirect elsewhere", post(redirectTo("http://issuer.example.com/")), []string{"error token_endpoint.redirect"}, "302 (Found)"},
		{"forbidden", post(status(403)), []string{"warning token_endpoint.status"}, "403 (Forbidden)"},
		{"too many requests", post(status(429)), []string{"warning token_endpoint.status"}, ""},
		{"forbidden, a page", post(status(403), body("<html>")), []string{"error token_endpoint.error", "warning token_endpoint.status"}, ""},
		{"bad request", post(status(400)), nil, ""},
		{"text for type", post(having("Content-Type", "text/plain")), []string{"warning token_endpoint.content_type"}, `"text/plain"`},
		{"no type", post(without("Content-Type")), []string{"warning token_endpoint.content_type"}, ""},
		{"may be kept", post(without("Cache-Control")), []string{"warning token_endpoint.no_store"}, ""},
		{"may be kept, privately", post(having("Cache-Control", "private, max-age=0")), []string{"warning token_endpoint.no_store"}, ""},
		{"not to be kept, among others", post(having("Cache-Control", "no-cache, No-Store")), nil, ""},
		{"no challenge", post(without("Www-Authenticate")), []string{"note token_endpoint.challenge"}, ""},
		{"no challenge, 400", post(status(400), without("Www-Authenticate")), nil, ""},
		{"GET allowed", at(status(200), tokenByGET), []string{"warning token_endpoint.get"}, "200 (OK)"},
		{"GET without content", at(status(204), tokenByGET), []string{"warning token_endpoint.get"}, ""},
		{"GET refused in another way", at(status(400), tokenByGET), nil, ""},
		{"GET redirected", at(redirectTo("http://issuer.example.com/login"), tokenByGET), nil, ""},
	})
}
