package proxy

import (
	"fmt"
	"net"
	"time"

	"moggy/metrics"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// holdings are what a connection has that others may need: its share of a budget,
// a visitor's place, a place in line.
type holdings struct {
	share   Share
	visitor *places // nil: none
	line    *places // nil: none
}

// giveBack gives all of it back. To give back twice is to give back once.
func (h *holdings) giveBack() {
	h.share.end()
	h.leaveLine()
	if h.visitor != nil {
		h.visitor.free()
		h.visitor = nil
	}
}

func (h *holdings) leaveLine() {
	if h.line != nil {
		h.line.free()
		h.line = nil
	}
}

// greet decides about a peer that has just connected and records it. What the
// verdict needs, a slot of the pit or a place, the connection has; a peer that is
// refused for want of one has spent nothing.
func (d *door) greet(f *verdict.Facts, p *verdict.Policy) (verdict.Verdict, holdings) {
	d.watchGateways(f)
	var have holdings
	v, s := d.judge.Connect(f, p, time.Now())
	have.share = s
	if !d.provide(f, &v, &have) {
		have.share.refund()
		v = verdict.Decide(f, p)
	}
	if a := v.Effective(); a == verdict.Busy || a == verdict.Close {
		have.giveBack()
	}
	d.record(f, &v)
	if f.Service == whitelist.Web && f.Standing.Evidence == whitelist.Nothing {
		d.wait.Go(func() { d.judge.Crawlers.Meet(d.carrying, f.Peer.Addr()) })
	}
	return v, have
}

// provide takes the places that a verdict needs; false, with the reason in the
// facts, if one is not to be had.
func (d *door) provide(f *verdict.Facts, v *verdict.Verdict, have *holdings) bool {
	known := f.Standing.Known() || f.Gateway
	switch a := v.Effective(); {
	case talks(v):
		f.Full = !d.pit.Reserve()
		return !f.Full
	case !known && d.Service != whitelist.Mail && (a == verdict.Carry || a == verdict.Wait):
		if f.Full = !d.visitors.take(); f.Full {
			return false
		}
		have.visitor = &d.visitors
	}
	if v.Effective() == verdict.Wait {
		if !d.line.take() {
			f.Budget.Over = budget.OverLine
			return false
		}
		have.line = &d.line
	}
	return true
}

// watchGateways notices when one private address makes most of the connections.
// An address that somebody vouches for hides nobody.
func (d *door) watchGateways(f *verdict.Facts) {
	gateway, changed := d.gateways.note(f.Peer.Addr())
	f.Gateway = gateway
	if !changed {
		return
	}
	at := d.gateways.address()
	if at.IsValid() && d.judge.Book.List().Look(at, f.Service, time.Now()).Known() {
		return
	}
	why := fmt.Sprintf("%s makes most of the connections, so it hides who really comes, and is carried unjudged: have it speak the PROXY protocol, or forward packets without rewriting their source; if it is one client, type: moggy allow add %s", at, at)
	d.Alarm(metrics.SourceLost, at.IsValid(), why)
}

// stand has a peer wait for its turn, and carries it then. Who was let in
// meanwhile need not wait any longer.
func (d *door) stand(conn net.Conn, g *guest, f *verdict.Facts, v *verdict.Verdict) {
	g.turn = make(chan struct{}, 1)
	d.guests.enter(g, waiting)
	t := time.NewTimer(v.Wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-g.turn:
	case <-d.carrying.Done():
	}
	d.guests.leave(g)
	g.have.leaveLine()
	d.carry(conn, g, f, v)
}

// hurry ends the waiting of a peer that has become somebody else.
func (s *Server) hurry(g *guest) {
	now := s.judge.Book.List().Look(g.peer.Addr(), g.door.Service, time.Now())
	if now.Class == g.class || !now.Known() {
		return
	}
	select {
	case g.turn <- struct{}{}:
	default:
	}
}

// shed says the verdict's reply and closes.
func (d *door) shed(conn net.Conn, f *verdict.Facts, v *verdict.Verdict) {
	d.ended(f, v, journal.End{Outcome: journal.Shed, Out: d.lastWord(conn, v.Reply)})
}
