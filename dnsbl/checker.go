package dnsbl

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Options are for New. What is zero takes its default.
type Options struct {
	Resolver  Resolver
	Fresh     Resolver      // for test points and known peers: it does not answer from memory; default: Resolver
	Lists     []List        //
	Threshold int           // from this total on a peer is listed; default 1
	Timeout   time.Duration // for a whole check; default 2 s
	Every     time.Duration // between two probes of a list that works; default 5 min
	Questions int           // under way at once, at most; default 1024. When all are, a check waits, within its time
	Log       *slog.Logger  // default: none
	Events    Events        // default: none
}

// A Checker asks lists about peers, and watches the lists. A list counts once
// its test points were right: [Checker.Watch] must run, or Probe must have been
// called.
type Checker struct {
	o     Options
	lists []*watched
	slots chan struct{}
	good  goodPeers
	hits  recentHits
	wait  sync.WaitGroup

	watching atomic.Bool // somebody asks the test points of a list that is suspected
}

// New makes a Checker of lists that nobody has tested yet.
func New(o Options) *Checker {
	o.Threshold = max(o.Threshold, 1)
	o.Timeout = cmp.Or(o.Timeout, 2*time.Second)
	o.Every = cmp.Or(o.Every, 5*time.Minute)
	o.Questions = cmp.Or(o.Questions, 1024)
	if o.Fresh == nil {
		o.Fresh = o.Resolver
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Events == nil {
		o.Events = deaf{}
	}
	c := &Checker{o: o, slots: make(chan struct{}, o.Questions)}
	for _, l := range o.Lists {
		c.lists = append(c.lists, newWatched(l, &o, time.Now()))
	}
	return c
}

// errLate is why a question ends whose time is over. That the peer left is no
// fault of the list.
var errLate = errors.New("no answer in time")

// Check asks all lists about a peer, and returns after Options.Timeout with what
// is there by then. Give it a ctx that lives longer: what a shorter one cuts off
// is not held against a list. Lists that do not know IPv6 are not asked about
// IPv6 peers.
func (c *Checker) Check(ctx context.Context, peer netip.Addr) Score {
	peer = canonical(peer)
	if len(c.lists) == 0 || !peer.IsValid() {
		return Score{Threshold: c.o.Threshold}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, c.o.Timeout, errLate)
	defer cancel()
	all := c.gather(ctx, peer)
	now := time.Now()
	for i, l := range c.lists {
		if all[i].answer != "" {
			all[i] = l.stand(peer, all[i].reading, now)
		}
	}
	for i, l := range c.lists {
		if all[i].state == Suspected && all[i].answer == Listed && c.watching.Load() {
			all[i].state = l.cleared(ctx)
		}
	}
	score := tally(c.o.Threshold, all)
	c.credit(peer, &score, all, now)
	return score
}

// An answer is what the i-th list said.
type answer struct {
	i int
	reading
}

// gather asks the lists and waits for what they say. What is not there when ctx
// ends is late.
func (c *Checker) gather(ctx context.Context, peer netip.Addr) []said {
	all := make([]said, len(c.lists))
	answers := make(chan answer, len(c.lists))
	pending := 0
	for i, l := range c.lists {
		asks, state := l.asks(peer)
		if !asks {
			continue
		}
		all[i].answer = Late
		if state.asked() && c.reserve(ctx) {
			pending++
			c.wait.Go(func() {
				defer func() { <-c.slots }()
				answers <- answer{i, c.ask(ctx, l, peer)}
			})
		}
	}
	for ; pending > 0; pending-- {
		select {
		case a := <-answers:
			all[a.i].reading = a.reading
		case <-ctx.Done():
			drain(answers, all)
			return all
		}
	}
	return all
}

// drain takes the answers that came when time was over.
func drain(answers <-chan answer, all []said) {
	for {
		select {
		case a := <-answers:
			all[a.i].reading = a.reading
		default:
			return
		}
	}
}

// reserve takes one of the slots for questions, if there is one before ctx ends.
func (c *Checker) reserve(ctx context.Context) bool {
	select {
	case c.slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// ask asks one list about a peer, and notes how that went.
func (c *Checker) ask(ctx context.Context, l *watched, peer netip.Addr) reading {
	if l.Timeout < c.o.Timeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, l.Timeout, errLate)
		defer cancel()
	}
	began := time.Now()
	addrs, err := c.o.Resolver.A(ctx, Query(peer, l.Zone))
	now := time.Now()
	r := read(l.Codes, addrs, err)
	if ctx.Err() != nil {
		r = reading{answer: Late}
		if context.Cause(ctx) != errLate {
			return r
		}
	}
	l.answered(peer, r.answer, now.Sub(began), now)
	return r
}

// credit gives each list that counted its due.
func (c *Checker) credit(peer netip.Addr, score *Score, all []said, now time.Time) {
	var lists uint64
	for i, s := range all {
		if s.counts() {
			lists |= 1 << i
			c.lists[i].hit(peer, alone(s, all), score.hangsOn(s.weight), now)
		}
	}
	if lists != 0 {
		c.hits.add(host(peer), lists)
	}
}

// Passed tells that a peer turned out to be good: it came back and its mail was
// taken. Lists that had it among the last 5,000 peers that any list had are
// charged with it.
func (c *Checker) Passed(peer netip.Addr) {
	lists := c.hits.take(host(canonical(peer)))
	for i, l := range c.lists {
		if lists&(1<<i) != 0 {
			l.passed()
		}
	}
}

// Good tells of a peer that is known to be good: it did not just come back, but
// sends mail that is wanted. Block lists are asked about the last 32 networks of
// such peers; who can bring in a fifth of them can suspend a list.
func (c *Checker) Good(peer netip.Addr) {
	peer = canonical(peer)
	if len(c.lists) == 0 || !peer.IsValid() {
		return
	}
	c.good.add(peer)
	c.Passed(peer)
}

// Lists returns how each list does, in the order of the configuration.
func (c *Checker) Lists() []Status {
	all := make([]Status, len(c.lists))
	for i, l := range c.lists {
		all[i] = l.status()
	}
	return all
}

// Close waits for the questions that outlived their checks. It is called after
// the last Check has returned.
func (c *Checker) Close() { c.wait.Wait() }
