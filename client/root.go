package main

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/signet/client/tokens"
	"example.com/signet/keys"
)

// settings are the client's. Each has a flag, and an environment variable named after it.
type settings struct {
	issuer   string
	clientID string
	key      string
	resource string
	scope    string
	header   string
	url      string
}

func (s *settings) bind(flags *pflag.FlagSet) {
	flags.StringVar(&s.issuer, "issuer", "http://127.0.0.1:8080", "issuer that gives the token")
	flags.StringVar(&s.clientID, "client-id", "demo", "who we are to the issuer")
	flags.StringVar(&s.key, "key", "keys/local/client/demo.pem", "file of the private key that proves it")
	flags.StringVar(&s.resource, "resource", "", "which resource the token is for (default: the client's default)")
	flags.StringVar(&s.scope, "scope", "", "scope values to ask for, with spaces between (default: the client's default)")
	flags.StringVar(&s.header, "header", "token", "which header carries the token: token or authorization")
	flags.StringVar(&s.url, "url", "http://127.0.0.1:9000/", "what to call on the resource server")
}

// source returns a token source whose tokens may go to the origin of url.
func (s *settings) source(url string) (*tokens.Source, error) {
	header := map[string]tokens.Header{"token": tokens.TokenHeader, "authorization": tokens.AuthorizationHeader}
	carrier, ok := header[s.header]
	if !ok {
		return nil, usage(fmt.Errorf("--header %q is neither token nor authorization", s.header), "client --help lists the flags")
	}
	key, err := keys.ReadPrivateKey(s.key)
	if err != nil {
		return nil, &failure{fmt.Errorf("reading the client's key: %w", err), exitUsage, keyHint(err)}
	}
	source, err := tokens.New(tokens.Config{
		Issuer:     s.issuer,
		ClientID:   s.clientID,
		Credential: tokens.PrivateKey(key),
		Resource:   s.resource,
		Scope:      strings.Fields(s.scope),
		Origin:     url,
		Header:     carrier,
	})
	if err != nil {
		return nil, usage(err, "client --help lists the flags")
	}
	return source, nil
}

func keyHint(err error) string {
	var hinted interface{ Hint() string }
	if errors.As(err, &hinted) {
		return hinted.Hint()
	}
	return "make it: scripts/genkeys.sh (or name another with --key)"
}

func rootCommand(getenv func(string) string) *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "client",
		Short: "Obtain an access token and call the resource server with it",
		Long: "Obtain an access token and call the resource server with it.\n\n" +
			"Every flag is also an environment variable: --client-id is SIGNET_CLIENT_ID. A flag wins.",
		Example: "  go run ./client\n" +
			"  go run ./client call http://127.0.0.1:9000/whoami\n" +
			"  go run ./client token | go run ./client inspect -\n" +
			"  curl -H \"Token: $(go run ./client token)\" http://127.0.0.1:9000/",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags(), getenv); err != nil {
				return usage(err, "client --help lists the settings")
			}
			return nil
		},
	}
	s.bind(cmd.PersistentFlags())
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usage(err, "client --help lists the flags")
	})
	cmd.Args = arguments(0, 0)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return call(cmd, &s, s.url) }
	cmd.AddCommand(tokenCommand(&s), callCommand(&s), inspectCommand(&s), serveCommand(&s), versionCommand())
	return cmd
}

// arguments checks how many arguments there are.
func arguments(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage(fmt.Errorf("%s: unexpected or missing arguments: %q", cmd.CommandPath(), args),
				cmd.CommandPath()+" --help shows the usage")
		}
		return nil
	}
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
		Args:  arguments(0, 0),
		Run: func(cmd *cobra.Command, _ []string) {
			version := "unknown"
			if info, ok := debug.ReadBuildInfo(); ok {
				version = info.Main.Version + " " + info.GoVersion
			}
			fmt.Fprintln(cmd.OutOrStdout(), "signet client", version)
		},
	}
}
