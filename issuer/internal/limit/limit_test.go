package limit_test

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/signet/issuer/internal/limit"
	"example.com/signet/keys/keystest"
)

// buckets are those of a test, and the clock that fills them.
func buckets(t *testing.T, perSecond, burst int) (*limit.Buckets[string], *keystest.Clock) {
	t.Helper()
	clock := keystest.NewClock()
	b, err := limit.NewBuckets[string](1<<16, perSecond, burst, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	return b, clock
}

// drain takes what the caller has, n requests at most, and returns how many that were.
func drain(b *limit.Buckets[string], caller string, n int) int {
	for taken := range n {
		if b.Take(caller) > 0 {
			return taken
		}
	}
	return n
}

func TestNewBucketsRefuses(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name                      string
		callers, perSecond, burst int
		want                      string
	}{
		{"no rate", 1, 0, 1, "limit: 0 requests a second and 1 at once: both must be at least 1"},
		{"no burst", 1, 1, 0, "limit: 1 requests a second and 0 at once: both must be at least 1"},
		{"neither", 1, 0, 0, "limit: 0 requests a second and 0 at once: both must be at least 1"},
		{"negative rate", 1, -1, 1, "limit: -1 requests a second and 1 at once: both must be at least 1"},
		{"negative burst", 1, 1, -1, "limit: 1 requests a second and -1 at once: both must be at least 1"},
		{"no callers", 0, 1, 1, "must provide a positive size"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			b, err := limit.NewBuckets[string](row.callers, row.perSecond, row.burst, time.Now)
			if err == nil || err.Error() != row.want || b != nil {
				t.Errorf("%v, error %v\n want %s", b, err, row.want)
			}
		})
	}
}

// Who waits as long as Take says is served, and who comes a moment sooner is not: rounded up, the wait is an honest
// Retry-After. Waits below a millisecond are said to be one.
func TestTakeWait(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name             string
		perSecond, burst int
		elapsed          time.Duration // since the bucket was emptied
		want             time.Duration
	}{
		{"one a second", 1, 1, 0, time.Second},
		{"a burst does not change the wait", 1, 10, 0, time.Second},
		{"a part has come back", 1, 1, 400 * time.Millisecond, 600 * time.Millisecond},
		{"nearly all has", 1, 1, 998 * time.Millisecond, 2 * time.Millisecond},
		{"a rate that divides no second", 3, 3, 0, 333333333},
		{"another", 7, 1, 0, 142857142},
		{"the default", 50, 500, 0, 20 * time.Millisecond},
		{"a millisecond", 1000, 1, 0, time.Millisecond},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b, clock := buckets(t, row.perSecond, row.burst)
			if got := drain(b, "a", row.burst+1); got != row.burst {
				t.Fatalf("%d at once, want %d", got, row.burst)
			}
			clock.Advance(row.elapsed)
			wait := b.Take("a")
			if diff := wait - row.want; diff < -2 || diff > 2 { // floating point
				t.Errorf("wait %v, want %v", wait, row.want)
			}
			const moment = time.Microsecond
			clock.Advance(wait - moment)
			if early := b.Take("a"); early == 0 {
				t.Error("served a moment before the wait was over")
			}
			clock.Advance(moment)
			if late := b.Take("a"); late != 0 {
				t.Errorf("not served after the wait: %v more", late)
			}
		})
	}
}

func TestTakeWaitIsNeverTooShort(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []int{1, 2, 3, 7, 11, 50, 333, 999, 1000, 4096, 1_000_000} {
		b, clock := buckets(t, perSecond, 5)
		drain(b, "a", 6)
		for i := range 200 {
			wait := b.Take("a")
			if wait < time.Millisecond {
				t.Fatalf("%d a second: wait %v", perSecond, wait)
			}
			clock.Advance(wait)
			if again := b.Take("a"); again != 0 {
				t.Fatalf("%d a second, round %d: %v after a wait of %v", perSecond, i, again, wait)
			}
			drain(b, "a", 6) // what a wait of a whole millisecond brought besides
		}
	}
}

// A refused request costs nothing: who asks in vain all the time is served as soon as who waits.
func TestRefusedTakesNothing(t *testing.T) {
	t.Parallel()
	b, clock := buckets(t, 1, 2)
	drain(b, "a", 2)
	for range 100 {
		if b.Take("a") == 0 {
			t.Fatal("served from an empty bucket")
		}
	}
	clock.Advance(time.Second)
	if wait := b.Take("a"); wait != 0 {
		t.Errorf("wait %v", wait)
	}
}

func TestRefill(t *testing.T) {
	t.Parallel()
	b, clock := buckets(t, 10, 30)
	rows := []struct {
		name    string
		elapsed time.Duration
		want    int
	}{
		{"full at the beginning", 0, 30},
		{"empty", 0, 0},
		{"a second's", time.Second, 10},
		{"a tenth's", 100 * time.Millisecond, 1},
		{"full, not fuller", 24 * time.Hour, 30},
		{"a clock that goes back takes nothing away and brings nothing", -time.Hour, 0},
		{"nor when it is back", time.Hour, 0},
	}
	for _, row := range rows { // in order: the clock goes on
		t.Run(row.name, func(t *testing.T) {
			clock.Advance(row.elapsed)
			if got := drain(b, "a", 100); got != row.want {
				t.Errorf("%d at once, want %d", got, row.want)
			}
		})
	}
}

// A charge makes debts, up to a full bucket at a time, and the wait says how long they last.
func TestCharge(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name         string
		taken        int
		charges      []int
		want         int // requests left
		wait         time.Duration
		perSec, size int
	}{
		{"what is there", 0, []int{10}, 10, 0, 1, 20},
		{"what is not there", 20, []int{10}, 0, 11 * time.Second, 1, 20},
		{"partly there", 15, []int{10}, 0, 6 * time.Second, 1, 20},
		{"debt upon debt", 20, []int{10, 10, 10}, 0, 31 * time.Second, 1, 20},
		{"more than a bucket holds counts as a bucket", 0, []int{100}, 0, time.Second, 1, 20},
		{"and again", 0, []int{100, 100}, 0, 21 * time.Second, 1, 20},
		{"a bucket of one", 1, []int{10}, 0, 2 * time.Second, 1, 1},
		{"nothing", 19, []int{0}, 1, 0, 1, 20},
		{"the default: one failure", 1, []int{10}, 489, 0, 50, 500},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b, clock := buckets(t, row.perSec, row.size)
			drain(b, "a", row.taken)
			for _, n := range row.charges {
				b.Charge("a", n)
			}
			if row.want > 0 {
				if got := drain(b, "a", row.size); got != row.want {
					t.Errorf("%d left, want %d", got, row.want)
				}
				return
			}
			if got := b.Take("a"); got != row.wait {
				t.Errorf("wait %v, want %v", got, row.wait)
			}
			clock.Advance(row.wait - time.Millisecond)
			if b.Take("a") == 0 {
				t.Error("served a moment before the debt was paid")
			}
			clock.Advance(time.Millisecond)
			if wait := b.Take("a"); wait != 0 {
				t.Errorf("wait %v after the debt was paid", wait)
			}
		})
	}
}

func TestChargeOfAStranger(t *testing.T) {
	t.Parallel()
	b, _ := buckets(t, 1, 20)
	b.Charge("a", 5)
	if got := drain(b, "a", 100); got != 15 {
		t.Errorf("%d left", got)
	}
}

func TestCallersAreIndependent(t *testing.T) {
	t.Parallel()
	b, _ := buckets(t, 1, 3)
	drain(b, "a", 3)
	b.Charge("a", 3)
	for _, other := range []string{"", "A", "a ", "b"} {
		if got := drain(b, other, 10); got != 3 {
			t.Errorf("%q: %d at once", other, got)
		}
	}
	if b.Take("a") == 0 {
		t.Error("others filled the bucket of a")
	}
}

// However many callers come, the memory stays what 20,000 of them need. The one that has been away for the longest
// makes room; one that comes often keeps its bucket, and its debts.
func TestMemoryIsBounded(t *testing.T) {
	const callers = 20_000
	clock := keystest.NewClock()
	b, err := limit.NewBuckets[int](callers, 1, 2, clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	const busy, idle = -1, -2
	for range 2 {
		b.Take(busy)
		b.Take(idle)
	}
	for caller := range callers - 2 { // with the two above, one for each bucket
		b.Take(caller)
	}
	if b.Take(idle) == 0 {
		t.Error("a bucket was given away before there were too many callers")
	}
	before := heap()
	for caller := range 1_000_000 {
		b.Take(caller)
		if caller%10_000 == 0 && b.Take(busy) == 0 {
			t.Fatalf("after %d callers: the one that comes often has a new bucket", caller)
		}
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("%d octets more after a million callers", grown)
	}
	if b.Take(idle) != 0 {
		t.Error("the caller that had been away for the longest has its bucket still")
	}
	t.Logf("the heap is %d octets for each caller", before/callers)
	runtime.KeepAlive(b)
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// Many goroutines together get the burst, and then what comes back, and not one request more.
func TestTakeConcurrently(t *testing.T) {
	t.Parallel()
	const perSecond, burst, askers = 100, 40, 16
	b, clock := buckets(t, perSecond, burst)
	rows := []struct {
		elapsed time.Duration
		want    int64
	}{{0, burst}, {0, 0}, {10 * time.Millisecond, 1}, {250 * time.Millisecond, 25}, {time.Hour, burst}}
	for _, row := range rows { // in order: the clock goes on
		clock.Advance(row.elapsed)
		var got atomic.Int64
		var running sync.WaitGroup
		for range askers {
			running.Go(func() {
				for range 100 {
					if b.Take("a") == 0 {
						got.Add(1)
					}
				}
			})
		}
		running.Wait()
		if got.Load() != row.want {
			t.Errorf("%d requests after %v, want %d", got.Load(), row.elapsed, row.want)
		}
	}
}

// Goroutines that meet a new caller at the same moment share one bucket.
func TestNewCallersConcurrently(t *testing.T) {
	t.Parallel()
	const burst, askers, callers = 1, 4, 50_000
	b, err := limit.NewBuckets[int](callers, 1, burst, keystest.NewClock().Now)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]atomic.Int64, callers)
	var reached atomic.Int64 // the first caller that nobody has come to yet: all go on from there, side by side
	var running sync.WaitGroup
	for range askers {
		running.Go(func() {
			for caller := 0; caller < callers; caller++ {
				caller = max(caller, int(reached.Load())-1)
				reached.Store(int64(caller) + 1)
				if b.Take(caller) == 0 {
					got[caller].Add(1)
				}
			}
		})
	}
	running.Wait()
	for caller := range got {
		if n := got[caller].Load(); n > burst {
			t.Fatalf("caller %d: %d requests at once, want %d", caller, n, burst)
		}
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	slots := make(limit.Slots, 2)
	for free := 2; free > 0; free-- {
		if !slots.Enter() {
			t.Fatalf("no slot although %d are free", free)
		}
	}
	if slots.Enter() {
		t.Fatal("a third slot of two")
	}
	slots.Leave()
	if !slots.Enter() {
		t.Error("a slot that was given back is not free")
	}
	if make(limit.Slots).Enter() {
		t.Error("a slot of none")
	}
}

func TestSlotsConcurrently(t *testing.T) {
	t.Parallel()
	const most = 3
	slots := make(limit.Slots, most)
	var inside, entered, refused atomic.Int64
	var running sync.WaitGroup
	for range 16 {
		running.Go(func() {
			for range 1000 {
				if !slots.Enter() {
					refused.Add(1)
					continue
				}
				if n := inside.Add(1); n > most {
					t.Errorf("%d inside, at most %d may be", n, most)
				}
				entered.Add(1)
				runtime.Gosched()
				inside.Add(-1)
				slots.Leave()
			}
		})
	}
	running.Wait()
	if len(slots) != 0 || entered.Load() == 0 {
		t.Errorf("%d slots taken at the end, %d entered, %d refused", len(slots), entered.Load(), refused.Load())
	}
}
