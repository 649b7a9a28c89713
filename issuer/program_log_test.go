package main

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// programLog is the JSON log of a program. It is safe for concurrent use.
type programLog struct {
	mu   sync.Mutex
	text bytes.Buffer
	more chan struct{} // has room for one: something was logged
}

// Write implements [io.Writer].
func (l *programLog) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
	return l.text.Write(text)
}

// String is all of the log but the tokens issued, of which there may be thousands.
func (l *programLog) String() string {
	var text strings.Builder
	for line := range strings.Lines(l.all()) {
		if !strings.Contains(line, `"event":"token.issued"`) {
			text.WriteString(line)
		}
	}
	return text.String()
}

func (l *programLog) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// find returns the last entry with that message whose text contains all the given ones; nil when there is none.
func (l *programLog) find(message string, contains ...string) (found map[string]any) {
	for line := range strings.Lines(l.all()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) != nil || entry["msg"] != message {
			continue
		}
		missing := func(text string) bool { return !strings.Contains(line, text) }
		if !slices.ContainsFunc(contains, missing) {
			found = entry
		}
	}
	return found
}

// await waits until such an entry is logged, for as long as the program runs and ten seconds at most.
func (l *programLog) await(t *testing.T, ended <-chan struct{}, message string, contains ...string) map[string]any {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		if found := l.find(message, contains...); found != nil {
			return found
		}
		select {
		case <-l.more:
		case <-ended:
			t.Fatalf("the issuer ended and has not logged %q %q:\n%s", message, contains, l)
		case <-timeout:
			t.Fatalf("not logged: %q %q:\n%s", message, contains, l)
		}
	}
}
