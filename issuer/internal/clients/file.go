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
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

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
	b := &builder{dir: dir}
	root := b.document(text)
	if root == nil {
		return nil, b.problems
	}
	registry := b.build(b.file(root))
	slices.SortStableFunc(b.problems, func(x, y Problem) int { return x.Line - y.Line })
	return registry, b.problems
}

// document returns the one YAML document of a file, or nil when there is none.
func (b *builder) document(text []byte) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var root yaml.Node
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		b.add(0, "the file is empty")
		return nil
	} else if err != nil {
		b.addSyntax(err)
		return nil
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		b.add(0, "more than one YAML document")
	}
	return root.Content[0]
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// addSyntax notes where the YAML decoder stopped. It names the line where what it could not finish began.
func (b *builder) addSyntax(err error) {
	line, message := 0, err.Error()
	if m := yamlError.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1]) // 0 when there is none
		message = m[2]
	}
	b.add(line, "not YAML, here or just below: %s", message)
}
