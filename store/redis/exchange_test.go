package redis

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"moggy/whitelist"
	"moggy/whitelist/budget"
)

func peerKey(n byte) budget.Key {
	return budget.KeyOf(whitelist.Peer, netip.AddrFrom4([4]byte{192, 0, 2, n}))
}

var peerLimit = budget.Limit{Rate: 60, Burst: 30, Open: 10}

// told is what an exchange of one key says.
func told(t *testing.T, s *Store, k budget.Key, tokens, open int, lease time.Duration) Others {
	t.Helper()
	all, err := s.Exchange(t.Context(), []Use{{Key: k, Limit: peerLimit, Tokens: tokens, Open: open}}, lease)
	must(t, err)
	if len(all) != 1 || all[0].Key != k {
		t.Fatalf("%+v", all)
	}
	return all[0]
}

func TestExchange(t *testing.T) {
	server := start(t)
	var s []*Store
	for range 3 {
		s = append(s, openAt(t, Options{URL: server.url("x"), patience: calm}))
	}
	k := peerKey(1)
	for i, c := range []struct{ node, tokens, open, others, elsewhere int }{
		{0, 5, 2, 0, 0},
		{1, 0, 0, 5, 2}, // first seen: what is owed
		{0, 3, 1, 0, 0},
		{1, 4, 3, 3, 1},
		{0, 0, 1, 4, 3},
		{0, -2, 0, 0, 3}, // given back
		{1, 0, 3, -2, 0},
		{2, 0, 0, 10, 3},
		{2, 0, 0, 0, 3},
	} {
		got := told(t, s[c.node], k, c.tokens, c.open, time.Minute)
		if got.Tokens != c.others || got.Open != c.elsewhere {
			t.Errorf("step %d: %+v, want %d and %d", i, got, c.others, c.elsewhere)
		}
	}
	if got := told(t, s[0], peerKey(2), 0, 0, time.Minute); got.Tokens != 0 || got.Open != 0 {
		t.Errorf("another key: %+v", got)
	}
}

// TestDeadNodesGiveBack: open connections of a node that says nothing count until
// its lease is over; what it used is owed as any other.
func TestDeadNodesGiveBack(t *testing.T) {
	server := start(t)
	dead, alive := openAt(t, Options{URL: server.url("x"), patience: calm}), openAt(t, Options{URL: server.url("x"), patience: calm})
	told(t, dead, peerKey(1), 5, 7, 300*time.Millisecond)
	if got := told(t, alive, peerKey(1), 0, 0, time.Minute); got.Open != 7 || got.Tokens != 5 {
		t.Errorf("%+v", got)
	}
	must(t, dead.Close())
	eventually(t, 5*time.Second, "the lease does not end", func() bool { return told(t, alive, peerKey(1), 0, 0, time.Minute).Open == 0 })
}

// A meter is one node's share of the work, as simple as it gets: what is owed, for
// connections that were taken here and elsewhere. Unlike a budget.Local it lets a
// client owe more than its burst by what it took elsewhere.
type meter struct {
	owed float64
	at   time.Time
}

func (m *meter) settle(now time.Time) {
	m.owed = max(0, m.owed-now.Sub(m.at).Minutes()*float64(peerLimit.Rate))
	m.at = now
}

func (m *meter) take(now time.Time) bool {
	m.settle(now)
	within := m.owed+1 <= float64(peerLimit.Burst)
	if within {
		m.owed++
	}
	return within
}

func (m *meter) charge(n int, now time.Time) {
	m.settle(now)
	m.owed += float64(n)
}

// TestBudgetsAcrossNodes: a client that spreads over three nodes gets its budget
// once, and at most what it can take at the others between two exchanges.
func TestBudgetsAcrossNodes(t *testing.T) {
	server := start(t)
	var stores []*Store
	for range 3 {
		stores = append(stores, openAt(t, Options{URL: server.url("x"), patience: calm}))
	}
	var meters [3]meter
	r, now, all := rand.New(rand.NewPCG(1, 1)), epoch(), 0
	const perSecond, seconds = 10, 120
	for second := range seconds {
		var taken [3]int
		for range perSecond {
			if n := r.IntN(3); meters[n].take(now) {
				taken[n]++
				all++
			}
			now = now.Add(time.Second / perSecond)
		}
		for n, s := range stores {
			meters[n].charge(told(t, s, peerKey(1), taken[n], 0, time.Minute).Tokens, now)
		}
		once := peerLimit.Burst + (second+1)*peerLimit.Rate/60
		if most := once + 2*perSecond; all > most {
			t.Fatalf("after %d s %d connections, at most %d", second, all, most)
		}
	}
	once := peerLimit.Burst + seconds*peerLimit.Rate/60
	t.Logf("%d connections through three nodes; one node would have taken %d", all, once)
	if all < once*8/10 {
		t.Errorf("%d connections of %d: its budget is cut", all, once)
	}
}

// TestManyBudgets at once, and none when Redis is away.
func TestManyBudgets(t *testing.T) {
	server := start(t)
	s := openAt(t, Options{URL: server.url("x"), patience: calm})
	var uses []Use
	for i := range 500 {
		uses = append(uses, Use{Key: budget.Key{Class: whitelist.Pool, Origin: fmt.Sprint("{x}", i)}, Limit: peerLimit, Tokens: i})
	}
	all, err := s.Exchange(t.Context(), uses, time.Minute)
	must(t, err)
	if len(all) != 500 {
		t.Errorf("%d", len(all))
	}
	if all, err := away(t, Options{}).Exchange(t.Context(), uses, time.Minute); err == nil || len(all) != 0 {
		t.Errorf("%v, %v", all, err)
	}
}
