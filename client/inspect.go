package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"example.com/signet/keys"
	"example.com/signet/keys/remote"
)

func inspectCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:   "inspect [TOKEN|-]",
		Short: "Show what a token says, and whether the issuer signed it",
		Long: "Show header, claims and times of a token, and whether the issuer (--issuer) signed it. Without TOKEN a new\n" +
			"one is obtained; - reads it from standard input, which keeps it out of the list of processes.\n" +
			"Exit code 0: signed by the issuer and not expired; 3: not; 5: the issuer's keys cannot be fetched.",
		Example: "  go run ./client inspect\n  go run ./client token | go run ./client inspect -",
		Args:    arguments(0, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := remote.CheckURL(s.issuer); err != nil {
				return usage(fmt.Errorf("--issuer: %w", err), "name the issuer you trust with --issuer")
			}
			text, err := tokenToInspect(cmd, s, args)
			if err != nil {
				return err
			}
			return inspect(cmd.Context(), cmd.OutOrStdout(), s.issuer, text)
		},
	}
}

func tokenToInspect(cmd *cobra.Command, s *settings, args []string) (string, error) {
	switch {
	case len(args) == 1 && args[0] != "-":
		return args[0], nil
	case len(args) == 1:
		return readToken(cmd.InOrStdin())
	}
	source, err := s.source(cmd, "")
	if err != nil {
		return "", err
	}
	defer source.Close()
	token, err := source.Token(cmd.Context())
	return token.AccessToken(), err
}

// readToken reads a token with a line break after it. What is cut off here is refused by its length.
func readToken(r io.Reader) (string, error) {
	const lineBreak, tooMuch = 2, 1
	text, err := io.ReadAll(io.LimitReader(r, keys.MaxTokenSize+lineBreak+tooMuch))
	return strings.TrimSpace(string(text)), err
}

// times are the claims that are moments.
type times struct {
	Issuer    string           `json:"iss"`
	Expires   keys.NumericDate `json:"exp"`
	IssuedAt  keys.NumericDate `json:"iat"`
	NotBefore keys.NumericDate `json:"nbf"`
}

// inspect shows a token and returns an error unless the issuer signed it and it has not expired.
func inspect(ctx context.Context, w io.Writer, issuer, text string) error {
	token, err := keys.Parse(text)
	if err != nil {
		return &failure{err, exitNotValid, "an access token is three base64url texts with dots between"}
	}
	var claims map[string]jsontext.Value
	var t times
	payload := []byte(token.InsecurePayload())
	if err := errors.Join(
		keys.DecodeObject(payload, &claims),
		keys.DecodeObject(payload, &t)); err != nil {
		return &failure{errors.New("the claims are not one strict JSON object with claims of the right types"), exitNotValid, ""}
	}
	now := time.Now()
	show(w, token.Header(), claims, t, now)
	keyless := verdict(ctx, issuer, token, t, now)
	if keyless == nil {
		fmt.Fprintf(w, "\nverified: signed by %s\n", issuer)
		return nil
	}
	fmt.Fprintf(w, "\nNOT VERIFIED: %s\n", printable(keyless.Error()))
	return keyless
}

// verdict returns nil when the issuer signed the token and it has not expired. The issuer is the configured one: what
// the token says of its origin is not a place to ask.
func verdict(ctx context.Context, issuer string, token keys.Unverified, t times, now time.Time) *failure {
	if t.Issuer != issuer {
		return &failure{fmt.Errorf("its issuer is not %s", issuer), exitNotValid, "name the issuer you trust with --issuer"}
	}
	set, err := fetchSet(ctx, issuer)
	if err != nil {
		return &failure{err, exitUnreachable, "is the issuer running? start it: go run ./issuer"}
	}
	if _, err := set.VerifyParsed(token); err != nil {
		return &failure{err, exitNotValid, ""}
	}
	if t.Expires == 0 || !now.Before(t.Expires.Time()) {
		return &failure{errors.New("signed by the issuer, but expired"), exitNotValid, ""}
	}
	return nil
}

func fetchSet(ctx context.Context, issuer string) (*keys.Set, error) {
	var fetcher remote.Fetcher
	metadata, err := fetcher.Metadata(ctx, issuer)
	if err != nil {
		return nil, err
	}
	document, err := fetcher.JWKS(ctx, metadata.JWKSURI, nil)
	if err != nil {
		return nil, err
	}
	return document.Set, nil
}

// show prints header and claims. What stands in a token may have been written by anybody, so nothing of it reaches the
// terminal that is not printable.
func show(w io.Writer, h keys.Header, claims map[string]jsontext.Value, t times, now time.Time) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "header")
	fmt.Fprintf(table, "  alg\t%s\n  kid\t%s\n  typ\t%s\n", h.Algorithm, printable(h.KeyID), printable(h.Type))
	fmt.Fprintln(table, "claims")
	moments := map[string]time.Time{"exp": t.Expires.Time(), "iat": t.IssuedAt.Time(), "nbf": t.NotBefore.Time()}
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		value := printable(string(claims[name]))
		if moment := moments[name]; !moment.IsZero() {
			value += "  " + spoken(moment, now)
		}
		fmt.Fprintf(table, "  %s\t%s\n", printable(name), value)
	}
	_ = table.Flush()
}

func printable(text string) string {
	quoted := strconv.QuoteToASCII(text)
	if plain := quoted[1 : len(quoted)-1]; plain == text {
		return text
	}
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// spoken is a moment as people read it.
func spoken(moment, now time.Time) string {
	distance := moment.Sub(now).Round(time.Second)
	text := moment.Local().Format("2006-01-02 15:04:05 MST")
	const century = 100 * 365 * 24 * time.Hour // beyond, nobody reads hours, and a Duration cannot hold three of them
	switch {
	case distance.Abs() > century:
		return text
	case distance > 0:
		return fmt.Sprintf("%s, in %v", text, distance)
	case distance < 0:
		return fmt.Sprintf("%s, %v ago", text, -distance)
	}
	return text + ", now"
}
