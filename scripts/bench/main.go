// Command bench reads what Go benchmarks printed, any number of rounds of them, from standard input and prints a
// Markdown table. A benchmark named X/signet and one named X/bare are a pair and are compared; scripts/bench.sh runs
// it. It is a module of its own, so that what the comparisons need stays out of Signet's.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	jwx := flags.String("jwx", "", "version of jwx that was measured")
	date := flags.String("date", "", "day of the measurement")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := parse(stdin)
	if err != nil {
		return err
	}
	return r.write(stdout, heading{goVersion: runtime.Version(), jwx: *jwx, date: *date})
}
