package config

import (
	"bytes"
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
// --config names. Empty environment variables count as not set. It returns where each value came from; the error names
// every value that is wrong, and where it came from.
func Load(flags *pflag.FlagSet, getenv func(string) string) (Sources, error) {
	sources := make(Sources)
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed {
			sources[flag.Name] = "--" + flag.Name
		}
	})
	problems := []error{loadEnvironment(flags, getenv, sources)}
	path, err := flags.GetString(fileFlag)
	if err != nil {
		return nil, err
	}
	if path != "" {
		problems = append(problems, loadFile(flags, path, sources))
	}
	return sources, errors.Join(problems...)
}

// Sources says where the value of a setting, by the name of its flag, came from: a flag, an environment variable, or a
// line of the settings file. One that is not there has its default.
type Sources map[string]string

// EnvName is the environment variable of a flag.
func EnvName(flag string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func loadEnvironment(flags *pflag.FlagSet, getenv func(string) string, sources Sources) error {
	var problems []error
	flags.VisitAll(func(flag *pflag.Flag) {
		value := getenv(EnvName(flag.Name))
		if flag.Changed || value == "" || flag.Name == "help" {
			return
		}
		if err := flags.Set(flag.Name, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", EnvName(flag.Name), err))
			return
		}
		sources[flag.Name] = EnvName(flag.Name)
	})
	return errors.Join(problems...)
}

const maxSettingsSize = 1 << 20 // octets

func loadFile(flags *pflag.FlagSet, path string, sources Sources) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading settings: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSettingsSize+1))
	if err != nil {
		return fmt.Errorf("reading settings: %w", err)
	}
	if len(text) > maxSettingsSize {
		return fmt.Errorf("reading settings %s: longer than %d octets", path, maxSettingsSize)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return nil // nothing in it, nothing to set
	} else if err != nil {
		return fmt.Errorf("reading settings %s: %w", path, err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading settings %s: more than one YAML document", path)
	}
	l := fileLoader{flags: flags, path: path, sources: sources, lines: make(map[string]int)}
	l.walk("", root.Content[0])
	return errors.Join(l.problems...)
}

// fileLoader sets flags from a tree of mappings: dir under keys is --keys-dir, max_age under jwks is --jwks-max-age.
type fileLoader struct {
	flags    *pflag.FlagSet
	path     string
	sources  Sources
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
	default:
		l.lines[name] = key.Line
		text, ok := l.textOf(flag, key, value)
		if !ok || flag.Changed {
			return
		}
		if err := l.flags.Set(name, text); err != nil {
			l.problem(value.Line, "%w", err)
			return
		}
		l.sources[name] = fmt.Sprintf("%s:%d", l.path, key.Line)
	}
}

// textOf returns a value as a flag would have it: one value, or a list for a setting that takes several.
func (l *fileLoader) textOf(flag *pflag.Flag, key, value *yaml.Node) (string, bool) {
	items := []*yaml.Node{value}
	if _, isList := flag.Value.(*networks); isList && value.Kind == yaml.SequenceNode {
		items = value.Content
	}
	var texts []string
	for _, item := range items {
		if item.Kind != yaml.ScalarNode || item.ShortTag() == "!!null" {
			l.problem(item.Line, "%q takes one value", key.Value)
			return "", false
		}
		texts = append(texts, item.Value)
	}
	return strings.Join(texts, ","), true
}
