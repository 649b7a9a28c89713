package main_test

import (
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Every command's help begins with examples, and what they say works: they are typed as they stand, those of a command
// in one shell, against the real issuer and the real resource server. Only the ports are others.
func TestExamples(t *testing.T) {
	w := newWorld(t)
	issuer := w.start("issuer", "--keys-dir", w.path("keys/issuer"))
	resource := w.start("resource", "--issuer", issuer.url)
	resource.waitReady()
	for _, name := range append([]string{""}, commandsOf(w.command("client", "--help").mustRun(t))...) {
		t.Run("client "+name, func(t *testing.T) {
			help := w.command("client", append(strings.Fields(name), "--help")...).mustRun(t)
			lines := examplesOf(help)
			if len(lines) == 0 {
				t.Fatalf("help does not begin with examples:\n%s", help)
			}
			listen := freeAddress(t)
			ports := strings.NewReplacer("--audience http://127.0.0.1:9000", "--audience http://127.0.0.1:9000", // what aud says
				"go run ./client", w.bin+"/client", "http://127.0.0.1:8080", issuer.url, "http://127.0.0.1:9000", resource.url,
				"127.0.0.1:9002", listen, "127.0.0.1:9003", listen)
			cmd := exec.Command("bash", "-c", ports.Replace(scriptOf(lines)))
			cmd.Dir = t.TempDir()
			cmd.Env = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "SIGNET_ISSUER=" + issuer.url, "SIGNET_URL=" + resource.url + "/",
				"SIGNET_KEY=" + w.path("keys/client/demo.pem"), "SIGNET_LISTEN=" + listen}
			cmd.WaitDelay = 10 * time.Second
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s\n%s", err, strings.Join(lines, "\n"), out)
			}
		})
	}
}

// commandsOf returns the commands that a help lists.
func commandsOf(help string) (names []string) {
	_, list, _ := strings.Cut(help, "\nCommands:\n")
	list, _, _ = strings.Cut(list, "\n\n")
	for _, match := range regexp.MustCompile(`(?m)^  (\w+) `).FindAllStringSubmatch(list, -1) {
		names = append(names, match[1])
	}
	return names
}

// examplesOf returns the examples that a help begins with.
func examplesOf(help string) []string {
	text, leads := strings.CutPrefix(help, "Examples:\n")
	text, _, _ = strings.Cut(text, "\n\n")
	if !leads || strings.TrimSpace(text) == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// scriptOf makes one script of examples. A line that leaves a server behind waits until somebody answers there, and the
// server ends with the script.
func scriptOf(lines []string) string {
	script := []string{"set -eu", `trap 'kill $(jobs -p) 2>/dev/null || :' EXIT`}
	for _, line := range lines {
		script = append(script, line)
		if strings.HasSuffix(line, " &") {
			script = append(script, "until curl -s -o answer http://$SIGNET_LISTEN/; do sleep 0.1; done")
		}
	}
	return strings.Join(script, "\n")
}

// All commands that there are to be are there, so that the test above cannot pass by finding none.
func TestCommands(t *testing.T) {
	t.Parallel()
	got := commandsOf(newWorld(t).command("client", "--help").mustRun(t))
	want := []string{"call", "check", "completion", "help", "inspect", "proxy", "serve", "token", "verify", "version"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
