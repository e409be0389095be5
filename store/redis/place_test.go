package redis

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

func noTraps(func(greylist.Trap) bool) {}

// many is how many entries are given back, in several messages.
const many = 5 * writeRows

// openMany opens a store and a book, and a watcher of it that the test has look, with
// many entries in Redis and in force.
func openMany(t *testing.T, server *server) (*book, *watcher) {
	t.Helper()
	s := openAt(t, Options{URL: server.url("w"), patience: calm})
	b := &book{s: s}
	must(t, b.read(t.Context()))
	for i := range many {
		e := person(fmt.Sprintf("192.0.%d.%d/32", i/256, i%256))
		b.entries[e.Key()] = e
	}
	must(t, b.Restore(t.Context()))
	w := &watcher{s: s, f: b}
	must(t, w.reload(t.Context()))
	return b, w
}

// looks has the watcher look until there is nothing new.
func looks(t *testing.T, w *watcher) {
	t.Helper()
	for range 100 {
		if more, err := w.look(t.Context()); err == nil && !more {
			return
		}
	}
	t.Fatal("there is always more to see")
}

// empty empties Redis, and has somebody give it some rows who then dies. Of the log
// only the last message is left, as of one in which a thousand others came since.
func (b *book) empty(t *testing.T, server *server, rows int) {
	t.Helper()
	server.do("FLUSHALL")
	ctx, cancel := context.WithCancel(t.Context())
	given := 0
	_, err := b.s.Restore(ctx, func(yield func(whitelist.Entry) bool) {
		for e := range maps.Values(maps.Clone(b.entries)) {
			if given++; given > rows+writeRows {
				cancel()
			}
			if !yield(e) {
				return
			}
		}
	}, noTraps)
	if err == nil {
		t.Fatal("all of it was given back")
	}
	server.do("XTRIM", "w:{e}:log", "MAXLEN", "1")
}

func wantMany(t *testing.T, server *server, b *book) {
	t.Helper()
	if n := server.do("HLEN", "w:{e}:said"); n != int64(many) || b.size() != many {
		t.Errorf("%v in Redis and %d in force, of %d", n, b.size(), many)
	}
}

// TestPartGivenBack: what somebody has given back in part is not taken for all.
func TestPartGivenBack(t *testing.T) {
	server := start(t)
	b, w := openMany(t, server)
	b.empty(t, server, 2*writeRows)
	looks(t, w)
	wantMany(t, server, b)
}

// failing is a book whose first attempt to give back fails after some rows.
type failing struct {
	*book
	t      *testing.T
	server *server
	failed bool
}

func (f *failing) Restore(ctx context.Context) error {
	if f.failed {
		return f.book.Restore(ctx)
	}
	f.failed = true
	f.empty(f.t, f.server, 2*writeRows)
	return errors.New("one call took too long")
}

// TestGivenBackAgain: nor is what this node has given back in part.
func TestGivenBackAgain(t *testing.T) {
	server := start(t)
	b, w := openMany(t, server)
	w.f = &failing{book: b, t: t, server: server}
	server.do("FLUSHALL")
	looks(t, w)
	wantMany(t, server, b)
}

// TestEmptiedBeforeReload: neither is what is read anew, because the log was cut, of a
// Redis that has been emptied since.
func TestEmptiedBeforeReload(t *testing.T) {
	server := start(t)
	b, w := openMany(t, server)
	w.message = ""
	server.do("FLUSHALL")
	if err := w.reload(t.Context()); !errors.Is(err, errEmptied) {
		t.Errorf("read anew: %v", err)
	}
	looks(t, w)
	wantMany(t, server, b)
}

// TestEmptiedWhileRead: nor what was read of it while it was emptied, and somebody else
// said that it is whole.
func TestEmptiedWhileRead(t *testing.T) {
	server := start(t)
	b, _ := openMany(t, server)
	var last error
	for _, err := range b.s.Entries(t.Context()) {
		if last = err; err == nil {
			server.do("FLUSHALL")
			server.do("SET", "w:{e}:whole", "another")
		}
	}
	if !errors.Is(last, errEmptied) {
		t.Errorf("read: %v", last)
	}
}

// TestFilledWhileRead: who has nothing reads what there is of a Redis that is new.
func TestFilledWhileRead(t *testing.T) {
	server := start(t)
	s := openAt(t, Options{URL: server.url("w"), patience: calm})
	must(t, s.PutEntry(t.Context(), person("192.0.2.0/24")))
	for _, err := range s.Entries(t.Context()) {
		must(t, err)
		server.do("SET", "w:{e}:whole", "another")
	}
	b := &book{s: s}
	looks(t, &watcher{s: s, f: b})
	if b.size() != 1 {
		t.Errorf("%d in force", b.size())
	}
}

// TestLost asks for places of one Redis that is new, that is emptied, and whose log is cut.
func TestLost(t *testing.T) {
	server := start(t)
	s := openAt(t, Options{URL: server.url("w"), patience: calm})
	lost := func(when, word string, want bool) {
		t.Helper()
		if got, err := s.Lost(t.Context(), word); err != nil || got != want {
			t.Errorf("%s: lost %v, %v", when, got, err)
		}
	}
	lost("new", "", true)
	_, err := s.Restore(t.Context(), slices.Values([]whitelist.Entry{}), noTraps)
	must(t, err)
	lost("given nothing, because there is nothing", "", false)
	at, err := s.place(t.Context())
	must(t, err)
	lost("as it is", at.String(), false)
	lost("of another generation", strings.Replace(at.String(), at.generation, "another", 1), true)
	for i := range 3 {
		must(t, s.PutEntry(t.Context(), person(fmt.Sprintf("192.0.2.%d/32", i))))
	}
	server.do("XTRIM", "w:{e}:log", "MAXLEN", "1")
	lost("cut", at.String(), false)
	late := place{at.generation, fmt.Sprint(time.Now().Add(time.Hour).UnixMilli(), "-0")}
	lost("an older copy", late.String(), true)
	server.do("FLUSHALL")
	lost("emptied", at.String(), true)
}
