package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"

	"example.com/signet/client/tokens"
)

// formats are the ways to print a token.
var formats = map[string]func(w io.Writer, t printedToken) error{
	"text":            printText,
	"json":            printJSON,
	"header":          printHeader,
	"env":             printEnv,
	"curl":            printCurl,
	"exec-credential": printExecCredential,
}

// printedToken is what the formats need to know.
type printedToken struct {
	tokens.Token
	header   tokens.Header
	execInfo string // what kubectl says it wants
}

func printText(w io.Writer, t printedToken) error {
	_, err := fmt.Fprintln(w, t.AccessToken())
	return err
}

// printJSON writes the token as an answer of a token endpoint has it (RFC 6749 §5.1), and the moment of its end.
func printJSON(w io.Writer, t printedToken) error {
	answer := struct {
		AccessToken string     `json:"access_token"`
		TokenType   string     `json:"token_type"`
		ExpiresIn   int64      `json:"expires_in,omitempty"`
		ExpiresAt   *time.Time `json:"expires_at,omitempty"`
		Scope       string     `json:"scope,omitempty"`
	}{AccessToken: t.AccessToken(), TokenType: "Bearer", Scope: t.Scope}
	if !t.Expires.IsZero() {
		end := t.Expires.UTC().Truncate(time.Second)
		answer.ExpiresAt = &end
		answer.ExpiresIn = max(int64(time.Until(t.Expires)/time.Second), 1)
	}
	return writeJSON(w, answer)
}

// writeJSON writes a value for people and programs. A token is printable ASCII, and stays as it is; what is not stands
// within strings, and is escaped there (RFC 8259 §7): a terminal obeys some of it.
func writeJSON(w io.Writer, value any) error {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	var plain strings.Builder
	for _, r := range text.String() {
		if r < 0x7f {
			plain.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&plain, `\u%04x`, unit)
		}
	}
	_, err := io.WriteString(w, plain.String())
	return err
}

// field is the header field that carries the token.
func (t printedToken) field() string {
	if t.header == tokens.AuthorizationHeader {
		return "Authorization: Bearer " + t.AccessToken()
	}
	return "Token: " + t.AccessToken()
}

func printHeader(w io.Writer, t printedToken) error {
	_, err := fmt.Fprintln(w, t.field())
	return err
}

// printEnv quotes as a POSIX shell does (XCU 2.2.2): within single quotes nothing but these has a meaning.
func printEnv(w io.Writer, t printedToken) error {
	_, err := fmt.Fprintf(w, "export SIGNET_ACCESS_TOKEN='%s'\n", strings.ReplaceAll(t.AccessToken(), "'", `'\''`))
	return err
}

// printCurl quotes as the configuration file of curl does.
func printCurl(w io.Writer, t printedToken) error {
	_, err := fmt.Fprintf(w, "header = \"%s\"\n", strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(t.field()))
	return err
}

const (
	execV1      = "client.authentication.k8s.io/v1"
	execV1beta1 = "client.authentication.k8s.io/v1beta1"
)

// printExecCredential writes what kubectl expects, in the version that it asks for.
func printExecCredential(w io.Writer, t printedToken) error {
	type status struct {
		ExpirationTimestamp string `json:"expirationTimestamp,omitempty"`
		Token               string `json:"token"`
	}
	version, err := execVersion(t.execInfo)
	if err != nil {
		return err
	}
	credential := struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Status     status `json:"status"`
	}{version, "ExecCredential", status{Token: t.AccessToken()}}
	if !t.Expires.IsZero() {
		credential.Status.ExpirationTimestamp = t.Expires.UTC().Format(time.RFC3339)
	}
	return writeJSON(w, credential)
}

// execVersion is the version that kubectl asks for in KUBERNETES_EXEC_INFO, v1 when there is none.
func execVersion(info string) (string, error) {
	if info == "" {
		return execV1, nil
	}
	var asked struct {
		APIVersion string `json:"apiVersion"`
	}
	if err := json.Unmarshal([]byte(info), &asked); err != nil {
		return "", usage(fmt.Errorf("KUBERNETES_EXEC_INFO is not JSON"), "kubectl sets it: unset it to run the command by hand")
	}
	if asked.APIVersion != execV1 && asked.APIVersion != execV1beta1 {
		return "", usage(fmt.Errorf("kubectl asks for version %.100q", asked.APIVersion), "write "+execV1+" into its configuration")
	}
	return asked.APIVersion, nil
}
