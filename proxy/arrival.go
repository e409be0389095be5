package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"moggy/metrics"
	"moggy/proxy/tarpit"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// holdings are what a connection has that others may need: its share of a budget,
// a slot of the pit, a visitor's place, a place in line. They belong to one
// goroutine at a time.
type holdings struct {
	share   Share
	slot    *tarpit.Pit // where a slot is reserved for it; nil: none is, or the pit has taken it over
	visitor *places     // nil: none
	line    *places     // nil: none
}

// giveBack gives all of it back. To give back twice is to give back once.
func (h *holdings) giveBack() {
	h.share.end()
	h.leaveLine()
	if h.visitor != nil {
		h.visitor.free()
		h.visitor = nil
	}
	if h.slot != nil {
		h.slot.Release()
		h.slot = nil
	}
}

func (h *holdings) leaveLine() {
	if h.line != nil {
		h.line.free()
		h.line = nil
	}
}

// greet decides about a peer that has just connected and records it. What the
// verdict needs, a slot of the pit or a place, is put into have as soon as it is
// taken; a peer that is refused for want of one has spent nothing.
func (d *door) greet(f *verdict.Facts, p *verdict.Policy, have *holdings) verdict.Verdict {
	most := d.gateways.note(f.Peer.Addr())
	f.Gateway = most
	var v verdict.Verdict
	v, have.share = d.judge.Connect(f, p, time.Now())
	d.tellGateways(f, most)
	if !d.provide(f, &v, have) {
		have.share.refund()
		v = verdict.Decide(f, p)
	}
	if a := v.Effective(); a == verdict.Busy || a == verdict.Close {
		have.giveBack()
	}
	d.record(f, &v)
	if f.Service == whitelist.Web && f.Standing.Evidence == whitelist.Nothing && d.judge.Crawlers.wants(f.Peer.Addr()) {
		d.background(f.Ref, func() { d.judge.Crawlers.ask(d.carrying, f.Peer.Addr()) })
	}
	return v
}

// provide takes the places that a verdict needs; false, with the reason in the
// facts, if one is not to be had.
func (d *door) provide(f *verdict.Facts, v *verdict.Verdict, have *holdings) bool {
	known := f.Standing.Known() || f.Gateway
	switch a := v.Effective(); {
	case talks(v):
		if f.Full = !d.pit.Reserve(); f.Full {
			return false
		}
		have.slot = d.pit
	case !known && (a == verdict.Carry || a == verdict.Wait): // at mail listeners: observed
		if f.Full = !d.visitors.take(); f.Full {
			return false
		}
		have.visitor = &d.visitors
	}
	if v.Effective() == verdict.Wait {
		if !d.line.takeBelow(d.line.open(known)) {
			f.Budget.Over = budget.OverLine
			return false
		}
		have.line = &d.line
	}
	return true
}

// tellGateways raises the alarm about a gateway, or takes it back. A balancer on a
// network of our own is class own, with all the mail of the world behind it: only mail
// listeners can tell it from the machine that the family works on.
func (d *door) tellGateways(f *verdict.Facts, most bool) {
	hides := f.Gateway
	if most && !hides && onTheLAN(f.Standing) {
		if d.Service != whitelist.Mail {
			return
		}
		hides = true
	}
	d.gateways.tell(f.Peer.Addr(), hides, func(at netip.Addr) {
		why := fmt.Sprintf("%s makes most of the connections, so it hides who really comes, and is carried unjudged: have it speak the PROXY protocol, or forward packets without rewriting their source; if it is one client, type: moggy allow add %s", at, at)
		d.Alarm(metrics.SourceLost, at.IsValid(), why)
	})
}

// shed says the verdict's reply and closes.
func (d *door) shed(conn net.Conn, f *verdict.Facts, v *verdict.Verdict) {
	d.ended(f, v, journal.End{Outcome: journal.Shed, Out: d.lastWord(conn, v.Reply)})
}
