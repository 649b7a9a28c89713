package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/signet/client/internal/tokencache"
	"example.com/signet/client/tokens"
	"example.com/signet/keys"
)

// settings are the client's. Each has a flag, an environment variable and a name in the settings file.
type settings struct {
	flags *pflag.FlagSet // of the command that runs, to tell what was set

	issuer        string
	tokenEndpoint string
	clientID      string
	key           string
	secretFile    string
	assertionFile string
	resource      string
	scope         string
	header        string
	url           string
	tokenCache    string
}

func (s *settings) bind(flags *pflag.FlagSet) {
	flags.StringVar(&s.issuer, "issuer", "http://127.0.0.1:8080", "issuer that gives the token")
	flags.StringVar(&s.tokenEndpoint, "token-endpoint", "", "where to ask for it\n(default: where the issuer's metadata say)")
	flags.StringVar(&s.clientID, "client-id", "demo", "who we are to the issuer")
	flags.StringVar(&s.key, "key", "keys/local/client/demo.pem",
		"file of the private key that proves it, PEM or JWK;\n- is standard input")
	flags.StringVar(&s.secretFile, "secret-file", "", "instead of a key: file of the client secret; - is standard input")
	flags.StringVar(&s.assertionFile, "assertion-file", "",
		"instead of a key: file of an assertion that somebody else signs and replaces,\n"+
			"such as a service account token of Kubernetes")
	flags.StringVar(&s.resource, "resource", "", "which resource the token is for\n(default: the client's default)")
	flags.StringVar(&s.scope, "scope", "", "scope values to ask for, with spaces between\n(default: the client's default)")
	flags.StringVar(&s.header, "header", "token", "which header carries the token: token or authorization")
	flags.StringVar(&s.url, "url", "http://127.0.0.1:9000/", "what to call on the resource server")
	flags.StringVar(&s.tokenCache, "token-cache", "",
		"directory to keep tokens in from one run to the next\n(default: they are not kept)")
	flags.String(fileFlag, "", "YAML file of these settings")
}

const seeFlags = "client --help lists the flags"

// carrier is the header that carries tokens.
func (s *settings) carrier() (tokens.Header, error) {
	switch s.header {
	case "token":
		return tokens.TokenHeader, nil
	case "authorization":
		return tokens.AuthorizationHeader, nil
	}
	return 0, usage(fmt.Errorf("--header %q is neither token nor authorization", s.header), seeFlags)
}

// source returns a token source whose tokens may go to the origin of url.
func (s *settings) source(cmd *cobra.Command, url string) (*tokens.Source, error) {
	return s.sourceWithLog(cmd, url, nil)
}

func (s *settings) sourceWithLog(cmd *cobra.Command, url string, log *slog.Logger) (*tokens.Source, error) {
	carrier, err := s.carrier()
	if err != nil {
		return nil, err
	}
	credential, err := s.credential(cmd.InOrStdin())
	if err != nil {
		return nil, err
	}
	cfg := tokens.Config{
		Issuer:        s.issuer,
		TokenEndpoint: s.tokenEndpoint,
		ClientID:      s.clientID,
		Credential:    credential,
		Resource:      s.resource,
		Scope:         strings.Fields(s.scope),
		Origin:        url,
		Header:        carrier,
		Log:           log,
	}
	if s.assertionFile != "" && !s.flags.Changed("client-id") {
		cfg.ClientID = "" // the assertion says it
	}
	if err := s.keepTokens(cmd, &cfg); err != nil {
		return nil, err
	}
	source, err := tokens.New(cfg)
	if err != nil {
		return nil, usage(err, seeFlags)
	}
	return source, nil
}

// credential returns the one way of proving who we are that is configured.
func (s *settings) credential(stdin io.Reader) (tokens.Credential, error) {
	var given []string
	for _, name := range proofs {
		if s.flags.Changed(name) && s.flags.Lookup(name).Value.String() != "" {
			given = append(given, "--"+name)
		}
	}
	switch {
	case len(given) > 1:
		return nil, usage(fmt.Errorf("%s are different ways of proving who we are", strings.Join(given, " and ")),
			"give one of them")
	case s.assertionFile == "-":
		return nil, usage(errors.New("--assertion-file is read again and again, which standard input cannot be"),
			"write it into a file")
	case s.assertionFile != "":
		return tokens.AssertionFile(s.assertionFile), nil
	case s.secretFile == "-":
		secret, err := readStdin(stdin)
		return tokens.Secret(strings.TrimRight(string(secret), "\r\n")), err
	case s.secretFile != "":
		return tokens.SecretFile(s.secretFile), nil
	}
	key, err := s.readKey(stdin)
	if err != nil {
		return nil, &failure{fmt.Errorf("reading the client's key: %w", err), exitUsage, s.keyHint(err)}
	}
	return tokens.PrivateKey(key), nil
}

func (s *settings) readKey(stdin io.Reader) (*keys.PrivateKey, error) {
	if s.key != "-" {
		return keys.ReadClientKey(s.key)
	}
	text, err := readStdin(stdin)
	if err != nil {
		return nil, err
	}
	return keys.ParseClientKey(text)
}

// provesByStdin reports whether standard input is taken up by what proves who we are.
func (s *settings) provesByStdin() bool { return s.key == "-" || s.secretFile == "-" }

// readStdin reads a key or a secret. A longer text is neither.
func readStdin(stdin io.Reader) ([]byte, error) {
	const most = 64 << 10
	text, err := io.ReadAll(io.LimitReader(stdin, most+1))
	if err != nil {
		return nil, fmt.Errorf("reading standard input: %w", err)
	}
	if len(text) > most {
		return nil, usage(fmt.Errorf("standard input is longer than %d octets", most), "")
	}
	return text, nil
}

func (s *settings) keyHint(err error) string {
	switch hint := hintOf(err); {
	case hint != "" || s.key == "-":
		return hint
	case errors.Is(err, fs.ErrNotExist):
		return "make it: scripts/genkeys.sh (or name another with --key)"
	}
	return "--key names a private key, PEM or JWK, that this user can read"
}

// keepTokens makes cfg begin with the token that is kept, and keep those that come. What cannot be kept is only said.
func (s *settings) keepTokens(cmd *cobra.Command, cfg *tokens.Config) error {
	switch {
	case s.tokenCache == "":
		return nil
	case cfg.ClientID == "":
		return usage(errors.New("--token-cache needs --client-id: tokens of different clients must not be taken for one another"),
			"name the client that the assertion is for with --client-id")
	}
	dir := tokencache.Dir(s.tokenCache)
	key := tokencache.Key{
		Issuer: cfg.Issuer, ClientID: cfg.ClientID, Resource: cfg.Resource, Scope: strings.Join(cfg.Scope, " "),
	}
	token, found, err := dir.Load(key, time.Now())
	switch {
	case errors.Is(err, tokencache.ErrDamaged):
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s: it is replaced\n", legible(err.Error()))
	case err != nil:
		return &failure{err, exitUsage, hintOf(err)}
	}
	if found {
		cfg.Initial = token
	}
	cfg.OnExchange = func(e tokens.Exchange) {
		if e.Err != nil {
			return
		}
		if err := dir.Save(key, e.Token, time.Now().Add(-e.Took)); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", legible(err.Error()))
		}
	}
	return nil
}

// newLog is the log of what serves: text for people at a terminal, JSON for machines elsewhere.
func newLog(stderr io.Writer) *slog.Logger {
	if isTerminal(stderr) {
		return slog.New(slog.NewTextHandler(stderr, nil))
	}
	return slog.New(slog.NewJSONHandler(stderr, nil))
}
