// Package scripts_test runs the scripts of this folder and holds what they make against what the Go code reads.
package scripts_test

import (
	"bytes"
	"errors"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/keys"
)

// tools is all that genkeys.sh may need besides a shell.
var tools = []string{
	"openssl", "cat", "chmod", "date", "dirname", "head", "ln", "mkdir", "mktemp", "mv", "od", "printf", "rm", "rmdir",
	"sleep", "tail", "tr",
}

// result is what a run of a program left for its caller.
type result struct {
	stdout, stderr string
	code           int
}

func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// genkeys runs the script from another directory than the repository's.
func genkeys(t *testing.T, args ...string) result {
	t.Helper()
	return run(t, command(t, "sh", args...))
}

func command(t *testing.T, shell string, args ...string) *exec.Cmd {
	t.Helper()
	script, err := filepath.Abs("genkeys.sh")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(shell, append([]string{script}, args...)...)
	cmd.Dir = t.TempDir()
	return cmd
}

func mustSucceed(t *testing.T, r result) result {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d\nstdout: %s\nstderr: %s", r.code, r.stdout, r.stderr)
	}
	return r
}

// line is one line of the script's output.
type line struct{ path, alg, kid string }

func parseLines(t *testing.T, stdout string) []line {
	t.Helper()
	var lines []line
	for text := range strings.Lines(stdout) {
		fields := strings.Split(strings.TrimSuffix(text, "\n"), "\t")
		if len(fields) != 3 {
			t.Fatalf("line %q has %d fields, want 3", text, len(fields))
		}
		lines = append(lines, line{fields[0], fields[1], fields[2]})
	}
	return lines
}

// checkLines holds each printed line against the key that Go reads from its file.
func checkLines(t *testing.T, stdout string, want int) {
	t.Helper()
	lines := parseLines(t, stdout)
	if len(lines) != want {
		t.Errorf("%d lines, want %d:\n%s", len(lines), want, stdout)
	}
	for _, l := range lines {
		key, err := keys.ReadPrivateKey(l.path)
		if err != nil {
			t.Errorf("reading what the script made: %v", err)
			continue
		}
		if key.ID() != l.kid || string(key.Algorithm()) != l.alg {
			t.Errorf("%s: printed %s %s, Go says %v", l.path, l.alg, l.kid, key)
		}
	}
}

// contents returns every file below dir.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		all[path] = string(text)
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return all
}

// activeID returns the kid of the key that signs in a little while, since the file names have seconds.
func activeID(t *testing.T, dir string, alg keys.Algorithm, ahead time.Duration) string {
	t.Helper()
	ring, err := keys.ReadRing(filepath.Join(dir, "issuer"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ring.Active(alg, time.Now().Add(ahead+time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return key.ID()
}

func TestGenkeysMakesWhatGoReads(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "with a blank")
	r := mustSucceed(t, genkeys(t, "--out", dir))
	checkLines(t, r.stdout, 3)
	if next := "next: go run ./issuer --keys-dir \"" + dir + "/issuer\"\n"; !strings.HasSuffix(r.stderr, next) {
		t.Errorf("stderr does not end with the next command: %q", r.stderr)
	}
	for _, alg := range keys.Algorithms() {
		id := activeID(t, dir, alg, 0)
		if !strings.Contains(r.stdout, "\t"+string(alg)+"\t"+id+"\n") {
			t.Errorf("the %s key that signs, %s, was not printed", alg, id)
		}
	}
	checkClientPair(t, dir)
}

// Without --out the keys go to the repository that the script is in, wherever it is called from; a relative directory is
// the caller's, whatever its name begins with.
func TestGenkeysDirectory(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("genkeys.sh")
	if err != nil {
		t.Fatal(err)
	}
	root, elsewhere := t.TempDir(), t.TempDir()
	script := filepath.Join(root, "scripts", "genkeys.sh")
	write(t, script, string(text))
	tests := []struct {
		name, want string
		args       []string
	}{
		{"default", filepath.Join(root, "keys", "local"), nil},
		{"relative", filepath.Join(elsewhere, "a", "b"), []string{"--out", "a/b"}},
		{"like an option", filepath.Join(elsewhere, "-p"), []string{"--out", "-p"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cmd := exec.Command("sh", append([]string{script, "--alg", "ES256"}, tt.args...)...)
			cmd.Dir = elsewhere
			mustSucceed(t, run(t, cmd))
			activeID(t, tt.want, keys.ES256, 0)
			checkClientPair(t, tt.want)
		})
	}
}

func checkClientPair(t *testing.T, dir string) {
	t.Helper()
	private, err := keys.ReadPrivateKey(filepath.Join(dir, "client", "demo.pem"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := keys.ReadPublicKey(filepath.Join(dir, "client", "demo.pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if !public.Equal(private.Public()) || private.Algorithm() != keys.ES256 {
		t.Errorf("demo.pub.pem is %v, demo.pem is %v", public, private)
	}
}

// The two ways to make a key, by script and by Go, write the same form.
func TestGenkeysAndGoWriteAlike(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := mustSucceed(t, genkeys(t, "--out", dir))
	for _, l := range parseLines(t, r.stdout) {
		key, err := keys.GenerateKey(keys.Algorithm(l.alg))
		if err != nil {
			t.Fatal(err)
		}
		text, err := key.MarshalPEM()
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "go.pem")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		mustSucceed(t, run(t, exec.Command("openssl", "pkey", "-in", path, "-noout")))
		made, err := os.ReadFile(l.path)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := firstLine(made), firstLine(text); got != want || want != "-----BEGIN PRIVATE KEY-----" {
			t.Errorf("%s: the script writes %q, Go %q", l.alg, got, want)
		}
	}
}

func firstLine(text []byte) string {
	first, _, _ := strings.Cut(string(text), "\n")
	return first
}

func TestGenkeysModes(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "keys", "local")
	mustSucceed(t, genkeys(t, "--out", dir))
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		switch {
		case entry.IsDir():
			want = 0o700
		case strings.HasSuffix(path, ".pub.pem"):
			want = 0o644
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", path, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestGenkeysKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := mustSucceed(t, genkeys(t, "--out", dir))
	before := contents(t, dir)
	second := mustSucceed(t, genkeys(t, "--out", dir))
	if !maps.Equal(before, contents(t, dir)) {
		t.Error("the second run changed a file")
	}
	if first.stdout != second.stdout {
		t.Errorf("the first run printed\n%sthe second\n%s", first.stdout, second.stdout)
	}
	if got := strings.Count(second.stderr, "keeping the "); got != 3 {
		t.Errorf("says %d times that it keeps a key, want 3: %s", got, second.stderr)
	}
}

func TestGenkeysMakesOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustSucceed(t, genkeys(t, "--out", dir, "--alg", "ES256"))
	if err := os.Remove(filepath.Join(dir, "client", "demo.pub.pem")); err != nil {
		t.Fatal(err)
	}
	before := contents(t, dir)
	checkLines(t, mustSucceed(t, genkeys(t, "--out="+dir, "--alg=all")).stdout, 3)
	after := contents(t, dir)
	if len(after) != len(before)+2 {
		t.Errorf("%d files became %d, want two more", len(before), len(after))
	}
	for path, text := range before {
		if after[path] != text {
			t.Errorf("%s changed", path)
		}
	}
	checkClientPair(t, dir)
}

func TestGenkeysForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mustSucceed(t, genkeys(t, "--out", dir))
	before, oldID := contents(t, dir), activeID(t, dir, keys.ES256, 0)
	r := mustSucceed(t, genkeys(t, "--out", dir, "--force"))
	checkLines(t, r.stdout, 5)
	after := contents(t, dir)
	if len(after) != len(before)+2 {
		t.Errorf("%d files became %d, want two more", len(before), len(after))
	}
	for path, text := range before {
		if kept := after[path] == text; kept != strings.Contains(path, "issuer") {
			t.Errorf("%s: kept is %t", path, kept)
		}
	}
	checkClientPair(t, dir)
	ring, err := keys.ReadRing(filepath.Join(dir, "issuer"))
	if err != nil {
		t.Fatal(err)
	}
	if n := ring.Published(time.Now()).Len(); n != 4 {
		t.Errorf("%d keys are published, want 4", n)
	}
	if id := activeID(t, dir, keys.ES256, 23*time.Hour); id != oldID {
		t.Errorf("%s signs before tomorrow, when verifiers may not have it; want the old key %s", id, oldID)
	}
	if id := activeID(t, dir, keys.ES256, 24*time.Hour); id == oldID {
		t.Error("the old key signs tomorrow")
	}
}

func TestGenkeysAlg(t *testing.T) {
	t.Parallel()
	for _, alg := range keys.Algorithms() {
		t.Run(string(alg), func(t *testing.T) {
			dir := t.TempDir()
			checkLines(t, mustSucceed(t, genkeys(t, "--out", dir, "--alg", string(alg))).stdout, 2)
			ring, err := keys.ReadRing(filepath.Join(dir, "issuer"))
			if err != nil {
				t.Fatal(err)
			}
			if set := ring.Published(time.Now()); set.Len() != 1 {
				t.Errorf("%d keys, want 1", set.Len())
			}
		})
	}
}

func TestGenkeysUsage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, stderr string
		args         []string
	}{
		{"unknown option", "error: unknown option: --alb\n", []string{"--alb", "ES256"}},
		{"stray argument", "error: unknown option: keys\n", []string{"keys"}},
		{"unknown algorithm", "error: unknown algorithm: es256\n", []string{"--alg", "es256"}},
		{"algorithm without value", "error: --alg needs a value\n", []string{"--alg"}},
		{"directory without value", "error: --out needs a value\n", []string{"--out"}},
		{"empty directory", "error: --out needs a directory\n", []string{"--out="}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := genkeys(t, tt.args...)
			if r.code != 2 || r.stdout != "" || !strings.HasPrefix(r.stderr, tt.stderr+"Usage: ") {
				t.Errorf("exit code %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
			}
		})
	}
	t.Run("help", func(t *testing.T) {
		r := genkeys(t, "--help")
		if r.code != 0 || r.stderr != "" || !strings.HasPrefix(r.stdout, "Usage: ") {
			t.Errorf("exit code %d, stdout %q, stderr %q", r.code, r.stdout, r.stderr)
		}
	})
}

// Every failure says what to do and leaves the directory as it was.
func TestGenkeysFails(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		prepare func(t *testing.T, dir string) *exec.Cmd
		stderr  string
	}{
		{"a file in the way", func(t *testing.T, dir string) *exec.Cmd {
			write(t, dir, "text")
			return command(t, "sh", "--out", dir)
		}, "error: making directory "},
		{"no openssl", func(t *testing.T, dir string) *exec.Cmd {
			return withPath(command(t, lookPath(t, "sh"), "--out", dir), toolbox(t, tools[1:]))
		}, "error: openssl is not installed\nhint: "},
		{"openssl fails", func(t *testing.T, dir string) *exec.Cmd {
			return fakeOpenssl(t, dir, "echo broken >&2; exit 1")
		}, "broken\nerror: openssl genpkey failed\nhint: "},
		{"openssl stops in the middle of a file", func(t *testing.T, dir string) *exec.Cmd {
			return fakeOpenssl(t, dir, `for out; do :; done; echo -----BEGIN >"$out"; exit 1`)
		}, "error: openssl genpkey failed\nhint: "},
		{"openssl does not notice a full disk", func(t *testing.T, dir string) *exec.Cmd {
			return fakeOpenssl(t, dir, `for out; do :; done; echo -----BEGIN >"$out"`)
		}, "error: openssl wrote no usable key\nhint: "},
		{"no room for a file", func(t *testing.T, dir string) *exec.Cmd {
			script := command(t, "sh", "--out", dir)
			cmd := exec.Command("sh", "-c", `trap "" XFSZ; ulimit -f 0; exec "$@"`, "sh")
			cmd.Args = append(cmd.Args, script.Args...)
			return cmd
		}, "error: "},
		{"a damaged signing key", func(t *testing.T, dir string) *exec.Cmd {
			write(t, filepath.Join(dir, "issuer", "es256-20261123T101500Z.pem"), "damaged")
			return command(t, "sh", "--out", dir)
		}, "is not a private key that Signet can use\nhint: "},
		{"a public half of another key", func(t *testing.T, dir string) *exec.Cmd {
			mustSucceed(t, genkeys(t, "--out", dir))
			write(t, filepath.Join(dir, "client", "demo.pub.pem"), "another")
			return command(t, "sh", "--out", dir)
		}, "is not the public half of "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			cmd := tt.prepare(t, dir)
			before := contents(t, dir)
			_, err := os.Stat(dir)
			wasThere := err == nil
			r := run(t, cmd)
			if r.code != 1 || !strings.Contains(r.stderr, tt.stderr) || !strings.Contains(r.stderr, "\nhint: ") {
				t.Errorf("exit code %d, stderr %q, want %q and a hint", r.code, r.stderr, tt.stderr)
			}
			if after := contents(t, dir); !maps.Equal(before, after) {
				t.Errorf("files before: %q, after: %q", slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after)))
			}
			if _, err := os.Stat(dir); (err == nil) != wasThere {
				t.Errorf("the directory was there: %t; now: %v", wasThere, err)
			}
		})
	}
}

// Runs that race for the same second make files that are whole, and one client's pair.
func TestGenkeysAtTheSameTime(t *testing.T) {
	t.Parallel()
	for _, force := range []string{"", "--force"} {
		t.Run("option "+force, func(t *testing.T) {
			dir := t.TempDir()
			var racers []*exec.Cmd
			for range 4 {
				cmd := command(t, "sh", "--out", dir, "--alg", "ES256")
				if force != "" {
					cmd.Args = append(cmd.Args, force)
				}
				racers = append(racers, cmd)
			}
			var wg sync.WaitGroup
			for _, cmd := range racers {
				wg.Go(func() {
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Errorf("%v: %s", err, out)
					}
				})
			}
			wg.Wait()
			ring, err := keys.ReadRing(filepath.Join(dir, "issuer"))
			if err != nil {
				t.Fatal(err)
			}
			if n := ring.Published(time.Now()).Len(); force != "" && n != len(racers) {
				t.Errorf("%d keys, want each of the %d that were made", n, len(racers))
			}
			if force == "" {
				checkClientPair(t, dir)
			}
			for path := range contents(t, dir) {
				if filepath.Ext(path) != ".pem" {
					t.Errorf("%s was left behind", path)
				}
			}
		})
	}
}

// Every shell at hand, with nothing on the path but what the script may need.
func TestGenkeysNeedsNoOtherTool(t *testing.T) {
	t.Parallel()
	path := toolbox(t, tools)
	for _, shell := range []string{"sh", "dash", "bash", "mksh", "busybox"} {
		if _, err := exec.LookPath(shell); err != nil {
			continue
		}
		t.Run(shell, func(t *testing.T) {
			dir := t.TempDir()
			cmd := command(t, lookPath(t, shell), "--out", dir, "--force")
			if shell == "busybox" {
				cmd.Args = slices.Insert(cmd.Args, 1, "sh")
			}
			r := mustSucceed(t, run(t, withPath(cmd, path)))
			checkLines(t, r.stdout, 3)
			if strings.Contains(r.stderr, "not found") {
				t.Errorf("stderr: %s", r.stderr)
			}
		})
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// toolbox returns a directory with nothing but the named tools.
func toolbox(t *testing.T, names []string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range names {
		if err := os.Symlink(lookPath(t, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func withPath(cmd *exec.Cmd, path string) *exec.Cmd {
	cmd.Env = append(os.Environ(), "PATH="+path)
	return cmd
}

// fakeOpenssl returns the script's command with an openssl whose genpkey is body. The other commands are the real ones.
func fakeOpenssl(t *testing.T, dir, body string) *exec.Cmd {
	t.Helper()
	path := toolbox(t, tools[1:])
	script := "#!" + lookPath(t, "sh") + "\n" +
		`[ "$1" = genpkey ] || exec ` + lookPath(t, "openssl") + ` "$@"` + "\n" + body + "\n"
	if err := os.WriteFile(filepath.Join(path, "openssl"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return withPath(command(t, lookPath(t, "sh"), "--out", dir), path)
}
