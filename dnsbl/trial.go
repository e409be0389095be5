package dnsbl

import (
	"fmt"
	"net/netip"
)

// A trial is what a list said of the addresses about which the right answer is
// known.
type trial struct {
	list   *List
	points []point
	good   int // peers known to be good that it was asked about
	named  int // those of them that it lists
}

// A point is a test point (RFC 5782 §5).
type point struct {
	addr   netip.Addr
	listed bool // what is right
	reading
}

// newTrial is a trial of which nothing is known yet.
func newTrial(l *List) *trial {
	return &trial{list: l, points: []point{
		{addr: l.TestListed, listed: true}, {addr: l.TestUnlisted},
		{addr: testListed6, listed: true}, {addr: testUnlisted6},
	}}
}

// A finding is what is to be thought of a list after a trial.
type finding struct {
	unanswered bool
	reason     Reason // "" when all is well
	why        string // the same in words
	tested6    bool   // the IPv6 test points were answered
	ipv6       bool   // it knows IPv6
}

// More good peers than goodListed, and more than a goodShare-th of those asked
// about, may not be on a list.
const (
	goodListed = 3
	goodShare  = 5
)

// find is the finding. What is wrong counts even where other points were not
// answered. A list that does not have its IPv6 test point does not know IPv6,
// which many do not; that is no fault.
func (t *trial) find() finding {
	if f, wrong := t.misled(); wrong {
		return f
	}
	yes, no, yes6, no6 := t.points[0], t.points[1], t.points[2], t.points[3]
	switch {
	case no.named() || no6.named():
		return t.everybody()
	case yes.answer.silent() || no.answer.silent():
		return finding{unanswered: true}
	case !yes.named():
		return finding{reason: ListsNobody, why: fmt.Sprintf("it does not list %s, as every list must: it is empty or gone; remove it", yes.addr)}
	case t.named > goodListed && t.named*goodShare > t.good:
		return finding{reason: ListsGood, why: fmt.Sprintf("it lists %d of %d peers that are known to be good", t.named, t.good)}
	}
	return finding{tested6: !yes6.answer.silent() && !no6.answer.silent(), ipv6: yes6.named()}
}

// misled looks for answers that no working list gives.
func (t *trial) misled() (finding, bool) {
	for _, p := range t.points {
		switch p.answer {
		case Refused:
			return finding{reason: Refuses, why: p.meaning()}, true
		case Foreign:
			return finding{reason: Astray, why: p.meaning()}, true
		}
	}
	return finding{}, false
}

func (t *trial) everybody() finding {
	p := t.points[1]
	if !p.named() {
		p = t.points[3]
	}
	why := fmt.Sprintf("it lists %s (%s), which no list may: it lists everybody", p.addr, p.code)
	if t.list.Weight < 0 {
		why = fmt.Sprintf("it vouches for %s (%s), which no list may: it vouches for everybody, as lists do that were asked too often", p.addr, p.code)
	}
	return finding{reason: ListsEverybody, why: why}
}
