package cache_test

import (
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"example.com/signet/issuer/internal/cache"
	"example.com/signet/issuer/internal/clients"
)

// TestModel plays random histories of changes, looks, failures, time and lookups against a model, and sees that whatever is
// answered was so at the last look before the question, or since.
func TestModel(t *testing.T) {
	t.Parallel()
	for range 20 { // times 100
		rapid.Check(t, func(rt *rapid.T) {
			m := newModel(t, rt)
			defer m.endAll()
			rt.Repeat(m.actions())
		})
	}
}

func (m *model) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"":         m.check,
		"put":      func(rt *rapid.T) { m.put(anyID(rt), m.nextName()) },
		"remove":   func(rt *rapid.T) { m.put(anyID(rt), unknown) },
		"resource": func(*rapid.T) { m.resource = m.nextName(); m.db.putResource(newResource(orders, m.resource)) },
		"look":     func(*rapid.T) { m.lookNow() },
		"ask":      m.ask,
		"begin":    m.begin,
		"end":      m.end,
		"advance":  func(rt *rapid.T) { m.clock.Advance(time.Duration(rapid.IntRange(1, 120).Draw(rt, "s")) * time.Second) },
		"away":     func(*rapid.T) { m.away = true; m.db.away(errAway) },
		"return":   func(*rapid.T) { m.away = false; m.db.away(nil) },
		"fit":      func(rt *rapid.T) { m.unfit = rapid.SampledFrom([]error{nil, errUnfit}).Draw(rt, "fits") },
		"all":      func(*rapid.T) { m.db.change(func() { m.db.all = true }) },
		"restore":  func(*rapid.T) { m.restore() },
	}
}

const modelSize = 3 // of the cache, for twice as many ids

func anyID(rt *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(rt, "id")
}

// model is what one may be told.
type model struct {
	*world
	rt       *rapid.T
	names    int
	history  map[string][]string // the states of each id: the name, or that it is unknown
	looked   map[string]int      // which of them was there at the last look
	lookedAt time.Time
	away     bool
	resource string // the scope of the resource as it is, by which its states are told apart
	served   string // as it was when it was last taken over
	backup   backup
	flights  map[string]*flight
}

// backup is an earlier state of the database.
type backup struct {
	clients  map[string]*clients.Client
	resource string
	revision int
}

// flight is a lookup that hangs.
type flight struct {
	release func()
	looked  int // the state at the last look before it began
	got     chan string
}

func newModel(t *testing.T, rt *rapid.T) *model {
	m := &model{
		world: newWorld(t), rt: rt, history: make(map[string][]string), looked: make(map[string]int),
		resource: "read", served: "read", flights: make(map[string]*flight),
		backup: backup{resource: "read"},
	}
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		m.history[id] = []string{unknown}
	}
	m.open(sized(modelSize))
	m.lookedAt = m.clock.Now()
	return m
}

func (m *model) nextName() string {
	m.names++
	return fmt.Sprint("n", m.names)
}

// put gives a client another name, adds it, or removes it.
func (m *model) put(id, name string) {
	m.history[id] = append(m.history[id], name)
	if name == unknown {
		m.db.remove(id)
	} else {
		m.db.put(named(id, name))
	}
}

// restore puts the database back to the state when this was done before, between two looks.
func (m *model) restore() {
	before := m.backup
	if !m.away && len(m.db.changed) > before.revision {
		m.lookNow()
		m.db.change(func() {
			m.db.clients = make(map[string]*clients.Client)
			maps.Copy(m.db.clients, before.clients)
			m.db.resources = map[string]*clients.Resource{orders: newResource(orders, before.resource)}
			m.db.changed = m.db.changed[:before.revision]
		})
		m.resource = before.resource
		for id := range m.history {
			state := unknown
			if client := before.clients[id]; client != nil {
				state = client.Name
			}
			m.history[id] = append(m.history[id], state)
		}
		m.lookNow()
	}
	m.backup = backup{maps.Clone(m.db.clients), m.resource, len(m.db.changed)}
}

func (m *model) lookNow() {
	err := m.Look(m.t.Context())
	if m.away != errors.Is(err, errAway) || err != nil && !m.away && err != m.unfit {
		m.rt.Fatalf("look: %v", err)
	}
	if err != m.Trouble() {
		m.rt.Fatalf("look: %v, trouble: %v", err, m.Trouble())
	}
	if m.away {
		return
	}
	m.lookedAt = m.clock.Now()
	for id, states := range m.history {
		m.looked[id] = len(states) - 1
	}
	if err == nil {
		m.served = m.resource
	}
}

// check sees what must always be so.
func (m *model) check(rt *rapid.T) {
	m.rt = rt
	if n := m.Len(); n > modelSize {
		rt.Fatalf("%d clients are held", n)
	}
	resource, err := m.Resource(m.t.Context(), orders)
	switch {
	case m.stale():
		if resource != nil || err == nil {
			rt.Fatalf("resource %v, %v", resource, err)
		}
	case err != nil || resource.Scopes.String() != m.served:
		rt.Fatalf("resource %v, %v, want that of scope %s", resource, err, m.served)
	}
}

func (m *model) stale() bool { return m.clock.Now().Sub(m.lookedAt) > maxStale }

func (m *model) ask(rt *rapid.T) {
	id := anyID(rt)
	if m.flights[id] != nil {
		rt.Skip("it would hang too")
	}
	m.judge(id, answer(m.find(id)), m.looked[id])
}

// judge sees that an answer was so at a moment since that state.
func (m *model) judge(id, got string, since int) {
	if m.stale() {
		if want := fmt.Errorf("%w: for %v", cache.ErrStale, m.Age()); got != want.Error() {
			m.rt.Fatalf("client %s: %q, want %q", id, got, want)
		}
		return
	}
	states := m.history[id][since:]
	if !slices.Contains(states, got) && !(m.away && got == errAway.Error()) {
		m.rt.Fatalf("client %s: %q, want one of %q", id, got, states)
	}
}

// begin asks for a client and lets the lookup hang, if there is one.
func (m *model) begin(rt *rapid.T) {
	id := anyID(rt)
	if m.flights[id] != nil || m.away || m.stale() {
		rt.Skip("there is none")
	}
	f := &flight{m.db.hang(), m.looked[id], make(chan string, 1)}
	before := m.db.lookups(id)
	go func() { f.got <- answer(m.find(id)) }()
	for m.db.lookups(id) == before && len(f.got) == 0 {
		runtime.Gosched()
	}
	m.db.change(func() { m.db.gate = nil }) // for the others
	m.flights[id] = f
}

// end lets a lookup end, whatever has happened meanwhile: it was asked before that.
func (m *model) end(rt *rapid.T) {
	if len(m.flights) == 0 {
		rt.Skip("there is none")
	}
	id := rapid.SampledFrom(slices.Sorted(maps.Keys(m.flights))).Draw(rt, "flight")
	f := m.flights[id]
	delete(m.flights, id)
	f.release()
	if got, states := <-f.got, m.history[id][f.looked:]; !slices.Contains(states, got) {
		rt.Fatalf("client %s: %q, want one of %q", id, got, states)
	}
}

func (m *model) endAll() {
	for _, f := range m.flights {
		f.release()
		<-f.got
	}
}
