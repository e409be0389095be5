package keep

import (
	"fmt"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
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
