package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
	"example.com/signet/keys/keystest/pgtest"
)

func TestMain(m *testing.M) {
	testscript.Main(leakless{pgtest.Main{M: m}}, map[string]func(){"issuer": main})
}

// leakless runs the tests, which mostly wait for other programs, eight at once unless -parallel says otherwise, and fails
// when one of them leaves a goroutine behind.
type leakless struct{ m testscript.TestingM }

func (l leakless) Run() int {
	flag.Parse()
	asked := false
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == "test.parallel" })
	if !asked {
		_ = flag.Set("test.parallel", "8")
	}
	code := l.m.Run()
	http.DefaultClient.CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == exitOK {
		fmt.Fprintln(os.Stderr, err)
		return exitFailure
	}
	return code
}

// The scripts in testdata/script are what a person types and sees. Each starts in a directory of its own that has keys
// and the development client's key where scripts/genkeys.sh would put them, and odd keys in odd/.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:   filepath.Join("testdata", "script"),
		Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"age":         ageKeys,
			"answers":     answers,
			"certificate": certificate,
			"digest":      digest,
			"exits":       exits,
			"expand":      expand,
			"get":         get,
			"hangup":      hangup,
			"kid":         kid,
			"line":        line,
			"metric":      metric,
			"occupy":      occupy,
			"statement":   statement,
			"terminate":   terminate,
			"token":       token,
		},
	})
}

func setUp(env *testscript.Env) error {
	public, err := keystest.Key(keystest.ES256Other).Public().MarshalPEM()
	if err != nil {
		return err
	}
	past := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, text := range map[string][]byte{
		"keys/local/client/demo.pub.pem":                           public,
		"keys/local/issuer/" + keys.FileName(keys.ES256, past):     keystest.PEM(keystest.ES256),
		"odd/" + keystest.RS256 + ".pem":                           keystest.PEM(keystest.RS256),
		"odd/" + keystest.ES256 + ".pem":                           keystest.PEM(keystest.ES256),
		"odd/" + keystest.ES256Other + ".pem":                      keystest.PEM(keystest.ES256Other),
		"odd/" + keystest.WeakRSA + ".pem":                         keystest.PEM(keystest.WeakRSA),
		"odd/" + keystest.WrongCurve + ".pem":                      keystest.PEM(keystest.WrongCurve),
		"odd/truncated.pem":                                        keystest.PEM(keystest.ES256)[:100],
		"odd/" + keys.FileName(keys.ES256, past.AddDate(99, 0, 0)): keystest.PEM(keystest.ES256),
	} {
		path := filepath.Join(env.WorkDir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	env.Setenv("ESCAPE", "\x1b")              // begins what a terminal acts on
	env.Setenv("GORACE", "atexit_sleep_ms=0") // a race detector otherwise makes each issuer end a second late
	for _, name := range []string{"PUBLIC", "PRIVATE"} {
		address, err := keystest.FreeAddress()
		if err != nil {
			return err
		}
		env.Setenv(name, address)
	}
	return nil
}

// exits runs a command and checks its exit code: exits 2 issuer --nonsense.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var failed *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &failed) {
		got = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// get fetches a URL into a file, trying for ten seconds until it answers 200: get http://… file.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get url file")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		body, err := fetch(ctx, args[0])
		if err == nil {
			ts.Check(os.WriteFile(ts.MkAbs(args[1]), body, 0o600))
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("getting %s: %v", args[0], err)
		case <-again.C:
		}
	}
}

func fetch(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	request.Close = true // leave no connection for the issuer to wait for
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(response.Body)
}

// ageKeys makes all keys look as if they were published so long ago: age 48h.
func ageKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: age duration")
	}
	by, err := time.ParseDuration(args[0])
	ts.Check(err)
	files, err := filepath.Glob(ts.MkAbs("keys/local/issuer/*.pem"))
	ts.Check(err)
	for _, file := range files {
		ts.Check(os.Chtimes(file, time.Time{}, time.Now().Add(-by)))
	}
}

// kid puts the kid of the key with that algorithm and state, as the issuer lists it, into a variable:
// kid ES256 standby NEXT.
func kid(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: kid algorithm state variable")
	}
	ts.Check(ts.Exec("issuer", "keys", "list", "-o", "json"))
	var listed []struct{ Alg, KID, State string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &listed))
	for _, key := range listed {
		if key.Alg == args[0] && key.State == args[1] {
			ts.Setenv(args[2], key.KID)
			return
		}
	}
	ts.Fatalf("no %s key is %s", args[0], args[1])
}

// occupy listens on an address for the rest of the script and puts it into $TAKEN.
func occupy(ts *testscript.TestScript, _ bool, _ []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	ts.Defer(func() { listener.Close() })
	ts.Setenv("TAKEN", listener.Addr().String())
}

// terminate sends SIGTERM to what runs in the background; the command kill knows only INT and KILL.
func terminate(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		ts.Check(cmd.Process.Signal(syscall.SIGTERM))
	}
}
