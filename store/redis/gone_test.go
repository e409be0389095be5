package redis

import (
	"maps"
	"slices"
	"strconv"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// A door tells Redis and hears from it when the test says so.
type door struct {
	*Store
	*book
	w watcher
}

func openDoor(t *testing.T, url string, clock func() time.Time) *door {
	t.Helper()
	s := openAt(t, Options{URL: url, Clock: clock, patience: calm})
	s.stop()
	s.loop.Wait()
	q := &door{Store: s, book: &book{s: s}}
	q.w = watcher{s: s, f: q.book}
	q.hear(t)
	return q
}

func (q *door) hear(t *testing.T) {
	t.Helper()
	for more := true; more; {
		var err error
		more, err = q.w.look(t.Context())
		must(t, err)
	}
}

func (q *door) tell(t *testing.T) {
	t.Helper()
	must(t, q.Sync())
}

// learns puts what was found out in force, as a Book does.
func (q *door) learns(e whitelist.Entry) {
	q.Apply([]Change{{Key: e.Key(), Entry: e}})
	q.LearnEntries(e)
}

// forgets takes it away, as a Book does.
func (q *door) forgets(e whitelist.Entry) {
	q.Apply([]Change{{Key: e.Key()}})
	q.ForgetEntries(e.Key())
}

// givesBack is what a door does whose Redis was emptied.
func (q *door) givesBack(t *testing.T) {
	t.Helper()
	must(t, q.book.Restore(t.Context()))
	must(t, q.Reload(t.Context()))
}

// agree reports an error unless Redis and all doors have so many entries.
func agree(t *testing.T, want int, doors ...*door) {
	t.Helper()
	for i, q := range doors {
		q.hear(t)
		kept := &book{s: q.Store}
		must(t, kept.read(t.Context()))
		if kept.size() != want || !maps.Equal(kept.entries, q.entries) {
			t.Errorf("door %d: want %d entries; kept\n%v, in force\n%v", i, want, kept.entries, q.entries)
		}
	}
}

// anHour ago, something was found out.
func anHour() whitelist.Entry {
	e := learned(1, time.Now().Add(-time.Hour).Truncate(time.Second).UTC())
	e.Source, e.Class, e.Renew = whitelist.Guessing, whitelist.Guesser, time.Hour
	return e
}

// used is an entry with a use of now.
func usedNow(e whitelist.Entry) whitelist.Entry {
	e.Used = time.Now().Truncate(time.Second).UTC()
	return e
}

// TestTakenAwayStaysAway: a door that was cut off does not bring back what a person
// took away meanwhile.
func TestTakenAwayStaysAway(t *testing.T) {
	for name, brings := range map[string]func(*testing.T, *door, whitelist.Entry){
		"the use, told first": func(t *testing.T, q *door, e whitelist.Entry) { q.learns(usedNow(e)); q.tell(t) },
		"the use, heard first": func(t *testing.T, q *door, e whitelist.Entry) {
			q.learns(usedNow(e))
			if q.hear(t); q.size() != 0 {
				t.Error("not heard of because of the use")
			}
			q.tell(t)
		},
		"found out before, heard first": func(t *testing.T, q *door, e whitelist.Entry) {
			q.learns(e)
			if q.hear(t); q.size() != 1 {
				t.Error("what was found out here was undone before Redis was told")
			}
			q.tell(t)
		},
		"given back": func(t *testing.T, q *door, _ whitelist.Entry) { q.givesBack(t) },
	} {
		t.Run(name, func(t *testing.T) {
			url := start(t).url("w")
			here := openDoor(t, url, nil)
			away := openDoor(t, url, func() time.Time { return time.Now().Add(-time.Minute) }) // it was then that it was cut off
			e := anHour()
			here.learns(e)
			here.tell(t)
			away.hear(t)
			here.forgets(e)
			here.tell(t)
			brings(t, away, e)
			agree(t, 0, here, away)
		})
	}
}

// TestPersonsTakeAway: the same for what persons said, until they say it again.
func TestPersonsTakeAway(t *testing.T) {
	server := start(t)
	url, ctx := server.url("w"), t.Context()
	here, away := openDoor(t, url, nil), openDoor(t, url, nil)
	e, trap := person("192.0.2.0/24"), greylist.Trap{Address: "trap@example.org", Added: epoch()}
	must(t, here.PutEntry(ctx, e))
	must(t, here.PutTrap(ctx, trap))
	away.hear(t)
	must(t, here.DeleteEntry(ctx, e.Net, e.Source))
	if was, err := here.DeleteTrap(ctx, trap.Address); err != nil || !was {
		t.Errorf("%v, %v", was, err)
	}
	if was, err := here.DeleteTrap(ctx, trap.Address); err != nil || was {
		t.Errorf("again: %v, %v", was, err)
	}
	away.givesBack(t)
	agree(t, 0, here, away)
	if away.hasTrap(trap.Address) {
		t.Error("the trap came back")
	}
	must(t, here.PutEntry(ctx, e))
	must(t, here.PutTrap(ctx, trap))
	agree(t, 1, here, away)
	must(t, here.Check(ctx))
	if !away.hasTrap(trap.Address) || server.do("HGET", here.key("gone"), "n") != "0" || server.do("HLEN", here.key("gone")) != int64(1) {
		t.Errorf("it is still taken for gone: %v", server.do("HGETALL", here.key("gone")))
	}
}

// TestFoundOutAfterwards: what is found out again after it was forgotten is in force,
// and an older use does not count.
func TestFoundOutAfterwards(t *testing.T) {
	url := start(t).url("w")
	here, away := openDoor(t, url, nil), openDoor(t, url, nil)
	e := anHour()
	here.learns(e)
	here.tell(t)
	away.hear(t)
	away.learns(usedNow(e))
	here.forgets(e)
	here.tell(t)
	again := e
	again.Note = "found out again"
	here.learns(again)
	here.tell(t)
	agree(t, 1, here)
	away.tell(t)
	agree(t, 1, here, away)
}

// TestForgottenEarlier: a door that tells late of what was forgotten takes nothing
// away that another has found out since, and hears of it, though it did not listen
// while it had to tell.
func TestForgottenEarlier(t *testing.T) {
	for _, since := range []time.Duration{-time.Second, time.Second} {
		t.Run(since.String(), func(t *testing.T) {
			url, e := start(t).url("w"), anHour()
			forgotten := e.Added.Add(time.Minute)
			here := openDoor(t, url, nil)
			away := openDoor(t, url, func() time.Time { return forgotten })
			here.learns(e)
			here.tell(t)
			away.hear(t)
			away.forgets(e)
			e.Added = forgotten.Add(since)
			here.learns(e)
			here.tell(t)
			away.hear(t)
			if away.size() != 0 {
				t.Error("what was forgotten here is in force before Redis has been told")
			}
			away.tell(t)
			agree(t, map[bool]int{true: 1}[since > 0], here, away)
		})
	}
}

// TestHeardAgain: a door that did not listen while it had to tell hears what it missed.
func TestHeardAgain(t *testing.T) {
	for name, change := range map[string]func(*whitelist.Entry){
		"found out later": func(e *whitelist.Entry) { e.Added, e.Note = e.Added.Add(time.Minute), "later" },
		"used later":      func(e *whitelist.Entry) { *e = usedNow(*e) },
	} {
		t.Run(name, func(t *testing.T) {
			url := start(t).url("w")
			here, away := openDoor(t, url, nil), openDoor(t, url, nil)
			mine, theirs := anHour(), anHour()
			change(&theirs)
			away.learns(mine)
			here.learns(theirs)
			here.tell(t)
			if away.hear(t); away.entries[mine.Key()] != mine {
				t.Error("what was found out here was undone before Redis was told")
			}
			away.tell(t)
			agree(t, 1, here, away)
			if got := away.entries[mine.Key()]; got != theirs {
				t.Errorf("in force: %+v", got)
			}
		})
	}
}

// TestHeardWhileTold: from when Redis may have been told, all that it says is heard,
// until there is more to tell.
func TestHeardWhileTold(t *testing.T) {
	q, e := newQueue(10), learned(1, epoch())
	c := Change{Key: e.Key(), Entry: e}
	told := func(want bool) {
		t.Helper()
		if got := q.knowsBetter(c); got != want {
			t.Errorf("knows better: %v", got)
		}
	}
	told(false)
	q.put(e.Key(), item{entry: e})
	told(true)
	keys, items := q.some(10)
	told(false)
	q.put(e.Key(), item{gone: true})
	q.written(keys, items)
	told(true)
}

// TestEndedComesBack: what was swept, because nobody had told Redis of a use, is learned
// again with it.
func TestEndedComesBack(t *testing.T) {
	url := start(t).url("w")
	here, away := openDoor(t, url, nil), openDoor(t, url, nil)
	e := ending(1, 2*time.Hour)
	e.Renew = 24 * time.Hour
	here.learns(e)
	here.tell(t)
	away.hear(t)
	away.learns(usedNow(e))
	if sweepAll(t, here.Store) != 1 {
		t.Fatal("the test is wrong: it has not ended as far as Redis knows")
	}
	agree(t, 0, here)
	away.tell(t)
	agree(t, 1, here, away)
}

// TestGoneIsBounded in time, whatever the clock, and in number.
func TestGoneIsBounded(t *testing.T) {
	server := start(t)
	q := openDoor(t, server.url("w"), nil)
	gone, month := q.key("gone"), 30*24*time.Hour
	keep := func(at time.Duration, name string) {
		server.do("HSET", gone, name, "1 "+milli(time.Now().Add(at)))
	}
	keep(-month-time.Minute, "eold")
	keep(month+time.Hour, "efuture")
	keep(-month+time.Hour, "eyoung")
	server.do("HSET", gone, "n", "3", "elater", "2 of a later moggy")
	if n := sweepAll(t, q.Store); n != 2 {
		t.Errorf("%d went", n)
	}
	left := server.do("HKEYS", gone).([]any)
	if len(left) != 3 || !slices.Contains(left, any("eyoung")) || server.do("HGET", gone, "n") != "1" {
		t.Errorf("left: %v, n %v", left, server.do("HGET", gone, "n"))
	}
	for _, n := range []int{99_999, 100_000} {
		server.do("HSET", gone, "n", n)
		e := learned(n, epoch())
		q.ForgetEntries(e.Key())
		q.tell(t)
		if noted := server.do("HEXISTS", gone, nameEntry+entryField(e.Key())) == int64(1); noted != (n < 100_000) {
			t.Errorf("the %dth: %v", n, noted)
		}
	}
	if n := server.do("HGET", gone, "n"); n != strconv.Itoa(100_000) {
		t.Errorf("n is %v", n)
	}
	if ttl := server.do("PTTL", gone).(int64); ttl < (month-time.Minute).Milliseconds() || ttl > month.Milliseconds() {
		t.Errorf("expires in %d ms", ttl)
	}
}
