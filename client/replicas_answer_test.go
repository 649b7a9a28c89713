package main_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"example.com/signet/keys"
)

// assertionLife is longer than the test, so that none is refused for its age, and as long as issuers let it be.
const assertionLife = 5 * time.Minute

// asker is a client as the issuers know it.
type asker struct {
	id, audience string
	key          *keys.PrivateKey // nil: it has a secret
	secret       string
}

func keyAsker(t *testing.T, id, audience, file string) *asker {
	t.Helper()
	key, err := keys.ReadPrivateKey(file)
	if err != nil {
		t.Fatal(err)
	}
	return &asker{id: id, audience: audience, key: key}
}

// request is a token request, which can be sent more than once.
type request struct {
	*asker
	assertion string // "": it is by secret
	accepted  int    // guarded by crowd.mu: how often a token came of it
}

func (a *asker) request(issuer string) *request {
	r := &request{asker: a}
	if a.key == nil {
		return r
	}
	claims := fmt.Sprintf(`{"iss":%q,"sub":%[1]q,"aud":%q,"jti":%q,"exp":%d}`,
		a.id, issuer, rand.Text(), time.Now().Add(assertionLife).Unix())
	assertion, err := a.key.Sign(keys.TypeClientAssertion, []byte(claims))
	if err != nil {
		panic(err) // the key is the test's own
	}
	r.assertion = assertion
	return r
}

// to is the request as it goes to an issuer's address (RFC 6749 §2.3.1 and §4.4.2, RFC 7523 §2.2).
func (r *request) to(address string) *http.Request {
	form := url.Values{"grant_type": {"client_credentials"}, "resource": {r.audience}}
	if r.assertion != "" {
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", r.assertion)
	}
	req, err := http.NewRequest(http.MethodPost, address+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		panic(err) // the address is one that has answered
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if r.assertion == "" {
		req.SetBasicAuth(url.QueryEscape(r.id), url.QueryEscape(r.secret))
	}
	return req
}

// verdict is what an answer to a token request comes to.
type verdict int

const (
	granted verdict = iota
	denied          // a clean 401
	notNow          // a clean 503
	cutOff          // no answer, for the issuer was killed
	wrong           // what must never be; it has been noted as a failure
)

// ask sends a request and judges the answer.
func (c *crowd) ask(r *request, address string) (verdict, string) {
	if address == "" { // its issuer is away
		return cutOff, ""
	}
	resp, err := c.load.client.Do(r.to(address))
	var body []byte
	if err == nil {
		body, err = io.ReadAll(io.LimitReader(resp.Body, 64<<10))
		_ = resp.Body.Close()
	}
	if err != nil {
		if timeout := net.Error(nil); (errors.As(err, &timeout) && timeout.Timeout()) || !c.front.mayCutOff(address) {
			c.load.fail(nil, "", "%s has no answer: %v", r.id, err)
			return wrong, ""
		}
		return cutOff, ""
	}
	v, token := judgeAnswer(resp, body)
	if v == wrong {
		if resp.StatusCode == http.StatusOK {
			body = nil // it may have a token in it
		}
		c.load.fail(nil, "", "%s is answered %s, %v, %s", r.id, resp.Status, resp.Header, body)
	}
	return v, token
}

// judgeAnswer tells a clean answer (RFC 6749 §5) from any other.
func judgeAnswer(resp *http.Response, body []byte) (verdict, string) {
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil || resp.Header.Get("Content-Type") != "application/json" ||
		resp.Header.Get("Cache-Control") != "no-store" {
		return wrong, ""
	}
	wait, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	saysWhen := err == nil && wait > 0
	switch {
	case resp.StatusCode == http.StatusOK && answer.Token != "":
		return granted, answer.Token
	case resp.StatusCode == http.StatusUnauthorized && answer.Error == "invalid_client":
		return denied, ""
	case resp.StatusCode == http.StatusServiceUnavailable && answer.Error == "temporarily_unavailable" && saysWhen:
		return notNow, ""
	}
	return wrong, ""
}
