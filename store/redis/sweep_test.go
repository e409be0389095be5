package redis

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"moggy/whitelist"
)

var _ whitelist.Sweeper = (*Store)(nil)

// sweepAll goes once round all tables.
func sweepAll(t *testing.T, s *Store) (gone int) {
	t.Helper()
	s.mending.Lock()
	defer s.mending.Unlock()
	for s.lap = (lap{cursor: "0"}); ; {
		was := s.lap
		n, err := s.sweepPage(t.Context())
		must(t, err)
		gone += n
		if was.table == buckets && s.lap.table == 0 {
			return gone
		}
	}
}

// ending is an entry that was learned a month ago and ended so long ago.
func ending(n int, ago time.Duration) whitelist.Entry {
	e := learned(n, time.Now().Add(-30*24*time.Hour).Truncate(time.Second).UTC())
	e.Expires = time.Now().Add(-ago).Truncate(time.Second).UTC()
	return e
}

// TestSweep: what has ended long ago goes, and nothing else; all doors are told.
func TestSweep(t *testing.T) {
	server := start(t)
	stores, books := nodes(t, server.url("m"), 2)
	never, said := ending(3, 0), person("192.0.2.0/24")
	never.Expires = time.Time{}
	said.Expires = ending(0, 90*24*time.Hour).Expires
	used := ending(4, 2*time.Hour)
	used.Renew = time.Hour
	renewed := used
	renewed.Net, renewed.Used = ending(5, 0).Net, time.Now().Add(-90*time.Minute).Truncate(time.Second).UTC()
	stale := used
	stale.Net, stale.Used, stale.Renew = ending(6, 0).Net, used.Expires.Add(-time.Hour), 30*time.Minute
	must(t, stores[0].PutEntry(t.Context(), said))
	stay := []whitelist.Entry{said, never, renewed, ending(1, -time.Hour), ending(2, 59*time.Minute)}
	over := []whitelist.Entry{used, stale, ending(7, 61*time.Minute), ending(8, 29*24*time.Hour)}
	stores[0].LearnEntries(append(stay[1:], over...)...)
	must(t, stores[0].Sync())
	server.do("HSET", stores[0].bucket(0), "192.0.2.1/32 passed", "2 of a later moggy\n")
	inForce(t, soon, "what was learned", books, func(b *book) bool { return b.size() == len(stay)+len(over) })

	if gone := sweepAll(t, stores[1]); gone != len(over) {
		t.Errorf("%d rows went, want %d", gone, len(over))
	}
	inForce(t, soon, "the sweep", books, func(b *book) bool { return b.size() == len(stay) })
	for _, e := range stay {
		if got, ok := books[0].get(e.Net.String(), e.Source); !ok || got != e {
			t.Errorf("%s by %s is %+v", e.Net, e.Source, got)
		}
	}
	if gone := sweepAll(t, stores[0]); gone != 0 || server.do("HLEN", stores[0].bucket(0)).(int64) == 0 {
		t.Errorf("again: %d rows went", gone)
	}
}

// onePage has HSCAN give all of a table at once.
const onePage = "--hash-max-listpack-entries 4096"

// crowded are entries that ended two hours ago and lie in one table.
func crowded(s *Store, table, n int) (all []whitelist.Entry) {
	for net := netip.MustParseAddr("2001:db8::"); len(all) < n; net = net.Next() {
		e := ending(0, 2*time.Hour)
		if e.Net = netip.PrefixFrom(net, 128); s.entryTable(e.Key()) == s.bucket(table) {
			all = append(all, e)
		}
	}
	return all
}

// TestSweepKeepsUp: when more has ended than one script takes away, the next does not
// wait for its time.
func TestSweepKeepsUp(t *testing.T) {
	server := start(t, onePage)
	s := openAt(t, Options{URL: server.url("m"), Flush: time.Millisecond, patience: calm})
	s.LearnEntries(crowded(s, 5, 450)...)
	must(t, s.Sync())
	s.mending.Lock()
	s.lap = lap{table: 5, cursor: "0"}
	s.mending.Unlock()
	s.arm()
	eventually(t, heartbeat-time.Second, "was not swept", func() bool { return server.do("EXISTS", s.bucket(5)).(int64) == 0 })
	s.mending.Lock()
	defer s.mending.Unlock()
	if time.Since(s.lap.last) > time.Minute {
		t.Error("it goes on without need")
	}
}

// TestSweepIsBounded: of a page no more goes than fits in one message.
func TestSweepIsBounded(t *testing.T) {
	server := start(t, onePage)
	s := openAt(t, Options{URL: server.url("m"), Flush: time.Hour, patience: calm})
	s.LearnEntries(crowded(s, 5, 250)...)
	must(t, s.Sync())
	s.lap = lap{table: 5, cursor: "0"}
	for i, want := range []int{sweepMost, sweepMost, 50, 0} {
		if n, err := s.sweepPage(t.Context()); err != nil || n != want {
			t.Errorf("page %d: %d rows went, %v", i, n, err)
		}
	}
	if s.lap.table != 7 {
		t.Errorf("at table %d", s.lap.table)
	}
}

// TestBooksOfAFleet: a door whose clock is far ahead takes nothing from the others.
func TestBooksOfAFleet(t *testing.T) {
	server := start(t)
	url, ctx := server.url("m"), t.Context()
	var stores []*Store
	var books []*whitelist.Book
	for range 2 {
		s := openAt(t, Options{URL: url, Flush: time.Hour, patience: calm})
		b, err := whitelist.Open(ctx, whitelist.Options{Store: s, Now: time.Now()})
		must(t, err)
		stores, books = append(stores, s), append(books, b)
		followed(t, s, b)
	}
	e := ending(1, -time.Hour)
	must(t, books[0].Learn(e, time.Now()))
	must(t, stores[0].Sync())
	eventually(t, soon, "not in force elsewhere", func() bool { return books[1].List().Len() == 1 })

	if _, expired := books[0].Flush(time.Now().Add(40 * 24 * time.Hour)); expired != 1 {
		t.Fatal("the test is wrong: it has not ended at the door whose clock is ahead")
	}
	must(t, stores[0].Sync())
	if sweepAll(t, stores[0]) != 0 || server.do("HLEN", stores[0].entryTable(e.Key())).(int64) != 1 {
		t.Error("a door whose clock is ahead has taken an entry from all")
	}
	if books[1].List().Len() != 1 {
		t.Error("and it is no longer in force")
	}
}

// followed keeps a book in step until the test ends.
func followed(t *testing.T, s *Store, b *whitelist.Book) {
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Watch(ctx, bookFollower{b}) })
	t.Cleanup(func() { stop(); wg.Wait() })
}

// bookFollower is what cmd/internal/keep makes of a Book, in short.
type bookFollower struct{ *whitelist.Book }

func (f bookFollower) Apply(changes []Change) {
	for _, c := range changes {
		if c.Entry.Net.IsValid() {
			f.Follow(c.Entry)
		} else {
			f.Unfollow(c.Key)
		}
	}
}

func (f bookFollower) Reload(ctx context.Context) error { return f.Book.Reload(ctx, time.Now()) }

func (f bookFollower) Restore(context.Context) error { return errors.New("not asked for here") }

func (f bookFollower) At(string) {}
