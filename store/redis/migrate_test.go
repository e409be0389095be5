package redis

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"moggy/greylist"
)

// A move is that of one slot of a Cluster from one master to another.
type move struct {
	t        *testing.T
	masters  []*server
	from, to *server
	slot     int64
}

// moving begins to move the slot of a key to the next master: from then on what is not
// at the old place has to be at the new one.
func moving(t *testing.T, masters []*server, key string) *move {
	t.Helper()
	return movingSlot(t, masters, masters[0].do("CLUSTER", "KEYSLOT", key).(int64))
}

func movingSlot(t *testing.T, masters []*server, slot int64) *move {
	t.Helper()
	i := slot / 5462 // as startCluster gives them
	m := &move{t: t, masters: masters, from: masters[i], to: masters[(i+1)%3], slot: slot}
	m.to.do("CLUSTER", "SETSLOT", m.slot, "IMPORTING", m.from.do("CLUSTER", "MYID"))
	m.from.do("CLUSTER", "SETSLOT", m.slot, "MIGRATING", m.to.do("CLUSTER", "MYID"))
	return m
}

// keys are those in the slot at one of the two.
func (m *move) keys(at *server) (keys []string) {
	m.t.Helper()
	for _, k := range at.do("CLUSTER", "GETKEYSINSLOT", m.slot, 1000).([]any) {
		keys = append(keys, k.(string))
	}
	return keys
}

// carry moves keys.
func (m *move) carry(keys ...string) {
	m.t.Helper()
	for _, k := range keys {
		m.from.do("MIGRATE", "127.0.0.1", m.to.port, k, 0, 5000, "REPLACE")
	}
}

// end moves what is left, and says so to all.
func (m *move) end() {
	m.t.Helper()
	for keys := m.keys(m.from); len(keys) > 0; keys = m.keys(m.from) {
		m.carry(keys...)
	}
	for _, s := range append([]*server{m.to, m.from}, m.masters...) {
		s.do("CLUSTER", "SETSLOT", m.slot, "NODE", m.to.do("CLUSTER", "MYID"))
	}
}

// openCluster opens doors of a Cluster, with no more rights than they need.
func openCluster(t *testing.T, masters []*server, n int) (doors []*Store) {
	t.Helper()
	for _, s := range masters {
		s.setUser("moggy", "pw", "c")
	}
	for range n {
		s := openAt(t, Options{URL: "redis+cluster://moggy:pw@" + hosts(masters) + "?prefix=c"})
		eventually(t, 10*time.Second, "not healthy at first", func() bool { return s.Check(context.Background()) == nil })
		doors = append(doors, s)
	}
	return doors
}

// well waits until Redis knows all that the doors know.
func well(t *testing.T, doors ...*Store) {
	t.Helper()
	for _, s := range doors {
		eventually(t, 20*time.Second, "does not get well", func() bool { return s.Sync() == nil && s.Healthy() == nil && s.Stats().Pending == 0 })
	}
}

// TestClusterMovesASlot: a try in a slot that is being moved is answered from memory
// where Redis refuses it, and merged wherever its row is. Nobody passes early, no first
// try is lost, and a list can be had at any time.
func TestClusterMovesASlot(t *testing.T) {
	slow(t)
	masters, _ := startCluster(t)
	doors := openCluster(t, masters, 2)
	stall := watchStalls(t)
	one, two := &patient{Store: doors[0], t: t, stall: stall}, &patient{Store: doors[1], t: t, stall: stall}
	mail := func(n, minute int) greylist.Try { // all of one origin, unnamed: it waits 25 minutes
		x := wide(1, at(minute))
		x.Recipient = fmt.Sprintf("r%d@example.net", n)
		return x
	}
	one.tries(mail(0, 0), greylist.FirstSeen)
	one.tries(mail(1, 0), greylist.FirstSeen)
	q := one.question(mail(0, 0))
	m := moving(t, masters, q.tripletName)

	one.tries(mail(0, 10), greylist.TooEarly)  // its row is at the old place
	two.tries(mail(1, 10), greylist.FirstSeen) // of which this door has not heard
	two.tries(mail(2, 10), greylist.FirstSeen)
	listed(t, one, mail(0, 10), 2)
	m.carry(q.tripletName)
	one.tries(mail(0, 20), greylist.TooEarly) // at the new place
	two.tries(mail(2, 20), greylist.TooEarly)
	one.tries(mail(3, 20), greylist.FirstSeen)
	two.timed(func() { must(t, two.Pass(t.Context(), mail(0, 20).Origin, at(20))) })
	well(t, doors...)
	if old, now := len(m.keys(m.from)), len(m.keys(m.to)); old == 0 || now == 0 {
		t.Errorf("the test is wrong: %d rows at the old place, %d at the new", old, now)
	}
	listed(t, two, mail(0, 20), 1)
	m.end()
	t.Logf("the longest call took %v", max(one.most, two.most).Round(time.Millisecond))

	well(t, doors...)
	other := openAt(t, Options{URL: "redis+cluster://" + hosts(masters) + "?prefix=c", patience: calm})
	for n, first := range []int{0, 0, 10, 20} {
		if s, ok := row(t, other, mail(n, 20)); !ok || !s.First.Equal(at(first)) {
			t.Errorf("triplet %d: %+v, want it first seen %v", n, s, at(first))
		}
	}
	for _, s := range []*Store{one.Store, two.Store, other} {
		if r := try(t, s, mail(4, 21)); r.Outcome != greylist.OriginKnown {
			t.Errorf("the origin that passed meanwhile: %+v", r)
		}
	}
	for _, s := range masters {
		s.refusedNothing(t)
	}
}

// row is what Redis has of a triplet.
func row(t *testing.T, s *Store, x greylist.Try) (greylist.State, bool) {
	t.Helper()
	for r, err := range s.Triplets(t.Context(), x.Now) {
		must(t, err)
		if r.Recipient == x.Recipient {
			return r.State, true
		}
	}
	return greylist.State{}, false
}

// listed wants at least so many triplets to be listed.
func listed(t *testing.T, s *patient, x greylist.Try, least int) {
	t.Helper()
	n := 0
	for _, err := range s.Triplets(t.Context(), x.Now) {
		must(t, err)
		n++
	}
	if n < least {
		t.Errorf("%d triplets are listed, want %d", n, least)
	}
}

// TestClusterMovesEntries: while the slot of the entries is being moved, a person's
// change is made or clearly refused, what is learned waits, and in the end all is in
// force at all doors, none of which has to read the list again.
func TestClusterMovesEntries(t *testing.T) {
	slow(t)
	masters, _ := startCluster(t)
	doors := openCluster(t, masters, 2)
	must(t, doors[0].PutEntry(t.Context(), person("192.0.2.0/24")))
	books := []*book{openBook(t, doors[0]), openBook(t, doors[1])}
	m := moving(t, masters, doors[0].key("said"))
	kept := 1
	for i, part := range [][]string{nil, {doors[0].key("said")}, {doors[0].key("log")}} {
		m.carry(part...)
		doors[0].LearnEntries(learned(i, time.Now()))
		switch err := doors[1].PutEntry(t.Context(), person(fmt.Sprintf("198.51.%d.0/24", i))); {
		case err == nil:
			kept++
		case !strings.Contains(err.Error(), "nothing was kept") || !strings.Contains(err.Error(), "moves what is asked for"):
			t.Errorf("part %d: %v", i, err)
		default:
			t.Log(err)
		}
	}
	m.end()
	well(t, doors...)
	must(t, doors[1].PutEntry(t.Context(), person("203.0.113.0/24")))
	inForce(t, 10*time.Second, "all", books, func(b *book) bool { return b.size() == kept+3+1 })
	for i, b := range books {
		if reloads, restores := b.counts(); reloads+restores > 0 {
			t.Errorf("door %d: %d reloads, %d restores", i, reloads, restores)
		}
	}
}

// TestClusterReshards: a crowd comes while hundreds of slots are being moved.
func TestClusterReshards(t *testing.T) {
	slow(t)
	masters, replicas := startCluster(t)
	for _, s := range append(masters[:3:3], replicas...) {
		s.do("CONFIG", "SET", "cluster-node-timeout", 60_000) // a busy machine is no death
	}
	doors := openCluster(t, masters, 3)
	c := startCrowd(t, doors)
	c.more(1000)
	var moves []*move
	for slot := range 500 { // of one master: two that move at once may undo one another's moves
		moves = append(moves, movingSlot(t, masters, int64(slot)))
	}
	c.more(1000)
	for _, m := range moves {
		m.end()
	}
	c.more(1000)
	c.end()
	if said := masters[0].do("INFO", "errorstats").(string); !strings.Contains(said, "errorstat_ASK:") {
		t.Errorf("the test is wrong: nobody came to a slot that was being moved: %s", said)
	}
	well(t, doors...)
	c.ask(openAt(t, Options{URL: "redis+cluster://" + hosts(masters) + "?prefix=c", patience: calm}), time.Time{})
}
