// Command bench reads what Go benchmarks printed, any number of rounds of them, from standard input and prints Markdown
// tables. Benchmarks X/signet and X/bare are a pair and are compared; X/signet and others beside it are a group, in
// which each is held against Signet; one that ran with several numbers of cores is held against itself. It is run by
// scripts/bench.sh, and a module of its own, so that what the comparisons need stays out of Signet's.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	modules := flags.String("modules", "", "modules that were measured, each with its version, one a line")
	date := flags.String("date", "", "day of the measurement")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := parse(stdin)
	if err != nil {
		return err
	}
	return r.write(stdout, heading{
		goVersion: runtime.Version(),
		modules:   strings.FieldsFunc(*modules, func(r rune) bool { return r == '\n' }),
		date:      *date,
	})
}
