package server_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	postOnly    = "the token endpoint takes POST only"
	notForm     = "the body must be application/x-www-form-urlencoded in UTF-8"
	isRepeated  = "a parameter is repeated"
	inTheURI    = "parameters belong in the body, not in the URI"
	twoWays     = "more than one way of authenticating"
	noGrantType = "grant_type is missing"
	notUTF8     = "the body is not UTF-8"
)

// raw sends what no client of net/http would. The text is the whole request; the connection is then half closed.
func (s *site) raw(t *testing.T, text string) answer {
	t.Helper()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, text) // it may be refused before it has been read
	_ = conn.(*net.TCPConn).CloseWrite()
	method, _, _ := strings.Cut(text, " ")
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response, string(body)}
}

func (c *checklist) onlyPost(t *testing.T) {
	e := c.edge(t)
	auth := []string{"Authorization", basic("billing", secret), "Content-Type", urlencoded}
	// CONNECT is a method like any other at a path; net/http's client cannot send it there.
	for _, method := range []string{"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "post", "Post",
		"POSTS", "QUERY"} {
		t.Run(method, func(t *testing.T) {
			a := e.send(t, method, "", form().Encode(), auth...)
			checkRefused(t, a, http.StatusMethodNotAllowed, "invalid_request", postOnly)
			if got := a.Header.Values("Allow"); len(got) != 1 || got[0] != "POST" {
				t.Errorf("Allow %q", got)
			}
		})
	}
	t.Run("CONNECT", func(t *testing.T) {
		a := e.kept(nil, nil, e.raw(t, "CONNECT /oauth2/token HTTP/1.1\r\nHost: a\r\n\r\n"))
		checkRefused(t, a, http.StatusMethodNotAllowed, "invalid_request", postOnly)
	})
	t.Run("POST, and a header that names another", func(t *testing.T) {
		grantedToken(t, e.ask(t, form(), append(auth[:2:2], "X-HTTP-Method-Override", "GET")...))
	})
	t.Run("GET, and a header that names POST", func(t *testing.T) {
		a := e.send(t, "GET", "", form().Encode(), append(auth, "X-HTTP-Method-Override", "POST")...)
		checkRefused(t, a, http.StatusMethodNotAllowed, "invalid_request", postOnly)
	})
}

func (c *checklist) emptyAndUnknown(t *testing.T) {
	e := c.edge(t)
	auth := basic("billing", secret)
	base := form().Encode()
	granted := []struct{ name, body string }{
		{"empty scope", base + "&scope="},
		{"empty resource", base + "&resource="},
		{"empty resource beside another", base + "&resource=&resource=" + url.QueryEscape(api)},
		{"empty ways of authenticating", base + "&client_secret=&client_assertion=&client_assertion_type=&client_id="},
		{"name without =", base + "&scope&client_secret&resource"},
		{"unknown", base + "&audience=x&acr_values=1&nonsense=%00"},
		{"unknown and empty", base + "&nonsense="},
		{"no name", base + "&=x"},
		{"known in another case", base + "&Scope=nonsense&RESOURCE=nonsense&Client_Secret=nonsense"},
		{"known with a space", base + "&scope+=nonsense&%20scope=nonsense"},
		{"known as a list", base + "&scope[]=nonsense&resource%5B0%5D=nonsense"},
		{"of other flows",
			base + "&code=a&redirect_uri=b&username=c&password=d&refresh_token=e&code_verifier=f&request=g"},
		{"nothing between ampersands", "&&" + base + "&&"},
	}
	for _, row := range granted {
		t.Run(row.name, func(t *testing.T) {
			claims, _ := grantedToken(t, e.send(t, "POST", "", row.body, "Authorization", auth, "Content-Type",
				urlencoded))
			if claims["aud"] != api || claims["scope"] != "read" {
				t.Errorf("claims %v", claims)
			}
		})
	}
	t.Run("empty grant_type", func(t *testing.T) {
		checkRefused(t, e.askAs(t, "grant_type", ""), 400, "invalid_request", noGrantType)
	})
	t.Run("empty client_id", func(t *testing.T) {
		checkRefused(t, e.ask(t, form("client_id", "", "client_secret", secret)), 400, "invalid_request",
			"client_secret without client_id")
	})
	t.Run("empty client_secret is no way of authenticating", func(t *testing.T) {
		checkRefused(t, e.ask(t, form("client_id", "billing", "client_secret", "")), 401, "invalid_client", failed)
	})
	t.Run("empty client_assertion", func(t *testing.T) {
		checkRefused(t, e.askAssertion(t, ""), 400, "invalid_request", "client_assertion is missing")
	})
}

func (c *checklist) repeated(t *testing.T) {
	e := c.edge(t)
	values := map[string]string{
		"grant_type": "client_credentials", "scope": "read", "client_id": "billing", "client_secret": secret,
		"client_assertion": forgeAssertion(e.claims()), "client_assertion_type": urn, "nonsense": "x", "": "x",
	}
	for name, value := range values {
		twice := url.Values{name: {value, value}}.Encode()
		rows := []struct{ name, body string }{
			{"the same", twice},
			{"another", url.Values{name: {value, "another"}}.Encode()},
			{"one with its name encoded", twice + "&" + percent(name) + "=another"},
			{"one empty between two", url.Values{name: {value, "", value}}.Encode()},
			{"three times", twice + "&" + twice},
		}
		for _, row := range rows {
			t.Run(name+" "+row.name, func(t *testing.T) {
				body := row.body
				if name != "grant_type" {
					body += "&grant_type=client_credentials"
				}
				a := e.send(t, "POST", "", body, "Content-Type", urlencoded, "Authorization", basic("billing", secret))
				checkRefused(t, a, 400, "invalid_request", isRepeated)
			})
		}
	}
	t.Run("one empty and one not is one", func(t *testing.T) {
		body := "grant_type=&grant_type=client_credentials&scope=read&scope=&client_id=billing&client_id=" +
			"&client_secret=&client_secret=" + secret
		grantedToken(t, e.send(t, "POST", "", body, "Content-Type", urlencoded))
	})
	t.Run("twice empty is absent", func(t *testing.T) {
		grantedToken(t, e.send(t, "POST", "", form().Encode()+"&scope=&scope=", "Content-Type", urlencoded,
			"Authorization", basic("billing", secret)))
	})
	t.Run("resource is another code", func(t *testing.T) {
		f := form()
		f["resource"] = []string{api, plain}
		checkRefused(t, e.ask(t, f, "Authorization", basic("billing", secret)), 400, "invalid_target",
			"a token is for one resource")
	})
}

// percent encodes every octet.
func percent(text string) string {
	var b strings.Builder
	for _, octet := range []byte(text) {
		fmt.Fprintf(&b, "%%%02x", octet)
	}
	return b.String()
}

func (c *checklist) onlyForms(t *testing.T) {
	e := c.edge(t)
	auth := []string{"Authorization", basic("billing", secret)}
	body := form().Encode()
	for _, contentType := range []string{
		urlencoded, "Application/X-WWW-Form-URLencoded", urlencoded + ";charset=utf-8",
		urlencoded + ` ; charset="UTF-8"`, urlencoded + "; boundary=x",
	} {
		t.Run("accepted "+contentType, func(t *testing.T) {
			grantedToken(t, e.send(t, "POST", "", body, append(auth, "Content-Type", contentType)...))
		})
	}
	refused := []struct {
		name         string
		contentTypes []string
		body         string
		description  string
	}{
		{"none", nil, body, notForm},
		{"empty", []string{""}, body, notForm},
		{"JSON", []string{"application/json"}, `{"grant_type":"client_credentials"}`, notForm},
		{"multipart", []string{"multipart/form-data; boundary=a"},
			"--a\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--a--", notForm},
		{"text", []string{"text/plain"}, body, notForm},
		{"a form twice", []string{urlencoded, urlencoded}, body, notForm},
		{"a form and JSON", []string{urlencoded, "application/json"}, body, notForm},
		{"two in one", []string{urlencoded + ", application/json"}, body, notForm},
		{"charset iso-8859-1", []string{urlencoded + "; charset=iso-8859-1"}, body, notForm},
		{"charset utf-16", []string{urlencoded + "; charset=utf-16"}, body, notForm},
		{"charset empty", []string{urlencoded + `; charset=""`}, body, notForm},
		{"charset twice", []string{urlencoded + "; charset=utf-8; charset=iso-8859-1"}, body, notForm},
		{"begins alike", []string{urlencoded + "2"}, body, notForm},
		{"any", []string{"*/*"}, body, notForm},
		{"value not UTF-8", []string{urlencoded}, body + "&nonsense=%ff", notUTF8},
		{"value not UTF-8, unencoded", []string{urlencoded}, body + "&nonsense=\xc3\x28", notUTF8},
		{"name not UTF-8", []string{urlencoded}, body + "&%ff=a", notUTF8},
		{"name not UTF-8, without value", []string{urlencoded}, body + "&%ff=", notUTF8},
		{"name overlong", []string{urlencoded}, body + "&%c0%80", notUTF8},
		{"overlong UTF-8", []string{urlencoded}, body + "&nonsense=%c0%80", notUTF8},
		{"half of a surrogate pair", []string{urlencoded}, body + "&nonsense=%ed%a0%80", notUTF8},
		{"iso-8859-1 é in a scope", []string{urlencoded}, body + "&scope=caf%e9", notUTF8},
		{"bad escape in a value", []string{urlencoded}, body + "&nonsense=%zz", "the body is not a form"},
		{"bad escape in a name", []string{urlencoded}, body + "&%z=a", "the body is not a form"},
		{"escape cut off", []string{urlencoded}, body + "&nonsense=%f", "the body is not a form"},
		{"semicolon", []string{urlencoded}, body + ";scope=read", "the body is not a form"},
	}
	for _, row := range refused {
		t.Run("refused "+row.name, func(t *testing.T) {
			headers := auth
			for _, contentType := range row.contentTypes {
				headers = append(headers, "Content-Type", contentType)
			}
			checkRefused(t, e.send(t, "POST", "", row.body, headers...), 400, "invalid_request", row.description)
		})
	}
}
