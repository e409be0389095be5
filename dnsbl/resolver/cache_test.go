package resolver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const one, two = "192.0.2.1", "192.0.2.2"

// asks wants a number of questions to have reached the servers since the last time.
func (s *script) asks(t *testing.T, want int) {
	t.Helper()
	synctest.Wait()
	if got := s.take(); len(got) != want {
		t.Errorf("%d questions: %v, want %d", len(got), got, want)
	}
}

func TestCacheKeepsForTTL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{Stale: -1}, says(one, time.Minute, 10*time.Millisecond))
		defer r.Close()
		if took := wants(t, r, "a.test", one); took != 10*time.Millisecond {
			t.Errorf("took %v", took)
		}
		pass(59 * time.Second)
		if took := wants(t, r, "A.test.", one); took != 0 {
			t.Errorf("took %v from the cache", took)
		}
		s.asks(t, 1)
		pass(time.Second)
		wants(t, r, "a.test", one)
		s.asks(t, 1)
	})
}

func TestCacheNegative(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{Stale: -1}, hasNone(5*time.Minute, 0))
		defer r.Close()
		wants(t, r, "a.test", "")
		pass(5*time.Minute - 1)
		wants(t, r, "a.test", "")
		s.asks(t, 1)
		pass(1)
		wants(t, r, "a.test", "")
		s.asks(t, 1)
	})
}

func TestCacheNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{}, says(one, 0, time.Millisecond))
		defer r.Close()
		wants(t, r, "a.test", one)
		wants(t, r, "a.test", one)
		s.asks(t, 2)
	})
}

func TestCacheFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{}, fails(ServerFailure, time.Millisecond))
		defer r.Close()
		wants(t, r, "a.test", "servfail")
		pass(failureTTL - 1)
		wants(t, r, "a.test", "servfail")
		s.asks(t, 1)
		s.set(1, says(one, time.Minute, 0))
		pass(1)
		wants(t, r, "a.test", one)
	})
}

// What has expired is not given out while the servers answer.
func TestExpiredIsAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{Stale: time.Hour}, says(one, time.Minute, 0))
		defer r.Close()
		wants(t, r, "a.test", one)
		pass(time.Minute)
		s.set(1, says(two, time.Minute, time.Second))
		if took := wants(t, r, "a.test", two); took != time.Second {
			t.Errorf("took %v", took)
		}
		if got := r.Stats(); got.Stale != 0 || got.Hits != 0 || got.Misses != 2 {
			t.Errorf("%+v", got)
		}
	})
}

func TestStaleWhileSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{Stale: time.Hour, Timeout: 4 * time.Second}, says(one, time.Minute, 0))
		defer r.Close()
		wants(t, r, "a.test", one)
		pass(time.Minute)
		s.set(1, says(two, time.Minute, 3500*time.Millisecond))
		if took := wants(t, r, "a.test", one); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		pass(time.Second)
		if took := wants(t, r, "a.test", two); took != 0 {
			t.Errorf("took %v though it was asked for before", took)
		}
		if got := r.Stats(); got.Stale != 1 || got.Hits != 1 {
			t.Errorf("%+v", got)
		}
	})
}

func TestStaleWhenTheCallerLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{Stale: time.Hour}, says(one, time.Minute, 0))
		defer r.Close()
		wants(t, r, "a.test", one)
		pass(time.Minute)
		s.set(1, silent)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got, err := r.A(ctx, "a.test"); len(got) != 1 || err != nil {
			t.Error(got, err)
		}
	})
}

func TestStaleWhileNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{Stale: time.Hour}, says(one, time.Minute, 0))
		defer r.Close()
		wants(t, r, "a.test", one)
		s.take()
		s.set(1, fails(Unreachable, 0))
		pass(time.Minute)
		for range 60 { // a minute
			wants(t, r, "a.test", one)
			pass(time.Second)
		}
		s.asks(t, 2) // RFC 8767 §5: not more often than every 30 s
		pass(59 * time.Minute)
		wants(t, r, "a.test", "unreachable")
	})
}

func TestStaleGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{Stale: time.Hour}, says(one, time.Minute, 0))
		defer r.Close()
		wants(t, r, "a.test", one)
		pass(61 * time.Minute)
		s.set(1, says(two, time.Minute, 0))
		wants(t, r, "a.test", two)
		pass(3 * time.Hour)
		synctest.Wait()
		if n := r.Stats().Entries; n != 0 {
			t.Errorf("%d entries long after the last has expired", n)
		}
	})
}

func TestOneFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{}, says(one, time.Minute, 50*time.Millisecond))
		defer r.Close()
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { wants(t, r, "a.test", one) })
		}
		all.Wait()
		s.asks(t, 1)
	})
}

func TestWaiterLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{}, says(one, time.Minute, 50*time.Millisecond))
		defer r.Close()
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, leave)
		var all sync.WaitGroup
		all.Go(func() {
			_, err := r.A(ctx, "a.test")
			if e, ok := errors.AsType[*Error](err); !ok || !e.Timeout() || !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
		all.Go(func() { wants(t, r, "a.test", one) })
		all.Wait()
		s.asks(t, 1)
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := play(t, Options{}, silent)
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() { wants(t, r, fmt.Sprintf("%d.test", i), "closed") })
		}
		synctest.Wait()
		begun := time.Now()
		r.Close()
		all.Wait()
		if took := time.Since(begun); took != 0 {
			t.Errorf("closing took %v", took)
		}
		wants(t, r, "a.test", "closed")
		r.Close()
	})
}

func TestTooManyFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, s := play(t, Options{Timeout: time.Second}, says(one, time.Minute, 0))
		defer r.Close()
		wants(t, r, "known.test", one)
		pass(time.Minute)
		s.set(1, silent)
		var all sync.WaitGroup
		for i := range maxFlights {
			all.Go(func() { r.A(t.Context(), fmt.Sprintf("%d.test", i)) })
		}
		synctest.Wait()
		if took := wants(t, r, "a.test", "busy"); took != 0 || r.Stats().Flights != maxFlights {
			t.Errorf("refused after %v with %d under way", took, r.Stats().Flights)
		}
		if took := wants(t, r, "known.test", one); took != 0 {
			t.Errorf("what has expired was given out after %v", took)
		}
		all.Wait()
		if n := len(r.gate); n != 0 || r.Stats().Flights != 0 {
			t.Errorf("%d sockets and %d questions are left", n, r.Stats().Flights)
		}
	})
}

func TestIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const v6 = "2001:db8::1"
		four, six := says(one, time.Minute, 50*time.Millisecond), says(v6, time.Minute, 50*time.Millisecond)
		r, s := play(t, Options{}, func(ctx context.Context, s *server, q question) (answer, error) {
			if q.rrtype == typeAAAA {
				return six(ctx, s, q)
			}
			return four(ctx, s, q)
		})
		defer r.Close()
		begun := time.Now()
		got, err := r.IP(t.Context(), "a.test")
		if text := fmt.Sprint(got); text != "["+one+" "+v6+"]" || err != nil {
			t.Error(text, err)
		}
		if took := time.Since(begun); took != 50*time.Millisecond {
			t.Errorf("took %v", took)
		}
		s.asks(t, 2)
		six = fails(Refused, 0)
		if got, err = r.IP(t.Context(), "b.test"); len(got) != 1 || err == nil {
			t.Error("half of the answer:", got, err)
		}
	})
}

// What the callers do with an answer is not to be seen by others.
func TestAnswersAreCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, _ := play(t, Options{}, says(one, time.Minute, 0))
		defer r.Close()
		got, _ := r.A(t.Context(), "a.test")
		clear(got)
		wants(t, r, "a.test", one)
	})
}

func TestObserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var seen []string
		o := Options{Observe: func(kind, outcome string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprint(kind, outcome, took))
			if !slices.Contains(Types(), kind) || !slices.Contains(Outcomes(), outcome) {
				t.Errorf("%s and %s are not in the closed lists", kind, outcome)
			}
		}}
		r, s := play(t, o, says(one, time.Minute, time.Millisecond))
		r.A(t.Context(), "a.test")
		r.A(t.Context(), "a.test") // from the cache: not seen
		s.set(1, hasNone(0, 0))
		r.TXT(t.Context(), "a.test")
		s.set(1, fails(Refused, 0))
		r.MX(t.Context(), "a.test")
		r.A(t.Context(), "a..test") // asks nobody: not seen
		r.Close()
		if got := fmt.Sprint(seen); got != "[Afound1ms TXTnone0s MXrefused0s]" {
			t.Error(got)
		}
	})
}

func TestFlood(t *testing.T) {
	const size, names = 500, 20_000
	r, _ := play(t, Options{Size: size, Timeout: time.Minute}, hasNone(time.Hour, 0))
	defer r.Close()
	wants(t, r, "known.test", "")
	for i := range names {
		r.A(t.Context(), fmt.Sprintf("%d.flood.test", i))
		if i%500 == 0 {
			wants(t, r, "known.test", "") // asked for again and again: it stays
		}
	}
	if n := r.Stats().Entries; n > size+size/10 {
		t.Errorf("%d entries, %d allowed", n, size)
	}
	if hits := r.Stats().Hits; hits < names/500*9/10 {
		t.Errorf("a name that is asked for often was found %d times", hits)
	}
}

// Large answers count for as much as they take.
func TestWeight(t *testing.T) {
	for size, want := range map[int]uint32{0: 1, 200: 1, 300: 2, 64 << 10: 257} {
		e := &entry{answer: answer{texts: []string{string(make([]byte, size))}}}
		if got := e.weight(); got != want {
			t.Errorf("%d bytes weigh %d, want %d", size, got, want)
		}
	}
}
