package redis

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// soon is within which a change has to be in force on all nodes.
const soon = time.Second

// nodes are stores on one Redis, each with a book.
func nodes(t *testing.T, url string, n int) (stores []*Store, books []*book) {
	t.Helper()
	for range n {
		s := openAt(t, Options{URL: url, Flush: 100 * time.Millisecond, patience: calm})
		stores, books = append(stores, s), append(books, openBook(t, s))
	}
	return stores, books
}

// inForce waits until all books agree with what is asked.
func inForce(t *testing.T, bound time.Duration, what string, books []*book, ask func(*book) bool) {
	t.Helper()
	begun := time.Now()
	eventually(t, bound, what+" not in force everywhere", func() bool {
		for _, b := range books {
			if !ask(b) {
				return false
			}
		}
		return true
	})
	t.Logf("%s: in force everywhere after %v", what, time.Since(begun).Round(time.Millisecond))
}

func TestChangesAreInForceEverywhere(t *testing.T) {
	stores, books := nodes(t, start(t).url("w"), 3)
	ctx := context.Background()
	must(t, stores[0].PutEntry(ctx, person("192.0.2.0/24")))
	inForce(t, soon, "an entry", books, func(b *book) bool { _, ok := b.get("192.0.2.0/24", whitelist.Operator); return ok })

	changed := person("192.0.2.0/24")
	changed.Class, changed.Deny = "", true
	must(t, stores[1].PutEntry(ctx, changed))
	inForce(t, soon, "a changed entry", books, func(b *book) bool { e, _ := b.get("192.0.2.0/24", whitelist.Operator); return e.Deny })

	must(t, stores[2].DeleteEntry(ctx, changed.Net, changed.Source))
	inForce(t, soon, "a deletion", books, func(b *book) bool { _, ok := b.get("192.0.2.0/24", whitelist.Operator); return !ok })

	must(t, stores[0].PutTrap(ctx, greylist.Trap{Address: "trap@example.org", Added: epoch()}))
	inForce(t, soon, "a trap", books, func(b *book) bool { return b.hasTrap("trap@example.org") })
	_, err := stores[1].DeleteTrap(ctx, "trap@example.org")
	must(t, err)
	inForce(t, soon, "a trap's end", books, func(b *book) bool { return !b.hasTrap("trap@example.org") })

	for i := range 1000 {
		stores[i%3].LearnEntries(learned(i, epoch()))
	}
	inForce(t, 4*soon, "1000 learned entries", books, func(b *book) bool { return b.size() == 1000 })
	for i := range 1000 {
		stores[i%2].ForgetEntries(learned(i, epoch()).Key())
	}
	inForce(t, 4*soon, "their end", books, func(b *book) bool { return b.size() == 0 })
	for _, b := range books {
		if reloads, restores := b.counts(); reloads+restores != 0 {
			t.Errorf("%d reloads, %d restores: changes were missed", reloads, restores)
		}
	}
}

// TestChangesBeforeWatching: what changes after a book was read and before it
// follows is not missed.
func TestChangesBeforeWatching(t *testing.T) {
	url := start(t).url("w")
	s, other := openAt(t, Options{URL: url, patience: calm}), openAt(t, Options{URL: url, patience: calm})
	b := &book{s: s}
	must(t, b.read(context.Background()))
	must(t, other.PutEntry(context.Background(), person("192.0.2.0/24")))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Watch(ctx, b) }()
	eventually(t, soon, "the entry was missed", func() bool { return b.size() == 1 })
	stop()
	<-ended
	if reloads, _ := b.counts(); reloads != 0 {
		t.Error("reloaded")
	}
}

// TestLongAbsence: a node that was away while the log was cut reads all again.
func TestLongAbsence(t *testing.T) {
	server := start(t)
	front := relay(t, server.addr())
	url := "redis://" + front.addr() + "/0?prefix=w"
	s := openAt(t, Options{URL: url, Flush: 100 * time.Millisecond})
	b := openBook(t, s)
	other := openAt(t, Options{URL: server.url("w"), patience: calm})
	must(t, other.PutEntry(context.Background(), person("192.0.2.0/24")))
	eventually(t, 5*soon, "the entry was missed", func() bool { return b.size() == 1 })
	front.set(refuse)
	for i := range logLength * 3 {
		e := person("198.51.100.7/32")
		e.Note = fmt.Sprint(i)
		must(t, other.PutEntry(context.Background(), e))
	}
	must(t, other.DeleteEntry(context.Background(), netip.MustParsePrefix("192.0.2.0/24"), whitelist.Operator))
	front.set(pass)
	inForce(t, 10*soon, "what changed meanwhile", []*book{b}, func(b *book) bool {
		e, ok := b.get("198.51.100.7/32", whitelist.Operator)
		_, old := b.get("192.0.2.0/24", whitelist.Operator)
		return ok && !old && e.Note == fmt.Sprint(logLength*3-1)
	})
	if reloads, restores := b.counts(); reloads == 0 || restores != 0 {
		t.Errorf("%d reloads, %d restores", reloads, restores)
	}
	if n := server.do("XLEN", "w:{e}:log").(int64); n > 2*logLength {
		t.Errorf("the log has %d messages", n)
	}
}

// TestEmptied: FLUSHALL takes nothing from those who are in force, and what the
// nodes hold comes back.
func TestEmptied(t *testing.T) {
	server := start(t)
	stores, books := nodes(t, server.url("w"), 3)
	ctx := context.Background()
	for i := range 250 {
		e := person(fmt.Sprintf("192.0.%d.0/24", i))
		must(t, stores[0].PutEntry(ctx, e))
		stores[1].LearnEntries(learned(i, epoch()))
	}
	must(t, stores[0].PutTrap(ctx, greylist.Trap{Address: "trap@example.org", Added: epoch()}))
	must(t, stores[2].Pass(ctx, wide(1, epoch()).Origin, epoch()))
	whole := func(b *book) bool { return b.size() == 500 && b.hasTrap("trap@example.org") }
	inForce(t, 5*soon, "500 entries", books, whole)
	server.do("FLUSHALL")
	restored := func() bool {
		for _, b := range books {
			if _, restores := b.counts(); restores == 0 || !whole(b) {
				return false
			}
		}
		return true
	}
	eventually(t, 10*soon, "not restored", restored)
	fresh := openAt(t, Options{URL: server.url("w"), patience: calm})
	b := &book{s: fresh}
	eventually(t, 10*soon, "Redis does not have all again", func() bool { must(t, b.read(ctx)); return whole(b) })
	if e, _ := b.get("192.0.7.0/24", whitelist.Operator); e != person("192.0.7.0/24") {
		t.Errorf("came back as %+v", e)
	}
	eventually(t, 10*soon, "the origin did not come back", func() bool {
		return try(t, fresh, wide(1, epoch())).Outcome == greylist.OriginKnown
	})
}

// TestOlderCopy: Redis comes back with what it had some time ago.
func TestOlderCopy(t *testing.T) {
	server := start(t, "--dbfilename old.rdb")
	url := server.url("w")
	stores, books := nodes(t, url, 2)
	ctx := context.Background()
	must(t, stores[0].PutEntry(ctx, person("192.0.2.0/24")))
	server.do("SAVE")
	must(t, stores[0].PutEntry(ctx, person("198.51.100.0/24")))
	inForce(t, 5*soon, "two entries", books, func(b *book) bool { return b.size() == 2 })
	if _, err := os.Stat(filepath.Join(server.dir, "old.rdb")); err != nil {
		t.Fatal(err)
	}
	server.kill()
	server.run()
	eventually(t, 10*soon, "not restored", func() bool {
		for _, b := range books {
			if _, restores := b.counts(); restores == 0 || b.size() != 2 {
				return false
			}
		}
		return true
	})
	b := &book{s: openAt(t, Options{URL: url, patience: calm})}
	eventually(t, 10*soon, "the second entry did not come back", func() bool { must(t, b.read(ctx)); return b.size() == 2 })
}

// TestForgottenCopies: what a person had forgotten is not remembered by another
// node when Redis goes away.
func TestForgottenCopies(t *testing.T) {
	server := start(t)
	url := server.url("w")
	one, _ := nodes(t, url, 2)
	x := wide(1, epoch())
	try(t, one[0], x)
	_, _, err := one[1].Forget(context.Background(), func(greylist.Row) bool { return true }, nil)
	must(t, err)
	eventually(t, 2*soon, "the copy is still there", func() bool {
		one[0].memory.mu.Lock()
		defer one[0].memory.mu.Unlock()
		return len(one[0].memory.triplets.copies) == 0
	})
}

// TestLearnedHereWins: what was learned here and not yet written is not undone by
// what Redis says.
func TestLearnedHereWins(t *testing.T) {
	s := openAt(t, Options{URL: start(t).url("w"), Flush: time.Hour, patience: calm})
	must(t, s.Sync())
	e := learned(1, epoch())
	w := watcher{s: s}
	row := encodeEntry(e)
	if c, ok := w.change(nameEntry+entryField(e.Key()), row); !ok || c.Entry != e {
		t.Errorf("%+v, %v", c, ok)
	}
	s.ForgetEntries(e.Key())
	if _, ok := w.change(nameEntry+entryField(e.Key()), row); ok {
		t.Error("comes back")
	}
}
