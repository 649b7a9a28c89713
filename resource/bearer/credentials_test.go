package bearer_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"example.com/signet/resource/bearer"
)

func TestCredentials(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name    string
		headers []string
		want    error // nil: accepted
	}{
		{"Token", []string{"Token", "good"}, nil},
		{"Token in lower case", []string{"token", "good"}, nil},
		{"Bearer", []string{"Authorization", "Bearer good"}, nil},
		{"bearer", []string{"Authorization", "bearer good"}, nil},
		{"BEARER", []string{"Authorization", "BEARER good"}, nil},
		{"Bearer and more spaces", []string{"Authorization", "Bearer   good"}, nil}, // RFC 9110 §11.4: 1*SP

		{"nothing", nil, bearer.ErrNoToken},
		{"Authorization empty", []string{"Authorization", ""}, bearer.ErrNoToken},
		{"Basic", []string{"Authorization", "Basic Z29vZDpnb29k"}, bearer.ErrNoToken},
		{"Basic with our token", []string{"Authorization", "Basic good"}, bearer.ErrNoToken},
		{"DPoP", []string{"Authorization", "DPoP good"}, bearer.ErrNoToken},
		{"no scheme", []string{"Authorization", "good"}, bearer.ErrNoToken},
		{"a scheme that begins like ours", []string{"Authorization", "Bearers good"}, bearer.ErrNoToken},
		{"Bearer: with a colon", []string{"Authorization", "Bearer: good"}, bearer.ErrNoToken},
		{"Bearer with = instead of space", []string{"Authorization", "Bearer=good"}, bearer.ErrNoToken},
		{"space before Bearer", []string{"Authorization", " Bearer good"}, bearer.ErrNoToken},
		{"Bearer, tab", []string{"Authorization", "Bearer\tgood"}, bearer.ErrNoToken},
		{"Basic, then Bearer in one header", []string{"Authorization", "Basic eA==, Bearer good"}, bearer.ErrNoToken},
		{"a look-alike letter", []string{"Authorization", "Вearer good"}, bearer.ErrNoToken}, // Cyrillic Ve
		{"Proxy-Authorization", []string{"Proxy-Authorization", "Bearer good"}, bearer.ErrNoToken},
		{"X-Token", []string{"X-Token", "good"}, bearer.ErrNoToken},
		{"Cookie", []string{"Cookie", "token=good; access_token=good"}, bearer.ErrNoToken},

		{"Bearer with none", []string{"Authorization", "Bearer"}, bearer.ErrAmbiguous},
		{"Bearer and a space", []string{"Authorization", "Bearer "}, bearer.ErrAmbiguous},
		{"two words", []string{"Authorization", "Bearer good good"}, bearer.ErrAmbiguous},
		{"space behind", []string{"Authorization", "Bearer good "}, bearer.ErrAmbiguous},
		{"Bearer twice", []string{"Authorization", "Bearer Bearer good"}, bearer.ErrAmbiguous},
		{"comma", []string{"Authorization", "Bearer good,good"}, bearer.ErrAmbiguous},
		{"comma, then Bearer", []string{"Authorization", "Bearer good, Bearer good"}, bearer.ErrAmbiguous},
		{"tab inside", []string{"Authorization", "Bearer good\tgood"}, bearer.ErrAmbiguous},
		{"tab behind the space", []string{"Authorization", "Bearer \tgood"}, bearer.ErrAmbiguous},
		{"Token empty", []string{"Token", ""}, bearer.ErrAmbiguous},
		{"Token twice", []string{"Token", "good", "Token", "good"}, bearer.ErrAmbiguous},
		{"Token twice, one empty", []string{"Token", "good", "Token", ""}, bearer.ErrAmbiguous},
		{"Token twice in two letter cases", []string{"Token", "good", "TOKEN", "good"}, bearer.ErrAmbiguous},
		{"Authorization twice", []string{"Authorization", "Bearer good", "Authorization", "Bearer good"},
			bearer.ErrAmbiguous},
		{"Bearer and Basic", []string{"Authorization", "Bearer good", "Authorization", "Basic x"}, bearer.ErrAmbiguous},
		{"Token and Authorization", []string{"Token", "good", "Authorization", "Bearer good"}, bearer.ErrAmbiguous},
		{"Token and another Authorization", []string{"Token", "good", "Authorization", "Bearer bad"},
			bearer.ErrAmbiguous},
		{"Token and Basic", []string{"Token", "good", "Authorization", "Basic x"}, bearer.ErrAmbiguous},
		{"Token and an empty Authorization", []string{"Token", "good", "Authorization", ""}, bearer.ErrAmbiguous},
		{"an empty Token and Authorization", []string{"Token", "", "Authorization", "Bearer good"}, bearer.ErrAmbiguous},

		// One credential, and what is wrong with it is for the verifier to say.
		{"Token with a scheme", []string{"Token", "Bearer good"}, errBad},
		{"Token with space inside", []string{"Token", "go od"}, errBad},
		{"Token with a comma", []string{"Token", "good, good"}, errBad},
		{"Token in quotes", []string{"Token", `"good"`}, errBad},
		{"Bearer in quotes", []string{"Authorization", `Bearer "good"`}, errBad},
		{"bad token", []string{"Token", "bad"}, errBad},
		{"bad Bearer", []string{"Authorization", "Bearer bad"}, errBad},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			c := call(t, fake{}, nil, row.headers...)
			if row.want != nil {
				c.wantRefused(t, row.want)
			} else if c.next != 1 || c.reasons != nil || c.StatusCode != http.StatusOK || c.body != "secret\n" {
				t.Errorf("next %d times, reasons %v, %d %q", c.next, c.reasons, c.StatusCode, c.body)
			}
		})
	}
}

// Tokens in a query or a form end up in logs and histories; they are not read (V31), and the request has none.
func TestTokenElsewhereIsNotRead(t *testing.T) {
	t.Parallel()
	form := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader("access_token=good&token=good&Token=good"))
	form.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	trailer := httptest.NewRequest(http.MethodPost, "/orders", strings.NewReader("x"))
	trailer.Trailer = http.Header{"Token": {"good"}, "Authorization": {"Bearer good"}}
	user := httptest.NewRequest(http.MethodGet, "http://bearer:good@example.com/orders", nil)
	for name, r := range map[string]*http.Request{
		"query": httptest.NewRequest(http.MethodGet,
			"/orders?access_token=good&token=good&Token=good&Authorization=Bearer+good", nil),
		"form": form, "trailer": trailer, "user of the URL": user,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			send(t, fake{}, nil, r).wantRefused(t, bearer.ErrNoToken)
		})
	}
}
