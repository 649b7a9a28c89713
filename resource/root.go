package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// settings are the resource server's. Each has a flag, and an environment variable named after it.
type settings struct {
	listen        string
	privateListen string
	issuer        string
	audience      string
	jwksURL       string
	leeway        time.Duration
	minRefresh    time.Duration
	cooldown      time.Duration
	shutdownGrace time.Duration
	insecureHTTP  bool
	logFormat     string
	logLevel      slog.Level
}

func (s *settings) bind(flags *pflag.FlagSet) {
	flags.StringVar(&s.listen, "listen", "127.0.0.1:9000", "address to serve the protected API on")
	flags.StringVar(&s.privateListen, "private-listen", "127.0.0.1:9001", "address to serve /livez and /readyz on")
	flags.StringVar(&s.issuer, "issuer", "http://127.0.0.1:8080", "issuer whose tokens are accepted")
	flags.StringVar(&s.audience, "audience", "http://127.0.0.1:9000", "what the aud of a token must contain")
	flags.StringVar(&s.jwksURL, "jwks-url", "", "where the issuer's keys are (default: where its metadata say)")
	flags.DurationVar(&s.leeway, "leeway", 30*time.Second, "how far clocks may be apart: 0s to 5m")
	flags.DurationVar(&s.minRefresh, "jwks-min-refresh", time.Minute, "fetch the issuer's keys no oftener than this")
	flags.DurationVar(&s.cooldown, "jwks-cooldown", 30*time.Second, "fetch them for an unknown kid no oftener than this")
	flags.DurationVar(&s.shutdownGrace, "shutdown-grace", 10*time.Second, "how long requests may take to finish on stop")
	flags.BoolVar(&s.insecureHTTP, "insecure-http", false,
		"INSECURE: serve plain HTTP on other addresses than loopback.\n"+
			"Whoever can read that network reads tokens and can use them")
	flags.StringVar(&s.logFormat, "log-format", "auto", "text, json, or auto: text on a terminal")
	flags.TextVar(&s.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
}

func (s *settings) check() error {
	switch {
	case !isLoopback(s.listen) && !s.insecureHTTP:
		return fmt.Errorf("--listen %q is not loopback and would serve plain HTTP: listen on loopback behind a proxy that "+
			"speaks TLS, or accept the risk with --insecure-http", s.listen)
	case s.leeway < 0 || s.leeway > 5*time.Minute:
		return fmt.Errorf("--leeway %v is not from 0s to 5m", s.leeway)
	case s.minRefresh <= 0 || s.cooldown <= 0:
		return errors.New("--jwks-min-refresh and --jwks-cooldown must be more than 0s")
	case s.shutdownGrace < 0:
		return fmt.Errorf("--shutdown-grace %v is negative", s.shutdownGrace)
	case s.logFormat != "auto" && s.logFormat != "text" && s.logFormat != "json":
		return fmt.Errorf("--log-format %q is not text, json or auto", s.logFormat)
	}
	return nil
}

// isLoopback reports whether address, host:port, can be reached from this machine only.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, errIP := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || (errIP == nil && ip.IsLoopback()))
}

func rootCommand(getenv func(string) string, stderr io.Writer) *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "resource",
		Short: "Serve an API that only valid access tokens open",
		Long: "Serve an API that only valid access tokens open.\n\n" +
			"Every flag is also an environment variable: --audience is SIGNET_AUDIENCE. A flag wins.",
		Example:       "  go run ./resource\n  go run ./resource --issuer https://issuer.example.com --audience https://orders.example.com",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	s.bind(cmd.Flags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return &usageError{err, "resource --help lists the flags"}
	})
	cmd.Args = noArguments
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		err := fromEnvironment(cmd.Flags(), getenv)
		if err == nil {
			err = s.check()
		}
		if err != nil {
			return &usageError{err, "resource --help lists the settings"}
		}
		return serve(cmd.Context(), s, stderr)
	}
	cmd.AddCommand(versionCommand())
	return cmd
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return &usageError{fmt.Errorf("unknown command %q", args[0]), "resource --help lists the commands"}
	}
	return nil
}

// fromEnvironment sets the flags that the command line did not. Empty variables count as not set.
func fromEnvironment(flags *pflag.FlagSet, getenv func(string) string) error {
	var problems []error
	flags.VisitAll(func(flag *pflag.Flag) {
		name := "SIGNET_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value := getenv(name)
		if flag.Changed || value == "" || flag.Name == "help" {
			return
		}
		if err := flags.Set(flag.Name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(problems...)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		Run: func(cmd *cobra.Command, _ []string) {
			version := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				version = info.Main.Version + " " + info.GoVersion
			}
			fmt.Fprintln(cmd.OutOrStdout(), "signet resource", version)
		},
	}
}
