package budget

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"moggy/whitelist"
)

// slow pays back next to nothing, so that what is used can be counted.
var slow = Limit{Rate: 1, Burst: 1000, Open: 2000}

// hold opens a connection at each door, so that all of them go on exchanging.
func hold(doors []*door) {
	for _, d := range doors {
		d.Take(userKey, slow, time.Now())
	}
}

// exchanged is when all of them have told and heard.
const exchanged = renewal + 2*(interval+took)

// used is what a door says is used of slow, but for what was paid back.
func used(d *door) int { return d.Look(userKey, slow, time.Now()).Used - 1 }

// TestAwayForAMinute: each door goes on counting for itself, and after the return
// nobody is charged for what was used meanwhile, nor twice for what was before.
func TestAwayForAMinute(t *testing.T) {
	for _, mode := range []int32{failing, cutting, hanging} {
		fleet(t, 3, took, func(t *testing.T, doors []*door) {
			hold(doors)
			visitAll(doors, 10)
			time.Sleep(exchanged)
			check(t, doors, "before", 33)
			for _, d := range doors {
				d.link.mode.Store(mode)
			}
			for range 60 {
				visitAll(doors, 1)
				time.Sleep(interval)
			}
			if mode != cutting { // the hub does count then, and only the answers are lost
				check(t, doors, "meanwhile", 33+60)
			}
			for _, d := range doors {
				d.link.mode.Store(working)
			}
			time.Sleep(time.Minute + lease)
			before := used(doors[0])
			visitAll(doors, 10)
			time.Sleep(exchanged)
			if n := used(doors[0]) - before; n > 30 || n < 30-3 {
				t.Errorf("mode %d: 30 connections after the return count %d", mode, n)
			}
			if lost := doors[0].Sharing().Lost; lost < 50 || lost > 70 {
				t.Errorf("mode %d: %d tokens lost, want some 60", mode, lost)
			}
		})
	}
}

func visitAll(doors []*door, n int) {
	for _, d := range doors {
		visit(d, userKey, slow, n, time.Now())
	}
}

// check wants so many to be used at each door, but for what was paid back.
func check(t *testing.T, doors []*door, when string, want int) {
	t.Helper()
	for i, d := range doors {
		if n := used(d); n > want || n < want-3 {
			t.Errorf("%s: %d used at door %d, want %d", when, n, i, want)
		}
	}
}

// TestEmptyHub: one that was restarted without its memory charges nothing twice.
func TestEmptyHub(t *testing.T) {
	fleet(t, 3, took, func(t *testing.T, doors []*door) {
		hold(doors)
		visitAll(doors, 10)
		time.Sleep(exchanged)
		doors[0].link.hub.forget()
		visitAll(doors, 2)
		time.Sleep(exchanged)
		visitAll(doors, 1)
		time.Sleep(exchanged)
		check(t, doors, "after", 42)
	})
}

// TestRefundsAreShared, and a pause does not charge what is paid back.
func TestRefundsAreShared(t *testing.T) {
	fleet(t, 2, took, func(t *testing.T, doors []*door) {
		visit(doors[0], userKey, slow, 10, time.Now())
		visit(doors[1], userKey, slow, 1, time.Now())
		time.Sleep(2 * (interval + took))
		for range 4 {
			doors[0].Refund(userKey, slow, time.Now())
		}
		time.Sleep(2 * (interval + took))
		visit(doors[1], userKey, slow, 1, time.Now())
		time.Sleep(2 * (interval + took))
		if n := used(doors[1]); n != 8 {
			t.Errorf("%d used, want 8", n)
		}
	})
	l := Limit{Rate: 60, Burst: 20}
	fleet(t, 2, took, func(t *testing.T, doors []*door) {
		visit(doors[1], userKey, l, 1, time.Now())
		time.Sleep(2 * interval)
		for range 300 { // at half its rate, for ten minutes
			visit(doors[0], userKey, l, 1, time.Now())
			time.Sleep(2 * time.Second)
		}
		visit(doors[1], userKey, l, 1, time.Now())
		time.Sleep(2 * interval)
		if u := doors[1].Look(userKey, l, time.Now()); u.Used > 2 {
			t.Errorf("what was paid back is charged: %s", u)
		}
	})
}

// TestNeverWaits: an Exchanger that hangs costs nobody a nanosecond.
func TestNeverWaits(t *testing.T) {
	fleet(t, 1, 0, func(t *testing.T, doors []*door) {
		d := doors[0]
		d.link.mode.Store(hanging)
		begun := time.Now()
		for range 300 {
			if u := d.Take(userKey, slow, time.Now()); u.Over != Within {
				t.Fatalf("refused: %s", u)
			}
			d.Refund(userKey, slow, time.Now())
			d.Done(userKey, time.Now())
			time.Sleep(interval)
		}
		if took := time.Since(begun); took != 300*interval {
			t.Errorf("300 pauses of a second took %s", took)
		}
	})
}

// TestToldWhen: a key is told when it is used, renewed while it is open, told once
// more when the last has ended, and then no more.
func TestToldWhen(t *testing.T) {
	fleet(t, 1, 0, func(t *testing.T, doors []*door) {
		d := doors[0]
		few := Limit{Recipients: 3}
		for i, step := range []struct {
			do    func()
			pause time.Duration
			told  [][3]int // tokens, recipients, open
		}{
			{func() { takeMany(d, userKey, slow, 3, time.Now()) }, 2 * time.Second, [][3]int{{3, 0, 3}}},
			{func() {}, 10 * time.Second, [][3]int{{0, 0, 3}, {0, 0, 3}, {0, 0, 3}}},
			{func() { d.Done(userKey, time.Now()); d.Done(userKey, time.Now()) }, time.Second, [][3]int{{0, 0, 1}}},
			{func() { d.Refund(userKey, slow, time.Now()); d.Done(userKey, time.Now()) }, time.Minute, [][3]int{{-1, 0, 0}}},
			{func() { d.Look(userKey, slow, time.Now()); d.Recipient(userKey, slow, time.Now()) }, time.Minute, nil},
			{func() { visit(d, userKey, Limit{}, 9, time.Now()) }, time.Minute, nil},
			{func() { recipient(d, few); recipient(d, few) }, 2 * time.Second, [][3]int{{0, 2, 0}}},
			{func() { recipient(d, few); recipient(d, few); recipient(d, few) }, time.Minute, [][3]int{{0, 1, 0}}}, // of three
		} {
			step.do()
			time.Sleep(step.pause)
			var told [][3]int
			for _, u := range d.link.asked() {
				told = append(told, [3]int{u.Tokens, u.Recipients, u.Open})
			}
			if !slices.Equal(told, step.told) {
				t.Errorf("step %d: told %v, want %v", i, told, step.told)
			}
		}
	})
}

// TestFloodOfStrangers: an exchange is bounded, the known are in it at once, and so
// is the stranger who uses most.
func TestFloodOfStrangers(t *testing.T) {
	fleet(t, 1, 0, func(t *testing.T, doors []*door) {
		d, user, l := doors[0], For(nil, whitelist.User), For(nil, whitelist.Stranger)
		strangers := manyNets(whitelist.Stranger, 40_000)
		for _, k := range strangers {
			visit(d, k, l, 1, time.Now())
		}
		busy := strangers[20_000]
		visit(d, busy, l, 5, time.Now())
		family := manyNets(whitelist.User, 500)
		takeAll(d, family, user)
		time.Sleep(interval)
		synctest.Wait()
		uses := d.link.asked()
		if len(uses) > shards*mostTold || len(uses) < 1000 {
			t.Errorf("%d keys in one exchange, at most %d", len(uses), shards*mostTold)
		}
		told := map[Key]Use{}
		for _, u := range uses {
			told[u.Key] = u
		}
		for _, k := range family {
			if told[k].Tokens != 1 {
				t.Fatalf("%v is not told of", k)
			}
		}
		if told[busy].Tokens != 6 {
			t.Errorf("the busiest stranger: %+v", told[busy])
		}
		time.Sleep(time.Minute)
		if n := d.Sharing().Lost; n < 10_000 || n > 40_000 {
			t.Errorf("%d tokens lost of 40,000 strangers", n)
		}
		if uses := d.link.asked(); len(uses) > 11*shards*mostTold+len(family)*20 {
			t.Errorf("%d told within a minute, renewals of the family included", len(uses))
		}
	})
}

func takeAll(m Meter, keys []Key, l Limit) {
	for _, k := range keys {
		m.Take(k, l, time.Now())
	}
}

// TestNotesAreBounded, also where nobody exchanges them for long. Those that were
// displaced are not told, and counted.
func TestNotesAreBounded(t *testing.T) {
	f, l := &Fleet{Local: newLocal(1<<13, true)}, For(nil, whitelist.Stranger)
	for _, k := range manyNets(whitelist.Stranger, 100_000) {
		visit(f, k, l, 1, start)
	}
	noted := 0
	for i := range f.shards {
		noted += len(f.shards[i].noted)
	}
	if n := f.size(); n > 1<<13 || noted > 2<<13 {
		t.Errorf("%d keys, %d noted", n, noted)
	}
	for _, u := range f.tell(start) {
		if f.shard(u.Key).half(u.Key).accounts[u.Key] == nil {
			t.Fatalf("%+v is told of, and displaced", u)
		}
	}
	if n := f.Sharing().Lost; n < 1000 {
		t.Errorf("%d tokens lost", n)
	}
}

// TestOldNotes are not told, and counted.
func TestOldNotes(t *testing.T) {
	l := Limit{Rate: 1, Burst: 9, Recipients: 9}
	for after, want := range map[time.Duration][2]int{lease - 1: {1, 0}, lease: {0, 5}} {
		f := NewFleet(oracle{})
		visit(f, userKey, l, 3, start)
		f.Recipient(userKey, l, start)
		f.Recipient(userKey, l, start.Add(time.Second))
		told := len(f.tell(start.Add(after))) + len(f.tell(start.Add(after+interval)))
		if got := [2]int{told, int(f.Sharing().Lost)}; got != want {
			t.Errorf("after %s: %v told and lost, want %v", after, got, want)
		}
	}
}

// TestSweepKeepsNotes, and what is open elsewhere: only what is told and over goes.
func TestSweepKeepsNotes(t *testing.T) {
	f, l := NewFleet(oracle{}), Limit{Rate: maxTokens, Burst: 10, Open: 10} // paid back at once
	family, now := manyNets(whitelist.User, 3000), start
	for _, k := range family[:10] {
		visit(f, k, l, 1, now)
	}
	for _, k := range family[10:20] {
		f.shard(k).hear(Others{Key: k, Open: 4}, l, now.UnixNano(), now.UnixNano())
	}
	for _, k := range family[20:] {
		now = now.Add(time.Millisecond)
		f.Look(k, l, now)
		f.charge(k, l, 1, 0, now) // a new key
	}
	for _, k := range family[:10] {
		if f.shard(k).half(k).accounts[k] == nil {
			t.Errorf("%v is dropped before it was told", k)
		}
	}
	if n := len(f.tell(now)); n != 10 {
		t.Errorf("%d are told of, want 10", n)
	}
	for _, k := range family[10:20] {
		if u := f.Look(k, l, now); u.Open != 5 {
			t.Errorf("what is open elsewhere is forgotten: %s", u)
		}
	}
	f.tell(now.Add(time.Second))
	for _, k := range manyNets(whitelist.Crawler, 10_000) {
		f.charge(k, l, 1, 0, now.Add(lease))
		now = now.Add(time.Millisecond)
	}
	if n := f.size(); n > 1000 {
		t.Errorf("%d keys, of which next to none owes anything", n)
	}
}

// oracle answers with whatever it likes.
type oracle []Others

func (o oracle) Exchange(context.Context, []Use, time.Duration) ([]Others, error) { return o, nil }

// TestStrangeAnswers: what was not asked for is not heard, nor twice, nor beyond
// what a number may be.
func TestStrangeAnswers(t *testing.T) {
	other := manyNets(whitelist.User, 1)[0]
	const huge = 1<<63 - 1
	f := NewFleet(oracle{{other, 5, 5, 5}, {userKey, 5, 5, -huge}, {userKey, 5, 5, 5}})
	f.Take(userKey, slow, time.Now())
	f.exchange(t.Context(), patience)
	if u := f.Look(userKey, slow, time.Now()); u.Used < 6 || u.Used > 7 || u.Open != 2 {
		t.Errorf("%s", u)
	}
	if u := f.Look(other, slow, time.Now()); u.Used != 1 || u.Open != 1 {
		t.Errorf("not asked for: %s", u)
	}
	f.exchanger = oracle{{userKey, huge, huge, huge}}
	f.Take(userKey, slow, time.Now())
	f.exchange(t.Context(), patience)
	if u := f.Look(userKey, slow, time.Now()); u.Used != 2001 || u.Open < 0 || u.Over != OverOpen {
		t.Errorf("%s", u)
	}
}

// TestFleetTogether takes from many goroutines while it exchanges.
func TestFleetTogether(t *testing.T) {
	f := NewFleet(oracle{{userKey, 1, 1, 1}})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 300 {
				visit(f, userKey, slow, 1, time.Now())
				f.Refund(userKey, slow, time.Now())
				f.Top(1, time.Now())
			}
		})
	}
	for range 100 {
		f.exchange(t.Context(), patience)
	}
	all.Wait()
	if u := f.Look(userKey, slow, time.Now()); u.Open > 2 || u.Used > 102 {
		t.Errorf("%s", u)
	}
}
