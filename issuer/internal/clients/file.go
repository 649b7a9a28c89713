package clients

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The file as it is written. Every scalar knows its line, so that a mistake can be named where it stands.
type (
	fileYAML struct {
		Resources []resourceYAML `yaml:"resources"`
		Clients   []clientYAML   `yaml:"clients"`
	}
	resourceYAML struct {
		Audience  scalar   `yaml:"audience"`
		Scopes    []scalar `yaml:"scopes"`
		Algorithm scalar   `yaml:"algorithm"`
		Type      scalar   `yaml:"token_type"`
		Lifetime  scalar   `yaml:"token_lifetime"`
	}
	clientYAML struct {
		ID      scalar       `yaml:"id"`
		Name    scalar       `yaml:"name"`
		Enabled scalar       `yaml:"enabled"`
		Keys    []keyYAML    `yaml:"keys"`
		Secrets []secretYAML `yaml:"secrets"`
		Allow   []allowYAML  `yaml:"allow"`
		Default scalar       `yaml:"default_resource"`
	}
	keyYAML struct {
		PEM  scalar `yaml:"pem"`
		JWK  scalar `yaml:"jwk"`
		File scalar `yaml:"file"`
	}
	secretYAML struct {
		SHA256  scalar `yaml:"sha256"`
		Expires scalar `yaml:"expires"`
	}
	allowYAML struct {
		Resource scalar   `yaml:"resource"`
		Scopes   []scalar `yaml:"scopes"`
		Default  []scalar `yaml:"default_scopes"`
	}
)

// scalar is one value and its line; line 0 means that it is absent.
type scalar struct {
	text string
	line int
}

func (s *scalar) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.ScalarNode {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: one value is needed here, not a list or mapping", node.Line)}}
	}
	s.text, s.line = node.Value, node.Line
	return nil
}

func (s scalar) present() bool { return s.line != 0 }

// Problem is one mistake in a registry file.
type Problem struct {
	Line int // from 1; 0 when the mistake has no one line
	Text string
}

// FileError is every mistake in a registry file, in the order of their lines.
type FileError struct {
	Path     string
	Problems []Problem
}

func (e *FileError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "reading registry %s: ", e.Path)
	if len(e.Problems) > 1 {
		fmt.Fprintf(&b, "%d mistakes:", len(e.Problems))
	}
	for _, p := range e.Problems {
		if len(e.Problems) > 1 {
			b.WriteString("\n  ")
		}
		if p.Line > 0 {
			fmt.Fprintf(&b, "line %d: ", p.Line)
		}
		b.WriteString(p.Text)
	}
	return b.String()
}

const maxFileSize = 64 << 20 // octets; 100,000 clients need about 40 MiB

// ReadFile reads the registry in the YAML file at path and checks it as a whole. Names of key files in it are relative
// to the file. The error is a [*FileError] unless the file cannot be read.
func ReadFile(path string) (*Registry, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading registry %s: %w", path, err)
	}
	if len(text) > maxFileSize {
		return nil, fmt.Errorf("reading registry %s: longer than %d octets", path, maxFileSize)
	}
	registry, problems := parse(text, filepath.Dir(path))
	if len(problems) > 0 {
		return nil, &FileError{Path: path, Problems: problems}
	}
	return registry, nil
}

// parse reads a registry; dir is where key files are looked for.
func parse(text []byte, dir string) (*Registry, []Problem) {
	var file fileYAML
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	b := &builder{dir: dir}
	if err := decoder.Decode(&file); err != nil && !b.addYAML(err) {
		return nil, b.problems
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		b.add(0, "more than one YAML document")
	}
	var root yaml.Node
	_ = yaml.Unmarshal(text, &root) // it was decoded once already; this is for the lines of lists
	registry := b.build(&file, &root)
	slices.SortStableFunc(b.problems, func(x, y Problem) int { return x.Line - y.Line })
	return registry, b.problems
}

var (
	yamlLine    = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
	yamlUnknown = regexp.MustCompile(`^field (\S+) not found in type .*$`)
	yamlKind    = regexp.MustCompile(`^cannot unmarshal .*$`)
)

// addYAML notes what the YAML decoder found, in words that do not name Go types or repeat values. It returns false when
// nothing could be decoded.
func (b *builder) addYAML(err error) bool {
	if errors.Is(err, io.EOF) {
		b.add(0, "the file is empty")
		return false
	}
	var typeError *yaml.TypeError
	if !errors.As(err, &typeError) {
		b.addLine(err.Error())
		return false
	}
	for _, message := range typeError.Errors {
		b.addLine(message)
	}
	return true
}

func (b *builder) addLine(message string) {
	line := 0
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		_, _ = fmt.Sscan(m[1], &line)
		message = m[2]
	}
	if m := yamlUnknown.FindStringSubmatch(message); m != nil {
		message = fmt.Sprintf("unknown field %q", m[1])
	} else if yamlKind.MatchString(message) {
		message = "the wrong kind of value: a list or mapping is needed where one value stands, or the other way round"
	}
	b.add(line, "%s", message)
}
