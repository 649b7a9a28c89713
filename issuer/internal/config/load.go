package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

const (
	fileFlag  = "config"
	envPrefix = "SIGNET_"
)

// Load fills the flags that the command line did not set: from the environment, then from the settings file that
// --config names. Empty environment variables count as not set. The error names every value that is wrong and where it
// came from.
func Load(flags *pflag.FlagSet, getenv func(string) string) error {
	problems := []error{loadEnvironment(flags, getenv)}
	path, err := flags.GetString(fileFlag)
	if err != nil {
		return err
	}
	if path != "" {
		problems = append(problems, loadFile(flags, path))
	}
	return errors.Join(problems...)
}

// EnvName is the environment variable of a flag.
func EnvName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func loadEnvironment(flags *pflag.FlagSet, getenv func(string) string) error {
	var problems []error
	flags.VisitAll(func(flag *pflag.Flag) {
		value := getenv(EnvName(flag.Name))
		if flag.Changed || value == "" || flag.Name == "help" {
			return
		}
		if err := flags.Set(flag.Name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", EnvName(flag.Name), err))
		}
	})
	return errors.Join(problems...)
}

const maxSettingsSize = 1 << 20 // octets

func loadFile(flags *pflag.FlagSet, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading settings: %w", err)
	}
	defer file.Close()
	decoder := yaml.NewDecoder(io.LimitReader(file, maxSettingsSize))
	var root yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return nil // nothing in it, nothing to set
	} else if err != nil {
		return fmt.Errorf("reading settings %s: %w", path, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading settings %s: more than one YAML document", path)
	}
	l := fileLoader{flags: flags, path: path, lines: make(map[string]int)}
	l.walk("", root.Content[0])
	return errors.Join(l.problems...)
}

// fileLoader sets flags from a tree of mappings: dir under keys is --keys-dir, max_age under jwks is --jwks-max-age.
type fileLoader struct {
	flags    *pflag.FlagSet
	path     string
	lines    map[string]int // of each setting found, to name the first when it comes twice
	problems []error
}

func (l *fileLoader) problem(line int, format string, args ...any) {
	l.problems = append(l.problems, fmt.Errorf("%s:%d: "+format, append([]any{l.path, line}, args...)...))
}

func (l *fileLoader) walk(prefix string, node *yaml.Node) {
	if node.Kind != yaml.MappingNode {
		l.problem(node.Line, "settings are a mapping of names to values")
		return
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := prefix + strings.ReplaceAll(key.Value, "_", "-")
		if value.Kind == yaml.MappingNode {
			l.walk(name+"-", value)
			continue
		}
		l.set(name, key, value)
	}
}

func (l *fileLoader) set(name string, key, value *yaml.Node) {
	flag := l.flags.Lookup(name)
	switch {
	case flag == nil || name == fileFlag || name == "help":
		l.problem(key.Line, "unknown setting %q", key.Value)
	case l.lines[name] != 0:
		l.problem(key.Line, "%q is set already, at line %d", key.Value, l.lines[name])
	case value.Kind != yaml.ScalarNode || value.ShortTag() == "!!null":
		l.problem(value.Line, "%q takes one value", key.Value)
	default:
		l.lines[name] = key.Line
		if flag.Changed {
			return
		}
		if err := l.flags.Set(name, value.Value); err != nil {
			l.problem(value.Line, "%w", err)
		}
	}
}
