package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"client": main})
}

// tidy removes the programs that the tests of the whole chain build, once, under a name that both sides know.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	defer os.RemoveAll(filepath.Join(os.TempDir(), fmt.Sprintf("signet-e2e-%d", os.Getpid())))
	return m.M.Run()
}

// TestScripts plays the transcripts in testdata/script against a fake issuer and a fake resource server of their own.
// Beside the usual commands they have:
//
//	exits CODE client ARG...    run the client; its exit code is CODE, and neither key nor token is in what it says
//	issuer DOCUMENT STATUS BODY answer requests for DOCUMENT (token, metadata or jwks) so; "issuer down" stops it
//	resource STATUS BODY        answer what comes with a good token so
//	mint FILE CLAIMS [KEY]      write a token with these claims, signed with the issuer's or another key
//	forge FILE HEADER CLAIMS    the same with any header
//	legible                     there is nothing in stdout that a terminal would obey
//	serve ARG...                start client serve on a free port, $SERVE
//	fetch STATUS URL [HOST]     GET URL as a browser would; the body is in stdout; STATUS is broken when it does not end
//	stop                        SIGTERM to what serve started; it exits 0
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setUp,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    cmdExits,
			"issuer":   cmdIssuer,
			"resource": cmdResource,
			"mint":     cmdMint,
			"forge":    cmdForge,
			"legible":  cmdLegible,
			"serve":    cmdServe,
			"fetch":    cmdFetch,
			"stop":     cmdStop,
		},
	})
}

// worldKey is where a script finds what setUp made for it.
type worldKey struct{}

// world is what one script has for itself.
type world struct {
	issuer   *fakeIssuer
	resource *fakeResource
	serving  *exec.Cmd
	log      *strings.Builder // of serving; read after it has ended
	logged   chan struct{}
}

func setUp(env *testscript.Env) error {
	w := &world{issuer: newFakeIssuer()}
	env.Defer(w.issuer.Close)
	w.resource = newFakeResource(w.issuer)
	env.Defer(w.resource.Close)
	env.Values[worldKey{}] = w
	for name, value := range map[string]string{
		"ISSUER": w.issuer.URL, "RESOURCE": w.resource.URL, "KID": keystest.Key(keystest.RS256).ID(), "TZ": "UTC",
		"GORACE":        "atexit_sleep_ms=0", // else each run under the race detector takes a second to end
		"SIGNET_ISSUER": w.issuer.URL, "SIGNET_URL": w.resource.URL + "/", "SIGNET_KEY": "demo.pem",
	} {
		env.Setenv(name, value)
	}
	return writeKeys(env.WorkDir)
}

// writeKeys writes key files, good and bad.
func writeKeys(dir string) error {
	pem := keystest.PEM(keystest.ES256)
	public, err := keystest.Key(keystest.ES256).Public().MarshalPEM()
	if err != nil {
		return err
	}
	encrypted := strings.ReplaceAll(string(pem), "PRIVATE KEY", "ENCRYPTED PRIVATE KEY")
	for _, file := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{
		{"demo.pem", pem, 0o600},
		{"loose.pem", pem, 0o644},
		{"public.pem", public, 0o600},
		{"encrypted.pem", []byte(encrypted), 0o600},
		{"truncated.pem", pem[:len(pem)/2], 0o600},
		{"weak.pem", keystest.PEM(keystest.WeakRSA), 0o600},
		{"empty.pem", nil, 0o600},
	} {
		path := filepath.Join(dir, file.name)
		if err := errors.Join(os.WriteFile(path, file.text, file.mode), os.Chmod(path, file.mode)); err != nil {
			return err
		}
	}
	return nil
}

func worldOf(ts *testscript.TestScript) *world { return ts.Value(worldKey{}).(*world) }

func wantArgs(ts *testscript.TestScript, neg bool, args []string, least int) {
	if neg || len(args) < least {
		ts.Fatalf("wrong use, see TestScripts")
	}
}

func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2)
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		ts.Fatalf("%v", err)
	}
	if got := exited; (got == nil && want != 0) || (got != nil && got.ExitCode() != want) {
		ts.Fatalf("got %v, want exit code %d", err, want)
	}
	checkTalk(ts, ts.ReadFile("stderr"))
}

// checkTalk fails the script when a secret, or something that a terminal would obey, is in what the client said.
func checkTalk(ts *testscript.TestScript, stderr string) {
	for line := range strings.Lines(string(keystest.PEM(keystest.ES256))) {
		if !strings.HasPrefix(line, "-----") && strings.Contains(stderr, strings.TrimSpace(line)) {
			ts.Fatalf("the private key is in stderr: %s", stderr)
		}
	}
	if jwt.MatchString(stderr) {
		ts.Fatalf("a token or an assertion is in stderr: %s", stderr)
	}
	if hasEscape(stderr) {
		ts.Fatalf("a control character is in stderr: %q", stderr)
	}
}

// jwt matches what looks like a token.
var jwt = regexp.MustCompile(`eyJ[\w-]+\.[\w-]+`)

// hasEscape reports whether text has a control character in it that is not a line break.
func hasEscape(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool {
		return r != '\n' && (r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u202e')
	})
}

func cmdIssuer(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 1)
	issuer := worldOf(ts).issuer
	if args[0] == "down" {
		issuer.Close()
		return
	}
	wantArgs(ts, neg, args, 3)
	issuer.answer(args[0], fixed(ts, args[1], args[2]))
}

func cmdResource(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2)
	worldOf(ts).resource.answer("", fixed(ts, args[0], args[1]))
}

// fixed answers with the same status and body always; {ESC}, {BEL} and {LF} in them are those characters.
func fixed(ts *testscript.TestScript, status, body string) http.HandlerFunc {
	unescape := strings.NewReplacer("{ESC}", "\x1b", "{BEL}", "\a", "{LF}", "\n").Replace
	code, reason, _ := strings.Cut(status, " ")
	number, err := strconv.Atoi(code)
	ts.Check(err)
	return func(w http.ResponseWriter, _ *http.Request) {
		if reason != "" { // net/http writes its own reasons only
			writeRaw(w, fmt.Sprintf("HTTP/1.1 %d %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
				number, unescape(reason), len(unescape(body)), unescape(body)))
			return
		}
		if location, isRedirect := strings.CutPrefix(body, "Location: "); isRedirect {
			w.Header().Set("Location", location)
		}
		if challenge, isChallenge := strings.CutPrefix(body, "WWW-Authenticate: "); isChallenge {
			w.Header().Set("WWW-Authenticate", challenge)
		}
		w.WriteHeader(number)
		_, _ = io.WriteString(w, unescape(body))
	}
}

func writeRaw(w http.ResponseWriter, raw string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, raw)
}

func cmdMint(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2)
	name := keystest.RS256
	if len(args) > 2 {
		name = args[2]
	}
	token, err := keystest.Key(name).Sign(keys.TypeAccessToken, []byte(fillIn(ts, args[1])))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(token+"\n"), 0o600))
}

func cmdForge(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 3)
	token := keystest.Forge(keystest.RS256, args[1], fillIn(ts, args[2]))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(token+"\n"), 0o600))
}

// fillIn replaces ISSUER, the moments PAST, NOW and FUTURE, and characters that a script cannot have in it.
func fillIn(ts *testscript.TestScript, claims string) string {
	now := time.Now().Unix()
	return strings.NewReplacer("ISSUER", worldOf(ts).issuer.URL,
		"PAST", fmt.Sprint(now-3600), "NOW", fmt.Sprint(now), "FUTURE", fmt.Sprint(now+3600),
		"{DEL}", "\x7f", "{C1}", "\u009b", "{RLO}", "\u202e", "{LF}", "\n").Replace(claims)
}

func cmdLegible(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 0)
	if stdout := ts.ReadFile("stdout"); hasEscape(stdout) {
		ts.Fatalf("a control character is in stdout: %q", stdout)
	}
}

// cmdServe starts the server and learns its address from what it says when it listens.
func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 0)
	w := worldOf(ts)
	program := filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "client")
	w.serving = exec.Command(program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	w.serving.Dir = ts.MkAbs(".")
	w.serving.Env = []string{"SIGNET_URL=" + ts.Getenv("SIGNET_URL"), "SIGNET_ISSUER=" + ts.Getenv("SIGNET_ISSUER"), "SIGNET_KEY=demo.pem", "GORACE=" + ts.Getenv("GORACE")}
	stderr, err := w.serving.StderrPipe()
	ts.Check(err)
	ts.Check(w.serving.Start())
	ts.Defer(func() { _ = w.serving.Process.Kill() }) // when the script failed before it stopped it
	w.log, w.logged = new(strings.Builder), make(chan struct{})
	listens := make(chan string, 1)
	go readLog(stderr, w, listens)
	select {
	case address := <-listens:
		ts.Setenv("SERVE", "http://"+address)
	case <-w.logged:
		ts.Fatalf("client serve ended: %s", w.log)
	case <-time.After(20 * time.Second):
		ts.Fatalf("client serve does not listen")
	}
}

func readLog(stderr io.Reader, w *world, listens chan<- string) {
	defer close(w.logged)
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		w.log.WriteString(lines.Text() + "\n")
		if _, rest, ok := strings.Cut(lines.Text(), " listen="); ok {
			address, _, _ := strings.Cut(rest, " ")
			listens <- address
		}
	}
}

func cmdFetch(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 2)
	req, err := http.NewRequest(http.MethodGet, args[1], nil)
	ts.Check(err)
	if len(args) > 2 {
		req.Host = args[2]
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	got, body := "broken", []byte(nil)
	if resp, err := client.Do(req); err == nil {
		defer resp.Body.Close()
		if body, err = io.ReadAll(resp.Body); err == nil {
			got = strconv.Itoa(resp.StatusCode)
		}
	}
	fmt.Fprintf(ts.Stdout(), "%s\n", body)
	if got != args[0] {
		ts.Fatalf("got status %s, want %s: %s", got, args[0], body)
	}
}

func cmdStop(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 0)
	w := worldOf(ts)
	ts.Check(w.serving.Process.Signal(syscall.SIGTERM))
	<-w.logged
	if err := w.serving.Wait(); err != nil {
		ts.Fatalf("after SIGTERM: %v, want exit code 0: %s", err, w.log)
	}
	checkTalk(ts, w.log.String())
	fmt.Fprint(ts.Stdout(), w.log)
}

// mustJSON is for documents that cannot fail to encode.
func mustJSON(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}
