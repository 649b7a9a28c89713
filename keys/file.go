package keys

import (
	"fmt"
	"io"
	"os"
)

const maxKeyFileSize = 64 << 10 // octets; the largest RSA key that is accepted needs 12 KiB

// ReadPrivateKey reads the private key in the file at path, as [ParsePrivateKey] does, after checking that it is a
// regular file that neither group nor others may read or write; if they may, the error is an [ErrLooseMode] and its
// hint the command that mends it. Errors name the path and hold nothing of the content.
func ReadPrivateKey(path string) (*PrivateKey, error) {
	text, err := readFile(path, checkPrivateMode)
	if err != nil {
		return nil, err
	}
	key, err := ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return key, nil
}

// ReadPublicKey reads the public key in the file at path: PEM as [ParsePublicKey] does, or a JWK as [ParseJWK] does.
func ReadPublicKey(path string) (*PublicKey, error) {
	text, err := readFile(path, func(string, os.FileMode) error { return nil })
	if err != nil {
		return nil, err
	}
	parse := ParsePublicKey
	if trimmed := trimJSONSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		parse = ParseJWK
	}
	key, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return key, nil
}

// readFile reads a small regular file. The mode is that of the file that was opened, so nobody can swap it in between.
func readFile(path string, checkMode func(string, os.FileMode) error) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() { // opening a pipe or a device might not return
		return nil, fmt.Errorf("reading %s: %w: not a regular file", path, ErrKey)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := checkMode(path, info.Mode()); err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxKeyFileSize {
		return nil, fmt.Errorf("reading %s: %w: longer than %d octets", path, ErrKey, maxKeyFileSize)
	}
	return text, nil
}

func checkPrivateMode(path string, mode os.FileMode) error {
	if mode.Perm()&0o077 == 0 {
		return nil
	}
	return WithHint(
		fmt.Errorf("reading %s: %w: mode is %04o", path, ErrLooseMode, mode.Perm()),
		"if nobody has read it: chmod 600 "+path+" (otherwise make a new key)")
}
