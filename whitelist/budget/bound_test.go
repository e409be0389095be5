package budget

import (
	"testing"
	"time"

	"moggy/whitelist"
)

// size is how many keys m remembers.
func (m *Local) size() (n int) {
	for i := range m.shards {
		for j := range m.shards[i].halves {
			n += len(m.shards[i].halves[j].accounts)
		}
	}
	return n
}

func TestNoAllocation(t *testing.T) {
	l, pool := For(nil, whitelist.Pool), Key{Class: whitelist.Pool, Origin: "example.org"}
	for name, m := range map[string]*Local{"local": NewLocal(), "fleet": NewFleet(oracle{}).Local} {
		for _, k := range []Key{userKey, pool} {
			now := start
			m.Take(k, l, now)
			allocs := testing.AllocsPerRun(1000, func() {
				now = now.Add(time.Second)
				m.Look(k, l, now)
				m.Take(k, l, now)
				m.Recipient(k, l, now)
				m.charge(k, l, 1, 1, now)
				m.Refund(k, l, now)
				m.Done(k, now)
			})
			if allocs != 0 {
				t.Errorf("%s, %v: %v allocations", name, k, allocs)
			}
		}
	}
}

// visit is n connections that end at once.
func visit(m Meter, k Key, l Limit, n int, now time.Time) (u Usage) {
	for range n {
		u = m.Take(k, l, now)
		m.Done(k, now)
	}
	return u
}

// TestFlood is an attacker with a /32 of /64s, all in one instant, against a
// small meter: neither known peers nor strangers who used up what is theirs are
// forgotten.
func TestFlood(t *testing.T) {
	const maxKeys = 1 << 13
	for _, class := range []whitelist.Class{whitelist.Stranger, whitelist.Listed, whitelist.Guesser, whitelist.MUA, ""} {
		m, user, l := newLocal(maxKeys, false), For(nil, whitelist.User), For(nil, class)
		family, flood := manyNets(whitelist.User, 1000), manyNets(class, 30_000)
		for _, k := range family {
			visit(m, k, user, 2, start)
		}
		spent, flood := flood[:50], flood[50:]
		for _, k := range spent {
			visit(m, k, l, l.Burst, start)
		}
		for _, k := range flood {
			visit(m, k, l, 1, start)
		}
		if n := m.size(); n > maxKeys {
			t.Errorf("%s: %d keys, at most %d", class, n, maxKeys)
		}
		for _, k := range family {
			if u := m.Look(k, user, start); u.Used != 3 {
				t.Fatalf("%s: a flood of them pushed out %v: %s", class, k, u)
			}
		}
		for _, k := range spent {
			if u := m.Look(k, l, start); u.Used != l.Burst+1 {
				t.Fatalf("%s: a flood of newcomers paid what %v owed: %s", class, k, u)
			}
		}
	}
}

// TestOpenIsNeverDropped fills a meter with open connections, and goes on.
func TestOpenIsNeverDropped(t *testing.T) {
	m, l := newLocal(shards*8, false), For(nil, whitelist.Stranger)
	keys := manyNets(whitelist.Stranger, 5000)
	for _, k := range keys {
		if u := m.Take(k, l, start); u.Over != Within || u.Used != 1 || u.Open != 1 {
			t.Fatalf("a newcomer pays for a full table: %s", u)
		}
	}
	if n := m.size(); n != shards*4 {
		t.Fatalf("%d keys, want %d", n, shards*4)
	}
	kept := m.Top(shards*8, start)
	for range 5 { // an hour later all is paid back, and they are open still
		for _, k := range manyNets(whitelist.Guesser, 1000) {
			m.Take(k, l, start.Add(time.Hour))
			m.Done(k, start.Add(time.Hour))
		}
	}
	for _, row := range kept {
		if u := m.Look(row.Key, l, start.Add(time.Hour)); u.Open != 2 {
			t.Fatalf("%v was dropped with a connection open: %s", row.Key, u)
		}
	}
	for _, k := range keys {
		m.Done(k, start)
	}
	visit(m, userKey, l, 1, start)
	if rows := m.Top(10, start.Add(time.Hour)); len(rows) != 0 {
		t.Errorf("all are done, and %d are left: %v", len(rows), rows[0])
	}
}

// TestSweep drops keys that are idle and full again as others come.
func TestSweep(t *testing.T) {
	m, l := NewLocal(), For(nil, whitelist.Stranger)
	for i, k := range manyNets(whitelist.Stranger, 20_000) {
		visit(m, k, l, 1, start.Add(time.Duration(i)*100*time.Millisecond)) // owes for 3 s
	}
	if n := m.size(); n > 20*shards {
		t.Errorf("%d keys, of which 30 owe anything", n)
	}
}
