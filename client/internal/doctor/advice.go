package doctor

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"syscall"
)

// adviceFor says what to do about an issuer that cannot be reached.
func adviceFor(err error) string {
	var (
		name        *net.DNSError
		certificate *tls.CertificateVerificationError
		noTLS       tls.RecordHeaderError
		timeout     interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &name):
		return "Check the name for a slip of the pen, and that this machine can resolve it."
	case errors.Is(err, syscall.ECONNREFUSED):
		return "Start the issuer, or check the port: nobody listens there."
	case errors.As(err, &certificate):
		return "Renew the certificate or mend its chain. If it comes from an authority of your own, make this machine trust that: " +
			"SSL_CERT_FILE names a file with it."
	case errors.As(err, &noTLS) || errors.Is(err, http.ErrSchemeMismatch):
		return "Check scheme and port: what answers there does not speak TLS."
	case errors.As(err, &timeout) && timeout.Timeout():
		return "Check that no firewall is in the way, and how busy the issuer is."
	}
	return "See in the log of the issuer, or of the proxy before it, what happens to the request."
}
