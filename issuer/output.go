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

// checkOutput refuses what printAs could not print.
func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return &usageError{fmt.Errorf("--output %q is neither text nor json", output), "write -o text or -o json"}
	}
	return nil
}

// printAs prints value as JSON, or what text prints.
func printAs(w io.Writer, output string, value any, text func(io.Writer) error) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	if output == "text" {
		return text(w)
	}
	if err := json.MarshalWrite(w, value, jsontext.WithIndent("  ")); err != nil {
		return err
	}
	_, err := fmt.Fprintln(w)
	return err
}

// trimLineEnd cuts off one line end.
func trimLineEnd(text string) string { return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r") }
