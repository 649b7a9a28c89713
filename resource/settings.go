package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"example.com/signet/resource/bearer"
	"example.com/signet/resource/internal/proxy"
	"example.com/signet/resource/verify"
)

// settings are the resource server's. Each has a flag, and an environment variable named after it.
type settings struct {
	listen        string
	privateListen string
	issuers       []string
	audience      string
	jwksURL       string
	jwksFile      string
	leeway        time.Duration
	minRefresh    time.Duration
	cooldown      time.Duration
	maxStale      time.Duration
	cacheSize     int
	requireScope  string
	upstream      string
	maxBody       int64
	timeout       time.Duration
	headers       bearer.HeaderNames
	shutdownDelay time.Duration
	shutdownGrace time.Duration
	insecureHTTP  bool
	logFormat     string
	logLevel      slog.Level
}

func (s *settings) bind(flags *pflag.FlagSet) {
	flags.StringVar(&s.listen, "listen", "127.0.0.1:9000", "address to serve the protected API on")
	flags.StringVar(&s.privateListen, "private-listen", "127.0.0.1:9001", "address to serve health and metrics on")
	s.bindTokens(flags)
	s.bindUpstream(flags)
	flags.DurationVar(&s.shutdownDelay, "shutdown-delay", 0, "how long to serve on, not ready, before a stop")
	flags.DurationVar(&s.shutdownGrace, "shutdown-grace", 10*time.Second, "how long requests may take to finish on stop")
	flags.BoolVar(&s.insecureHTTP, "insecure-http", false,
		"INSECURE: plain HTTP beyond loopback, for --listen and --upstream.\n"+
			"Whoever can read that network reads tokens and can use them,\n"+
			"and whoever can write there can be anybody to the application")
	flags.StringVar(&s.logFormat, "log-format", "auto", "text, json, or auto: text on a terminal")
	flags.TextVar(&s.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
}

// bindTokens binds what tells a good token from a bad one.
func (s *settings) bindTokens(flags *pflag.FlagSet) {
	flags.StringSliceVar(&s.issuers, "issuer", []string{"http://127.0.0.1:8080"},
		"issuer whose tokens are accepted; several with commas, each with its own keys")
	flags.StringVar(&s.audience, "audience", "http://127.0.0.1:9000", "what the aud of a token must contain")
	flags.StringVar(&s.requireScope, "require-scope", "", "scope values that every request needs, separated by spaces")
	flags.StringVar(&s.jwksURL, "jwks-url", "", "where the issuer's keys are (default: where its metadata say)")
	flags.StringVar(&s.jwksFile, "jwks-file", "", "file that the issuer's keys are in, instead of fetching them")
	flags.DurationVar(&s.leeway, "leeway", 30*time.Second, "how far clocks may be apart: 0s to 5m")
	flags.DurationVar(&s.minRefresh, "jwks-min-refresh", time.Minute, "fetch the issuer's keys no oftener than this")
	flags.DurationVar(&s.cooldown, "jwks-cooldown", 30*time.Second, "fetch the issuer's keys for an unknown kid no oftener than this")
	flags.DurationVar(&s.maxStale, "jwks-max-stale", 24*time.Hour, "how long keys stay good while the issuer is away")
	flags.IntVar(&s.cacheSize, "cache-size", 16<<20, "octets of memory for verified tokens; 0 for none")
}

// bindUpstream binds what the application behind is told, and where it is.
func (s *settings) bindUpstream(flags *pflag.FlagSet) {
	flags.StringVar(&s.upstream, "upstream", "", "URL of an application to pass authorised requests on to,\n"+
		"instead of the demonstration and /verify")
	flags.DurationVar(&s.timeout, "upstream-timeout", time.Minute, "how long the application may take to answer or to go on")
	flags.Int64Var(&s.maxBody, "upstream-max-body", 100<<20, "octets that the body of a request may have")
	flags.StringVar(&s.headers.Issuer, "issuer-header", "X-Auth-Issuer",
		"header with the iss, for the application or a proxy that asks /verify")
	flags.StringVar(&s.headers.Subject, "subject-header", "X-Auth-Subject", "header with the sub, likewise")
	flags.StringVar(&s.headers.Client, "client-header", "X-Auth-Client-Id", "header with the client_id, likewise")
	flags.StringVar(&s.headers.Scope, "scope-header", "X-Auth-Scope", "header with the scope, likewise")
}

func (s *settings) check() error {
	switch {
	case !isLoopback(s.listen) && !s.insecureHTTP:
		return fmt.Errorf("--listen %q is not loopback and would serve plain HTTP: listen on loopback behind a proxy that "+
			"speaks TLS, or accept the risk with --insecure-http", s.listen)
	case s.leeway < 0 || s.leeway > 5*time.Minute:
		return fmt.Errorf("--leeway %v is not from 0s to 5m", s.leeway)
	case s.minRefresh <= 0 || s.cooldown <= 0 || s.maxStale <= 0:
		return errors.New("--jwks-min-refresh, --jwks-cooldown and --jwks-max-stale must be more than 0s")
	case s.maxStale < 2*s.minRefresh:
		return fmt.Errorf("--jwks-max-stale %v is below twice --jwks-min-refresh, %v", s.maxStale, 2*s.minRefresh)
	case s.minRefresh > time.Hour:
		return fmt.Errorf("--jwks-min-refresh %v is above 1h", s.minRefresh)
	case s.cacheSize < 0:
		return fmt.Errorf("--cache-size %d is negative", s.cacheSize)
	case (s.jwksURL != "" || s.jwksFile != "") && len(s.issuers) > 1:
		return errors.New("--jwks-url and --jwks-file are for one issuer: several name their keys in their metadata")
	case s.shutdownDelay < 0:
		return fmt.Errorf("--shutdown-delay %v is negative", s.shutdownDelay)
	case s.shutdownGrace < 0:
		return fmt.Errorf("--shutdown-grace %v is negative", s.shutdownGrace)
	case s.logFormat != "auto" && s.logFormat != "text" && s.logFormat != "json":
		return fmt.Errorf("--log-format %q is not text, json or auto", s.logFormat)
	}
	if err := bearer.CheckScope(s.scopes()...); err != nil {
		return fmt.Errorf("--require-scope: %w", err)
	}
	return s.checkUpstream()
}

func (s *settings) checkUpstream() error {
	switch {
	case s.timeout <= 0:
		return errors.New("--upstream-timeout must be more than 0s")
	case s.maxBody <= 0:
		return errors.New("--upstream-max-body must be more than 0")
	}
	if _, err := bearer.NewIdentityHeaders(s.headers); err != nil {
		return fmt.Errorf("--issuer-header, --subject-header, --client-header, --scope-header: %w", err)
	}
	if s.upstream == "" {
		return nil
	}
	u, err := proxy.ParseUpstream(s.upstream)
	switch {
	case err != nil:
		return fmt.Errorf("--upstream: %w", err)
	case u.Scheme == "http" && !isLoopbackHost(u.Hostname()) && !s.insecureHTTP:
		return fmt.Errorf("--upstream %q is plain HTTP beyond loopback, where others could tell the application who calls: "+
			"use https, or accept the risk with --insecure-http", u)
	}
	return nil
}

// isLoopback reports whether address, host:port, can be reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && isLoopbackHost(host)
}

func isLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// scopes are the values that every request needs. What is not one value or several with single spaces between them is
// refused by check: a blank would be no requirement at all.
func (s *settings) scopes() []string {
	if s.requireScope == "" {
		return nil
	}
	return strings.Split(s.requireScope, " ")
}

// identity is how others are told who calls. check has seen that the names are right.
func (s *settings) identity() bearer.IdentityHeaders {
	headers, _ := bearer.NewIdentityHeaders(s.headers)
	return headers
}

// upstreamURL is where the application is, nil when there is none.
func (s *settings) upstreamURL() *url.URL {
	if s.upstream == "" {
		return nil
	}
	u, _ := proxy.ParseUpstream(s.upstream)
	return u
}

// verifier is how tokens are verified.
func (s *settings) verifier() verify.Config {
	cfg := verify.Config{
		Audience:  s.audience,
		Leeway:    noneIfZero(s.leeway),
		CacheSize: noneIfZero(s.cacheSize),
		Fetch:     verify.Fetch{MinRefresh: s.minRefresh, Cooldown: s.cooldown, MaxStale: s.maxStale},
	}
	for _, id := range s.issuers {
		cfg.Issuers = append(cfg.Issuers, verify.Issuer{ID: id, JWKSURL: s.jwksURL, JWKSFile: s.jwksFile})
	}
	return cfg
}

// noneIfZero turns a setting that is 0 for none into what the library takes for that.
func noneIfZero[T time.Duration | int](value T) T {
	if value == 0 {
		return -1
	}
	return value
}
