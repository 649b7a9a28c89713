package keys_test

import (
	"errors"
	"fmt"
	"log"

	"example.com/signet/keys"
)

// An issuer makes a key, signs claims with it and publishes its public half; a resource server reads what was published
// and verifies with nothing else.
func Example() {
	key, err := keys.GenerateKey(keys.ES256)
	if err != nil {
		log.Fatal(err)
	}
	token, err := key.Sign(keys.TypeAccessToken, []byte(`{"sub":"billing","scope":"orders:read"}`))
	if err != nil {
		log.Fatal(err)
	}
	published, err := keys.NewSet(key.Public())
	if err != nil {
		log.Fatal(err)
	}
	document, err := published.MarshalJSON()
	if err != nil {
		log.Fatal(err)
	}

	set, skipped, err := keys.ParseSet(document)
	if err != nil {
		log.Fatal(err)
	}
	for _, reason := range skipped {
		log.Print(reason) // one odd key does not cost the others
	}
	verified, err := set.Verify(token)
	if err != nil {
		log.Fatal(err)
	}
	if !keys.TypeAccessToken.Is(verified.Header.Type) {
		log.Fatal("not an access token")
	}
	var claims struct {
		Subject string `json:"sub"`
		Scope   string `json:"scope"`
	}
	if err := keys.DecodeObject(verified.Payload, &claims); err != nil {
		log.Fatal(err)
	}
	fmt.Println(claims.Subject, "may", claims.Scope)

	_, err = set.Verify(token + "=") // the same token to a lax reader
	fmt.Println(errors.Is(err, keys.ErrMalformed), err)
	// Output:
	// billing may orders:read
	// true malformed token: not canonical unpadded base64url
}

// The keys that sign come from a directory: the newest whose moment has come signs, all of them are published.
func ExampleReadRing() {
	_, err := keys.ReadRing("no/such/directory")
	if errors.Is(err, keys.ErrNoKeys) {
		fmt.Println(err)
	}
	// Output:
	// no keys: there is no directory no/such/directory
}
