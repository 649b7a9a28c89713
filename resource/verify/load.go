package verify

import (
	"context"
	"fmt"
	"os"
	"time"

	"example.com/signet/keys/remote"
)

// rediscover is how long the address of the keys, once read in the metadata, is used without reading them again.
const rediscover = time.Hour

// loader gets an issuer's JWK Set: from its address, or from a file. It is used by one goroutine at a time.
type loader struct {
	issuer  Issuer
	cfg     *Config
	fetcher remote.Fetcher

	previous *remote.Document // what came last, nil before
	address  string           // as the metadata say; empty before they were read
	readAt   time.Time        // when they said so
}

func newLoader(issuer Issuer, cfg *Config) *loader {
	fetcher := remote.Fetcher{Client: cfg.Fetch.Client, Timeout: cfg.Fetch.Timeout}
	fetcher.Limits.Size, fetcher.Limits.Keys = cfg.Fetch.MaxSize, cfg.Fetch.MaxKeys
	return &loader{issuer: issuer, cfg: cfg, fetcher: fetcher}
}

// load returns the document as it is now, with the Set of the one before when that has the same keys. A search goes
// back to the metadata, for the address may be another.
func (l *loader) load(ctx context.Context, search bool) (*remote.Document, error) {
	document, err := l.read(ctx, search)
	if err != nil {
		l.readAt = time.Time{} // the next time the metadata are read again
		return nil, err
	}
	if l.previous != nil && document.Set.Equal(l.previous.Set) {
		document.Set = l.previous.Set
	}
	l.previous = document
	return document, nil
}

func (l *loader) read(ctx context.Context, search bool) (*remote.Document, error) {
	if l.issuer.JWKSFile != "" {
		return l.readFile()
	}
	address, err := l.find(ctx, search)
	if err != nil {
		return nil, err
	}
	return l.fetcher.JWKS(ctx, address, l.previous)
}

// readFile reads the file. It may be kept for no time: it costs nothing to look again.
func (l *loader) readFile() (*remote.Document, error) {
	document, err := l.openFile()
	if err != nil {
		return nil, fmt.Errorf("reading the JWK Set: %w", err)
	}
	return document, nil
}

func (l *loader) openFile() (*remote.Document, error) {
	info, err := os.Stat(l.issuer.JWKSFile)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // a pipe would make whoever opens it wait
		return nil, fmt.Errorf("%w: %s is not a regular file", remote.ErrFetch, l.issuer.JWKSFile)
	}
	file, err := os.Open(l.issuer.JWKSFile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	document, err := l.fetcher.ReadJWKS(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.issuer.JWKSFile, err)
	}
	return document, nil
}

// find returns where the keys are. Bad metadata never replace an address that was good.
func (l *loader) find(ctx context.Context, search bool) (string, error) {
	if l.issuer.JWKSURL != "" {
		return l.issuer.JWKSURL, nil
	}
	age := l.cfg.Now().Sub(l.readAt)
	if l.address != "" && !search && 0 <= age && age < rediscover {
		return l.address, nil
	}
	address, err := l.discover(ctx)
	switch {
	case err == nil:
		l.address, l.readAt = address, l.cfg.Now()
	case l.address == "":
		return "", err
	default:
		l.cfg.Log.Warn("reading metadata failed; fetching keys from where they were", "issuer", l.issuer.ID, "cause", err)
	}
	return l.address, nil
}

func (l *loader) discover(ctx context.Context) (string, error) {
	metadata, err := l.fetcher.Metadata(ctx, l.issuer.ID)
	if err != nil {
		return "", err
	}
	if metadata.JWKSURI == "" {
		return "", fmt.Errorf("%w: the metadata of %s have no jwks_uri", remote.ErrDocument, l.issuer.ID)
	}
	return metadata.JWKSURI, nil
}
