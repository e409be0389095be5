package redis

import (
	"fmt"
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
