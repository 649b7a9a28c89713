package server_test

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func (c *checklist) basicDecoded(t *testing.T) {
	e := c.edge(t)
	odd := url.QueryEscape(oddSecret)
	encode := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	granted := []struct{ name, header, client string }{
		{"as it is", "Basic " + encode("billing:"+secret), "billing"},
		{"two spaces behind the scheme", "Basic  " + encode("billing:"+secret), "billing"},
		{"every octet encoded", "Basic " + encode(percent("billing")+":"+percent(secret)), "billing"},
		{"plus, percent, colon, space, slash, é encoded", "Basic " + encode(url.QueryEscape(oddID)+":"+odd), oddID},
		{"the id's signs as they are", "Basic " + encode(oddID+":"+odd), oddID},
		{"space as %20", "Basic " + encode(oddID+":"+strings.ReplaceAll(odd, "+", "%20")), oddID},
		{"colon in the secret as it is", "Basic " + encode(oddID+":"+strings.ReplaceAll(odd, "%3A", ":")), oddID},
		{"escapes in lower case", "Basic " + encode(oddID+":"+strings.ReplaceAll(odd, "%2B", "%2b")), oddID},
		{"basic", "basic " + encode("billing:"+secret), "billing"},
		{"BASIC", "BASIC " + encode("billing:"+secret), "billing"},
	}
	for _, row := range granted {
		t.Run("accepted "+row.name, func(t *testing.T) {
			if claims, _ := grantedToken(t, e.ask(t, form(), "Authorization",
				row.header)); claims["sub"] != row.client {
				t.Errorf("claims %v", claims)
			}
		})
	}
	refused := []struct{ name, header string }{
		{"a plus that is not encoded is a space", "Basic " + encode(oddID+":"+strings.ReplaceAll(odd, "%2B", "+"))},
		{"encoded twice", "Basic " + encode(oddID+":"+url.QueryEscape(odd))},
		{"é in iso-8859-1", "Basic " + encode(oddID+":"+strings.ReplaceAll(odd, "%C3%A9", "%E9"))},
		{"secret with a NUL behind it", "Basic " + encode("billing:"+secret+"%00")},
		{"id with a NUL behind it", "Basic " + encode("billing%00:"+secret)},
		{"id in another case", "Basic " + encode("Billing:"+secret)},
		{"a colon in the id is its end", "Basic " + encode("a:billing:"+secret)},
		{"a colon in the id, encoded", "Basic " + encode("billing%3A:"+secret)},
		{"the separator encoded", "Basic " + encode("billing%3A"+secret)},
		{"no separator", "Basic " + encode("billing")},
		{"no id", "Basic " + encode(":"+secret)},
		{"no secret", "Basic " + encode("billing:")},
		{"neither", "Basic " + encode(":")},
		{"nothing", "Basic"},
		{"bad escape in the id", "Basic " + encode("billin%zz:"+secret)},
		{"bad escape in the secret", "Basic " + encode("billing:%")},
		{"not base64", "Basic billing:" + secret},
		{"base64url", "Basic " + base64.RawURLEncoding.EncodeToString([]byte("billing:??>>??>>"))},
		{"something behind the base64", "Basic " + encode("billing:"+secret) + ", realm=a"},
		{"padding too much", "Basic " + encode("billing:"+secret) + "="},
	}
	for _, row := range refused {
		t.Run("refused "+row.name, func(t *testing.T) {
			checkRefused(t, e.ask(t, form(), "Authorization", row.header), 401, "invalid_client", failed)
		})
	}
}

func (c *checklist) notInTheURI(t *testing.T) {
	e := c.edge(t)
	assertion := forgeAssertion(e.claims())
	body := url.Values{
		"grant_type": {"client_credentials"}, "client_assertion_type": {urn}, "client_assertion": {assertion},
	}.Encode()
	rows := []struct{ name, query, body string }{
		{"client_id and client_secret", "?client_id=billing&client_secret=" + secret, form().Encode()},
		{"client_secret, the rest in the body", "?client_secret=" + secret, form("client_id", "billing").Encode()},
		{"the same in the body", "?client_id=billing&client_secret=" + secret, form("client_id", "billing",
			"client_secret", secret).Encode()},
		{"client_assertion", "?client_assertion=" + assertion, form("client_assertion_type", urn).Encode()},
		{"client_assertion, the same in the body", "?client_assertion=" + assertion, body},
		{"grant_type", "?grant_type=client_credentials", "client_id=billing&client_secret=" + secret},
		{"grant_type, the same in the body", "?grant_type=client_credentials", body},
		{"scope", "?scope=read", body},
		{"resource", "?resource=" + url.QueryEscape(api), body},
		{"unknown", "?nonsense", body},
		{"broken", "?%zz", body},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			e.keep(assertion)
			checkRefused(t, e.send(t, "POST", row.query, row.body, "Content-Type", urlencoded), 400, "invalid_request",
				inTheURI)
		})
	}
	t.Run("a question mark alone", func(t *testing.T) {
		grantedToken(t, e.send(t, "POST", "?", body, "Content-Type", urlencoded))
	})
	t.Run("before the host", func(t *testing.T) { // they count for nothing
		text := fmt.Sprintf("POST http://billing:%s@a/oauth2/token HTTP/1.1\r\n"+
			"Host: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
			secret, urlencoded, len(form().Encode()), form().Encode())
		e.keep(secret)
		checkRefused(t, e.kept([]string{secret}, nil, e.raw(t, text)), 401, "invalid_client", failed)
	})
}

func (c *checklist) oneWay(t *testing.T) {
	e := c.edge(t)
	auth := basic("billing", secret)
	post := []string{"client_id", "billing", "client_secret", secret}
	assertion := func() []string {
		return []string{"client_assertion_type", urn, "client_assertion", forgeAssertion(e.claims())}
	}
	rows := []struct {
		name    string
		form    []string
		headers []string
	}{
		{"Basic and post", post, []string{"Authorization", auth}},
		{"Basic and post, of different clients", []string{"client_id", "one", "client_secret", secret},
			[]string{"Authorization", auth}},
		{"Basic and post, one of them wrong", []string{"client_id", "billing", "client_secret", "wrong"},
			[]string{"Authorization", auth}},
		{"Basic and assertion", assertion(), []string{"Authorization", auth}},
		{"Basic and half an assertion", []string{"client_assertion_type", urn}, []string{"Authorization", auth}},
		{"Basic and the other half", []string{"client_assertion", "a.b.c"}, []string{"Authorization", auth}},
		{"post and assertion", append(assertion(), post...), nil},
		{"post without id, and assertion", append(assertion(), "client_secret", secret), nil},
		{"all three", append(assertion(), post...), []string{"Authorization", auth}},
		{"Authorization twice, the same", nil, []string{"Authorization", auth, "Authorization", auth}},
		{"Authorization twice, of different clients", nil, []string{"Authorization", auth, "Authorization", basic("one",
			secret)}},
		{"Authorization twice, Basic and Bearer", nil, []string{"Authorization", auth, "Authorization",
			"Bearer abcdefgh"}},
		{"Authorization twice, one empty", nil, []string{"Authorization", auth, "Authorization", ""}},
		{"Bearer and post", post, []string{"Authorization", "Bearer abcdefgh"}},
		{"Bearer and assertion", assertion(), []string{"Authorization", "Bearer abcdefgh"}},
		{"empty Authorization and post", post, []string{"Authorization", ""}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			checkRefused(t, e.ask(t, form(row.form...), row.headers...), 400, "invalid_request", twoWays)
		})
	}
	t.Run("Basic and the same client_id is one way", func(t *testing.T) {
		grantedToken(t, e.askAs(t, "client_id", "billing"))
	})
	t.Run("Basic and another client_id", func(t *testing.T) {
		checkRefused(t, e.askAs(t, "client_id", "one"), 400, "invalid_request",
			"client_id differs from the client that authenticates")
	})
}
