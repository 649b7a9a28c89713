package main_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wordsByRef does what the script needs of the package bash-completion, where that is not installed.
const wordsByRef = `
if ! declare -F _get_comp_words_by_ref >/dev/null; then
	_get_comp_words_by_ref() {
		cword=$COMP_CWORD words=("${COMP_WORDS[@]}") cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
	}
fi
`

// What bash offers when one types the words and then a tab.
func TestBashCompletion(t *testing.T) {
	t.Parallel()
	bash := shell(t, "bash")
	script := completionOf(t, "bash")
	for _, row := range []struct {
		name  string
		typed []string // the last one is being typed
		want  []string
	}{
		{"commands", []string{""}, []string{"call", "check", "completion", "help", "inspect", "proxy", "serve", "token", "verify", "version"}},
		{"beginning of a command", []string{"ve"}, []string{"verify", "version"}},
		{"one command", []string{"tok"}, []string{"token"}},
		{"nothing of that name", []string{"x"}, nil},
		{"words of -o", []string{"token", "-o", ""}, []string{"curl", "env", "exec-credential", "header", "json", "text"}},
		{"beginning of a word of -o", []string{"token", "-o", "e"}, []string{"env", "exec-credential"}},
		{"words of --output", []string{"verify", "--output", ""}, []string{"json", "text"}},
		{"flags", []string{"verify", "--le"}, []string{"--leeway"}},
		{"flags of every command", []string{"token", "--secret"}, []string{"--secret-file"}},
		{"shells", []string{"completion", ""}, []string{"bash", "fish", "powershell", "zsh"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			words := append([]string{"client"}, row.typed...)
			cmd := exec.Command(bash, "--norc", "-c", wordsByRef+`. "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
COMP_TYPE=9; __start_client; printf '%s\n' "${COMPREPLY[@]}"`)
			cmd.Args = append(append(cmd.Args, script), words...)
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			if got := offered(string(out)); !slices.Equal(got, row.want) {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// offered returns the words without their descriptions, in order.
func offered(out string) (words []string) {
	for line := range strings.Lines(out) {
		if word, _, _ := strings.Cut(strings.TrimSpace(line), " "); word != "" {
			words = append(words, word)
		}
	}
	slices.Sort(words)
	return words
}

// completionOf writes the script for a shell into a file.
func completionOf(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "client."+name)
	text, err := exec.Command("client", "completion", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// shell returns where a shell is.
func shell(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("there is no %s here", name)
	}
	return path
}

// Each shell reads its script without a complaint.
func TestCompletionScriptsParse(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name string
		args []string
	}{
		{"bash", []string{"--norc", "-n"}},
		{"zsh", []string{"-f", "-n"}},
		{"fish", []string{"--no-execute"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			script := completionOf(t, row.name)
			out, err := exec.Command(shell(t, row.name), append(row.args, script)...).CombinedOutput()
			if err != nil || len(out) != 0 {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
