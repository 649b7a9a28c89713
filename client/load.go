package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

const (
	fileFlag        = "config"
	maxSettingsSize = 1 << 20 // octets
)

// load sets the flags of a command that the command line did not: from the environment, then from the file that --config
// names. The error names every value that is wrong, and where it came from.
func load(cmd *cobra.Command, getenv func(string) string) error {
	flags := cmd.Flags()
	problems := []error{fromEnvironment(flags, getenv, skipped(flags))}
	if path, err := flags.GetString(fileFlag); err == nil && path != "" {
		l := fileLoader{flags: flags, known: allFlags(cmd.Root()), skip: skipped(flags), path: path, lines: make(map[string]int)}
		problems = append(problems, l.load())
	}
	return errors.Join(problems...)
}

// proofs are ways of proving who we are, of which one is used.
var proofs = []string{"key", "secret-file", "assertion-file"}

// ofOneCall are flags that are no settings.
var ofOneCall = []string{"help", "output", "method", "data", "content-type"}

// skipped are the flags that the next place to look at cannot set: those that are no settings but of one call, and all
// proofs when there is one already, from a place that wins over it.
func skipped(flags *pflag.FlagSet) map[string]bool {
	skip := make(map[string]bool)
	for _, name := range ofOneCall {
		skip[name] = true
	}
	if slices.ContainsFunc(proofs, flags.Changed) {
		for _, name := range proofs {
			skip[name] = true
		}
	}
	return skip
}

// allFlags are the names of the flags of all commands: one file serves them all.
func allFlags(root *cobra.Command) map[string]bool {
	known := make(map[string]bool)
	for _, cmd := range append(root.Commands(), root) {
		cmd.Flags().VisitAll(func(flag *pflag.Flag) { known[flag.Name] = true })
		cmd.PersistentFlags().VisitAll(func(flag *pflag.Flag) { known[flag.Name] = true })
	}
	return known
}

// fromEnvironment sets flags from variables. Empty ones count as not set.
func fromEnvironment(flags *pflag.FlagSet, getenv func(string) string, skip map[string]bool) error {
	var problems []error
	flags.VisitAll(func(flag *pflag.Flag) {
		name := "SIGNET_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		value := getenv(name)
		if flag.Changed || value == "" || skip[flag.Name] {
			return
		}
		if err := flags.Set(flag.Name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(problems...)
}

func readSettings(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSettingsSize+1))
	if err == nil && len(text) > maxSettingsSize {
		err = fmt.Errorf("%s is longer than %d octets", path, maxSettingsSize)
	}
	return text, err
}

// fileLoader sets flags from a YAML mapping: client_id is --client-id.
type fileLoader struct {
	flags    *pflag.FlagSet
	known    map[string]bool // the flags of all commands
	skip     map[string]bool
	path     string
	lines    map[string]int // of each setting found, to name the first when it comes twice
	problems []error
}

func (l *fileLoader) problem(line int, format string, args ...any) {
	l.problems = append(l.problems, fmt.Errorf("%s:%d: "+format, append([]any{l.path, line}, args...)...))
}

func (l *fileLoader) load() error {
	text, err := readSettings(l.path)
	if err != nil {
		return fmt.Errorf("reading settings: %w", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return nil // nothing in it, nothing to set
	} else if err != nil {
		return fmt.Errorf("reading settings %s: %w", l.path, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading settings %s: more than one YAML document", l.path)
	}
	l.walk(root.Content[0])
	return errors.Join(l.problems...)
}

func (l *fileLoader) walk(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		l.problem(root.Line, "settings are a mapping of names to values")
		return
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		l.set(root.Content[i], root.Content[i+1])
	}
}

func (l *fileLoader) set(key, value *yaml.Node) {
	name := strings.ReplaceAll(key.Value, "_", "-")
	flag := l.flags.Lookup(name)
	switch {
	case l.lines[name] != 0:
		l.problem(key.Line, "%q is set already, at line %d", key.Value, l.lines[name])
	case strings.Contains(key.Value, "-") || name == fileFlag || slices.Contains(ofOneCall, name) || !l.known[name]:
		l.problem(key.Line, "unknown setting %q", key.Value)
	case value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null":
		l.problem(value.Line, "%q takes one value", key.Value)
	case flag != nil && !flag.Changed && !l.skip[name]:
		if err := l.flags.Set(name, value.Value); err != nil {
			l.problem(value.Line, "%w", err)
		}
	}
	l.lines[name] = key.Line
}
