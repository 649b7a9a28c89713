package tokens_test

import (
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"example.com/signet/client/tokens"
	"example.com/signet/keys"
	"example.com/signet/keys/keystest"
)

const maxCredential = 16 << 10

func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

// fileCredentials are the credentials that are files, and how to see in a request what was in the file.
var fileCredentials = []struct {
	name string
	make func(path string) tokens.Credential
	sent func(r request) string
}{
	{"secret", tokens.SecretFile, func(r request) string {
		text, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.header.Get("Authorization"), "Basic "))
		return strings.TrimPrefix(string(text), "billing:")
	}},
	{"assertion", tokens.AssertionFile, func(r request) string { return r.form.Get("client_assertion") }},
}

func TestFileContent(t *testing.T) {
	t.Parallel()
	const oneLine = "not one line of printable ASCII"
	long := strings.Repeat("a", maxCredential)
	for _, test := range []struct {
		name string
		text string
		sent string
		want string // the end of the error; "" for none
	}{
		{"one word", "SECRET", "SECRET", ""},
		{"with a line break", "SECRET\n", "SECRET", ""},
		{"with a line break of Windows", "SECRET\r\n", "SECRET", ""},
		{"with several", "SECRET\n\r\n\n", "SECRET", ""},
		{"as long as may be", long, long, ""},

		{"empty", "", "", "empty"},
		{"a line break only", "\n", "", "empty"},
		{"too long", long + "a", "", "longer than 16384 octets"},
		{"too long after a line break", long + "\nSECRET", "", "longer than 16384 octets"},
		{"much too long", strings.Repeat("SECRET", 1<<20), "", "longer than 16384 octets"},
		{"two lines", "SECRET\nSECRET\n", "", oneLine},
		{"an empty line first", "\nSECRET", "", oneLine},
		{"lines of the old Mac", "SECRET\rSECRET", "", oneLine},
		{"NUL", "SECRET\x00", "", oneLine},
		{"tab", "SECRET\t", "", oneLine},
		{"terminal escape", "\x1b[31mSECRET", "", oneLine},
		{"DEL", "SECRET\x7f", "", oneLine},
		{"not ASCII", "SECRETé", "", oneLine},
		{"not UTF-8", "SECRET\xff", "", oneLine},
		{"byte order mark", "\ufeffSECRET", "", oneLine},
		{"UTF-16", "S\x00E\x00C\x00R\x00E\x00T\x00", "", oneLine},
		{"a PEM file", string(keystest.PEM(keystest.ES256)), "", oneLine},
	} {
		for _, credential := range fileCredentials {
			t.Run(credential.name+", "+test.name, func(t *testing.T) {
				t.Parallel()
				i := newIssuer(t)
				path := filepath.Join(t.TempDir(), "credential")
				writeFile(t, path, test.text, 0o600)
				cfg := config(t, i)
				cfg.Credential = credential.make(path)
				_, err := newSource(t, cfg).Token(t.Context())
				if test.want != "" {
					checkUnusable(t, i, err, path, test.want)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := credential.sent(one(t, i)); got != test.sent {
					t.Errorf("sent %.100q, want %.100q", got, test.sent)
				}
			})
		}
	}
}

// checkUnusable holds the error of a file that cannot be used against what it has to say, and to keep to itself.
func checkUnusable(t *testing.T, i *issuer, err error, path, want string) {
	t.Helper()
	if !errors.Is(err, tokens.ErrCredential) {
		t.Fatalf("got %v, want %v", err, tokens.ErrCredential)
	}
	text := err.Error()
	if !strings.HasPrefix(text, "credential cannot be used: reading the ") || !strings.Contains(text, path) || !strings.HasSuffix(text, want) {
		t.Errorf("error %q does not name %s and end with %q", text, path, want)
	}
	if strings.Contains(text, "SECRET") || strings.Contains(text, "PRIVATE") || hasControl(text) {
		t.Errorf("the file's content is in %q", text)
	}
	if len(i.Requests()) != 0 {
		t.Error("the issuer was asked all the same")
	}
}

func TestFileThatIsNone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		make func(t *testing.T, path string)
		is   error // nil: nothing that could be named
		want string
	}{
		{"missing", func(*testing.T, string) {}, fs.ErrNotExist, "no such file or directory"},
		{"link to nothing", func(t *testing.T, path string) { link(t, path+"-missing", path) }, fs.ErrNotExist, "no such file or directory"},
		{"directory", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, nil, "not a regular file"},
		{"pipe that nobody writes into", func(t *testing.T, path string) {
			if err := syscall.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
		}, nil, "not a regular file"},
		{"device without end", func(t *testing.T, path string) { link(t, "/dev/zero", path) }, nil, "not a regular file"},
	} {
		for _, credential := range fileCredentials {
			t.Run(credential.name+", "+test.name, func(t *testing.T) {
				t.Parallel()
				i := newIssuer(t)
				path := filepath.Join(t.TempDir(), "credential")
				test.make(t, path)
				cfg := config(t, i)
				cfg.Credential = credential.make(path)
				_, err := newSource(t, cfg).Token(t.Context())
				checkUnusable(t, i, err, path, test.want)
				if test.is != nil && !errors.Is(err, test.is) {
					t.Errorf("got %v, want %v", err, test.is)
				}
			})
		}
	}
}

func link(t *testing.T, old, path string) {
	t.Helper()
	if err := os.Symlink(old, path); err != nil {
		t.Fatal(err)
	}
}

// A secret that others on the machine can read is none any more. A group may: that is how services get theirs. An
// assertion is short-lived, and Kubernetes mounts it for everybody in the container to read.
func TestFileMode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mode  os.FileMode
		loose bool // for a secret
	}{
		{0o400, false}, {0o600, false}, {0o640, false}, {0o440, false}, {0o660, false}, {0o700, false},
		{0o644, true}, {0o604, true}, {0o602, true}, {0o601, true}, {0o444, true}, {0o666, true}, {0o777, true},
	} {
		for _, credential := range fileCredentials {
			t.Run(credential.name+", "+test.mode.String(), func(t *testing.T) {
				t.Parallel()
				i := newIssuer(t)
				path := filepath.Join(t.TempDir(), "credential")
				writeFile(t, path, "SECRET", test.mode)
				cfg := config(t, i)
				cfg.Credential = credential.make(path)
				_, err := newSource(t, cfg).Token(t.Context())
				if credential.name == "assertion" || !test.loose {
					if err != nil {
						t.Error(err)
					}
					return
				}
				checkUnusable(t, i, err, path, keys.ErrLooseMode.Error()+": mode is "+octal(test.mode))
				var hinted interface{ Hint() string }
				want := "if nobody has read it: chmod 600 " + path + " (otherwise have a new one made)"
				if !errors.Is(err, keys.ErrLooseMode) || !errors.As(err, &hinted) || hinted.Hint() != want {
					t.Errorf("got %v, want %v with the hint %q", err, keys.ErrLooseMode, want)
				}
			})
		}
	}
}

func octal(mode os.FileMode) string {
	const digits = "01234567"
	return "0" + string([]byte{digits[mode>>6&7], digits[mode>>3&7], digits[mode&7]})
}

// The file is read for each request, so whoever replaces it, as Kubernetes does by a link, need not tell us.
func TestFileIsReadEachTime(t *testing.T) {
	t.Parallel()
	for _, credential := range fileCredentials {
		t.Run(credential.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			i.Answer(grant("uncached", 0))
			directory := t.TempDir()
			path := filepath.Join(directory, "credential")
			writeFile(t, filepath.Join(directory, "first"), "first", 0o600)
			writeFile(t, filepath.Join(directory, "second"), "second", 0o600)
			link(t, "first", path)
			clock := keystest.NewClock()
			cfg := config(t, i)
			cfg.Credential, cfg.Now = credential.make(path), clock.Now
			source := newSource(t, cfg)
			wantToken(t, source, "uncached")
			link(t, "second", path+"-new")
			if err := os.Rename(path+"-new", path); err != nil {
				t.Fatal(err)
			}
			wantToken(t, source, "uncached")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if _, err := source.Token(t.Context()); !errors.Is(err, tokens.ErrCredential) {
				t.Errorf("got %v, want %v", err, tokens.ErrCredential)
			}
			writeFile(t, path, "third", 0o600)
			clock.Advance(200 * ms)
			wantToken(t, source, "uncached")

			var sent []string
			for _, r := range i.Requests() {
				sent = append(sent, credential.sent(r))
			}
			if got := strings.Join(sent, " "); got != "first second third" {
				t.Errorf("sent %s", got)
			}
		})
	}
}

// An attempt that failed is repeated with what the file has then.
func TestFileIsReadForRetry(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	path := filepath.Join(t.TempDir(), "credential")
	writeFile(t, path, "first", 0o600)
	cfg := config(t, i)
	cfg.Credential = tokens.SecretFile(path)
	cfg.OnExchange = func(e tokens.Exchange) { // between the attempts
		if e.Err != nil {
			writeFile(t, path, "second", 0o600)
		}
	}
	i.Answer(inTurn(cut, grant("token", 600)))
	wantToken(t, newSource(t, cfg), "token")
	requests := i.Requests()
	if sent := fileCredentials[0].sent; sent(requests[0]) != "first" || sent(requests[1]) != "second" {
		t.Errorf("sent %s and %s", sent(requests[0]), sent(requests[1]))
	}
}

func TestAssertionFile(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		clientID string
		text     string
		want     string // the end of the error; "" for none
	}{
		{"with a client id", "billing", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", ""},
		{"with a client id of odd characters", "a&b=c", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", ""},
		{"without client id", "", "eyJhbGciOiJFUzI1NiJ9.e30.c2ln", ""},
		{"no JWT, which is for the issuer to say", "billing", "&grant_type=password", ""},
		{"two words", "billing", "SECRET SECRET", "more than one word"},
		{"a space in front", "billing", " SECRET", "more than one word"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			path := filepath.Join(t.TempDir(), "token")
			writeFile(t, path, test.text+"\n", 0o644)
			cfg := config(t, i)
			cfg.ClientID, cfg.Credential = test.clientID, tokens.AssertionFile(path)
			_, err := newSource(t, cfg).Token(t.Context())
			if test.want != "" {
				checkUnusable(t, i, err, path, test.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			form := one(t, i).form
			if form.Get("client_assertion") != test.text || form.Get("grant_type") != "client_credentials" ||
				form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
				t.Errorf("form %v", form)
			}
			if form.Has("client_id") != (test.clientID != "") || form.Get("client_id") != test.clientID {
				t.Errorf("client_id %q, want %q", form["client_id"], test.clientID)
			}
		})
	}
}

// A wrong file, such as a disk image, is not read to its end to find that out. Not parallel: it looks at all memory.
func TestHugeFileIsNotRead(t *testing.T) {
	const size, most = 1 << 28, 1 << 26
	i := newIssuer(t)
	path := filepath.Join(t.TempDir(), "credential")
	writeFile(t, path, "SECRET", 0o600)
	if err := os.Truncate(path, size); err != nil { // takes no room on the disk
		t.Fatal(err)
	}
	for _, credential := range fileCredentials {
		cfg := config(t, i)
		cfg.Credential = credential.make(path)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := newSource(t, cfg).Token(t.Context())
		runtime.ReadMemStats(&after)
		checkUnusable(t, i, err, path, "longer than 16384 octets")
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Errorf("%s: %d octets of memory for it", credential.name, took)
		}
	}
}
