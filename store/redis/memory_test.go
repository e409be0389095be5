package redis

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"moggy/greylist"
)

// away is a store whose Redis is not there.
func away(t testing.TB, o Options) *Store {
	t.Helper()
	o.URL, o.Clock = "redis://127.0.0.1:1", nil
	s := openAt(t, o)
	for range trips {
		s.breaker.failed()
	}
	return s
}

// TestMemoryDoesAsNext: while Redis is away tries mean what they always mean.
func TestMemoryDoesAsNext(t *testing.T) {
	s := away(t, Options{})
	r := rand.New(rand.NewPCG(1, 2))
	states := map[int]greylist.State{}
	now := epoch()
	for range 20_000 {
		now = round(now.Add(step(r) / 50))
		n := r.IntN(40)
		x := wide(n, now)
		next, want := greylist.Next(states[n], now, x.Timers.PassFor(x.Origin), x.Timers)
		if r.IntN(4) == 0 {
			got, err := s.Peek(t.Context(), x)
			must(t, err)
			if !same(got, want) {
				t.Fatalf("peek: %+v, want %+v", got, want)
			}
			continue
		}
		states[n] = next
		if got := try(t, s, x); !same(got, want) {
			t.Fatalf("%+v, want %+v", got, want)
		}
	}
	if !s.Degraded() {
		t.Error("does not say that it answers from memory")
	}
}

// TestMemoryIsBounded: what is beyond is a first try again and again, and counted.
func TestMemoryIsBounded(t *testing.T) {
	s := away(t, Options{Memory: 100})
	for i := range 150 {
		try(t, s, wide(i, at(0)))
		must(t, s.Pass(t.Context(), greylist.Origin{Kind: greylist.Name, Name: fmt.Sprint(i, ".example")}, at(0)))
	}
	if st := s.Stats(); st.Pending != 200 || st.Dropped != 100 {
		t.Errorf("%+v", st)
	}
	returned := 0
	for i := range 150 {
		if try(t, s, wide(i, at(30))).Outcome == greylist.Returned {
			returned++
		}
	}
	if returned != 100 {
		t.Errorf("%d of 100 were remembered", returned)
	}
}

// TestCopiesGiveWay: what Redis has makes room for what it does not have.
func TestCopiesGiveWay(t *testing.T) {
	s := openAt(t, Options{URL: start(t).url("m"), Memory: 100, patience: calm})
	for i := range 250 {
		try(t, s, wide(i, at(0)))
	}
	if n := len(s.memory.triplets.copies); n > 100 {
		t.Errorf("%d rows", n)
	}
	for range trips {
		s.breaker.failed()
	}
	for i := 300; i < 360; i++ {
		try(t, s, wide(i, at(0)))
	}
	if st := s.Stats(); st.Pending != 60 || st.Dropped != 0 {
		t.Errorf("%+v", st)
	}
	must(t, s.Sync())
	if st := s.Stats(); st.Pending != 0 || s.Degraded() || st.Triplets != 310 {
		t.Errorf("%+v", st)
	}
}

// TestChangesWhileTelling: what changes after Redis was told stays to be told.
func TestChangesWhileTelling(t *testing.T) {
	m := newMemory(10)
	k := wide(1, at(0)).Key()
	m.triplets.change(k, tripletMemory{window: 1})
	_, turn := m.triplets.told(k)
	m.triplets.change(k, tripletMemory{window: 2})
	m.triplets.settle(k, tripletMemory{window: 1}, turn)
	m.triplets.drop(k, turn)
	if v, now := m.triplets.told(k); v.window != 2 || now == 0 || m.dirty() != 1 {
		t.Errorf("%+v, turn %d, %d dirty", v, now, m.dirty())
	}
	_, turn = m.triplets.told(k)
	m.triplets.settle(k, tripletMemory{window: 3}, turn)
	if v, _ := m.triplets.get(k); v.window != 3 || m.dirty() != 0 {
		t.Errorf("%+v, %d dirty", v, m.dirty())
	}
	m.triplets.drop(k, 0)
	if _, there := m.triplets.get(k); there {
		t.Error("a copy of what Redis does not have is there")
	}
}

// TestOutOfWindow: what ran out during a long outage is not told.
func TestOutOfWindow(t *testing.T) {
	server := start(t)
	s := openAt(t, Options{URL: server.url("m"), patience: calm})
	for range trips {
		s.breaker.failed()
	}
	try(t, s, wide(1, at(0)))
	s.clock.Store(at(49 * 60).UnixMilli())
	must(t, s.Sync())
	if st := s.Stats(); st.Pending != 0 || st.Triplets != 0 {
		t.Errorf("%+v", st)
	}
}

// TestQueueIsBounded: what is learned beyond is lost and counted; the same again
// takes no room.
func TestQueueIsBounded(t *testing.T) {
	s := away(t, Options{Pending: 100})
	begun := time.Now()
	for range 3 {
		for i := range 150 {
			s.LearnEntries(learned(i, epoch()))
		}
	}
	s.ForgetEntries(learned(0, epoch()).Key(), learned(200, epoch()).Key())
	if st := s.Stats(); st.Pending != 100 || st.Dropped != 151 {
		t.Errorf("%+v", st)
	}
	if d := time.Since(begun); d > bound {
		t.Errorf("took %v", d)
	}
}

// TestCloseSaysWhatIsLost.
func TestCloseSaysWhatIsLost(t *testing.T) {
	s := away(t, Options{})
	s.LearnEntries(learned(1, epoch()))
	if err := s.Close(); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("%v", err)
	}
	must(t, s.Close())
}

func TestStats(t *testing.T) {
	server := start(t)
	s := openAt(t, Options{URL: server.url("m"), patience: calm})
	server.do("EVAL", "for i = 1, 5000 do redis.call('SET', 'other' .. i, '') end", 0)
	for i := range 3000 {
		try(t, s, wide(i, at(0)))
		if i%3 == 0 {
			must(t, s.Pass(t.Context(), greylist.Origin{Kind: greylist.Name, Name: fmt.Sprint(i)}, at(0)))
		}
	}
	must(t, s.Sync())
	st := s.Stats()
	if near := func(n, want int64) bool { return want*8 < n*10 && n*10 < want*12 }; !near(st.Triplets, 3000) || !near(st.Origins, 1000) {
		t.Errorf("%+v", st)
	}
}
