package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/remote"
)

const callTimeout = 30 * time.Second

func callCommand(s *settings) *cobra.Command {
	return &cobra.Command{
		Use:     "call URL",
		Short:   "Call URL with a token and print the body of the answer",
		Example: "  go run ./client call http://127.0.0.1:9000/whoami\n  go run ./client call --scope admin http://127.0.0.1:9000/admin",
		Args:    arguments(1, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return call(cmd, s, args[0]) },
	}
}

// call sends a GET with a token and copies the body of the answer to standard output.
func call(cmd *cobra.Command, s *settings, address string) error {
	if err := remote.CheckURL(address); err != nil {
		return usage(err, "tokens are sent over https, or to loopback")
	}
	source, err := s.source(address)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(cmd.Context(), http.MethodGet, address, nil)
	if err != nil {
		return usage(err, "")
	}
	client := remote.SameOrigin(&http.Client{Transport: source.Transport(nil), Timeout: callTimeout})
	resp, err := client.Do(req)
	if err != nil {
		return explainCall(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return refusedCall(resp)
	}
	if _, err := io.Copy(cmd.OutOrStdout(), resp.Body); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

// explainCall tells an issuer that gave no token from a resource server that gave no answer.
func explainCall(err error) error {
	var asked *url.Error
	if errors.As(err, &asked) { // it names the request to the resource server, which is not what failed
		for _, atIssuer := range []error{tokens.ErrUnreachable, tokens.ErrRefused, tokens.ErrAnswer} {
			if errors.Is(err, atIssuer) {
				return asked.Err
			}
		}
	}
	return &failure{fmt.Errorf("calling the resource server: %w", err), exitFailure,
		"is it running? start it: go run ./resource (or name another with --url)"}
}

// refusedCall explains an answer that is an error.
func refusedCall(resp *http.Response) error {
	text, _ := remote.ReadAll(resp.Body, 1<<10) // a longer text explains nothing more
	err := fmt.Errorf("the resource server answered %s: %.200q", statusOf(resp), bytes.TrimSpace(text))
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return &failure{err, exitNotAuthorised, "its log has the reason: does it trust this --issuer, and is it the --resource of the token?"}
	case http.StatusForbidden:
		return &failure{err, exitNotAuthorised, "ask for the scope that it wants with --scope" + scopeOf(resp)}
	case http.StatusServiceUnavailable:
		return &failure{err, exitFailure, "it may not have its issuer's keys yet: try again in some seconds"}
	}
	return err
}

// statusOf is the status in our words, not in those of the server.
func statusOf(resp *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
}

// scopeOf returns the scope that a challenge asks for, quoted after a colon (RFC 6750 §3), or nothing.
func scopeOf(resp *http.Response) string {
	_, rest, _ := strings.Cut(resp.Header.Get("WWW-Authenticate"), ` scope="`)
	scope, _, _ := strings.Cut(rest, `"`)
	if scope == "" {
		return ""
	}
	return fmt.Sprintf(": %.200q", scope)
}
