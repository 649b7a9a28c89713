package clients_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys/keystest"
)

// generation is a registry with count clients in which everything bears the number n: a reader that finds two numbers
// in one registry has seen it half applied.
func generation(n, count int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "resources:\n  - audience: https://api.example.com/%[1]d\n    scopes: [read, s%[1]d]\n"+
		"clients:\n", n)
	for i := range count {
		fmt.Fprintf(&text, "  - id: c%03[2]d\n    name: \"%[1]d\"\n    allow: [{resource: 'https://api.example.com/%[1]d', "+
			"scopes: [read, s%[1]d]}]\n    secrets: [{sha256: %[3]s}]\n", n, i, secretDigest)
	}
	return text.String()
}

var secretDigest = digestOf("secret")

// checkWhole reports what a registry says that is not of one generation. A cut one may have fewer clients, not others.
func checkWhole(registry *clients.Registry) error {
	var n string
	for _, client := range registry.Clients() {
		if n == "" {
			n = client.Name
		}
		audience := "https://api.example.com/" + n
		if client.Name != n || len(client.Grants) != 1 || client.Grants[0].Audience != audience ||
			client.Default != audience {
			return fmt.Errorf("client %s of generation %q in generation %q: %+v", client.ID, client.Name, n, client.Grants)
		}
		resource, err := registry.Resource(context.Background(), audience)
		if err != nil || !slices.Contains(resource.Scopes, "s"+n) {
			return fmt.Errorf("resource of generation %q: %v, %v", n, resource, err)
		}
	}
	return nil
}

// liveFile is a Live registry and its file.
type liveFile struct {
	t     *testing.T
	path  string
	clock *keystest.Clock
	log   *liveLog
	unfit error // what the check says; nil: all fits
	live  *clients.Live
}

type (
	poll time.Duration
	now  func() time.Time
)

// openLive opens a registry in a file of a new directory. Options are a poll, a now, and names of other files
// there, each with its text.
func openLive(t *testing.T, text string, options ...any) *liveFile {
	t.Helper()
	f := &liveFile{t: t, path: filepath.Join(t.TempDir(), "registry.yaml"), clock: keystest.NewClock(), log: newLiveLog()}
	cfg := clients.LiveConfig{
		Path:  f.path,
		Check: func(*clients.Registry) error { return f.unfit },
		Log:   slog.New(f.log),
		Now:   f.clock.Now,
	}
	for i := 0; i < len(options); i++ {
		switch option := options[i].(type) {
		case poll:
			cfg.Poll = time.Duration(option)
		case now:
			cfg.Now = option
		case string:
			i++
			f.beside(option, options[i].(string))
		}
	}
	f.write(text)
	live, err := clients.Open(cfg)
	f.must(err)
	f.live = live
	return f
}

func (f *liveFile) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *liveFile) stat() fs.FileInfo {
	f.t.Helper()
	info, err := os.Stat(f.path)
	f.must(err)
	return info
}

// write writes the registry where it is.
func (f *liveFile) write(text string) {
	f.t.Helper()
	f.must(os.WriteFile(f.path, []byte(text), 0o600))
}

// replace puts another file into the registry's place, in one step.
func (f *liveFile) replace(text string) {
	f.t.Helper()
	f.must(os.Rename(f.beside("next", text), f.path))
}

// beside writes a file beside the registry and returns its path.
func (f *liveFile) beside(name, text string) string {
	f.t.Helper()
	path := filepath.Join(filepath.Dir(f.path), name)
	f.must(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// look looks, and fails the test when Look and Trouble do not agree.
func (f *liveFile) look(now bool) error {
	f.t.Helper()
	err := f.live.Look(now)
	if trouble := f.live.Trouble(); fmt.Sprint(err) != fmt.Sprint(trouble) {
		f.t.Fatalf("Look = %v, Trouble = %v", err, trouble)
	}
	return err
}

// serves fails the test unless generation n is served, as a whole.
func (f *liveFile) serves(n int) {
	f.t.Helper()
	registry := f.live.Registry()
	if err := checkWhole(registry); err != nil {
		f.t.Error(err)
	}
	if got := lookUp(f.t, registry, "c000").Name; got != fmt.Sprint(n) {
		f.t.Errorf("generation %s is served, want %d", got, n)
	}
}

// trouble fails the test unless that is why the file is not served; "": it is.
func (f *liveFile) trouble(want string) {
	f.t.Helper()
	got := ""
	if err := f.live.Trouble(); err != nil {
		got = err.Error()
	}
	if got != want {
		f.t.Errorf("trouble %q\nwant    %q", got, want)
	}
}

// logged fails the test unless those were the messages, each with its cause, since it was last asked.
func (f *liveFile) logged(want ...string) {
	f.t.Helper()
	if got := f.log.take(); !slices.Equal(got, want) {
		f.t.Errorf("log %q\nwant %q", got, want)
	}
}

// run runs the registry until what it returns is called.
func (f *liveFile) run(wake <-chan struct{}) (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f.live.Run(ctx, wake)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// liveLog is a log that can be read and waited for. It is safe for concurrent use.
type liveLog struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{} // has room for one: something was logged
}

func newLiveLog() *liveLog { return &liveLog{more: make(chan struct{}, 1)} }

func (l *liveLog) Enabled(context.Context, slog.Level) bool { return true }
func (l *liveLog) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *liveLog) WithGroup(string) slog.Handler            { return l }

// Handle implements [slog.Handler].
func (l *liveLog) Handle(_ context.Context, record slog.Record) error {
	line := record.Message
	record.Attrs(func(attr slog.Attr) bool {
		if attr.Key == "cause" {
			line += ": " + attr.Value.String()
		}
		return true
	})
	l.mu.Lock()
	l.lines = append(l.lines, line)
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return nil
}

func (l *liveLog) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := l.lines
	l.lines = nil
	return lines
}

// await waits until the line is logged, and forgets those up to it.
func (l *liveLog) await(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	var seen []string
	for {
		lines := l.take()
		if slices.Contains(lines, want) {
			return
		}
		seen = append(seen, lines...)
		select {
		case <-l.more:
		case <-timeout:
			t.Fatalf("not logged: %q; only %q", want, seen)
		}
	}
}
