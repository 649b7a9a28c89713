// Package config holds the issuer's settings. One setting has one name: the flag --keys-dir is the environment variable
// SIGNET_KEYS_DIR and, in the settings file, dir under keys. A flag wins over the environment, the environment over the
// file, the file over the default.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Settings are the issuer's settings.
type Settings struct {
	Issuer        string // the issuer identifier; empty: http:// and the address of Listen, which must be loopback
	Listen        string // address of the public listener
	PrivateListen string // address of the listener for health and metrics
	TLSCert       string // file of the certificate with its chain; empty: plain HTTP
	TLSKey        string // file of its private key
	KeysDir       string // directory of the signing keys
	Registry      string // file of clients and resources; empty: they are in the database
	Database      string // where it is; empty: beside KeysDir, see DatabaseURL
	MasterKeyFile string // seals signing keys in the database; empty: they are in KeysDir

	DatabasePasswordFile string        // PostgreSQL's password
	DatabaseConnections  int           // the most that are open at once
	DatabaseMaxStale     time.Duration // how long clients in memory are served while it is away
	InsecureDatabase     bool          // PostgreSQL over a network without TLS that proves who it is
	ClientsCacheSize     int           // how many clients of the database are held in memory

	ClientsJWKSNetworks []netip.Prefix // where a client's jwks_uri may point to, besides public addresses
	TrustedProxies      []netip.Prefix // whose word is taken for where a request comes from
	TrustedProxyHeader  string         // where they give it

	LimitAddressRate int // token requests a second from one address
	LimitClientRate  int // and of one client
	LimitInFlight    int // token requests that are worked on at once

	RotateEvery   time.Duration
	PublishAhead  time.Duration
	Retention     time.Duration
	JWKSMaxAge    time.Duration
	Leeway        time.Duration
	ShutdownDelay time.Duration
	ShutdownGrace time.Duration
	InsecureHTTP  bool
	LogFormat     string
	LogLevel      slog.Level
}

// Bind declares a flag for each setting, with its default, and returns the settings that the flags will fill.
func Bind(flags *pflag.FlagSet) *Settings {
	s := &Settings{}
	flags.StringVar(&s.Issuer, "issuer", "",
		"issuer identifier, the iss of every token: https://…, without a slash at the end\n"+
			"(default on loopback: http:// and the address of --listen)")
	flags.StringVar(&s.Listen, "listen", "127.0.0.1:8080", "address to serve tokens and keys on")
	flags.StringVar(&s.PrivateListen, "private-listen", "127.0.0.1:8081", "address to serve /livez, /readyz and /metrics on")
	flags.StringVar(&s.TLSCert, "tls-cert", "",
		"PEM file of a TLS certificate with its chain, read again when it changes")
	flags.StringVar(&s.TLSKey, "tls-key", "", "PEM file of its private key")
	flags.Var((*networks)(&s.TrustedProxies), "trusted-proxies",
		"networks of the proxies that speak TLS for the issuer, like 10.0.0.0/8,192.0.2.7;\n"+
			"on other addresses than loopback nobody else is served by plain HTTP")
	flags.StringVar(&s.TrustedProxyHeader, "trusted-proxy-header", "X-Forwarded-For",
		"header in which they name the caller's address; one that they overwrite")
	flags.StringVar(&s.KeysDir, "keys-dir", filepath.Join("keys", "local", "issuer"), "directory of the signing keys")
	flags.StringVar(&s.Registry, "registry", "",
		"YAML file of clients and resources\n"+
			"(default: those in the database; without any there, and on loopback, one of each for development)")
	flags.StringVar(&s.Database, "database", "",
		"sqlite:PATH, or postgres://USER@HOST/NAME for several issuers\n(default: sqlite: and --keys-dir with .db at its end)")
	flags.StringVar(&s.DatabasePasswordFile, "database-password-file", "", "file with PostgreSQL's password")
	flags.IntVar(&s.DatabaseConnections, "database-connections", 8,
		"connections to the database for its work, at most; one more hears of changes")
	flags.DurationVar(&s.DatabaseMaxStale, "database-max-stale", 5*time.Minute,
		"how long clients in memory get tokens while the database is away, 4s to 24h:\nas long as a disabled one may")
	flags.BoolVar(&s.InsecureDatabase, "insecure-database", false,
		"INSECURE: speak to PostgreSQL over a network without TLS that proves who it is")
	flags.StringVar(&s.MasterKeyFile, "master-key-file", "",
		"file of the master key that seals signing keys in the database;\nwithout it they are files in --keys-dir")
	flags.IntVar(&s.ClientsCacheSize, "clients-cache-size", 20_000, "clients of the database that are held in memory, at most")
	flags.Var((*networks)(&s.ClientsJWKSNetworks), "clients-jwks-networks",
		"networks that a client's jwks_uri may point to, besides public addresses")
	flags.DurationVar(&s.RotateEvery, "keys-rotate-every", 30*24*time.Hour, "how long each key signs")
	flags.DurationVar(&s.PublishAhead, "keys-publish-ahead", 24*time.Hour,
		"how long a key is published before it signs:\nat least twice --jwks-max-age")
	flags.DurationVar(&s.Retention, "keys-retention", 65*time.Minute,
		"how long a key stays published after its successor has begun to sign:\nat least the longest token lifetime and --leeway")
	flags.DurationVar(&s.JWKSMaxAge, "jwks-max-age", 5*time.Minute, "how long verifiers may keep the JWK Set: 1s to 24h")
	flags.DurationVar(&s.Leeway, "leeway", 30*time.Second, "how far a client's clock may be off: 0s to 5m")
	flags.IntVar(&s.LimitAddressRate, "limit-address-rate", 50,
		"token requests a second from one address, ten times as many at once;\n"+
			"a failed authentication counts for eleven")
	flags.IntVar(&s.LimitClientRate, "limit-client-rate", 50, "token requests a second of one client, ten times as many at once")
	flags.IntVar(&s.LimitInFlight, "limit-in-flight", 128, "token requests that are worked on at once; more are answered 503")
	flags.DurationVar(&s.ShutdownDelay, "shutdown-delay", 0,
		"how long to serve on, not ready, after a signal to stop:\nas long as a load balancer takes to notice")
	flags.DurationVar(&s.ShutdownGrace, "shutdown-grace", 10*time.Second, "how long requests may take to finish on stop")
	flags.BoolVar(&s.InsecureHTTP, "insecure-http", false,
		"INSECURE: serve plain HTTP on other addresses than loopback, to everyone.\n"+
			"Whoever can read that network reads client secrets and tokens")
	flags.StringVar(&s.LogFormat, "log-format", "auto", "text, json, or auto: text on a terminal")
	flags.TextVar(&s.LogLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	flags.String(fileFlag, "", "YAML file of settings")
	return s
}

// Check reports every setting that is wrong by itself or with another.
func (s *Settings) Check() error {
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if s.Issuer != "" {
		if err := checkIssuer(s.Issuer); err != nil {
			problem("--issuer %q: %w", Redact(s.Issuer), err)
		}
	} else if isOpen(s.Listen) {
		problem("--issuer is needed when --listen %q is not loopback", s.Listen)
	}
	s.checkListeners(problem)
	s.checkLimits(problem)
	s.checkDatabase(problem)
	if s.RotateEvery < time.Second || s.RotateEvery%time.Second != 0 {
		problem("--keys-rotate-every %v is not in whole seconds, 1s or more", s.RotateEvery)
	}
	if s.PublishAhead < 0 || s.Retention < 0 {
		problem("--keys-publish-ahead %v and --keys-retention %v must not be negative", s.PublishAhead, s.Retention)
	}
	if s.JWKSMaxAge < time.Second || s.JWKSMaxAge > 24*time.Hour {
		problem("--jwks-max-age %v is not from 1s to 24h", s.JWKSMaxAge)
	}
	if s.Leeway < 0 || s.Leeway > 5*time.Minute {
		problem("--leeway %v is not from 0s to 5m", s.Leeway)
	}
	if s.ShutdownGrace < 0 {
		problem("--shutdown-grace %v is negative", s.ShutdownGrace)
	}
	if s.ShutdownDelay < 0 {
		problem("--shutdown-delay %v is negative", s.ShutdownDelay)
	}
	if s.LogFormat != "auto" && s.LogFormat != "text" && s.LogFormat != "json" {
		problem("--log-format %q is not text, json or auto", s.LogFormat)
	}
	return errors.Join(problems...)
}

// DatabaseURL is where the database is.
func (s *Settings) DatabaseURL() string {
	if s.Database == "" {
		return "sqlite:" + filepath.Clean(s.KeysDir) + ".db"
	}
	return s.Database
}

// MayDevelop reports whether the registry for development may be served: to nobody else than this machine.
func (s *Settings) MayDevelop() bool {
	return s.Registry == "" && !strings.HasPrefix(s.Issuer, "https://") && !isOpen(s.Listen)
}

// leastStale is longer than it takes to look at a database that is merely slow, and to look again.
const leastStale = 4 * time.Second

func (s *Settings) checkDatabase(problem func(string, ...any)) {
	if s.DatabaseConnections < 3 || s.DatabaseConnections > 1000 {
		problem("--database-connections %d is not from 3 to 1000", s.DatabaseConnections)
	}
	if s.DatabaseMaxStale < leastStale || s.DatabaseMaxStale > 24*time.Hour {
		problem("--database-max-stale %v is not from %v to 24h", s.DatabaseMaxStale, leastStale)
	}
	if s.ClientsCacheSize < 1 || s.ClientsCacheSize > 10_000_000 {
		problem("--clients-cache-size %d is not from 1 to 10000000", s.ClientsCacheSize)
	}
	if s.MasterKeyFile == "" && strings.HasPrefix(s.Database, "postgres") {
		problem("--master-key-file is needed with PostgreSQL, where signing keys are kept for all issuers, and never unsealed: " +
			"make it with issuer master-key generate FILE")
	}
}

// checkListeners reports a listener that is none or that others could read, and half of a TLS certificate.
func (s *Settings) checkListeners(problem func(string, ...any)) {
	if (s.TLSCert == "") != (s.TLSKey == "") {
		problem("--tls-cert %q and --tls-key %q go together: give both", s.TLSCert, s.TLSKey)
	}
	for _, listener := range s.listeners() {
		if _, _, err := net.SplitHostPort(listener.address); err != nil {
			problem("%s %q is no address: write one like 127.0.0.1:8080", listener.name, listener.address)
		}
	}
	for _, network := range s.TrustedProxies {
		if network.Bits() < minTrustedBits {
			problem("--trusted-proxies %v trusts half of the world: name the proxies' own addresses", network)
		}
	}
	if s.TLSCert != "" || s.InsecureHTTP || len(s.TrustedProxies) > 0 {
		return
	}
	for _, listener := range s.listeners() {
		if isOpen(listener.address) {
			problem("%s %q is not loopback and would serve plain HTTP: give --tls-cert and --tls-key, name the proxy that "+
				"speaks TLS with --trusted-proxies, or accept the risk with --insecure-http", listener.name, listener.address)
		}
	}
}

type listener struct{ name, address string }

func (s *Settings) listeners() []listener {
	return []listener{{"--listen", s.Listen}, {"--private-listen", s.PrivateListen}}
}

// isOpen reports whether other machines can reach an address. One that is malformed is a problem of its own.
func isOpen(address string) bool {
	_, _, err := net.SplitHostPort(address)
	return err == nil && !IsLoopback(address)
}

// OnlyProxies reports whether none but the trusted proxies and this machine may be served: plain HTTP on an address that
// others can reach.
func (s *Settings) OnlyProxies() bool {
	return s.TLSCert == "" && !s.InsecureHTTP && !(IsLoopback(s.Listen) && IsLoopback(s.PrivateListen))
}

// minTrustedBits is the least that a network of proxies has in common.
const minTrustedBits = 8

// maxLimit bounds the limits: what is meant as none is no limit that anybody has thought about.
const maxLimit = 1_000_000

func (s *Settings) checkLimits(problem func(string, ...any)) {
	for _, limit := range []struct {
		name  string
		value int
	}{
		{"--limit-address-rate", s.LimitAddressRate},
		{"--limit-client-rate", s.LimitClientRate},
		{"--limit-in-flight", s.LimitInFlight},
	} {
		if limit.value < 1 || limit.value > maxLimit {
			problem("%s %d is not from 1 to %d", limit.name, limit.value, maxLimit)
		}
	}
	switch header := strings.ToLower(s.TrustedProxyHeader); {
	case !headerName.MatchString(header):
		problem("--trusted-proxy-header %q is no header name", s.TrustedProxyHeader)
	case header == "forwarded" || header == "host":
		problem("--trusted-proxy-header %q never holds a plain address: X-Forwarded-For or X-Real-IP do", s.TrustedProxyHeader)
	}
}

// headerName is a field name (RFC 9110 §5.1).
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// checkIssuer applies RFC 8414 §2: https, no query, no fragment. Loopback may be http. There is one spelling of an
// issuer, so what could be spelled in two ways is refused.
func checkIssuer(issuer string) error {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "":
		return errors.New("not an absolute URL")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopbackHost(u.Hostname())):
		return errors.New("not https (http is for loopback only)")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(issuer, "#") || u.User != nil:
		return errors.New("has a query, fragment or user")
	case strings.HasSuffix(issuer, "/"):
		return errors.New("ends with a slash")
	case !plainHost.MatchString(u.Host) || u.Port() == defaultPorts[u.Scheme] || u.String() != issuer ||
		u.RawPath != "" || (u.Path != "" && path.Clean(u.Path) != u.Path):
		return errors.New("could be spelled in another way: lower case, no default port, plain path")
	}
	return nil
}

// Redact returns a value without the user and the passwords that an address in it may have, well-formed or not.
func Redact(value string) string {
	value = userInfo.ReplaceAllString(value, "//xxxxx@")
	return parameter.ReplaceAllStringFunc(value, func(text string) string {
		name, _, _ := strings.Cut(text, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil || strings.Contains(strings.ToLower(plain), "pass") {
			return name + "=xxxxx"
		}
		return text
	})
}

var (
	userInfo  = regexp.MustCompile(`//.*@`)
	parameter = regexp.MustCompile(`[^?&#\s]+=[^&#\s]*`)
)

var (
	plainHost    = regexp.MustCompile(`^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[1-9][0-9]*)?$`)
	defaultPorts = map[string]string{"http": "80", "https": "443"}
)

// IsLoopback reports whether address, host:port, can be reached from this machine only.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && isLoopbackHost(host)
}

func isLoopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
