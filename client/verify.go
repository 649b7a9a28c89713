package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

// verification is what to hold a token against.
type verification struct {
	issuer   string
	audience string
	jwks     string // URL or file; empty: where the issuer's metadata say
	leeway   time.Duration
	now      time.Time
}

func verifyCommand(s *settings) *cobra.Command {
	var v verification
	output := oneOf{words: []string{"text", "json"}}
	cmd := &cobra.Command{
		Use:   "verify TOKEN|-",
		Short: "Verify a token as a resource server does, and name the rule that it breaks",
		Long: "Verify an access token (RFC 9068) as a resource server does: form, type, algorithm, key, signature and claims.\n" +
			"- reads it from standard input, which keeps it out of the list of processes.\n" +
			"Exit code 0: valid; 3: not, and the rule that is broken; 5: the issuer's keys cannot be fetched.",
		Example: "  go run ./client token | go run ./client verify - --audience http://127.0.0.1:9000\n" +
			"  curl -s http://127.0.0.1:8080/.well-known/jwks.json >jwks.json\n" +
			"  go run ./client token | go run ./client verify - --audience http://127.0.0.1:9000 --jwks jwks.json -o json",
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			v.issuer, v.now = s.issuer, time.Now()
			return verify(cmd, v, args[0], output.value == "json")
		},
	}
	cmd.Flags().StringVar(&v.audience, "audience", "", "resource server that the token must be for: what aud contains")
	cmd.Flags().StringVar(&v.jwks, "jwks", "", "file or URL of the issuer's JWK Set (default: where its metadata say)")
	cmd.Flags().DurationVar(&v.leeway, "leeway", 30*time.Second, "how far clocks may be apart, 0s to 5m")
	bindOutput(cmd, &output, "how to print the outcome")
	return cmd
}

func (v verification) check() error {
	const most = 5 * time.Minute
	switch err := remote.CheckIssuer(v.issuer); {
	case err != nil:
		return usage(fmt.Errorf("--issuer: %w", err), "name the issuer you trust with --issuer")
	case v.audience == "":
		return usage(errors.New("no --audience"), "name the resource server that the token must be for with --audience")
	case v.leeway < 0 || v.leeway > most:
		return usage(fmt.Errorf("--leeway %v is not from 0s to %v", v.leeway, most), "")
	}
	return nil
}

func verify(cmd *cobra.Command, v verification, text string, asJSON bool) error {
	if err := v.check(); err != nil {
		return err
	}
	if text == "-" {
		var err error
		if text, err = readToken(cmd.InOrStdin()); err != nil {
			return fmt.Errorf("reading standard input: %w", err)
		}
	}
	payload, broken := v.verify(cmd.Context(), text)
	var rule *ruleError
	if broken != nil && !errors.As(broken, &rule) {
		return broken
	}
	if asJSON {
		return errors.Join(writeJSON(cmd.OutOrStdout(), verdictOf(rule, payload)), notValid(rule))
	}
	if rule == nil {
		var t times
		_ = keys.DecodeObject([]byte(payload), &t) // it has been read before
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "valid: signed by %s, for %s, until %s\n",
			printable(v.issuer), printable(v.audience), spoken(t.Expires.Time(), v.now))
		return err
	}
	return notValid(rule)
}

// notValid is the failure of a broken rule, and nil of none.
func notValid(rule *ruleError) error {
	if rule == nil {
		return nil
	}
	return &failure{fmt.Errorf("not valid: %w", rule), exitNotValid, rule.hint}
}

type verdictJSON struct {
	Valid  bool           `json:"valid"`
	Rule   string         `json:"rule,omitempty"`
	Reason string         `json:"reason,omitempty"`
	Claims jsontext.Value `json:"claims,omitempty"`
}

func verdictOf(rule *ruleError, payload string) verdictJSON {
	if rule != nil {
		return verdictJSON{Rule: rule.name, Reason: rule.text}
	}
	return verdictJSON{Valid: true, Claims: jsontext.Value(payload)}
}

// verify applies the rules in their order. An error that is no ruleError says nothing about the token: the keys cannot
// be had.
func (v verification) verify(ctx context.Context, text string) (payload string, err error) {
	token, err := keys.Parse(text)
	if err != nil {
		return "", ruleOf(err)
	}
	if err := v.checkUnsigned(token); err != nil {
		return "", err
	}
	set, err := v.keySet(ctx)
	if err != nil {
		return "", err
	}
	signed, err := set.VerifyParsed(token)
	if err != nil {
		return "", ruleOf(err)
	}
	return string(signed.Payload), v.checkClaims(string(signed.Payload))
}

const jwksHint = "it is a JWK Set, as at the jwks_uri of the issuer"

// keySet returns the keys that may have signed.
func (v verification) keySet(ctx context.Context) (*keys.Set, error) {
	isURL := strings.HasPrefix(v.jwks, "https://") || strings.HasPrefix(v.jwks, "http://")
	var document *remote.Document
	var err error
	switch {
	case v.jwks == "":
		set, err := fetchSet(ctx, v.issuer)
		if err != nil {
			return nil, &failure{err, exitUnreachable, "is the issuer running? --jwks takes its keys from a file"}
		}
		return set, nil
	case isURL:
		document, err = remote.Fetcher{}.JWKS(ctx, v.jwks, nil)
		if errors.Is(err, remote.ErrURL) {
			return nil, usage(fmt.Errorf("--jwks: %w", err), "keys are fetched over https, or from loopback")
		} else if err != nil {
			return nil, &failure{err, exitUnreachable, jwksHint}
		}
	default:
		file, errOpen := os.Open(v.jwks)
		if errOpen != nil {
			return nil, usage(fmt.Errorf("--jwks: %w", errOpen), jwksHint)
		}
		defer file.Close()
		if document, err = (remote.Fetcher{}).ReadJWKS(file); err != nil {
			return nil, usage(fmt.Errorf("--jwks %s: %w", v.jwks, err), jwksHint)
		}
	}
	return document.Set, nil
}
