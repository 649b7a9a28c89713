package verify_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"example.com/signet/keys/keystest"
	"example.com/signet/resource/verify"
)

func Example() {
	issuer := keystest.NewServer(keystest.Set(keystest.ES256)) // stands for https://issuer.example.com
	defer issuer.Close()

	verifier, err := verify.New(verify.Config{Issuer: issuer.Issuer(), Audience: "https://orders.example.com"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer verifier.Close()

	token := keystest.AccessToken(keystest.ES256,
		keystest.AccessClaims(issuer.Issuer(), "https://orders.example.com", time.Now()))
	claims, err := verifier.Verify(context.Background(), token)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(claims.ClientID(), "may read orders:", claims.HasScope("orders:read"))

	_, err = verifier.Verify(context.Background(), token+"A")
	fmt.Println("tampered with:", err, "-", errors.Is(err, verify.ErrSignature))
	// Output:
	// billing may read orders: true
	// tampered with: signature does not verify: not made by the key that kid names - true
}
