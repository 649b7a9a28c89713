// Package keys holds what Signet knows about keys: what a key is, how it is read and proved, how it signs a compact
// token and how a compact token is verified against a [Set] of public keys.
//
// Signing:
//
//	key, err := keys.ReadPrivateKey("keys/local/client/demo.pem")
//	...
//	token, err := key.Sign(keys.TypeAccessToken, payload)
//
// Verifying:
//
//	set, skipped, err := keys.ParseSet(document)
//	...
//	token, err := set.Verify(compact) // header and payload, or an error that names the broken rule
//
// Only the two algorithms of [Algorithm] exist here, only the compact serialization (RFC 7515 §3.1) is read, and
// nothing in a token chooses how it is checked. It is the only package of Signet that uses a JOSE library; no type of
// that library appears in its exported names.
package keys
