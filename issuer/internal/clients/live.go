package clients

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"example.com/signet/issuer/internal/watch"
)

// LiveConfig is what a [Live] registry needs. All fields but the last two are required.
type LiveConfig struct {
	Path  string                // of the registry file
	Check func(*Registry) error // whether a registry fits what the issuer has: its keys and its settings
	Log   *slog.Logger
	Poll  time.Duration    // how often to look at the files; zero: 1 s
	Now   func() time.Time // nil: time.Now
}

const defaultPoll = time.Second

// Live is the registry in a file, read again when the file or a key file that it names changes. A file with a mistake
// changes nothing. It is safe for concurrent use; finding a client takes no lock. Make it with [Open].
type Live struct {
	cfg     LiveConfig
	current atomic.Pointer[Registry]
	trouble atomic.Pointer[error] // why the file as it stands is not what is served; nil: it is
	loaded  atomic.Int64          // when current was taken over, Unix nanoseconds

	mu        sync.Mutex
	files     watch.Files // guarded by mu
	paths     []string    // guarded by mu: the files that were last read
	candidate *Registry   // guarded by mu: read without a mistake, and does not fit yet
}

// Open reads the registry and checks it. The error is that of [ReadFile], or of Check.
func Open(cfg LiveConfig) (*Live, error) {
	if cfg.Poll == 0 {
		cfg.Poll = defaultPoll
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	l := &Live{cfg: cfg, paths: []string{cfg.Path}}
	registry, err := l.readSettled()
	if err != nil {
		return nil, err
	}
	if err := cfg.Check(registry); err != nil {
		return nil, err
	}
	l.take(registry, cfg.Now())
	return l, nil
}

// Fixed returns a registry that is in no file and never changes.
func Fixed(registry *Registry) *Live {
	l := &Live{}
	l.take(registry, time.Now())
	return l
}

// Registry returns the registry as it is now.
func (l *Live) Registry() *Registry { return l.current.Load() }

// Loaded returns when the registry that is served was taken over.
func (l *Live) Loaded() time.Time { return time.Unix(0, l.loaded.Load()) }

// Trouble returns why the file as it stands is not served; nil when it is. The registry from before is served meanwhile.
func (l *Live) Trouble() error {
	if err := l.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// Run looks at the files until ctx ends: every Poll, and whenever wake says so.
func (l *Live) Run(ctx context.Context, wake <-chan struct{}) {
	if l.cfg.Path == "" { // nothing to look at
		<-ctx.Done()
		return
	}
	watch.Run(ctx, l.cfg.Poll, wake, func(now bool) { _ = l.Look(now) })
}

// Look takes over what the files say if they have changed and stand still, with now in any case. It returns why what they
// say is not served, which Trouble returns too.
func (l *Live) Look(now bool) error {
	if l.cfg.Path == "" { // it is in no file
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if state := watch.State(l.paths); l.files.Changed(state) || now {
		registry, err := l.read(state)
		switch {
		case errors.Is(err, errUnsettled):
			return l.Trouble() // the next look sees it
		case err != nil:
			l.candidate = nil
			return l.refuse(err)
		}
		l.candidate = registry
	}
	if l.candidate == nil {
		return l.Trouble()
	}
	// What does not fit today may fit when a key has been added, so it is tried again at each look.
	if err := l.cfg.Check(l.candidate); err != nil {
		return l.refuse(err)
	}
	l.take(l.candidate, l.cfg.Now())
	l.cfg.Log.Info("registry read", "path", l.cfg.Path, "clients", l.Registry().Len())
	return nil
}

var errUnsettled = errors.New("the registry is being written")

// maxReads is how often a registry is read in a row to find it and the key files that it names in one state.
const maxReads = 3

// readSettled reads the registry at start, when there is no earlier look to tell whether it stands still.
func (l *Live) readSettled() (registry *Registry, err error) {
	err = errUnsettled
	for i := 0; i < maxReads && errors.Is(err, errUnsettled); i++ {
		registry, err = l.read(watch.State(l.paths))
	}
	return registry, err
}

// read reads the registry, whose files are in that state now and must be still when it has been read. Which key files
// there are it learns by reading, so when they are others than before it reads again. The error is [errUnsettled] or that
// of [ReadFile].
func (l *Live) read(state string) (*Registry, error) {
	for range maxReads {
		paths := l.paths
		registry, err := ReadFile(l.cfg.Path, l.cfg.Now())
		l.paths = filesOf(l.cfg.Path, registry, err)
		next := watch.State(l.paths) // before the comparison, so that it is of what was read
		if watch.State(paths) != state {
			return nil, errUnsettled
		}
		if slices.Equal(paths, l.paths) {
			l.files.Seen(seen(state, err))
			return registry, err
		}
		state = next
	}
	return nil, errUnsettled
}

// seen is the state to remember. A file that could not be read is tried again, though it may not change any more.
func seen(state string, err error) string {
	if wrong := (*FileError)(nil); err == nil || errors.As(err, &wrong) {
		return state
	}
	return ""
}

// filesOf returns the files that a registry was read from, or would have been.
func filesOf(path string, registry *Registry, err error) []string {
	var wrong *FileError
	switch {
	case err == nil:
		return registry.Files()
	case errors.As(err, &wrong):
		return wrong.Files
	}
	return []string{path}
}

func (l *Live) refuse(err error) error {
	if was := l.Trouble(); was == nil || was.Error() != err.Error() {
		l.cfg.Log.Error("reading the registry failed; serving the one from before", "cause", err)
	}
	l.trouble.Store(&err)
	return err
}

// take serves a registry from now on.
func (l *Live) take(registry *Registry, now time.Time) {
	l.current.Store(registry)
	l.loaded.Store(now.UnixNano())
	l.trouble.Store(nil)
	l.candidate = nil
}
