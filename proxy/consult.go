package proxy

import (
	"context"
	"net/netip"

	"moggy/dnsbl"
)

// A consultation is the question to the DNS lists about one stranger. It is asked
// while the stranger is being stuttered at, and so costs no time.
type consultation struct {
	done  chan struct{}
	score dnsbl.Score
}

// consult begins a consultation about the peer of a connection; nil if there are
// no lists.
func (d *door) consult(conn string, peer netip.Addr) *consultation {
	lists := d.judge.Lists
	if lists == nil {
		return nil
	}
	c := &consultation{done: make(chan struct{})}
	d.background(conn, func() {
		defer close(c.done)
		c.score = lists.Check(d.carrying, peer)
	})
	return c
}

// wait returns the score when it is there. The lists have their own deadline,
// which began with the consultation; a ctx that ends earlier leaves none.
func (c *consultation) wait(ctx context.Context) dnsbl.Score {
	if c == nil {
		return dnsbl.Score{}
	}
	select {
	case <-c.done:
		return c.score
	case <-ctx.Done():
		return dnsbl.Score{}
	}
}
