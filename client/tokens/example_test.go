package tokens_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/keystest"
)

// A client that calls one API with a token on each request. Where the example has keystest.Key, a program has
// keys.ReadPrivateKey("/etc/billing/key.pem").
func Example() {
	issuer, orders := exampleServers()
	defer issuer.Close()
	defer orders.Close()

	source, err := tokens.New(tokens.Config{
		Issuer:     issuer.URL, // https://issuer.example.com
		ClientID:   "billing",
		Credential: tokens.PrivateKey(keystest.Key(keystest.ES256)),
		Scope:      []string{"orders:read"},
		Origin:     orders.URL, // https://orders.example.com
	})
	if err != nil {
		fmt.Println("settings:", err)
		return
	}
	defer source.Close()
	client := &http.Client{Transport: source.Transport(nil)}

	resp, err := client.Get(orders.URL + "/orders")
	switch refused := new(tokens.RefusedError); {
	case errors.As(err, &refused):
		fmt.Println("the issuer does not let us:", refused.Code)
		return
	case errors.Is(err, tokens.ErrUnreachable):
		fmt.Println("later, perhaps:", err)
		return
	case err != nil:
		fmt.Println("calling:", err)
		return
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		fmt.Println("reading:", err)
		return
	}
	fmt.Println(resp.Status, string(text))
	// Output: 200 OK three orders
}

// A token by itself, for a protocol that is not HTTP. Printing a token does not show it.
func ExampleSource_Token() {
	issuer, orders := exampleServers()
	defer issuer.Close()
	defer orders.Close()

	source, err := tokens.New(tokens.Config{
		Issuer:     issuer.URL,
		ClientID:   "billing",
		Credential: tokens.PrivateKey(keystest.Key(keystest.ES256)),
		Now:        keystest.NewClock().Now, // so that the output is always the same
	})
	if err != nil {
		fmt.Println("settings:", err)
		return
	}
	defer source.Close()
	token, err := source.Token(context.Background())
	if err != nil {
		fmt.Println("no token:", err)
		return
	}
	fmt.Println(token)
	fmt.Println(len(token.AccessToken()), "characters")
	// Output:
	// access token until 2026-11-23T10:25:00Z
	// 7 characters
}

// A program that calls several APIs makes a source for each; they have key and connections in common.
func ExampleSource_For() {
	issuer, orders := exampleServers()
	defer issuer.Close()
	defer orders.Close()

	source, err := tokens.New(tokens.Config{
		Issuer:     issuer.URL,
		ClientID:   "billing",
		Credential: tokens.PrivateKey(keystest.Key(keystest.ES256)),
		OnExchange: func(e tokens.Exchange) { fmt.Printf("attempt %d for %q: %v\n", e.Attempt, e.Scope, e.Err) },
	})
	if err != nil {
		fmt.Println("settings:", err)
		return
	}
	defer source.Close()
	for _, scope := range []string{"orders:read", "bills:read", "orders:read"} {
		one, err := source.For(tokens.Target{Scope: []string{scope}})
		if err != nil {
			fmt.Println("target:", err)
			return
		}
		if _, err := one.Token(context.Background()); err != nil {
			fmt.Println("no token:", err)
			return
		}
	}
	// Output:
	// attempt 1 for "orders:read": <nil>
	// attempt 1 for "bills:read": <nil>
}

// For code that was written for golang.org/x/oauth2.
func ExampleSource_TokenSource() {
	issuer, orders := exampleServers()
	defer issuer.Close()
	defer orders.Close()

	source, err := tokens.New(tokens.Config{
		Issuer:     issuer.URL,
		ClientID:   "billing",
		Credential: tokens.Secret("secret"), // better: tokens.SecretFile("/run/secrets/billing")
	})
	if err != nil {
		fmt.Println("settings:", err)
		return
	}
	defer source.Close()
	token, err := source.TokenSource(context.Background()).Token()
	if err != nil {
		fmt.Println("no token:", err)
		return
	}
	fmt.Println(token.Type(), len(token.AccessToken), "characters")
	// Output: Bearer 7 characters
}

func exampleServers() (issuer, orders *httptest.Server) {
	var address string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, r *http.Request) {
		metadata(address, address+"/oauth2/token")(w, r)
	})
	mux.HandleFunc("POST /oauth2/token", grant("a-token", 600))
	issuer = httptest.NewServer(mux)
	address = issuer.URL
	orders = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Token") != "a-token" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, "three orders")
	}))
	return issuer, orders
}
