package clientjwks_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/signet/issuer/internal/clientjwks"
	"example.com/signet/keys/keystest"
)

// 100 callers of a uri that nobody asked for before share one fetch. Those that may wait get the keys.
func TestColdSharesOneFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}, slow: time.Second}
		k := inBubble(t, clientjwks.Config{}, s)
		start := time.Now()
		var served, refused atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				set, err := k.Keys(t.Context(), bubbleURI, kid(keystest.ES256))
				if err != nil {
					wantUnavailable(t, err)
					took(t, start, 0)
					refused.Add(1)
				} else if set.Len() == 1 {
					took(t, start, time.Second)
					served.Add(1)
				}
			})
		}
		wg.Wait()
		wantFetches(t, s, 1)
		if served.Load() != clientjwks.MaxWaiting || refused.Load() != 100-clientjwks.MaxWaiting {
			t.Errorf("%d served, %d refused", served.Load(), refused.Load())
		}
	})
}

// A uri that hangs holds a caller for 2 s, the fetch for 5 s, and then nobody: the cool-down has the answer.
func TestColdHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, j := &site{names: []string{keystest.ES256}, fail: hang}, &journal{}
		k := inBubble(t, clientjwks.Config{Log: j.log()}, s)
		start := time.Now()
		ask := func(want time.Duration, also ...error) {
			t.Helper()
			_, err := k.Keys(t.Context(), bubbleURI, "")
			wantUnavailable(t, err, also...)
			took(t, start, want)
		}
		ask(2 * time.Second)
		ask(4 * time.Second)
		ask(5*time.Second, context.DeadlineExceeded) // the fetch's
		ask(5*time.Second, context.DeadlineExceeded)
		sinceFetch(start, 35*time.Second-1)
		ask(35*time.Second-1, context.DeadlineExceeded)
		wantFetches(t, s, 1)
		time.Sleep(time.Nanosecond)
		ask(37 * time.Second)
		wantFetches(t, s, 2)
		if j.count("level=WARN") != 1 || j.count("uri="+bubbleURI+" cause=") != 1 {
			t.Errorf("the log: %s", j.text.String())
		}
	})
}

// A server that sends and sends without getting anywhere gains nothing by it.
func TestTrickle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{fail: trickle}
		k := inBubble(t, clientjwks.Config{}, s)
		start := time.Now()
		for _, want := range []time.Duration{2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
			if _, err := k.Keys(t.Context(), bubbleURI, ""); err == nil {
				t.Error("accepted")
			}
			took(t, start, want)
		}
		wantFetches(t, s, 1)
	})
}

// A caller that gives up does so at once, alone, and does not take the fetch with it: not even the one that began it.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}, slow: time.Second}
		k := inBubble(t, clientjwks.Config{}, s)
		start := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := k.Keys(ctx, bubbleURI, "")
			wantUnavailable(t, err, context.Canceled)
			took(t, start, 100*time.Millisecond)
		})
		synctest.Wait() // the fetch is under way
		wg.Go(func() {
			deadline, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			_, err := k.Keys(deadline, bubbleURI, "")
			wantUnavailable(t, err, context.DeadlineExceeded)
			took(t, start, 200*time.Millisecond)
		})
		wg.Go(func() {
			get(t, k, bubbleURI, kid(keystest.ES256), keystest.ES256)
			took(t, start, time.Second)
		})
		time.Sleep(100 * time.Millisecond)
		cancel()
		wg.Wait()
		wantFetches(t, s, 1)
	})
}

// Callers beyond the 32 that wait are answered at once, whatever they ask for: with the old keys where there are some.
func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}}
		k := inBubble(t, clientjwks.Config{}, s)
		get(t, k, bubbleURI+"old", "", keystest.ES256)
		time.Sleep(time.Hour)
		get(t, k, bubbleURI+"young", "", keystest.ES256)
		time.Sleep(time.Minute)
		s.change(func(s *site) { s.fail = hang })
		start := time.Now()
		var wg sync.WaitGroup
		for range clientjwks.MaxWaiting {
			wg.Go(func() {
				_, err := k.Keys(t.Context(), bubbleURI+"hanging", "")
				wantUnavailable(t, err)
				took(t, start, 2*time.Second)
			})
		}
		synctest.Wait()
		_, err := k.Keys(t.Context(), bubbleURI+"hanging", "")
		wantUnavailable(t, err)
		_, err = k.Keys(t.Context(), bubbleURI+"cold", "")
		wantUnavailable(t, err)
		get(t, k, bubbleURI+"old", kid(keystest.ES256), keystest.ES256)
		get(t, k, bubbleURI+"young", kid(keystest.ES256), keystest.ES256)
		get(t, k, bubbleURI+"young", "unknown", keystest.ES256)
		took(t, start, 0)
		wg.Wait()
		get(t, k, bubbleURI+"old", kid(keystest.ES256), keystest.ES256) // there is room again
		took(t, start, 4*time.Second)
	})
}

// No more than 16 fetches are under way. Who would need another is answered at once, and the uri is not punished.
func TestFetchingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{names: []string{keystest.ES256}}
		k := inBubble(t, clientjwks.Config{}, s)
		get(t, k, bubbleURI+"old", "", keystest.ES256)
		time.Sleep(time.Hour)
		get(t, k, bubbleURI+"aging", "", keystest.ES256)
		time.Sleep(5*time.Minute - time.Second)
		s.change(func(s *site) { s.fail = hang })
		start := time.Now()
		var wg sync.WaitGroup
		for i := range clientjwks.MaxFetches { // each host has four connections
			wg.Go(func() {
				_, err := k.Keys(t.Context(), fmt.Sprintf("http://127.0.0.%d/", i), "")
				wantUnavailable(t, err)
			})
		}
		synctest.Wait()
		wantFetches(t, s, 2+clientjwks.MaxFetches)
		s.change(func(s *site) { s.fail = nil })
		for range 10 {
			_, err := k.Keys(t.Context(), bubbleURI+"cold", "")
			wantUnavailable(t, err)
			get(t, k, bubbleURI+"old", kid(keystest.ES256), keystest.ES256)
			get(t, k, bubbleURI+"aging", kid(keystest.ES256), keystest.ES256)
		}
		took(t, start, 0)
		wantFetches(t, s, 2+clientjwks.MaxFetches)
		wg.Wait()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		get(t, k, bubbleURI+"cold", "", keystest.ES256)
		took(t, start, 5*time.Second)
	})
}

// One host has four connections at a time, however many clients publish there.
func TestHostIsSpared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &site{fail: hang}
		k := inBubble(t, clientjwks.Config{}, s)
		var wg sync.WaitGroup
		for i := range clientjwks.MaxFetches {
			wg.Go(func() {
				_, err := k.Keys(t.Context(), fmt.Sprint(bubbleURI, i), "")
				wantUnavailable(t, err)
			})
		}
		synctest.Wait()
		wantFetches(t, s, 4)
		wg.Wait()
	})
}
