package clients_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"example.com/signet/issuer/internal/clients"
	"example.com/signet/keys/keystest"
)

// Whatever is done to the file, it is served when two looks have found it in one state, or at once when the look is
// asked for.
func TestLiveReadsAgain(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		change func(f *liveFile)
	}{
		{"another file renamed into its place", func(f *liveFile) { f.replace(generation(2, 3)) }},
		{"written in place", func(f *liveFile) { f.write(generation(2, 3)) }},
		{"replaced by one of the same size and time", func(f *liveFile) {
			then := f.stat().ModTime()
			next := f.beside("next", generation(2, 3))
			f.must(os.Chtimes(next, then, then))
			size := f.stat().Size()
			f.must(os.Rename(next, f.path))
			if now := f.stat(); now.Size() != size || !now.ModTime().Equal(then) {
				f.t.Fatal("this row wants the same size and time")
			}
		}},
		{"a link swapped, as Kubernetes does it", func(f *liveFile) {
			f.must(os.Symlink(f.beside("real", generation(2, 3)), f.path+".link"))
			f.must(os.Rename(f.path+".link", f.path))
		}},
		{"gone for a look, and another in its place", func(f *liveFile) {
			f.must(os.Remove(f.path))
			f.look(false)
			f.write(generation(2, 3))
		}},
		{"bad for a look, and good at the next", func(f *liveFile) {
			f.write("resources: [")
			f.look(false)
			f.write(generation(2, 3))
		}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := openLive(t, generation(1, 3))
			row.change(f)
			f.look(false)
			f.serves(1)
			f.look(false)
			f.serves(2)
			f.logged("registry read")
		})
		t.Run(row.name+", with SIGHUP", func(t *testing.T) {
			t.Parallel()
			f := openLive(t, generation(1, 3))
			row.change(f)
			f.look(true)
			f.serves(2)
			f.logged("registry read")
		})
	}
}

// A file that changes between looks is being written, and is left alone.
func TestLiveWaitsUntilItStandsStill(t *testing.T) {
	t.Parallel()
	f := openLive(t, generation(1, 3))
	for n := range 5 {
		f.replace(generation(2+n, 3))
		f.look(false)
		f.serves(1)
	}
	f.look(false)
	f.serves(6)
}

func TestLiveLeavesWhatIsTheSame(t *testing.T) {
	t.Parallel()
	f := openLive(t, generation(1, 3))
	was := f.live.Registry()
	for range 3 {
		f.look(false)
	}
	f.replace(generation(2, 3))
	f.look(false)
	f.replace(generation(1, 3)) // back before anybody has read it: another file, of the same content
	f.look(false)
	if f.live.Registry() != was {
		t.Error("read again although it has not stood still")
	}
	f.logged()
	f.look(true) // SIGHUP reads in any case
	f.logged("registry read")
}

// What cannot be served changes nothing: the registry from before is served, the reason is known, and it is logged once
// however often it is met.
func TestLiveRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		change func(f *liveFile)
		want   string // the error; PATH and DIR stand for the file and its directory
	}{
		{"a mistake", func(f *liveFile) {
			f.replace(strings.Replace(generation(2, 3), "scopes:", "scope:", 1))
		}, `reading registry PATH: 7 mistakes:
  line 3: unknown field "scope"
  line 7: resource https://api.example.com/2 has no scope "read"
  line 7: resource https://api.example.com/2 has no scope "s2"
  line 11: resource https://api.example.com/2 has no scope "read"
  line 11: resource https://api.example.com/2 has no scope "s2"
  line 15: resource https://api.example.com/2 has no scope "read"
  line 15: resource https://api.example.com/2 has no scope "s2"`},
		{"no YAML", func(f *liveFile) { f.replace("resources: [") },
			"reading registry PATH: line 1: not YAML, here or just below: did not find expected node content"},
		{"empty", func(f *liveFile) { f.write("") }, "reading registry PATH: the file is empty"},
		{"cut in the last line", func(f *liveFile) {
			text := generation(2, 3)
			f.write(text[:len(text)-3])
		}, "reading registry PATH: line 15: not YAML, here or just below: did not find expected ',' or '}'"},
		{"deleted", func(f *liveFile) { f.must(os.Remove(f.path)) }, "stat PATH: no such file or directory"},
		{"a directory", func(f *liveFile) {
			f.must(os.Remove(f.path))
			f.must(os.Mkdir(f.path, 0o700))
		}, "reading registry PATH: not a regular file"},
		{"a link to nothing", func(f *liveFile) {
			f.must(os.Remove(f.path))
			f.must(os.Symlink("nothing", f.path))
		}, "stat PATH: no such file or directory"},
		{"a link to itself", func(f *liveFile) {
			f.must(os.Remove(f.path))
			f.must(os.Symlink(f.path, f.path))
		}, "stat PATH: too many levels of symbolic links"},
		{"unreadable", func(f *liveFile) {
			if os.Getuid() == 0 {
				f.t.Skip("nothing is unreadable to root")
			}
			f.must(os.Chmod(f.path, 0))
		}, "open PATH: permission denied"},
		{"a key file that is not there", func(f *liveFile) { f.replace(withKeyFile("none.pub")) },
			"reading registry PATH: line 5: stat DIR/none.pub: no such file or directory"},
		{"a key file that is none", func(f *liveFile) {
			f.beside("bad.pub", "nothing")
			f.replace(withKeyFile("bad.pub"))
		}, "reading registry PATH: line 5: reading DIR/bad.pub: unusable key: not PEM"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := openLive(t, generation(1, 3))
			row.change(f)
			want := strings.NewReplacer("PATH", f.path, "DIR", filepath.Dir(f.path)).Replace(row.want)
			f.look(false)
			f.trouble("")
			for range 3 {
				f.look(false)
				f.trouble(want)
				f.serves(1)
			}
			f.look(true)
			f.trouble(want)
			f.logged("reading the registry failed; serving the one from before: " + want)

			f.must(os.RemoveAll(f.path))
			f.write(generation(2, 3))
			f.look(true)
			f.trouble("")
			f.serves(2)
		})
	}
}

// Each new reason is logged, one that is met again is not; the last look with a reason is what Trouble says.
func TestLiveLogsEachReasonOnce(t *testing.T) {
	t.Parallel()
	f := openLive(t, generation(1, 1))
	failed := "reading the registry failed; serving the one from before: reading registry " + f.path + ": "
	empty, notYAML := "the file is empty", "line 1: not YAML, here or just below: did not find expected node content"
	for _, text := range []string{"", "\n", "[", "resources: ["} { // two reasons, each in two spellings
		f.replace(text)
		f.look(true)
		f.look(false)
	}
	f.trouble("reading registry " + f.path + ": " + notYAML)
	f.replace("")
	f.look(true)
	f.replace(generation(2, 1))
	f.look(true)
	f.trouble("")
	f.replace("")
	f.look(true)
	f.logged(failed+empty, failed+notYAML, failed+empty, "registry read", failed+empty)
}

// A registry is as good as the key files that it names: they are followed as it is.
func TestLiveFollowsKeyFiles(t *testing.T) {
	t.Parallel()
	first, second := keystest.Key(keystest.ES256).ID(), keystest.Key(keystest.RS256).ID()
	f := openLive(t, withKeyFile("client.pub"), "client.pub", string(publicPEM(t, keystest.ES256)))
	f.hasKey(first)

	f.beside("client.pub", string(publicPEM(t, keystest.RS256)))
	f.look(false)
	f.hasKey(first)
	f.look(false)
	f.hasKey(second)

	key := filepath.Join(filepath.Dir(f.path), "client.pub")
	f.must(os.Remove(key))
	f.look(true)
	f.trouble("reading registry " + f.path + ": line 5: stat " + key + ": no such file or directory")
	f.hasKey(second)

	f.beside("client.pub", string(publicPEM(t, keystest.ES256)[:90]))
	f.look(true)
	f.trouble("reading registry " + f.path + ": line 5: reading " + key + ": unusable key: PEM is truncated or damaged")
	f.hasKey(second)

	f.beside("client.pub", string(publicPEM(t, keystest.ES256)))
	f.look(true)
	f.trouble("")
	f.hasKey(first)
}

// The registry comes first and the key file that it names later: the registry itself does not change again.
func TestLiveFindsAKeyFileThatComesLater(t *testing.T) {
	t.Parallel()
	f := openLive(t, generation(1, 1))
	f.replace(withKeyFile("later.pub"))
	f.look(false)
	f.look(false)
	f.trouble("reading registry " + f.path + ": line 5: stat " + filepath.Join(filepath.Dir(f.path), "later.pub") +
		": no such file or directory")
	f.beside("later.pub", string(publicPEM(t, keystest.ES256)))
	f.look(false)
	f.look(false)
	f.trouble("")
	f.hasKey(keystest.Key(keystest.ES256).ID())

	// And it is followed from then on.
	f.beside("later.pub", string(publicPEM(t, keystest.RS256)))
	f.look(true)
	f.hasKey(keystest.Key(keystest.RS256).ID())
}

var errNoSigner = errors.New("no key signs")

// A registry that does not fit is tried again at each look, for what it needs may come without a change of the file.
func TestLiveTriesAgainWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	f := openLive(t, generation(1, 3))
	f.unfit = errNoSigner
	f.replace(generation(2, 3))
	f.look(false)
	f.trouble("")
	for range 3 {
		if err := f.look(false); !errors.Is(err, errNoSigner) {
			t.Fatalf("Look = %v", err)
		}
		f.trouble("no key signs")
		f.serves(1)
	}
	f.unfit = nil
	f.look(false)
	f.trouble("")
	f.serves(2)
	f.logged("reading the registry failed; serving the one from before: no key signs", "registry read")
}

// What does not fit is forgotten when the file is no longer that: it must not come back.
func TestLiveForgetsWhatDidNotFit(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		change func(f *liveFile)
		want   string
	}{
		{"gone", func(f *liveFile) { f.must(os.Remove(f.path)) }, "stat PATH: no such file or directory"},
		{"a mistake", func(f *liveFile) { f.replace("") }, "reading registry PATH: the file is empty"},
		{"as it was served", func(f *liveFile) { f.replace(generation(1, 3)) }, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := openLive(t, generation(1, 3))
			f.unfit = errNoSigner
			f.replace(generation(2, 3))
			f.look(true)
			row.change(f)
			f.look(true)
			f.unfit = nil
			f.look(false)
			f.trouble(strings.ReplaceAll(row.want, "PATH", f.path))
			f.serves(1)
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	always := func(*clients.Registry) error { return nil }
	t.Run("no file", func(t *testing.T) {
		_, err := clients.Open(clients.LiveConfig{Path: filepath.Join(t.TempDir(), "none.yaml"), Check: always})
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("a mistake", func(t *testing.T) {
		_, err := clients.Open(clients.LiveConfig{Path: write(t, "clients: []"), Check: always})
		var wrong *clients.FileError
		if !errors.As(err, &wrong) || len(wrong.Problems) != 2 {
			t.Errorf("error %v", err)
		}
	})
	t.Run("what does not fit", func(t *testing.T) {
		never := func(*clients.Registry) error { return errNoSigner }
		live, err := clients.Open(clients.LiveConfig{Path: write(t, generation(1, 1)), Check: never})
		if live != nil || !errors.Is(err, errNoSigner) {
			t.Errorf("%v, error %v", live, err)
		}
	})
}

func TestLiveKnowsWhenItWasLoaded(t *testing.T) {
	t.Parallel()
	f := openLive(t, generation(1, 1))
	began := f.clock.Now()
	f.clock.Advance(time.Minute)
	f.look(false) // nothing new
	f.replace("")
	f.look(true) // nothing good
	if got := f.live.Loaded(); !got.Equal(began) {
		t.Errorf("loaded %v, want %v", got, began)
	}
	f.replace(generation(2, 1))
	f.look(true)
	if got := f.live.Loaded(); !got.Equal(began.Add(time.Minute)) {
		t.Errorf("loaded %v, want a minute later than %v", got, began)
	}
}

// A registry in no file is what it is, and Run only waits.
func TestFixed(t *testing.T) {
	t.Parallel()
	registry, err := clients.Development(keystest.Key(keystest.ES256).Public())
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	live := clients.Fixed(registry)
	if live.Registry() != registry || live.Trouble() != nil {
		t.Errorf("registry %p, want %p; trouble %v", live.Registry(), registry, live.Trouble())
	}
	if loaded := live.Loaded(); loaded.Before(before) || loaded.After(time.Now()) {
		t.Errorf("loaded %v", loaded)
	}
	if _, err := live.Registry().Client(t.Context(), clients.DevelopmentClient); err != nil {
		t.Error(err)
	}
	if _, err := live.Registry().Client(t.Context(), "nobody"); !errors.Is(err, clients.ErrUnknownClient) {
		t.Errorf("error %v", err)
	}
	if _, err := live.Registry().Resource(t.Context(), clients.DevelopmentAudience); err != nil {
		t.Error(err)
	}
	if _, err := live.Registry().Resource(t.Context(), "https://nowhere.example.com"); !errors.Is(err, clients.ErrUnknownResource) {
		t.Errorf("error %v", err)
	}
	if err := live.Look(false); err != nil {
		t.Error(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	wake := make(chan struct{}, 1)
	wake <- struct{}{}
	stop()
	live.Run(ctx, wake)
}

// Run looks by itself, and at once when it is woken; it ends with its context.
func TestLiveRun(t *testing.T) {
	t.Parallel()
	t.Run("by itself", func(t *testing.T) {
		t.Parallel()
		f := openLive(t, generation(1, 1), poll(time.Millisecond))
		defer f.run(nil)()
		f.replace(generation(2, 1))
		f.log.await(t, "registry read")
		f.serves(2)
	})
	t.Run("woken", func(t *testing.T) {
		t.Parallel()
		f := openLive(t, generation(1, 1), poll(time.Hour))
		wake := make(chan struct{})
		defer f.run(wake)()
		f.replace(generation(2, 1))
		wake <- struct{}{}
		f.log.await(t, "registry read")
		f.serves(2)
		f.replace("")
		wake <- struct{}{}
		f.log.await(t, "reading the registry failed; serving the one from before: reading registry "+f.path+
			": the file is empty")
		f.serves(2)
	})
}

// withKeyFile is a registry whose one client has its key in that file.
func withKeyFile(name string) string {
	return fmt.Sprintf(`resources:
  - {audience: 'https://api.example.com/1', scopes: [read, s1]}
clients:
  - id: c000
    keys: [{file: %s}]
    name: "1"
    allow: [{resource: 'https://api.example.com/1', scopes: [read, s1]}]
`, name)
}

// hasKey fails the test unless the client's one key is that.
func (f *liveFile) hasKey(kid string) {
	f.t.Helper()
	client := lookUp(f.t, f.live.Registry(), "c000")
	var got []string
	for key := range client.Keys.All() {
		got = append(got, key.ID())
	}
	if len(got) != 1 || got[0] != kid {
		f.t.Errorf("keys %v, want %s", got, kid)
	}
}
