package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"example.com/signet/keys/keystest"
)

// front is nginx with the README's locations: before an application, the same where nginx is told to pass odd names on,
// before a static page, with a resource server that never got its issuer's keys, and with none at all.
type front struct {
	app, lax, page, keyless, down string // URLs
	passed                        *atomic.Int64
	issuer                        string          // whose keys are there
	claims                        keystest.Object // of a genuine token
	early                         keystest.Object // of a token of the issuer whose keys are not there
}

// identity is what the README says an application finds.
func (f front) identity(scope string) map[string]string {
	return map[string]string{
		"x-auth-issuer": f.issuer, "x-auth-subject": "billing", "x-auth-client-id": "billing", "x-auth-scope": scope,
	}
}

// nginx turns every answer of /verify but 200, 401 and 403 into a 500, so each refusal has to be one of the two.
func TestNginx(t *testing.T) {
	t.Parallel()
	f := startFront(t)
	good := keystest.AccessToken(keystest.ES256, f.claims)
	forged := keystest.Forge(keystest.ES256Other, keystest.AccessHeader(keystest.ES256).String(), f.claims.String())
	narrow := keystest.AccessToken(keystest.ES256, f.claims.With("scope", `"orders:write"`))
	tabbed := keystest.AccessToken(keystest.ES256, f.claims.With("scope", `"orders:read\tadmin"`))
	silent := keystest.AccessToken(keystest.ES256, f.claims.Without("scope"))
	odd := keystest.AccessToken(keystest.ES256, f.claims.With("sub", `"b\u00fclling"`))
	expired := keystest.AccessToken(keystest.ES256, f.claims.With("exp", strconv.FormatInt(time.Now().Unix()-600, 10)))
	rows := []struct {
		name      string
		header    http.Header
		status    int
		challenge string // how it begins
	}{
		{"no token", nil, 401, "Bearer resource_metadata="},
		{"Basic", http.Header{"Authorization": {"Basic eDp4"}}, 401, "Bearer resource_metadata="},
		{"forged", http.Header{"Token": {forged}}, 401, `Bearer error="invalid_token"`},
		{"expired", http.Header{"Token": {expired}}, 401, `Bearer error="invalid_token"`},
		{"cut short", http.Header{"Token": {good[:len(good)-1]}}, 401, `Bearer error="invalid_token"`},
		{"no token at all", http.Header{"Token": {"x"}}, 401, `Bearer error="invalid_token"`},
		{"Token twice", http.Header{"Token": {good, good}}, 401, `Bearer error="invalid_request"`},
		{"Token twice, the second forged", http.Header{"Token": {good, forged}}, 401, `Bearer error="invalid_request"`},
		{"Token and Authorization", http.Header{"Token": {good}, "Authorization": {"Bearer " + good}}, 401,
			`Bearer error="invalid_request"`},
		{"Token empty", http.Header{"Token": {""}}, 401, `Bearer error="invalid_request"`},
		{"Bearer with none", http.Header{"Authorization": {"Bearer"}}, 401, `Bearer error="invalid_request"`},
		{"an underscore", http.Header{"x_token": {good}}, 401, "Bearer resource_metadata="},
		{"another scope", http.Header{"Token": {narrow}}, 403, ""},
		{"a scope with a tab", http.Header{"Token": {tabbed}}, 403, ""},
		{"no scope", http.Header{"Token": {silent}}, 403, ""},
		{"an identity that no header can carry", http.Header{"Token": {odd}}, 403, ""},
		{"Token", http.Header{"Token": {good}}, 200, ""},
		{"Bearer", http.Header{"Authorization": {"Bearer " + good}}, 200, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			before := f.passed.Load()
			for _, url := range []string{f.app + "/orders", f.page + "/"} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					resp, _ := request(t, method, url, row.header, "")
					challenge := resp.Header.Get("WWW-Authenticate")
					if resp.StatusCode != row.status || !strings.HasPrefix(challenge, row.challenge) {
						t.Errorf("%s %s: %d, challenge %q", method, url, resp.StatusCode, challenge)
					}
				}
			}
			if reached := f.passed.Load() - before; (reached == 2) != (row.status == 200) {
				t.Errorf("%d requests reached the application", reached)
			}
		})
	}
	t.Run("the page", func(t *testing.T) {
		if resp, body := request(t, http.MethodGet, f.page+"/", http.Header{"Token": {good}}, ""); body != page {
			t.Errorf("%d %q", resp.StatusCode, body)
		}
	})
	t.Run("no keys is no error of nginx", func(t *testing.T) {
		early := keystest.AccessToken(keystest.ES256, f.early)
		for name, row := range map[string]struct {
			header http.Header
			want   int
		}{
			"good":      {http.Header{"Token": {early}}, 403},
			"malformed": {http.Header{"Token": {early + "x."}}, 401},
			"none":      {nil, 401},
		} {
			if resp, _ := request(t, http.MethodGet, f.keyless+"/", row.header, ""); resp.StatusCode != row.want {
				t.Errorf("%s: %d, want %d", name, resp.StatusCode, row.want)
			}
		}
	})
	t.Run("no resource server", func(t *testing.T) { // nginx's own
		if resp, _ := request(t, http.MethodGet, f.down+"/", http.Header{"Token": {good}}, ""); resp.StatusCode != 500 {
			t.Errorf("%d", resp.StatusCode)
		}
	})
	t.Run("nobody else can ask", func(t *testing.T) {
		resp, _ := request(t, http.MethodGet, f.app+"/verify", http.Header{"Token": {good}}, "")
		if resp.StatusCode != 404 || resp.Header.Get("X-Auth-Subject") != "" {
			t.Errorf("%d, %v", resp.StatusCode, resp.Header)
		}
	})
	t.Run("a long body", func(t *testing.T) {
		body := strings.Repeat("x", 200<<10)
		for name, header := range map[string]http.Header{"good": {"Token": {good}}, "refused": {}} {
			resp, _ := request(t, http.MethodPost, f.app+"/orders?a=b", header, body)
			got := resp.Header.Get("X-Seen-Octets")
			if name == "good" && (resp.StatusCode != 200 || got != strconv.Itoa(len(body))) {
				t.Errorf("%s: %d, %s octets", name, resp.StatusCode, got)
			}
			if name == "refused" && (resp.StatusCode != 401 || got != "") {
				t.Errorf("%s: %d, %s octets", name, resp.StatusCode, got)
			}
		}
	})
	t.Run("a caller with the right identity", func(t *testing.T) {
		_, body := request(t, http.MethodGet, f.app+"/", http.Header{"Token": {good}}, "")
		if problem := compareIdentity(t, body, f.identity("orders:read orders:write")); problem != "" {
			t.Error(problem)
		}
	})
	t.Run("a caller with an identity of its own", func(t *testing.T) {
		f.testStrangers(t, good, f.identity("orders:read orders:write"))
	})
	t.Run("a caller that lends itself more scope", func(t *testing.T) {
		narrow := keystest.AccessToken(keystest.ES256, f.claims.With("scope", `"orders:read"`))
		f.testStrangers(t, narrow, f.identity("orders:read"))
	})
	t.Run("a caller that says what is true", func(t *testing.T) {
		for name, value := range f.identity("orders:read orders:write") {
			f.testStranger(t, f.app, http.Header{"Token": {good}, http.CanonicalHeaderKey(name): {value}}, nil)
		}
	})
}

// testStrangers sends identity headers of the caller's making. Those that nginx passes on are refused. Those that it
// drops, as it does by default with all but letters, digits and hyphens, change nothing.
func (f front) testStrangers(t *testing.T, token string, verified map[string]string) {
	for name := range verified {
		plain := []string{http.CanonicalHeaderKey(name), name, strings.ToUpper(name)}
		odd := []string{
			strings.ReplaceAll(name, "-", "_"), strings.ToUpper(strings.ReplaceAll(name, "-", "_")),
			strings.ReplaceAll(name, "-", "."), strings.Replace(name, "-", "_", 1), strings.Replace(name, "-", "~", 2),
		}
		for _, values := range [][]string{{"admin"}, {"admin", "root"}, {""}} {
			for _, spelling := range plain {
				f.testStranger(t, f.app, http.Header{"Token": {token}, spelling: values}, nil)
				f.testStranger(t, f.lax, http.Header{"Token": {token}, spelling: values}, nil)
			}
			for _, spelling := range odd {
				f.testStranger(t, f.app, http.Header{"Token": {token}, spelling: values}, verified)
				f.testStranger(t, f.lax, http.Header{"Token": {token}, spelling: values}, nil)
			}
		}
	}
}

// testStranger checks that the application sees what the token says and nothing else, under any name that a server
// might take for one of them, and no token; or, where verified is nil, that it hears nothing of the request.
func (f front) testStranger(t *testing.T, url string, header http.Header, verified map[string]string) {
	t.Helper()
	before := f.passed.Load()
	resp, body := request(t, http.MethodGet, url+"/", header, "")
	if verified == nil {
		if reached := f.passed.Load() - before; resp.StatusCode != 403 || reached != 0 {
			t.Errorf("%v: %d, and %d requests reached the application", header, resp.StatusCode, reached)
		}
		return
	}
	if resp.StatusCode != 200 {
		t.Fatalf("%v: %d", header, resp.StatusCode)
	}
	if problem := compareIdentity(t, body, verified); problem != "" {
		t.Errorf("%v: %s", header, problem)
	}
}

// compareIdentity says what is wrong with the headers that the application saw.
func compareIdentity(t *testing.T, body string, want map[string]string) string {
	t.Helper()
	var seen http.Header
	if err := json.Unmarshal([]byte(body), &seen); err != nil {
		t.Fatal(err)
	}
	if seen["Token"] != nil || seen["Authorization"] != nil {
		return "the application sees the token"
	}
	found := make(map[string][]string)
	for name, values := range seen {
		name = strings.ToLower(strings.NewReplacer("_", "-", ".", "-", "~", "-").Replace(name))
		found[name] = append(found[name], values...)
	}
	problem := ""
	for name, value := range want {
		if !slices.Equal(found[name], []string{value}) {
			problem += fmt.Sprintf("the application sees %s %q, want %q; ", name, found[name], value)
		}
	}
	return problem
}

// request sends a request on a connection of its own and returns the answer with its body.
func request(t *testing.T, method, url string, header http.Header, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = header.Clone()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(answer)
}

// page is the static page that nginx serves.
const page = "Super Secret Page\n"

func startFront(t *testing.T) front {
	t.Helper()
	program := findNginx(t)
	locations := readmeBlock(t, "nginx")
	f := front{passed: new(atomic.Int64)}
	upstream := httptest.NewServer(f.application())
	t.Cleanup(upstream.Close)
	issuer := keystest.NewServer(keystest.Set(keystest.ES256))
	t.Cleanup(issuer.Close)
	f.issuer = issuer.Issuer()
	f.claims = keystest.AccessClaims(issuer.Issuer(), keystest.Audience, time.Now())
	application := "proxy_pass http://" + upstream.Listener.Addr().String()
	nobody := nobodyThere(t)
	f.early = f.claims.With("iss", strconv.Quote("http://"+nobody))
	resource, keyless := startResource(t, issuer.Issuer()), startResource(t, "http://"+nobody)
	root := "root html" // README's proxy_pass, where nginx has the page itself
	addresses := startNginx(t, program, []string{
		locationsFor(t, locations, application, resource),
		"underscores_in_headers on;\nignore_invalid_headers off;\n" + locationsFor(t, locations, application, resource),
		locationsFor(t, locations, root, resource),
		locationsFor(t, locations, application, keyless),
		locationsFor(t, locations, application, nobody),
	})
	f.app, f.lax, f.page, f.keyless, f.down = addresses[0], addresses[1], addresses[2], addresses[3], addresses[4]
	return f
}

// application answers with the headers that it got.
func (f front) application() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.passed.Add(1)
		octets, err := io.Copy(io.Discard, r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Seen-Octets", strconv.FormatInt(octets, 10))
		_ = json.NewEncoder(w).Encode(r.Header)
	})
}

func findNginx(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx"} { // Debian has it where only root looks
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("nginx is not installed")
	return ""
}

// readmeBlock returns the README's only block in this language.
func readmeBlock(t *testing.T, language string) string {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(readme), "\n```"+language+"\n")
	if len(parts) != 2 {
		t.Fatalf("README.md has %d blocks of %s", len(parts)-1, language)
	}
	block, _, closed := strings.Cut(parts[1], "\n```\n")
	if !closed {
		t.Fatalf("README.md has an open block of %s", language)
	}
	return block
}

// locationsFor is the README's block with what stands behind it replaced, and nothing else.
func locationsFor(t *testing.T, block, application, resource string) string {
	t.Helper()
	for old, replacement := range map[string]string{
		"proxy_pass http://127.0.0.1:3000;":  application + ";",
		"proxy_pass http://127.0.0.1:9000/v": "proxy_pass http://" + resource + "/v",
	} {
		if strings.Count(block, old) != 1 {
			t.Fatalf("README.md has %q %d times", old, strings.Count(block, old))
		}
		block = strings.Replace(block, old, replacement, 1)
	}
	return block
}

// nobodyThere returns an address where nobody listens, as far as one can know.
func nobodyThere(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// startResource runs the program until the test ends, and returns its address.
func startResource(t *testing.T, issuer string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	reader, stderr := io.Pipe()
	address, ended := make(chan string, 1), make(chan int, 1)
	go func() {
		code := run(ctx, []string{"--issuer", issuer, "--audience", keystest.Audience, "--listen", "127.0.0.1:0",
			"--private-listen", "127.0.0.1:0"}, func(string) string { return "" }, io.Discard, stderr)
		_ = stderr.Close()
		ended <- code
	}()
	go findAddress(reader, address)
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != exitOK {
			t.Errorf("the resource server ended with %d", code)
		}
	})
	select {
	case found := <-address:
		return found
	case <-time.After(10 * time.Second):
		t.Fatal("the resource server does not serve after 10 s")
		return ""
	}
}

// findAddress reads the log to its end, so that nobody who writes there has to wait, and sends the address in it.
func findAddress(log io.Reader, address chan<- string) {
	for lines := json.NewDecoder(log); ; {
		var line struct {
			Msg, Listen string
		}
		if err := lines.Decode(&line); err != nil {
			_, _ = io.Copy(io.Discard, log)
			return
		}
		if line.Msg == "resource server serves" {
			address <- line.Listen
		}
	}
}

// startNginx serves each of the blocks of locations at an address of its own, until the test ends.
func startNginx(t *testing.T, program string, blocks []string) (urls []string) {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "html", "index.html"), page)
	servers, inherited, files := "", "NGINX=", []*os.File(nil)
	for i, block := range blocks {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		file, err := listener.(*net.TCPListener).File()
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		files = append(files, file)
		inherited += strconv.Itoa(3+i) + ";"
		servers += fmt.Sprintf("server {\nlisten %s;\n%s\n}\n", listener.Addr(), block)
		urls = append(urls, "http://"+listener.Addr().String())
	}
	writeFile(t, filepath.Join(dir, "nginx.conf"), fmt.Sprintf(nginxConf, runAs(t), servers))
	cmd := exec.Command(program, "-p", dir+"/", "-c", "nginx.conf", "-e", "error.log")
	// nginx takes the open sockets over, as from its predecessor in an upgrade: nobody can have the ports before.
	cmd.ExtraFiles, cmd.Env = files, []string{inherited}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil || t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
			t.Errorf("nginx ended with %v and said:\n%s%s", err, output.String(), log)
		}
	})
	return urls
}

// nginxConf is what stands around the README's locations. One process, in the foreground, with no file elsewhere: when
// it ends, nothing of it is left.
const nginxConf = `
daemon off;
worker_processes 1;
%s
pid nginx.pid;
events {}
http {
	access_log access.log;
	client_body_temp_path tmp-body;
	proxy_temp_path tmp-proxy;
	fastcgi_temp_path tmp-fastcgi;
	uwsgi_temp_path tmp-uwsgi;
	scgi_temp_path tmp-scgi;
	%s
}
`

// runAs keeps an nginx that root starts from giving its files to somebody else.
func runAs(t *testing.T) string {
	t.Helper()
	if os.Getuid() != 0 {
		return ""
	}
	root, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	return "user " + root.Username + ";"
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
