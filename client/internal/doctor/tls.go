package doctor

import (
	"crypto/tls"
	"time"
)

var (
	oldTLS = rule{"tls.version", Error,
		"TLS before 1.2 must not be used (RFC 8996): what it protects can be read and changed.",
		"Allow TLS 1.2 and 1.3 only, at the issuer or the proxy before it."}
	agingTLS = rule{"tls.version", Note,
		"TLS 1.2 is still good when it is well configured; 1.3 leaves less to configure, and should be offered (RFC " +
			"9325 §3.1.1).",
		"Allow TLS 1.3 at the issuer or the proxy before it."}
	certificateEnds = rule{"tls.certificate", Error,
		"When the certificate has ended nobody can reach the issuer any more: no tokens, no keys (RFC 5280 §6.1.3).",
		"Renew it now, and see why that has not happened by itself."}
	certificateSoon = rule{"tls.certificate", Warning,
		"When the certificate has ended nobody can reach the issuer any more (RFC 5280 §6.1.3). Most are renewed by " +
			"a program long before; that it is not may mean that the program fails.",
		"Renew it, and see why that has not happened by itself."}
)

const (
	certificateLast = 2 * 24 * time.Hour
	certificateLow  = 14 * 24 * time.Hour
)

// connections looks at each host that was reached by TLS.
func (e *examination) connections() {
	seen := make(map[string]bool)
	for _, s := range e.fetcher.secured {
		if seen[s.host] {
			continue
		}
		seen[s.host] = true
		e.version(s)
		e.certificate(s)
	}
}

func (e *examination) version(s secured) {
	host, name := quote(s.host), tls.VersionName(s.state.Version)
	switch {
	case s.state.Version >= tls.VersionTLS13:
		e.good("tls.version", "%s speaks %s", host, name)
	case s.state.Version == tls.VersionTLS12:
		e.add(agingTLS, "%s speaks %s, not 1.3", host, name)
	default:
		e.add(oldTLS, "%s speaks %s", host, name)
	}
}

func (e *examination) certificate(s secured) {
	if len(s.state.PeerCertificates) == 0 {
		return
	}
	ends := s.state.PeerCertificates[0].NotAfter
	left, day := ends.Sub(e.now()), ends.UTC().Format(time.DateOnly)
	switch host := quote(s.host); {
	case left < 0:
		e.add(certificateEnds, "the certificate of %s ended on %s", host, day)
	case left < certificateLast:
		e.add(certificateEnds, "the certificate of %s ends in %s, on %s", host, spoken(left), day)
	case left < certificateLow:
		e.add(certificateSoon, "the certificate of %s ends in %s, on %s", host, spoken(left), day)
	default:
		e.good("tls.certificate", "the certificate of %s is good until %s", host, day)
	}
}
