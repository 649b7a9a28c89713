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
	PrivateListen string // address of the listener for health
	KeysDir       string // directory of the signing keys
	Registry      string // file of clients and resources; empty: the development registry
	RotateEvery   time.Duration
	PublishAhead  time.Duration
	Retention     time.Duration
	JWKSMaxAge    time.Duration
	Leeway        time.Duration
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
	flags.StringVar(&s.KeysDir, "keys-dir", filepath.Join("keys", "local", "issuer"), "directory of the signing keys")
	flags.StringVar(&s.Registry, "registry", "",
		"YAML file of clients and resources\n(default: a registry for development, on loopback only)")
	flags.DurationVar(&s.RotateEvery, "keys-rotate-every", 30*24*time.Hour, "how long each key signs")
	flags.DurationVar(&s.PublishAhead, "keys-publish-ahead", 24*time.Hour,
		"how long a key is published before it signs:\nat least twice --jwks-max-age")
	flags.DurationVar(&s.Retention, "keys-retention", 65*time.Minute,
		"how long a key stays published after its successor has begun to sign:\nat least the longest token lifetime and --leeway")
	flags.DurationVar(&s.JWKSMaxAge, "jwks-max-age", 5*time.Minute, "how long verifiers may keep the JWK Set: 1s to 24h")
	flags.DurationVar(&s.Leeway, "leeway", 30*time.Second, "how far a client's clock may be off: 0s to 5m")
	flags.DurationVar(&s.ShutdownGrace, "shutdown-grace", 10*time.Second, "how long requests may take to finish on stop")
	flags.BoolVar(&s.InsecureHTTP, "insecure-http", false,
		"INSECURE: serve plain HTTP on other addresses than loopback.\n"+
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
			problem("--issuer %q: %w", s.Issuer, err)
		} else if s.Registry == "" && strings.HasPrefix(s.Issuer, "https://") {
			problem("the development registry is for loopback only, and --issuer is %q: give a --registry", s.Issuer)
		}
	} else if !IsLoopback(s.Listen) {
		problem("--issuer is needed when --listen %q is not loopback", s.Listen)
	}
	if s.Registry == "" && !IsLoopback(s.Listen) {
		problem("the development registry is for loopback only, and --listen is %q: give a --registry", s.Listen)
	}
	if !IsLoopback(s.Listen) && !s.InsecureHTTP {
		problem("--listen %q is not loopback and would serve plain HTTP: listen on loopback behind a proxy that "+
			"speaks TLS, or accept the risk with --insecure-http", s.Listen)
	}
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
	if s.LogFormat != "auto" && s.LogFormat != "text" && s.LogFormat != "json" {
		problem("--log-format %q is not text, json or auto", s.LogFormat)
	}
	return errors.Join(problems...)
}

// LocalURL is where the issuer that runs with these settings on this machine serves path.
func (s *Settings) LocalURL(path string) (string, error) {
	issuer, err := url.Parse(s.Issuer)
	if err != nil {
		return "", err
	}
	return "http://" + s.Listen + issuer.Path + path, nil
}

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
