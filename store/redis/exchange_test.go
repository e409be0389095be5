package redis

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"moggy/whitelist"
	"moggy/whitelist/budget"
)

func peerKey(n byte) budget.Key {
	return budget.KeyOf(whitelist.Peer, netip.AddrFrom4([4]byte{192, 0, 2, n}))
}

// peerLimit counts no recipients; they are asked of with mailLimit.
var (
	peerLimit = budget.Limit{Rate: 60, Burst: 30, Open: 10}
	mailLimit = budget.Limit{Rate: 1, Burst: 30, Open: 10, Recipients: 30}
)

// told is what an exchange of one key says.
func told(t *testing.T, s *Store, k budget.Key, tokens, open int, lease time.Duration) Others {
	t.Helper()
	return exchanged(t, s, Use{Key: k, Limit: peerLimit, Tokens: tokens, Open: open}, lease)
}

func exchanged(t *testing.T, s *Store, u Use, lease time.Duration) Others {
	t.Helper()
	all, err := s.Exchange(t.Context(), []Use{u}, lease)
	must(t, err)
	if len(all) != 1 || all[0].Key != u.Key {
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

// TestExchangeRecipients: they are counted as connections are, and for themselves.
func TestExchangeRecipients(t *testing.T) {
	s, k := several(t, start(t), 3), peerKey(1)
	for i, c := range []struct{ node, tokens, recipients, others, counted int }{
		{0, 5, 9, 0, 0},
		{1, 0, 0, 5, 9}, // first seen: what is owed
		{0, 0, 8, 0, 0},
		{1, 3, 4, 0, 8},
		{0, 0, 1, 3, 4},
		{1, 0, 0, 0, 1},
		{2, 0, 0, 8, 22},
		{2, 0, 0, 0, 0},
	} {
		u := Use{Key: k, Limit: mailLimit, Tokens: c.tokens, Recipients: c.recipients, Open: 1}
		got := exchanged(t, s[c.node], u, time.Minute)
		if got.Tokens != c.others || got.Recipients != c.counted {
			t.Errorf("step %d: %+v, want %d and %d", i, got, c.others, c.counted)
		}
	}
	only := Use{Key: peerKey(2), Limit: budget.Limit{Recipients: 10}, Recipients: 1000}
	exchanged(t, s[0], only, time.Minute)
	if got := exchanged(t, s[1], only, time.Minute); got.Tokens != 0 || got.Recipients != 20 {
		t.Errorf("much more than can be owed: %+v, want 20 recipients", got)
	}
}

// TestRowsWithoutRecipients are those of an earlier version: what they say holds.
func TestRowsWithoutRecipients(t *testing.T) {
	server := start(t)
	s, k := several(t, server, 2), peerKey(1)
	now := time.Now().UnixMilli()
	server.do("HSET", s[0].budgetKey(k), "total", "7", "debt", "6.000", "at", fmt.Sprint(now),
		"n:"+s[0].nonce, fmt.Sprintf("4 word 3 1 %d", now+60_000), "n:other", fmt.Sprintf("7 word 0 2 %d", now+60_000))
	q := asking{node: s[0].nonce, word: "word", rate: 60, tokens: 9, recipients: 9, lease: time.Minute}
	if got := q.ask(t, s[0]); !slices.Equal(got, []any{s[0].nonce + "word", int64(3), int64(0), int64(2)}) {
		t.Errorf("asked twice: %v", got)
	}
	u := Use{Key: k, Limit: mailLimit, Recipients: 5, Open: 1}
	if got := exchanged(t, s[0], u, time.Minute); got.Tokens != 3 || got.Recipients != 0 || got.Open != 2 {
		t.Errorf("%+v, want 3 tokens, no recipients, 2 open", got)
	}
	if got := exchanged(t, s[1], u, time.Minute); got.Tokens != 6 || got.Recipients != 5 || got.Open != 3 {
		t.Errorf("%+v, want 6 tokens, 5 recipients, 3 open", got)
	}
	if got := exchanged(t, s[0], u, time.Minute); got.Tokens != 0 || got.Recipients != 5 {
		t.Errorf("%+v, want no tokens and 5 recipients", got)
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
