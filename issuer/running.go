package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"example.com/signet/issuer/internal/config"
)

const maxRunningAnswer = 1 << 20 // octets

// askRunning asks the issuer that runs with these settings on this machine, on its private listener.
func askRunning(ctx context.Context, s *config.Settings, path string) ([]byte, error) {
	transport, scheme, err := towardsPrivate(s)
	if err != nil {
		return nil, err
	}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+s.PrivateListen+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxRunningAnswer))
	switch {
	case resp.StatusCode == http.StatusNotFound:
		err = errNotServed
	case err == nil && resp.StatusCode != http.StatusOK:
		err = fmt.Errorf("status %d of %s", resp.StatusCode, path)
	}
	return body, err
}

// towardsPrivate returns how the private listener is spoken to. Where that is TLS, its certificate must be the very one in
// the file: it is issued for the public name, and this is this machine.
func towardsPrivate(s *config.Settings) (transport *http.Transport, scheme string, err error) {
	transport = &http.Transport{}
	if s.TLSCert == "" || config.IsLoopback(s.PrivateListen) {
		return transport, "http", nil
	}
	text, err := os.ReadFile(s.TLSCert)
	if err != nil {
		return nil, "", err
	}
	block, rest := pem.Decode(text)
	for block != nil && block.Type != "CERTIFICATE" {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return nil, "", errNoCertificate
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, "", err
	}
	transport.TLSClientConfig = &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // replaced by the comparison below
		VerifyConnection: func(state tls.ConnectionState) error {
			if !state.PeerCertificates[0].Equal(leaf) {
				return errOtherCertificate
			}
			return nil
		},
	}
	return transport, "https", nil
}

var (
	errNotServed        = errors.New("the issuer that runs does not have it")
	errNoCertificate    = errors.New("--tls-cert holds no certificate")
	errOtherCertificate = errors.New("the issuer that runs has another certificate")
)
