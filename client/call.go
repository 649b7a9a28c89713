package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"example.com/signet/client/tokens"
	"example.com/signet/keys/remote"
)

const callTimeout = 30 * time.Second

// request is what to send.
type request struct {
	address     string
	method      string // empty: GET, or POST when there is a body
	data        string // empty: no body; @FILE and @- are read
	contentType string
}

func callCommand(s *settings) *cobra.Command {
	var r request
	cmd := &cobra.Command{
		Use:   "call URL",
		Short: "Call URL with a token and print the body of the answer",
		Long: "Call URL with a token and print the body of the answer. --data has a body, as in\n" +
			"client call --data @order.json https://orders.example.com/orders. It gives up after 30 s. For all else, streams too,\n" +
			"there are curl, see client token, and client proxy.",
		Example: "  go run ./client call http://127.0.0.1:9000/whoami\n" +
			"  go run ./client call --scope \"read admin\" http://127.0.0.1:9000/admin",
		Args: arguments(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			r.address = args[0]
			return call(cmd, s, r)
		},
	}
	cmd.Flags().StringVarP(&r.method, "method", "X", "", "method of the request (default GET, with --data POST)")
	cmd.Flags().StringVarP(&r.data, "data", "d", "", "body of the request; @FILE is what is in a file, @- standard input")
	cmd.Flags().StringVar(&r.contentType, "content-type", "application/json", "what the body is")
	return cmd
}

// call sends a request with a token and copies the body of the answer to standard output.
func call(cmd *cobra.Command, s *settings, r request) error {
	if err := remote.CheckURL(r.address); err != nil {
		return usage(err, "tokens are sent over https, or to loopback")
	}
	if r.data == "@-" && s.provesByStdin() {
		return usage(errors.New("standard input cannot be both the body and what proves who we are"),
			"put one of them into a file")
	}
	req, err := r.build(cmd)
	if err != nil {
		return err
	}
	source, err := s.source(cmd, r.address)
	if err != nil {
		return err
	}
	defer source.Close()
	w := &witness{base: http.DefaultTransport}
	client := remote.SameOrigin(&http.Client{Transport: source.Transport(w), Timeout: callTimeout})
	resp, err := client.Do(req)
	if err != nil {
		return explainCall(err, w)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= http.StatusBadRequest {
		return refusedCall(resp, w)
	}
	_, err = io.Copy(cmd.OutOrStdout(), resp.Body)
	var writing *fs.PathError
	switch {
	case errors.As(err, &writing):
		return fmt.Errorf("printing the answer: %w", err)
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

func (r request) build(cmd *cobra.Command) (*http.Request, error) {
	body, err := r.body(cmd.InOrStdin())
	if err != nil {
		return nil, usage(fmt.Errorf("--data: %w", err), "")
	}
	method := cmp.Or(r.method, http.MethodGet)
	if r.method == "" && r.data != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(cmd.Context(), method, r.address, bytes.NewReader(body))
	if err != nil {
		return nil, usage(err, "")
	}
	if strings.ContainsFunc(r.contentType, unicode.IsControl) {
		return nil, usage(fmt.Errorf("--content-type %.200q has a control character", r.contentType), "")
	}
	if r.data != "" {
		req.Header.Set("Content-Type", r.contentType)
	}
	return req, nil
}

// body reads the whole body, so that it can be sent a second time.
func (r request) body(stdin io.Reader) ([]byte, error) {
	switch file, isFile := strings.CutPrefix(r.data, "@"); {
	case !isFile:
		return []byte(r.data), nil
	case file == "-":
		return io.ReadAll(stdin)
	default:
		return os.ReadFile(file)
	}
}

// explainCall tells an issuer that gave no token from a resource server that gave no answer.
func explainCall(err error, w *witness) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var asked *url.Error
	if errors.As(err, &asked) { // it names the request to the resource server, which is not what failed
		for _, atIssuer := range []error{tokens.ErrUnreachable, tokens.ErrRefused, tokens.ErrAnswer, tokens.ErrCredential} {
			if errors.Is(err, atIssuer) {
				return asked.Err
			}
		}
	}
	f := &failure{errors.New(w.hide("calling the resource server: " + err.Error())), exitFailure, ""}
	var dialing *net.OpError
	if errors.As(err, &dialing) && dialing.Op == "dial" {
		f.hint = "is it running? here it is started by: go run ./resource"
	}
	return f
}

// refusedCall explains an answer that is an error.
func refusedCall(resp *http.Response, w *witness) error {
	body, _ := remote.ReadAll(resp.Body, 1<<10) // a longer text explains nothing more
	text := w.hide(string(bytes.TrimSpace(body)))
	err := fmt.Errorf("the resource server answered %s: %.200q", statusOf(resp), text)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		if off := clockOff(resp.Header, time.Now()); off != 0 {
			return &failure{err, exitNotAuthorised,
				"the clocks are apart: this machine's is " + spokenOff(off) + " that of the resource server"}
		}
		return &failure{err, exitNotAuthorised,
			"its log has the reason: does it trust this --issuer, and is it the --resource of the token?"}
	case http.StatusForbidden:
		return &failure{err, exitNotAuthorised, "ask for the scope that it wants with --scope" + w.hide(scopeOf(resp))}
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

// clockOff is by how much now is ahead of the moment at which an answer was made, when that may be why a token is refused.
func clockOff(h http.Header, now time.Time) time.Duration {
	made, err := http.ParseTime(h.Get("Date"))
	off := now.Sub(made).Round(time.Second)
	if err != nil || off.Abs() < 30*time.Second {
		return 0
	}
	return off
}

func spokenOff(off time.Duration) string {
	if off < 0 {
		return fmt.Sprintf("%v behind", -off)
	}
	return fmt.Sprintf("%v ahead of", off)
}
