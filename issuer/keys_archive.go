package main

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"

	"example.com/signet/keys"
)

// A ring outside of the issuer is a tar archive of a key directory, which age seals with a passphrase. So age and tar are
// enough to have it back, in ten years too.

const maxArchive = 1 << 20 // octets

var errArchive = errors.New("not an archive of keys")

// isSealed reports whether a file begins as age's do.
func isSealed(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	line, _ := bufio.NewReader(io.LimitReader(file, 64)).ReadString('\n')
	return strings.HasPrefix(line, "age-encryption.org/")
}

// writeArchive writes the ring to a new file that only its owner can read.
func writeArchive(path string, ring *keys.Ring, passphraseFile string) error {
	passphrase, err := readPassphrase(passphraseFile)
	if err != nil {
		return err
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("exporting the keys: %w", err)
	}
	err = sealArchive(file, recipient, ring)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		_ = os.Remove(path)
		return fmt.Errorf("exporting the keys: %w", err)
	}
	return nil
}

func sealArchive(w io.Writer, recipient age.Recipient, ring *keys.Ring) error {
	sealed, err := age.Encrypt(w, recipient)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(sealed)
	for _, k := range ring.Keys() {
		text, err := k.Key.MarshalPEM()
		if err != nil {
			return err
		}
		header := &tar.Header{
			Name: keys.FileName(k.Key.Algorithm(), k.SignsFrom), Mode: 0o600, Size: int64(len(text)), ModTime: k.PublishedAt,
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(text); err != nil {
			return err
		}
	}
	return errors.Join(archive.Close(), sealed.Close())
}

// openArchive reads what writeArchive wrote.
func openArchive(path, passphraseFile string) ([]keys.RingKey, error) {
	passphrase, err := readPassphrase(passphraseFile)
	if err != nil {
		return nil, err
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	sealed, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer sealed.Close()
	opened, err := age.Decrypt(io.LimitReader(sealed, 2*maxArchive), identity)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	all, err := unpack(opened)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	return all, nil
}

// unpack reads the keys of an archive, in memory alone.
func unpack(opened io.Reader) (all []keys.RingKey, err error) {
	archive := tar.NewReader(io.LimitReader(opened, maxArchive))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			_, err := keys.NewRing(all...)
			return all, err
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errArchive, err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errArchive, err)
		}
		key, err := keys.ParseRingKey(header.Name, text)
		if err != nil {
			return nil, err
		}
		key.PublishedAt = header.ModTime
		all = append(all, key)
	}
}
