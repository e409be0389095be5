package keep

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/peers"
	"moggy/greylist"
	"moggy/whitelist"
)

// soon is within which a change is in force at every door; patience is how long
// these tests wait for anything else on a machine that is busy.
const (
	soon     = time.Second
	patience = 20 * time.Second
)

// A door is a store as a daemon has it, with what is in force.
type door struct {
	t     *testing.T
	c     *config.Config
	store *shared
	book  *whitelist.Book
	traps *greylist.Traps
	shut  func()
}

// openDoor opens a door on a machine of its own.
func openDoor(t *testing.T, r *peers.Redis) *door {
	t.Helper()
	c := config.Default()
	c.StateDir, c.Store.URL = t.TempDir(), r.URL("k")
	d := &door{t: t, c: c}
	d.open()
	t.Cleanup(func() { d.shut() })
	return d
}

// open opens the door as it was opened before.
func (d *door) open() { d.t.Helper(); d.openWith(func() {}) }

// openWith does something when the entries have been read and the traps have not.
func (d *door) openWith(between func()) {
	d.t.Helper()
	store, err := Open(d.c, slog.New(slog.DiscardHandler))
	must(d.t, err)
	d.store = store.(*shared)
	ctx, stop := context.WithCancel(context.Background())
	d.book, err = whitelist.Open(ctx, whitelist.Options{Store: store, Now: time.Now()})
	must(d.t, err)
	between()
	d.traps, err = greylist.OpenTraps(ctx, store, []string{"conf@example.org"}, time.Now())
	must(d.t, err)
	var following sync.WaitGroup
	following.Go(func() { store.Follow(ctx, d.book, d.traps) })
	d.shut = sync.OnceFunc(func() {
		stop()
		following.Wait()
		d.store.Close() // what waits for a Redis that is dead is lost
	})
}

// again shuts the door and opens it anew.
func (d *door) again() {
	d.t.Helper()
	d.shut()
	d.open()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// within waits until what is asked is so.
func within(t *testing.T, bound time.Duration, what string, so func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	defer cancel()
	begun := time.Now()
	if peers.Poll(ctx, so) != nil {
		t.Fatalf("%s: not within %v", what, bound)
	}
	t.Logf("%s: %v", what, time.Since(begun).Round(time.Millisecond))
}

// person is an entry that a person made.
func person(net string) whitelist.Entry {
	return whitelist.Entry{Net: netip.MustParsePrefix(net), Class: whitelist.Peer, Source: whitelist.Operator, Note: "ticket 12"}
}

// learned is what moggy found out of the i-th address.
func learned(i int) whitelist.Entry {
	addr := netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)})
	return whitelist.Entry{Net: whitelist.Net(addr), Class: whitelist.User, Source: whitelist.Login,
		Added: time.Now(), Expires: time.Now().Add(24 * time.Hour)}
}

// put makes a person's entry; on a machine that is busy Redis may be too slow once.
func (d *door) put(e whitelist.Entry) {
	d.t.Helper()
	within(d.t, patience, "putting "+e.Net.String(), func() bool { return d.book.Put(d.t.Context(), e, time.Now()) == nil })
}

func (d *door) putTrap(address string) {
	d.t.Helper()
	trap := greylist.Trap{Address: address, Note: "bait", Added: time.Now()}
	within(d.t, patience, "putting a trap", func() bool { return d.traps.Put(d.t.Context(), trap) == nil })
}

func (d *door) remove(net string) {
	d.t.Helper()
	within(d.t, patience, "removing "+net, func() bool {
		_, _, err := d.book.Remove(d.t.Context(), netip.MustParsePrefix(net))
		return err == nil
	})
}

// has reports whether a person's entry is in force.
func (d *door) has(net string) bool {
	_, ok := d.book.List().Get(netip.MustParsePrefix(net), whitelist.Operator)
	return ok
}

// inForce is what is in force, in words, without what the configuration says.
func (d *door) inForce() string {
	return words(slices.Collect(d.book.List().All()), slices.Collect(typed(d.traps.All())))
}

// copied is what the copy has.
func (d *door) copied() string {
	d.t.Helper()
	entries, err := collect(d.store.copy.Entries(d.t.Context()))
	must(d.t, err)
	traps, err := collect(d.store.copy.Traps(d.t.Context()))
	must(d.t, err)
	return words(entries, traps)
}

func words(entries []whitelist.Entry, traps []greylist.Trap) string {
	var lines []string
	for _, e := range entries {
		lines = append(lines, fmt.Sprint(e.Net, e.Source, e.Class, e.Deny, e.Note, e.Added.Unix()))
	}
	for _, t := range traps {
		lines = append(lines, fmt.Sprint(t.Address, t.Note, t.Added.UnixMilli()))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// copies waits until the copy has what is in force.
func (d *door) copies() {
	d.t.Helper()
	within(d.t, patience, "the copy has what is in force", func() bool { return d.copied() == d.inForce() })
}

// well waits until Redis works for the door.
func (d *door) well() {
	d.t.Helper()
	within(d.t, patience, "Redis works for the door", func() bool { return d.store.Sync() == nil && !d.store.Degraded() })
}

func TestChangesAreInForceElsewhere(t *testing.T) {
	r := peers.StartRedis(t)
	one, two := openDoor(t, r), openDoor(t, r)
	one.well()
	two.well()
	one.put(person("192.0.2.0/24"))
	within(t, soon, "an entry", func() bool { return two.has("192.0.2.0/24") })
	two.remove("192.0.2.0/24")
	within(t, soon, "its end", func() bool { return !one.has("192.0.2.0/24") })
	two.putTrap("trap@example.org")
	within(t, soon, "a trap", func() bool { return one.traps.Has("Trap@example.org") })
	_, err := one.traps.Remove(t.Context(), "trap@example.org")
	must(t, err)
	within(t, soon, "its end", func() bool { return !two.traps.Has("trap@example.org") })
	must(t, one.book.Learn(learned(1), time.Now()))
	within(t, 2*soon, "what was learned", func() bool { _, ok := two.book.List().Get(learned(1).Net, whitelist.Login); return ok })
	one.copies()
	two.copies()
	if !one.traps.Has("conf@example.org") {
		t.Error("what the configuration says has gone")
	}
}

// TestOpenWhileDead: who opens while Redis is dead has what was in force on this
// machine, and what was changed elsewhere meanwhile when Redis is back.
func TestOpenWhileDead(t *testing.T) {
	r := peers.StartRedis(t, "appendonly yes", "appendfsync always")
	one, two := openDoor(t, r), openDoor(t, r)
	one.put(person("192.0.2.0/24"))
	one.put(person("203.0.113.0/24"))
	one.putTrap("trap@example.org")
	within(t, patience, "in force", func() bool {
		return two.has("192.0.2.0/24") && two.has("203.0.113.0/24") && two.traps.Has("trap@example.org")
	})
	two.copies()
	two.shut()
	one.put(person("198.51.100.0/24"))
	one.remove("203.0.113.0/24")
	one.well()
	r.Kill()
	two.open()
	if !two.has("192.0.2.0/24") || !two.has("203.0.113.0/24") || !two.traps.Has("trap@example.org") {
		t.Fatalf("in force while Redis is dead: %s", two.inForce())
	}
	r.Start()
	within(t, patience, "what was changed meanwhile", func() bool { return two.has("198.51.100.0/24") && !two.has("203.0.113.0/24") })
	two.copies()
	one.put(person("192.0.2.128/25"))
	within(t, patience, "following again", func() bool { return two.has("192.0.2.128/25") })
}

// TestHalfRead: where Redis answers for the traps, and did not for the entries a
// moment before, the entries are read when it does.
func TestHalfRead(t *testing.T) {
	r := peers.StartRedis(t)
	one, two := openDoor(t, r), openDoor(t, r)
	two.shut()
	one.put(person("192.0.2.0/24"))
	r.Pause()
	two.openWith(r.Resume)
	within(t, patience, "what the copy did not have", func() bool { return two.has("192.0.2.0/24") })
	two.copies()
}

// TestReloadIsNoCopy: only the first reading falls back to the copy.
func TestReloadIsNoCopy(t *testing.T) {
	r := peers.StartRedis(t)
	d := openDoor(t, r)
	d.put(person("192.0.2.0/24"))
	must(t, d.store.copy.PutEntry(t.Context(), person("198.51.100.0/24")))
	r.Pause()
	defer r.Resume()
	if err := d.book.Reload(t.Context(), time.Now()); err == nil {
		t.Error("no error")
	}
	if err := d.traps.Reload(t.Context()); err == nil {
		t.Error("no error")
	}
	if !d.has("192.0.2.0/24") || d.has("198.51.100.0/24") {
		t.Errorf("in force: %s", d.inForce())
	}
}

// TestCopyOfOpening: what was in force elsewhere before a door was opened for the
// first time is in its copy too.
func TestCopyOfOpening(t *testing.T) {
	r := peers.StartRedis(t)
	one := openDoor(t, r)
	one.put(person("192.0.2.0/24"))
	one.putTrap("trap@example.org")
	must(t, one.book.Learn(learned(1), time.Now()))
	one.well()
	two := openDoor(t, r)
	two.copies()
	r.Kill()
	two.again()
	if !two.has("192.0.2.0/24") || !two.traps.Has("trap@example.org") || two.book.List().Len() != 2 {
		t.Errorf("in force after a start without Redis: %s", two.inForce())
	}
}

// TestCopyOfReload: after a Reload the copy has what is in force, and no more.
func TestCopyOfReload(t *testing.T) {
	r := peers.StartRedis(t)
	d := openDoor(t, r)
	d.put(person("192.0.2.0/24"))
	d.putTrap("trap@example.org")
	d.well()
	stale := learned(7)
	d.store.copy.LearnEntries(stale)
	must(t, d.store.copy.PutEntry(t.Context(), person("198.51.100.0/24")))
	must(t, d.store.copy.PutTrap(t.Context(), greylist.Trap{Address: "stale@example.org"}))
	must(t, d.store.uncopyTrap(t.Context(), "trap@example.org"))
	must(t, d.store.copy.DeleteEntry(t.Context(), netip.MustParsePrefix("192.0.2.0/24"), whitelist.Operator))
	f := &follower{store: d.store, book: d.book, traps: d.traps, copier: newCopier(d.store, d.book, d.traps)}
	must(t, f.Reload(t.Context()))
	f.copier.copy(t.Context())
	if got, want := d.copied(), d.inForce(); got != want || !strings.Contains(got, "192.0.2.0/24") {
		t.Errorf("the copy has\n%s\nand in force is\n%s", got, want)
	}
}

// TestPersonsAreRefused: what a person says while Redis is dead is an error, and
// has left nothing anywhere.
func TestPersonsAreRefused(t *testing.T) {
	r := peers.StartRedis(t, "appendonly yes", "appendfsync always")
	d := openDoor(t, r)
	d.put(person("192.0.2.0/24"))
	d.putTrap("trap@example.org")
	d.copies()
	before := d.inForce()
	r.Kill()
	changes := map[string]func() error{
		"an entry": func() error { return d.book.Put(t.Context(), person("198.51.100.0/24"), time.Now()) },
		"a trap":   func() error { return d.traps.Put(t.Context(), greylist.Trap{Address: "other@example.org"}) },
		"an end": func() error {
			_, _, err := d.book.Remove(t.Context(), netip.MustParsePrefix("192.0.2.0/24"))
			return err
		},
		"a trap's": func() error { _, err := d.traps.Remove(t.Context(), "trap@example.org"); return err },
	}
	for what, change := range changes {
		if err := change(); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
	if d.inForce() != before || d.copied() != before {
		t.Errorf("in force\n%s\nin the copy\n%s\nand not\n%s", d.inForce(), d.copied(), before)
	}
	r.Start()
	d.well()
	if n := r.Count("HLEN k:{e}:said") + r.Count("HLEN k:{e}:traps"); n != 2 || d.inForce() != before {
		t.Errorf("%d rows in Redis; in force %s", n, d.inForce())
	}
}

// TestLearningNeverWaits: with a Redis that hangs, a thousand things are learned and
// forgotten in a moment, and are there when it goes on.
func TestLearningNeverWaits(t *testing.T) {
	r := peers.StartRedis(t)
	d := openDoor(t, r)
	d.well()
	r.Pause()
	begun := time.Now()
	for i := range 1000 {
		must(t, d.book.Learn(learned(i), time.Now()))
	}
	d.book.Forget(learned(7).Net)
	if took := time.Since(begun); took > 5*time.Second { // one call that waited would take 240 ms
		t.Errorf("took %v", took)
	}
	r.Resume()
	within(t, patience, "learned elsewhere", func() bool { d.store.Sync(); return d.store.Figures().Pending == 0 })
	two := openDoor(t, r)
	if n := two.book.List().Len(); n != 999 {
		t.Errorf("%d entries", n)
	}
	d.copies()
}
