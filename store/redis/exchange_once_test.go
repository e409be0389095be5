package redis

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
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
	server := start(t)
	s := several(t, server, 2)
	for _, l := range []budget.Limit{{Rate: 60, Burst: 30}, {Recipients: 30}} {
		use := func(s *Store, n int, lease time.Duration) Others {
			u := Use{Key: peerKey(1), Limit: l, Tokens: n * min(1, l.Rate), Recipients: n * min(1, l.Recipients), Open: 1}
			return exchanged(t, s, u, lease)
		}
		use(s[0], 20, time.Millisecond)
		if left := server.do("PTTL", s[0].budgetKey(peerKey(1))).(int64); left < 75_000 {
			t.Errorf("%+v: forgotten in %d ms, and 20 are owed", l, left)
		}
		eventually(t, 5*time.Second, "the lease does not end", func() bool { return use(s[1], 0, time.Millisecond).Open == 0 })
		use(s[1], 1, time.Millisecond)
		if got := use(s[0], 1, time.Minute); got.Tokens+got.Recipients != 1 {
			t.Errorf("%+v: %+v, want what the other has used", l, got)
		}
		server.do("FLUSHALL")
	}
}

// TestPaidBackIsNotCharged: a node that has not asked for long is told of what is
// owed still, and not of all that was ever used.
func TestPaidBackIsNotCharged(t *testing.T) {
	server := start(t)
	const fast = 100_000_000 // 1,667 a millisecond
	for i, l := range []budget.Limit{{Rate: fast, Burst: 1000, Recipients: 1}, {Rate: 1, Recipients: fast}} {
		s, k := several(t, server, 2), peerKey(byte(i))
		use := func(s *Store, n int) int {
			o := exchanged(t, s, Use{Key: k, Limit: l, Tokens: n * (1 - i), Recipients: n * i}, time.Minute)
			return o.Tokens + o.Recipients
		}
		use(s[0], 0)
		for range 10 {
			use(s[1], 50)
		}
		eventually(t, 5*time.Second, "it is not paid back", func() bool { return use(several(t, server, 1)[0], 0) == 0 })
		if n := use(s[0], 0); n != 0 {
			t.Errorf("%+v: %d of 500 that were paid back", l, n)
		}
	}
}

// An asking is what a node of that name asks, of a budget with that rate of both.
type asking struct {
	node, word                     string
	rate, tokens, recipients, open int
	lease                          time.Duration
}

func (q asking) ask(t *testing.T, s *Store) []any {
	t.Helper()
	answer, err := s.scripts.exchange.Run(t.Context(), s.client.Load(), []string{s.budgetKey(peerKey(1))},
		q.node+q.word, q.node, q.open, q.lease.Milliseconds(), q.tokens, q.rate, 60, q.recipients, q.rate, 60).Slice()
	must(t, err)
	return answer
}

// TestDeadNodesAreForgotten when what they knew of is paid back.
func TestDeadNodesAreForgotten(t *testing.T) {
	server := start(t)
	s := several(t, server, 1)[0]
	for i := range 20 {
		dead := asking{node: fmt.Sprint("dead", i, "-"), word: "x", lease: time.Millisecond}
		dead.rate, dead.tokens, dead.recipients, dead.open = 60_000, 1, 1, 1
		dead.ask(t, s)
	}
	n := 0
	eventually(t, 5*time.Second, "nodes that died stay in the row", func() bool {
		n++
		asking{node: "alive", word: fmt.Sprint(n), rate: 60_000, lease: time.Minute}.ask(t, s)
		return server.do("HLEN", s.budgetKey(peerKey(1))).(int64) == 6
	})
}

// TestAskedTwice: the library asks once more when an answer does not come. That
// counts once, and gets the same answer.
func TestAskedTwice(t *testing.T) {
	s := several(t, start(t), 2)
	other := Use{Key: peerKey(1), Limit: mailLimit, Tokens: 3, Recipients: 6, Open: 2}
	exchanged(t, s[1], other, time.Minute)
	ask := func(word string) []any {
		return asking{node: s[0].nonce, word: word, rate: 30, tokens: 5, recipients: 9, open: 1, lease: time.Minute}.ask(t, s[0])
	}
	for _, word := range []string{"first", "first"} {
		if got := ask(word); !slices.Equal(got, []any{s[0].nonce + word, int64(3), int64(6), int64(2)}) {
			t.Errorf("%v", got)
		}
	}
	other.Tokens, other.Recipients = 0, 0
	if got := exchanged(t, s[1], other, time.Minute); got.Tokens != 5 || got.Recipients != 9 || got.Open != 1 {
		t.Errorf("%+v, want 5, 9 and 1", got)
	}
	if got := ask("second"); got[1] != int64(0) || got[2] != int64(0) {
		t.Errorf("%v", got)
	}
}

// TestFleets: three doors on a real Redis. A client gets its budget once, of
// connections and of recipients, within what budget.Fleet says; with Redis away each
// door goes on for itself, and they share again when it is back, empty.
func TestFleets(t *testing.T) {
	slow(t)
	server := start(t)
	l := budget.Limit{Rate: 600, Burst: 20, Open: 100, Recipients: 600}
	var doors []*budget.Fleet
	for _, s := range several(t, server, 3) {
		doors = append(doors, runFleet(t, s))
	}
	c := visitor{t: t, doors: doors, limit: l, r: rand.New(rand.NewPCG(1, 1))}
	begun := time.Now()
	c.visit(5 * time.Second)
	once := float64(l.Burst) + float64(l.Rate)*time.Since(begun).Minutes()
	t.Logf("%d connections through three doors; one would have taken %.0f", c.all, once)
	beyond, _ := l.Excess(len(doors), time.Second)
	if most := once + beyond; float64(c.all) > most {
		t.Errorf("%d connections, at most %.0f", c.all, most)
	}
	if float64(c.all) < once*9/10 {
		t.Errorf("%d connections of %.0f: its budget is cut", c.all, once)
	}
	c.checkRecipients(time.Since(begun))
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
	t                 *testing.T
	doors             []*budget.Fleet
	limit             budget.Limit
	r                 *rand.Rand
	all               int // connections that were let in
	recipients, tried int
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
		for range 2 {
			if c.tried++; d.Recipient(peerKey(1), c.limit, now).Over == budget.Within {
				c.recipients++
			}
		}
	}
}

// checkRecipients wants its budget, once, and of what it tried no more than until each
// of three doors had told and the others heard. That is far less than what the doors
// would let in who do not share.
func (c *visitor) checkRecipients(since time.Duration) {
	rate := float64(c.limit.Recipients)
	once, most := rate*(1+since.Minutes()), float64(c.tried)*2/3*3/since.Seconds()
	c.t.Logf("%d recipients of %d tried; one door would have taken %.0f", c.recipients, c.tried, once)
	if n := float64(c.recipients); n > once+most || n < min(once, float64(c.tried))*9/10 {
		c.t.Errorf("%d recipients of %.0f, and at most %.0f more", c.recipients, once, most)
	}
}
