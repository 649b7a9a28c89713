// Package verifying holds Signet's verifier and middleware beside what a Go programmer would take instead:
// coreos/go-oidc, golang-jwt with keyfunc, auth0/go-jwt-middleware and jwx by its own documented path; and beside the
// bare crypto underneath. All of the libraries get the same tokens of the same issuer, whose JWK Set they fetch over
// HTTP on loopback, and all check issuer, audience, expiry and signature: a test shows that they do. There is nothing
// here but tests and benchmarks; scripts/bench.sh runs them.
//
// The benchmarks' names say what is compared: the last part is the library, what stands before it the work.
//
//	FirstSight/ES256/signet   a valid token, and no memory of it (the others have none)
//	SeenBefore/signet         1,000 valid tokens in rotation, remembered; also on two cores
//	Middleware/signet         such 1,000 tokens through the middleware, around a handler that does nothing
//	Refuse/none/signet        a token that must be refused, by reason
package verifying
