package dnsbl

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Watch probes each list now, every few minutes, and at once when there is a
// reason to doubt it, until ctx ends. It returns when all that it started has
// ended; without lists, at once.
//
// What the servers behind the resolver remember of a test point is older than
// the question by at most the time that the list's zone allows; the answers
// about known peers make up for that in part.
func (c *Checker) Watch(ctx context.Context) {
	c.watching.Store(true)
	defer c.watching.Store(false)
	var wait sync.WaitGroup
	for _, l := range c.lists {
		wait.Go(func() {
			for {
				c.probe(ctx, l)
				if !l.rest(ctx) {
					return
				}
			}
		})
	}
	wait.Wait()
}

// Probe probes each list once. It is for whoever does not Watch.
func (c *Checker) Probe(ctx context.Context) {
	var wait sync.WaitGroup
	for _, l := range c.lists {
		wait.Go(func() { c.probe(ctx, l) })
	}
	wait.Wait()
}

// probe asks a list about addresses of which the right answer is known. What
// the end of ctx cuts off does not count.
func (c *Checker) probe(ctx context.Context, l *watched) {
	t := newTrial(&l.List)
	began := time.Now()
	c.askPoints(ctx, t)
	took := time.Since(began)
	if f := t.find(); l.Weight > 0 && f.reason == "" && !f.unanswered {
		c.askGood(ctx, t, l.ipv6() || f.ipv6)
	}
	if ctx.Err() == nil {
		l.probed(t, took, time.Now())
	}
}

func (c *Checker) askPoints(ctx context.Context, t *trial) {
	var wait sync.WaitGroup
	for i := range t.points {
		wait.Go(func() {
			p := &t.points[i]
			p.reading = c.askFresh(ctx, t.list, p.addr)
		})
	}
	wait.Wait()
}

// goodAtOnce is how many known peers a list is asked about at once.
const goodAtOnce = 8

// askGood asks about the peers known to be good. Those without an answer do not
// count.
func (c *Checker) askGood(ctx context.Context, t *trial, ipv6 bool) {
	var wait sync.WaitGroup
	var good, named atomic.Int64
	peers := c.good.all(ipv6)
	for first := range min(goodAtOnce, len(peers)) {
		wait.Go(func() {
			for i := first; i < len(peers); i += goodAtOnce {
				switch c.askFresh(ctx, t.list, peers[i]).answer {
				case Listed:
					named.Add(1)
					good.Add(1)
				case Clean, Other:
					good.Add(1)
				}
			}
		})
	}
	wait.Wait()
	t.good, t.named = int(good.Load()), int(named.Load())
}

// askFresh asks for what the list says now.
func (c *Checker) askFresh(ctx context.Context, l *List, addr netip.Addr) reading {
	ctx, cancel := context.WithTimeout(ctx, l.Timeout)
	defer cancel()
	addrs, err := c.o.Fresh.A(ctx, Query(addr, l.Zone))
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return read(l.Codes, addrs, err)
}
