//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	mathrand "math/rand/v2"
	"net/url"
	"time"
)

// mode is a way of authenticating with an algorithm of the token.
type mode struct {
	name     string
	audience string
	wanted   float64 // tokens per second by CPU, at least this part of the bare server's
	many     int     // requests of a round on many connections
	few      int     // and on one
	requests func(n int) ([][]byte, error)
}

// modes returns all of them. Their requests come from all clients that can make them, in an order of chance.
func modes(people []person) []mode {
	var secrets, keyed []person
	for _, p := range people {
		if p.key != nil {
			keyed = append(keyed, p)
		} else {
			secrets = append(secrets, p)
		}
	}
	for _, people := range [][]person{secrets, keyed} {
		mathrand.Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
	}
	return []mode{
		{"client_secret_basic, ES256", es256Audience, 0.85, 20_000, 3_000, basicRequests(secrets, es256Audience)},
		{"client_secret_basic, RS256-2048", rs256Audience, 0.95, 1_500, 400, basicRequests(secrets, rs256Audience)},
		{"private_key_jwt, ES256", es256Audience, 0.85, 10_000, 2_000, assertionRequests(keyed, es256Audience)},
	}
}

// cycle returns a function that returns the people one after the other, over and over.
func cycle(people []person) func() person {
	next := 0
	return func() person {
		p := people[next%len(people)]
		next++
		return p
	}
}

func form(audience string) url.Values {
	return url.Values{"grant_type": {"client_credentials"}, "resource": {audience}, "scope": {scope}}
}

// post is a whole request with the headers that it must have.
func post(headers, body string) []byte {
	return fmt.Appendf(nil, "POST /oauth2/token HTTP/1.1\r\nHost: issuer.example.com\r\n%s"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", headers, len(body), body)
}

// basicRequests makes requests with a secret. Ids and secrets have no letter that RFC 6749 §2.3.1 wants encoded.
func basicRequests(people []person, audience string) func(int) ([][]byte, error) {
	next, body := cycle(people), form(audience).Encode()
	return func(n int) ([][]byte, error) {
		requests := make([][]byte, n)
		for i := range requests {
			p := next()
			credentials := base64.StdEncoding.EncodeToString([]byte(p.id + ":" + p.secret))
			requests[i] = post("Authorization: Basic "+credentials+"\r\n", body)
		}
		return requests, nil
	}
}

// assertionRequests makes requests with an assertion, each of them new.
func assertionRequests(people []person, audience string) func(int) ([][]byte, error) {
	next, fields := cycle(people), form(audience)
	fields.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	return func(n int) ([][]byte, error) {
		requests := make([][]byte, n)
		for i := range requests {
			assertion, err := signAssertion(next(), time.Now())
			if err != nil {
				return nil, err
			}
			fields.Set("client_assertion", assertion)
			requests[i] = post("", fields.Encode())
		}
		return requests, nil
	}
}

const assertionLife = 4 * time.Minute // the issuer takes at most 5

// signAssertion makes a client assertion (RFC 7523 §3).
func signAssertion(p person, now time.Time) (string, error) {
	payload, err := json.Marshal(map[string]any{
		"iss": p.id, "sub": p.id, "aud": issuerID, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	})
	if err != nil {
		return "", err
	}
	header := `{"alg":"ES256","kid":"` + p.kid + `","typ":"client-authentication+jwt"}`
	token := encode([]byte(header)) + "." + encode(payload)
	digest := sha256.Sum256([]byte(token))
	r, s, err := ecdsa.Sign(rand.Reader, p.key, digest[:])
	if err != nil {
		return "", err
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return token + "." + encode(signature), nil
}

func encode(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
