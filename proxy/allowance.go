package proxy

import (
	"sync/atomic"
	"time"

	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// A Share is what one connection has of its class's budget. The zero Share has
// nothing. It belongs to one goroutine at a time.
type Share struct {
	meter budget.Meter
	key   budget.Key
	limit budget.Limit
	spent bool // its token is not given back yet
	open  bool
}

// take asks for a share of a budget, from memory alone.
func (j *Judge) take(key budget.Key, limit budget.Limit, now time.Time) (Share, budget.Usage) {
	u := j.Meter.Take(key, limit, now)
	taken := u.Over == ""
	return Share{j.Meter, key, limit, taken, taken}, u
}

// limit is what a client of a class may use.
func (j *Judge) limit(c whitelist.Class) budget.Limit { return budget.For(*j.Limits.Load(), c) }

// refund gives the token back: what was refused, or failed, through a fault of
// ours costs nobody his budget.
func (s *Share) refund() {
	if s.spent {
		s.spent = false
		s.meter.Refund(s.key, s.limit, time.Now())
	}
}

// end says that the connection has ended.
func (s *Share) end() {
	if s.open {
		s.open, s.spent = false, false
		s.meter.Done(s.key, time.Now())
	}
}

// takePool asks for a share of what a known origin may use, whichever of its
// addresses comes: there is no waiting in line in the middle of a dialogue.
func (j *Judge) takePool(f *verdict.Facts, now time.Time) Share {
	limit := j.limit(whitelist.Pool)
	limit.Wait = 0
	s, u := j.take(budget.Key{Class: whitelist.Pool, Origin: f.Origin.String()}, limit, now)
	if u.Over != "" {
		f.Budget = u
	}
	return s
}

// countRecipient notes one more recipient of a peer that we talk to. Recipients of
// peers that are carried are not seen, and not counted.
func (j *Judge) countRecipient(f *verdict.Facts, now time.Time) {
	c := f.Standing.Class
	f.Budget = budget.Usage{}
	if u := j.Meter.Recipient(budget.KeyOf(c, f.Peer.Addr()), j.limit(c), now); u.Over != "" {
		f.Budget = u
	}
}

// places are so many, and no more.
type places struct {
	taken atomic.Int64
	most  int
}

func (p *places) take() bool { return p.takeBelow(p.most) }

// takeBelow takes a place if fewer than so many are taken.
func (p *places) takeBelow(most int) bool {
	for n := p.taken.Load(); n < int64(most); n = p.taken.Load() {
		if p.taken.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

// open is how many places one may take: the last quarter is for the known.
func (p *places) open(known bool) int {
	if known {
		return p.most
	}
	return p.most - p.most/4
}

func (p *places) free() { p.taken.Add(-1) }
