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
	"time"

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
	Files    []string // as [Registry.Files]; a change of any of them may mend it
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

const maxFileSize = 64 << 20 // octets; 100,000 clients with a secret and a key in PEM each need 53 MiB

// ReadFile reads the registry in the YAML file at path and checks it as a whole. Names of key files in it are relative
// to the file. The error is a [*FileError] unless the file cannot be read.
//
// Secrets that have expired at now are checked like the others and left out.
func ReadFile(path string, now time.Time) (*Registry, error) {
	text, err := readText(path)
	if err != nil {
		return nil, err
	}
	registry, problems := parse(text, filepath.Dir(path), now)
	registry.files = slices.Insert(registry.files, 0, path)
	if len(problems) > 0 {
		return nil, &FileError{Path: path, Files: registry.files, Problems: problems}
	}
	return registry, nil
}

func readText(path string) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() { // opening a pipe might not return
		return nil, fmt.Errorf("reading registry %s: not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var text bytes.Buffer
	if info, err := file.Stat(); err == nil && info.Size() <= maxFileSize { // a hint, which saves copying it about
		text.Grow(int(info.Size()) + bytes.MinRead)
	}
	if _, err := text.ReadFrom(io.LimitReader(file, maxFileSize+1)); err != nil {
		return nil, fmt.Errorf("reading registry %s: %w", path, err)
	}
	if text.Len() > maxFileSize {
		return nil, fmt.Errorf("reading registry %s: longer than %d octets", path, maxFileSize)
	}
	return text.Bytes(), nil
}

// parse reads a registry as of now; dir is where key files are looked for. With problems the registry is good for
// nothing but its files.
func parse(text []byte, dir string, now time.Time) (*Registry, []Problem) {
	if len(text) >= splitSize {
		if registry := parseParts(text, dir, now, batchSize); registry != nil {
			return registry, nil
		}
	}
	return parseWhole(text, dir, now)
}

func parseWhole(text []byte, dir string, now time.Time) (*Registry, []Problem) {
	b := &builder{dir: dir, now: now}
	root := b.document(text)
	if root == nil {
		return b.registry(), b.problems
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
