// Package oauth is the token endpoint without HTTP: it finds out who asks, decides what they may have, builds the
// claims and signs them. The grant is client_credentials (RFC 6749 §4.4), the token a JWT access token (RFC 9068).
//
//	endpoint, err := oauth.New(oauth.Config{Issuer: "https://issuer.example.com", Registry: live.Registry, Keys: ring, …})
//	response, err := endpoint.Token(ctx, oauth.Request{Authorization: header, Form: form})
//
// An error is always an [*Error]: a registered code and a fixed phrase for the caller, and the cause for the log.
package oauth
