package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"
)

// outputFlag declares --output.
func outputFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("output", "o", "text", "text or json")
}

// printAs prints value as JSON, or what text prints.
func printAs(w io.Writer, output string, value any, text func(io.Writer) error) error {
	switch output {
	case "text":
		return text(w)
	case "json":
		if err := json.MarshalWrite(w, value, jsontext.WithIndent("  ")); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w)
		return err
	}
	return &usageError{fmt.Errorf("--output %q is neither text nor json", output), "write -o text or -o json"}
}

// trimLineEnd cuts off one line end.
func trimLineEnd(text string) string { return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r") }
