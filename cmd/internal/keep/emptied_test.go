package keep

import (
	"fmt"
	"testing"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/peers"
	"moggy/whitelist"
)

// TestEmptied: a Redis that has lost all gets it back from a door, persons' entries,
// traps and what was learned.
func TestEmptied(t *testing.T) {
	r := peers.StartRedis(t)
	one, two := openDoor(t, r), openDoor(t, r)
	one.put(person("192.0.2.0/24"))
	two.putTrap("trap@example.org")
	for i := range 500 {
		must(t, one.book.Learn(learned(i), time.Now()))
	}
	whole := func(d *door) bool {
		return d.has("192.0.2.0/24") && d.traps.Has("trap@example.org") && d.book.List().Len() == 501
	}
	within(t, patience, "in force", func() bool { return whole(one) && whole(two) })
	if r.Ask("FLUSHALL") != "+OK" {
		t.Fatal("cannot be emptied")
	}
	within(t, patience, "given back", func() bool { return r.Count("HLEN k:{e}:said") == 1 && r.Count("HLEN k:{e}:traps") == 1 })
	third := openDoor(t, r)
	within(t, patience, "all of it", func() bool { return whole(third) })
	if !whole(one) || !whole(two) {
		t.Error("what was in force has gone")
	}
	one.copies()
}

// TestEmptiedAndWritten: neither does it take anything from a door when somebody
// writes to the emptied Redis before the door has noticed.
func TestEmptiedAndWritten(t *testing.T) {
	r := peers.StartRedis(t)
	one := openDoor(t, r)
	tool, err := OpenAlone(one.c)
	must(t, err)
	defer tool.Close()
	one.put(person("192.0.2.0/24"))
	for i := range 5 {
		one.well()
		net := fmt.Sprintf("198.51.100.%d/32", i)
		r.Ask("FLUSHALL")
		must(t, tool.PutEntry(t.Context(), person(net)))
		within(t, patience, "what was written", func() bool { return one.has(net) })
		if !one.has("192.0.2.0/24") {
			t.Fatalf("after %d times: what a person said has gone; in force %s", i+1, one.inForce())
		}
		within(t, patience, "given back", func() bool { return r.Count("HLEN k:{e}:said") == i+2 })
	}
}

// TestEmptiedWhileShut: what Redis lost while no door was open comes back from the
// copy of the first that opens, whether Redis is there by then or comes later.
func TestEmptiedWhileShut(t *testing.T) {
	for name, late := range map[string]bool{"there": false, "later": true} {
		t.Run(name, func(t *testing.T) {
			r := peers.StartRedis(t)
			one, two := openDoor(t, r), openDoor(t, r)
			one.put(person("192.0.2.0/24"))
			one.putTrap("trap@example.org")
			within(t, patience, "in force", func() bool { return two.has("192.0.2.0/24") && two.traps.Has("trap@example.org") })
			two.copies()
			one.shut()
			two.shut()
			r.Kill()
			if !late {
				r.Start()
			}
			two.open()
			if !two.has("192.0.2.0/24") || !two.traps.Has("trap@example.org") {
				t.Errorf("in force: %s", two.inForce())
			}
			if late {
				r.Start()
			}
			within(t, patience, "given back", func() bool { return r.Count("HLEN k:{e}:said")+r.Count("HLEN k:{e}:traps") == 2 })
			one.open()
			within(t, patience, "in force everywhere", func() bool { return one.inForce() == two.inForce() && one.has("192.0.2.0/24") })
			one.remove("192.0.2.0/24")
			within(t, patience, "gone", func() bool { return !two.has("192.0.2.0/24") })
			two.again()
			if two.has("192.0.2.0/24") {
				t.Error("what was taken away came back")
			}
		})
	}
}

// TestTakenAwayMeanwhile: what was taken away elsewhere while a door was shut does
// not come back by it.
func TestTakenAwayMeanwhile(t *testing.T) {
	r := peers.StartRedis(t)
	one, two := openDoor(t, r), openDoor(t, r)
	one.put(person("192.0.2.0/24"))
	one.putTrap("trap@example.org")
	within(t, patience, "in force", func() bool { return two.has("192.0.2.0/24") && two.traps.Has("trap@example.org") })
	two.copies()
	two.shut()
	one.remove("192.0.2.0/24")
	two.open()
	within(t, patience, "gone", func() bool { return !two.has("192.0.2.0/24") })
	two.copies()
	if n := r.Count("HLEN k:{e}:said"); n != 0 || one.has("192.0.2.0/24") {
		t.Errorf("it came back: %d rows", n)
	}
}

// TestEmptiedWhileAway: a door that opens without Redis, which comes back without what
// it had and is told at once what the door learned meanwhile, gives it the rest, too.
func TestEmptiedWhileAway(t *testing.T) {
	r := peers.StartRedis(t)
	one := openDoor(t, r)
	one.put(person("192.0.2.0/24"))
	one.copies()
	one.shut()
	r.Kill()
	one.open()
	must(t, one.book.Learn(learned(1), time.Now()))
	r.Start()
	within(t, patience, "what was learned is told", func() bool { return one.store.Stats().Pending == 0 })
	within(t, patience, "given back", func() bool { return r.Count("HLEN k:{e}:said") == 1 })
	if !one.has("192.0.2.0/24") || one.book.List().Len() != 2 {
		t.Errorf("in force: %s", one.inForce())
	}
}

// TestEmptiedAndWrittenWhileShut: nor does it matter that a person was first, or that
// somebody gave back a part of it and died.
func TestEmptiedAndWrittenWhileShut(t *testing.T) {
	r := peers.StartRedis(t)
	one := openDoor(t, r)
	one.put(person("192.0.2.0/24"))
	one.putTrap("trap@example.org")
	one.copies()
	one.marked()
	one.shut()
	r.Ask("FLUSHALL")
	one.byTool(func(tool Store) error { return tool.PutEntry(t.Context(), person("198.51.100.0/24")) })
	one.open()
	if !one.has("192.0.2.0/24") || !one.has("198.51.100.0/24") || !one.traps.Has("trap@example.org") {
		t.Errorf("in force: %s", one.inForce())
	}
	other := openDoor(t, r)
	if one.inForce() != other.inForce() {
		t.Errorf("in force at the other door: %s", other.inForce())
	}
}

// TestLastTakenAway: a Redis from which the last was taken away has lost nothing.
func TestLastTakenAway(t *testing.T) {
	r := peers.StartRedis(t)
	one := openDoor(t, r)
	one.put(person("192.0.2.0/24"))
	one.copies()
	one.marked()
	one.shut()
	one.byTool(func(tool Store) error {
		return tool.DeleteEntry(t.Context(), person("192.0.2.0/24").Net, whitelist.Operator)
	})
	one.open()
	if n := r.Count("HLEN k:{e}:said"); n != 0 || one.has("192.0.2.0/24") {
		t.Errorf("it came back: %d rows", n)
	}
	one.put(person("198.51.100.0/24"))
	one.copies()
	if one.has("192.0.2.0/24") {
		t.Error("it came back later")
	}
}

// TestAnotherMemory: what a door had in common with others is not for those with whom
// it shares another Redis now, unless that is new.
func TestAnotherMemory(t *testing.T) {
	r := peers.StartRedis(t)
	one, others := openDoor(t, r), &door{t: t, c: config.Default()}
	one.put(person("192.0.2.0/24"))
	one.copies()
	one.marked()
	one.shut()
	others.c.StateDir, others.c.Store.URL = t.TempDir(), r.URL("others")
	others.open()
	t.Cleanup(func() { others.shut() })
	others.put(person("198.51.100.0/24"))
	one.c.Store.URL = r.URL("others")
	one.open()
	if one.has("192.0.2.0/24") || others.has("192.0.2.0/24") {
		t.Error("it came to the others")
	}
	one.copies()
	one.c.Store.URL = r.URL("new")
	one.again()
	if !one.has("198.51.100.0/24") {
		t.Errorf("in force with a new one: %s", one.inForce())
	}
}

// marked waits until the copy says how far it goes.
func (d *door) marked() {
	d.t.Helper()
	within(d.t, patience, "the copy says how far it goes", func() bool {
		lost, err := d.store.Lost(d.t.Context(), d.store.mark())
		return err == nil && !lost && d.store.mark() != ""
	})
}

// byTool does something as the tool does while the door is shut.
func (d *door) byTool(do func(Store) error) {
	d.t.Helper()
	tool, err := OpenAlone(d.c)
	must(d.t, err)
	defer tool.Close()
	must(d.t, do(tool))
}
