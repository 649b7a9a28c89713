package bearer_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/go-chi/chi/v5"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/bearer"
	"example.com/signet/resource/verify"
)

func ExampleIsAuthorized() {
	issuer := keystest.NewServer(keystest.Set(keystest.ES256)) // stands for https://issuer.example.com
	defer issuer.Close()
	verifier, err := verify.New(verify.Config{Issuer: issuer.Issuer(), Audience: "https://orders.example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()

	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders", func(w http.ResponseWriter, r *http.Request) {
		claims, _ := bearer.ClaimsFrom(r.Context())
		fmt.Fprintf(w, "orders for %s", claims.ClientID())
	})
	handler := bearer.IsAuthorized(verifier)(mux)

	claims := keystest.AccessClaims(issuer.Issuer(), "https://orders.example.com", time.Now())
	token := keystest.AccessToken(keystest.ES256, claims)
	show(handler, "/orders", token)
	show(handler, "/orders", "")
	// Output:
	// 200 orders for billing
	// 401 an access token is needed
}

func ExampleRequireScope() {
	issuer := keystest.NewServer(keystest.Set(keystest.ES256))
	defer issuer.Close()
	verifier, err := verify.New(verify.Config{Issuer: issuer.Issuer(), Audience: "https://orders.example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()

	r := chi.NewRouter()
	r.Use(bearer.IsAuthorized(verifier))
	r.With(bearer.RequireScope("orders:read")).Get("/orders", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "orders")
	})
	r.With(bearer.RequireScope("admin")).Get("/admin", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "for administrators")
	})

	claims := keystest.AccessClaims(issuer.Issuer(), "https://orders.example.com", time.Now())
	token := keystest.AccessToken(keystest.ES256, claims)
	show(r, "/orders", token)
	show(r, "/admin", token)
	// Output:
	// 200 orders
	// 403 the access token lacks a scope
}

// show prints how a handler answers a request.
func show(h http.Handler, path, token string) {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body.String())
}
