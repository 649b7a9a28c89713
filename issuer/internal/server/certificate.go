package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"example.com/signet/issuer/internal/watch"
	"example.com/signet/keys"
)

// Certificate is a TLS certificate in two PEM files, read again when they change. A pair that cannot be used changes
// nothing. It is safe for concurrent use; make it with [OpenCertificate].
type Certificate struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	current atomic.Pointer[tls.Certificate]
	trouble atomic.Pointer[error]
	files   watch.Files // owned by the goroutine that looks
}

// certificatePoll is how often to look at the files.
const certificatePoll = time.Second

// OpenCertificate reads a certificate with its chain and its private key.
func OpenCertificate(certFile, keyFile string, log *slog.Logger, now func() time.Time) (*Certificate, error) {
	c := &Certificate{certFile: certFile, keyFile: keyFile, log: log, now: now}
	state := watch.State(c.paths())
	if err := c.read(); err != nil {
		return nil, err
	}
	c.files.Seen(state)
	return c, nil
}

// Config returns a configuration that serves the certificate as it is at each handshake, TLS 1.2 or later.
func (c *Certificate) Config() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.current.Load(), nil },
	}
}

// NotAfter returns when the certificate expires.
func (c *Certificate) NotAfter() time.Time { return c.current.Load().Leaf.NotAfter }

// Trouble returns why the files as they stand are not served; nil when they are.
func (c *Certificate) Trouble() error {
	if err := c.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Run looks at the files until ctx ends: every second, and whenever wake says so.
func (c *Certificate) Run(ctx context.Context, wake <-chan struct{}) {
	watch.Run(ctx, certificatePoll, wake, c.Look)
}

// Look takes over the files if they have changed and stand still, with now in any case. The two are rarely replaced in
// one step, and one may be laid before it is valid, so a pair that cannot be used is tried again at each look.
func (c *Certificate) Look(now bool) {
	state := watch.State(c.paths())
	if !c.files.Changed(state) && !now {
		return
	}
	if err := c.read(); err != nil {
		was := c.Trouble()
		if c.trouble.Store(&err); was == nil || was.Error() != err.Error() {
			c.log.Error("reading the TLS certificate failed; serving the one from before", "cause", err)
		}
		return
	}
	c.files.Seen(state)
	c.trouble.Store(nil)
	c.log.Info("TLS certificate read", "path", c.certFile, "not_after", c.NotAfter())
}

func (c *Certificate) paths() []string { return []string{c.certFile, c.keyFile} }

func (c *Certificate) read() error {
	info, err := os.Stat(c.keyFile)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return keys.WithHint(fmt.Errorf("reading %s: other users may read the key: mode is %04o", c.keyFile, mode),
			"if nobody has read it: chmod o= "+c.keyFile+" (otherwise have a new certificate issued)")
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	switch {
	case err != nil:
		return fmt.Errorf("reading the certificate %s and the key %s: %w", c.certFile, c.keyFile, err)
	case c.now().After(pair.Leaf.NotAfter):
		return fmt.Errorf("reading %s: %w at %v", c.certFile, errCertificateExpired, pair.Leaf.NotAfter.UTC())
	case c.now().Before(pair.Leaf.NotBefore):
		return fmt.Errorf("reading %s: %w before %v", c.certFile, errCertificateEarly, pair.Leaf.NotBefore.UTC())
	}
	c.current.Store(&pair)
	return nil
}

var (
	errCertificateExpired = errors.New("the certificate has expired")
	errCertificateEarly   = errors.New("the certificate is not valid")
)
