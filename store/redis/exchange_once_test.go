package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"moggy/whitelist/budget"
)

// several opens some nodes on a server.
func several(t *testing.T, server *server, n int) (s []*Store) {
	t.Helper()
	for range n {
		s = append(s, openAt(t, Options{URL: server.url("x"), patience: calm}))
	}
	return s
}

// TestOwnUseIsNotCharged, however long a node has not asked.
func TestOwnUseIsNotCharged(t *testing.T) {
	s, k := several(t, start(t), 2), peerKey(1)
	told(t, s[0], k, 20, 0, time.Millisecond)
	eventually(t, 5*time.Second, "the lease does not end", func() bool {
		return told(t, s[1], k, 0, 0, time.Millisecond).Open == 0
	})
	told(t, s[1], k, 1, 0, time.Millisecond)
	if got := told(t, s[0], k, 1, 0, time.Minute); got.Tokens != 1 {
		t.Errorf("%+v, want what the other has used", got)
	}
}

// TestPaidBackIsNotCharged: a node that has not asked for long is told of what is
// owed still, and not of all that was ever used.
func TestPaidBackIsNotCharged(t *testing.T) {
	server := start(t)
	s, fast := several(t, server, 2), budget.Limit{Rate: 100_000_000, Burst: 1000} // 1,667 a millisecond
	use := func(s *Store, tokens int) int {
		all, err := s.Exchange(t.Context(), []Use{{Key: peerKey(1), Limit: fast, Tokens: tokens}}, time.Minute)
		must(t, err)
		return all[0].Tokens
	}
	use(s[0], 0)
	for range 10 {
		use(s[1], 50)
	}
	eventually(t, 5*time.Second, "it is not paid back", func() bool { return use(several(t, server, 1)[0], 0) == 0 })
	if n := use(s[0], 0); n != 0 {
		t.Errorf("%d of 500 that were paid back", n)
	}
}

// script asks as a node of that name does, of a budget with that rate.
func script(t *testing.T, s *Store, node, word string, rate, tokens, open int, lease time.Duration) []any {
	t.Helper()
	answer, err := s.scripts.exchange.Run(t.Context(), s.client.Load(), []string{s.budgetKey(peerKey(1))},
		node+word, node, tokens, open, rate, 60, lease.Milliseconds()).Slice()
	must(t, err)
	return answer
}

// TestDeadNodesAreForgotten when what they knew of is paid back.
func TestDeadNodesAreForgotten(t *testing.T) {
	server := start(t)
	s := several(t, server, 1)[0]
	for i := range 20 {
		script(t, s, fmt.Sprint("dead", i, "-"), "x", 60_000, 1, 1, time.Millisecond)
	}
	n := 0
	eventually(t, 5*time.Second, "nodes that died stay in the row", func() bool {
		n++
		script(t, s, "alive", fmt.Sprint(n), 60_000, 0, 0, time.Minute)
		return server.do("HLEN", s.budgetKey(peerKey(1))).(int64) == 4
	})
}

// TestAskedTwice: the library asks once more when an answer does not come. That
// counts once, and gets the same answer.
func TestAskedTwice(t *testing.T) {
	s, k := several(t, start(t), 2), peerKey(1)
	told(t, s[1], k, 3, 2, time.Minute)
	ask := func(word string) []any { return script(t, s[0], s[0].nonce, word, 60, 5, 1, time.Minute) }
	for _, word := range []string{"first", "first"} {
		if got := ask(word); got[0] != s[0].nonce+word || got[1] != int64(3) || got[2] != int64(2) {
			t.Errorf("%v", got)
		}
	}
	if got := told(t, s[1], k, 0, 2, time.Minute); got.Tokens != 5 || got.Open != 1 {
		t.Errorf("%+v, want 5 and 1", got)
	}
	if got := ask("second"); got[1] != int64(0) {
		t.Errorf("%v", got)
	}
}

// TestFleets: three doors on a real Redis. A client gets its budget once, within
// what budget.Fleet says; with Redis away each door goes on for itself, and they
// share again when it is back, empty.
func TestFleets(t *testing.T) {
	slow(t)
	server := start(t)
	l := budget.Limit{Rate: 600, Burst: 20, Open: 100}
	var doors []*budget.Fleet
	for _, s := range several(t, server, 3) {
		doors = append(doors, runFleet(t, s))
	}
	c := visitor{t: t, doors: doors, limit: l, r: rand.New(rand.NewPCG(1, 1))}
	begun := time.Now()
	c.visit(5 * time.Second)
	once := float64(l.Burst) + float64(l.Rate)*time.Since(begun).Minutes()
	t.Logf("%d connections through three doors; one would have taken %.0f", c.all, once)
	if most := once + l.Excess(len(doors), time.Second); float64(c.all) > most {
		t.Errorf("%d connections, at most %.0f", c.all, most)
	}
	if float64(c.all) < once*9/10 {
		t.Errorf("%d connections of %.0f: its budget is cut", c.all, once)
	}
	server.kill()
	c.visit(4 * time.Second) // pays back what each owed at first
	c.all = 0
	c.visit(3 * time.Second)
	if each := 3 * l.Rate / 60; c.all < 3*each*8/10 {
		t.Errorf("%d connections while Redis is away, and each of three doors has budget for %d", c.all, each)
	}
	server.run()
	back := time.Now()
	before := doors[0].Sharing().Told
	eventually(t, 20*time.Second, "they do not share again", func() bool {
		c.visit(100 * time.Millisecond)
		return doors[0].Sharing().Told > before
	})
	t.Logf("they share again after %v", time.Since(back).Round(100*time.Millisecond))
}

// runFleet runs the meter of a door until the test ends.
func runFleet(t *testing.T, s *Store) *budget.Fleet {
	ctx, stop := context.WithCancel(t.Context())
	f, done := budget.NewFleet(s), make(chan struct{})
	go func() { // ended below, before the store closes
		defer close(done)
		f.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
	return f
}

// A visitor comes to some doors, far more often than it may.
type visitor struct {
	t     *testing.T
	doors []*budget.Fleet
	limit budget.Limit
	r     *rand.Rand
	all   int
}

func (c *visitor) visit(long time.Duration) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(long); time.Now().Before(end); <-tick.C {
		d, now := c.doors[c.r.IntN(len(c.doors))], time.Now()
		if d.Take(peerKey(1), c.limit, now).Over == budget.Within {
			d.Done(peerKey(1), now)
			c.all++
		}
	}
}
