package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
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
//	exits CODE client ARG...    run the client; its exit code is CODE, what it says has the form of an error and a hint,
//	                            and neither key, secret nor token is in it
//	interrupted CODE client ... the same, with Ctrl-C as soon as something slow has been asked
//	issuer DOCUMENT STATUS BODY answer requests for DOCUMENT (token, metadata or jwks) so
//	issuer DOCUMENT BEHAVIOUR   or as one of behaviours; "issuer down" stops it
//	asked N                     the issuer has been asked for a token N times, or any, since the last asked
//	resource STATUS BODY        answer what comes with a good token so; or "resource BEHAVIOUR"
//	mint FILE CLAIMS [KEY]      write a token with these claims, signed with the issuer's or another key
//	forge FILE HEADER CLAIMS    the same with any header
//	legible                     there is nothing in stdout that a terminal would obey
//	serve ARG...                start client serve on a free port, $SERVE
//	proxy ARG...                start client proxy on a free port, $PROXY
//	fetch STATUS URL [HOST [NAME VALUE]]
//	                            GET URL as a browser would, which may have its own idea of HOST, with a header;
//	                            the body is in stdout; STATUS is broken when it does not end
//	stop                        SIGTERM to what serve or proxy started; it exits 0
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		Setup:               setUp,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":       cmdExits,
			"interrupted": cmdInterrupted,
			"issuer":      cmdIssuer,
			"asked":       cmdAsked,
			"resource":    cmdResource,
			"mint":        cmdMint,
			"forge":       cmdForge,
			"legible":     cmdLegible,
			"serve":       cmdServe,
			"proxy":       cmdProxy,
			"fetch":       cmdFetch,
			"stop":        cmdStop,
		},
	})
}

// worldKey is where a script finds what setUp made for it.
type worldKey struct{}

// world is what one script has for itself.
type world struct {
	issuer   *fakeIssuer
	resource *fakeResource
	waited   chan struct{} // gets one for each request to something slow
	serving  *exec.Cmd
	log      *strings.Builder // of serving; read after it has ended
	logged   chan struct{}
}

func setUp(env *testscript.Env) error {
	w := &world{issuer: newFakeIssuer(), waited: make(chan struct{}, 100)}
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
	checkForm(ts, want, ts.ReadFile("stderr"))
}

func cmdIssuer(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 1)
	issuer := worldOf(ts).issuer
	if args[0] == "down" {
		issuer.Close()
		return
	}
	issuer.answer(args[0], answering(ts, args[1:]))
}

func cmdResource(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 1)
	worldOf(ts).resource.answer("", answering(ts, args))
}

// answering answers with a fixed status and body, or as one of behaviours does.
func answering(ts *testscript.TestScript, args []string) http.HandlerFunc {
	waited := worldOf(ts).waited
	switch len(args) {
	case 2:
		return fixed(ts, args[0], args[1])
	case 1:
		if h := behaviours(func() { waited <- struct{}{} })[args[0]]; h != nil {
			return h
		}
	}
	ts.Fatalf("neither a status and a body nor a behaviour: %q", args)
	return nil
}

func cmdAsked(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 1)
	if got := worldOf(ts).issuer.asked.Swap(0); args[0] != "any" && strconv.FormatInt(got, 10) != args[0] {
		ts.Fatalf("asked for a token %d times, want %s", got, args[0])
	}
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

// fillIn replaces ISSUER, the moments PAST, AGO100, NOW and FUTURE, and characters that a script cannot have in it.
func fillIn(ts *testscript.TestScript, claims string) string {
	now := time.Now().Unix()
	return strings.NewReplacer("ISSUER", worldOf(ts).issuer.URL,
		"PAST", fmt.Sprint(now-3600), "AGO100", fmt.Sprint(now-100), "NOW", fmt.Sprint(now), "FUTURE", fmt.Sprint(now+3600),
		"{DEL}", "\x7f", "{C1}", "\u009b", "{RLO}", "\u202e", "{LF}", "\n").Replace(claims)
}

func cmdLegible(ts *testscript.TestScript, neg bool, args []string) {
	wantArgs(ts, neg, args, 0)
	if stdout := ts.ReadFile("stdout"); hasEscape(stdout) {
		ts.Fatalf("a control character is in stdout: %q", stdout)
	}
}

// mustJSON is for documents that cannot fail to encode.
func mustJSON(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}
