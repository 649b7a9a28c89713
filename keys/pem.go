package keys

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
)

// ParsePrivateKey reads one private key in PEM: PKCS#8 (PRIVATE KEY), PKCS#1 (RSA PRIVATE KEY) or SEC 1 (EC PRIVATE
// KEY, with or without the EC PARAMETERS that openssl writes before it). Anything else, more than one key, an
// encrypted key or a key that [NewPrivateKey] refuses is an [ErrKey]. The error holds nothing of the key.
func ParsePrivateKey(text []byte) (*PrivateKey, error) {
	block, err := onlyBlock(text)
	if err != nil {
		return nil, err
	}
	raw, err := parseBlock(block)
	if err != nil {
		return nil, err
	}
	signer, ok := raw.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%w: a key of type %T cannot sign", ErrKey, raw)
	}
	return NewPrivateKey(signer)
}

func parseBlock(block *pem.Block) (any, error) {
	var raw any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		raw, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		raw, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		raw, err = x509.ParseECPrivateKey(block.Bytes)
	case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
		return nil, fmt.Errorf("%w: this is a %s, a private key is needed", ErrKey, block.Type)
	case "ENCRYPTED PRIVATE KEY":
		return nil, errEncrypted
	default:
		return nil, fmt.Errorf("%w: PEM block %.40q is not a private key", ErrKey, block.Type)
	}
	if err != nil || !isOneValue(block.Bytes) {
		return nil, fmt.Errorf("%w: parsing %s: damaged or of an unsupported type", ErrKey, block.Type)
	}
	return raw, nil
}

// isOneValue reports whether der is one value with nothing after it, which crypto/x509 does not check for PKCS#8.
func isOneValue(der []byte) bool {
	rest, err := asn1.Unmarshal(der, new(asn1.RawValue))
	return err == nil && len(rest) == 0
}

var errEncrypted = WithHint(
	fmt.Errorf("%w: the private key is encrypted", ErrKey),
	"decrypt it into a file that only you can read: openssl pkey -in FILE -out NEWFILE")

// onlyBlock returns the one PEM block of text that is not EC PARAMETERS.
func onlyBlock(text []byte) (*pem.Block, error) {
	block, rest := decodeFirst(text)
	if block != nil && block.Type == "EC PARAMETERS" {
		block, rest = decodeFirst(rest)
	}
	switch {
	case block == nil && bytes.Contains(text, []byte("-----BEGIN ")):
		return nil, fmt.Errorf("%w: PEM is truncated or damaged", ErrKey)
	case block == nil:
		return nil, fmt.Errorf("%w: not PEM", ErrKey)
	case block.Headers["DEK-Info"] != "":
		return nil, errEncrypted
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, fmt.Errorf("%w: something follows the PEM block", ErrKey)
	}
	return block, nil
}

// decodeFirst decodes the first PEM block of text. Unlike [pem.Decode] it does not pass over a damaged block to return
// a later one: the file would not be what its reader thinks it is.
func decodeFirst(text []byte) (block *pem.Block, rest []byte) {
	block, rest = pem.Decode(text)
	if bytes.Count(text[:len(text)-len(rest)], []byte("-----BEGIN ")) > 1 {
		return nil, text
	}
	return block, rest
}
