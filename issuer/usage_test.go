package main

import (
	"bytes"
	"strings"
	"testing"
)

// runHere runs the program in this process, with nothing in the environment.
func runHere(t *testing.T, args ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, func(string) string { return "" }, &stdout, &stderr)
	return ran{stdout.String(), stderr.String(), code}
}

// commands are all that an operator can type, by group.
var commands = map[string][]string{
	"":           {"audit", "check", "config", "version"},
	"keys":       {"list", "generate", "rotate", "revoke", "import", "export"},
	"master-key": {"generate", "list", "rotate"},
	"registry":   {"apply", "export"},
	"clients": {"list", "show", "add", "disable", "enable", "delete", "add-secret", "remove-secret",
		"generate-secret"},
	"resources": {"list", "show", "add", "disable", "enable", "delete"},
	"migrate":   {"up", "status"},
}

// Whatever is typed wrong is a usage error that says where to look, and nothing is on stdout.
func TestUnknownCommandsAndFlags(t *testing.T) {
	t.Parallel()
	for group, names := range commands {
		want := ran{"", "error: unknown command \"nonsense\"\nhint: issuer --help lists the commands\n", exitUsage}
		if got := runHere(t, append(strings.Fields(group), "nonsense")...); got != want {
			t.Errorf("%s nonsense: %+v\nwant %+v", group, got, want)
		}
		for _, name := range names {
			command := strings.TrimSpace(group + " " + name)
			got := runHere(t, append(strings.Fields(command), "--nonsense")...)
			told := strings.HasPrefix(got.stderr, "error: unknown flag: --nonsense\nhint: ")
			if got.code != exitUsage || got.stdout != "" || !told {
				t.Errorf("%s --nonsense: %+v", command, got)
			}
		}
	}
}

// Each command has help that leads with what to type, and each group lists its commands, all on stdout.
func TestHelp(t *testing.T) {
	t.Parallel()
	for group, names := range commands {
		list := runHere(t, append(strings.Fields(group), "--help")...)
		for _, name := range names {
			command := strings.TrimSpace(group + " " + name)
			if !strings.Contains(list.stdout, "\n  "+name+" ") {
				t.Errorf("issuer %s does not list %s:\n%s", group, name, list.stdout)
			}
			got := runHere(t, append(strings.Fields(command), "--help")...)
			leads := strings.Contains(got.stdout, "\nExamples:\n  issuer "+command) || name == "version"
			if got.code != exitOK || got.stderr != "" || !leads {
				t.Errorf("%s --help: %+v", command, got)
			}
		}
		if group == "" {
			continue
		}
		if got := runHere(t, group); got != list || got.code != exitOK || got.stderr != "" {
			t.Errorf("%s alone: %+v\nwant its help", group, got)
		}
	}
}
