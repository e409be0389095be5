package proxy

import (
	"context"
	"net"
	"time"

	"moggy/proxy/handover"
	"moggy/proxy/relay"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

// carry passes a known peer to the backend. It owns conn.
func (d *door) carry(conn net.Conn, g *guest, f *verdict.Facts, v *verdict.Verdict) {
	peer, back, ok := d.reach(conn, g, f)
	if !ok {
		return
	}
	d.guests.enter(g, carried)
	defer d.guests.leave(g)
	d.vouch(f)
	r := relay.Carry(d.carrying, peer, back, relay.Options{Idle: d.Idle})
	if r.Reason == relay.Failed && r.Down == 0 {
		d.distrust() // it took the connection, and said nothing
	}
	d.ended(f, v, journal.End{Outcome: outcomeOf(r, journal.Carried), In: r.Up, Out: r.Down})
}

// reach connects the backend for a peer, and returns what is to be carried to what:
// a backend that takes XCLIENT has greeted already, and its peer is guarded. Not ok:
// the peer was turned away. It owns conn until it returns ok.
func (d *door) reach(conn net.Conn, g *guest, f *verdict.Facts) (peer, back net.Conn, ok bool) {
	back, greeting, err := d.connect(g)
	if err != nil {
		g.have.share.refund()
		d.turnAway(conn, f, err)
		return nil, nil, false
	}
	if len(greeting) > 0 {
		deliver(conn, greeting)
		return handover.Guard(conn, g.said), back, true
	}
	if len(g.said) == 0 {
		return conn, back, true
	}
	if _, err := deliver(back, g.said); err != nil {
		back.Close()
		g.have.share.refund()
		d.turnAway(conn, f, err)
		return nil, nil, false
	}
	return conn, back, true
}

// vouch tells the DNS lists of a peer that is good: a person said so, or its mail
// has been taken for a while. Who has only just passed may be anybody, and must
// not be able to discredit a list.
func (d *door) vouch(f *verdict.Facts) {
	if d.judge.Lists == nil {
		return
	}
	e := f.Standing.Entry
	if e.Source == whitelist.Operator || (e.Source == whitelist.Passed && time.Since(e.Added) > proven) {
		d.judge.Lists.Good(f.Peer.Addr())
	}
}

// proven is for how long a peer that passed has to be known before it vouches.
const proven = 7 * 24 * time.Hour

func (d *door) connect(g *guest) (net.Conn, []byte, error) {
	if err := d.state().shut(d.Backend.Form); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(d.carrying, handOverTimeout)
	defer cancel()
	return handover.Connect(ctx, d.Backend, d.handover(), g.peer, g.local)
}

// turnAway tells a peer that the backend did not take it. It owns conn.
func (d *door) turnAway(conn net.Conn, f *verdict.Facts, err error) {
	v := d.backendDown(f, err)
	d.ended(f, &v, journal.End{Outcome: journal.BackendDown, Out: d.lastWord(conn, v.Reply), Answer: err.Error()})
}

// backendDown is the verdict that the backend did not take a connection.
func (d *door) backendDown(f *verdict.Facts, err error) verdict.Verdict {
	d.distrust()
	d.metrics.BackendFailed(d.Name)
	d.log.Debug("the backend did not take a connection", "listener", d.Name, "conn", f.Ref, "error", err)
	f.Stage, f.Fault = verdict.Backend, err.Error()
	v := verdict.Decide(f, &d.settings.Load().Policy)
	d.record(f, &v)
	return v
}

// outcomeOf is ok, unless carrying ended by us or by a fault.
func outcomeOf(r relay.Result, ok journal.Outcome) journal.Outcome {
	switch r.Reason {
	case relay.Cancelled:
		return journal.Cancelled
	case relay.Failed:
		return journal.Failed
	}
	return ok
}
