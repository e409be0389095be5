package proxy

import (
	"context"
	"net"
	"time"

	"moggy/proxy/dialogue"
	"moggy/proxy/relay"
	"moggy/verdict"
	"moggy/verdict/journal"
)

// observe carries a peer that would have been talked to, held or shed, and has
// what it says judged and recorded on the way. Nothing it sends is changed; what
// it sends after a RCPT waits until that is judged, a second at the most. It owns
// conn.
func (d *door) observe(conn net.Conn, g *guest, f verdict.Facts, v verdict.Verdict) {
	peer, back, ok := d.reach(conn, g, &f)
	if !ok {
		return
	}
	d.guests.enter(g, carried)
	defer d.guests.leave(g)
	o := &observer{door: d, set: d.settings.Load(), lists: d.consult(f.Ref, f.Peer.Addr()), patience: time.Second, f: f, v: v}
	o.talk = dialogue.Options{Hostname: o.set.Policy.Hostname, Offer: everything, Recipients: o.set.Recipients, Errors: 1 << 30}
	o.m = dialogue.New(&o.talk)
	r := relay.CarryTapped(d.carrying, peer, back, relay.Options{Idle: d.Idle}, o)
	d.ended(&o.f, &o.v, journal.End{Outcome: outcomeOf(r, journal.Carried), In: r.Up, Out: r.Down})
}

// everything is what an observed backend may have offered.
var everything = dialogue.Offer{"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME"}

// An observer listens to what a peer says to the backend, until the first
// message: from then on there are bytes that are no commands. A recipient beyond
// [talk] recipients ends it too, or the envelope would grow with every RCPT: what
// is given up is the judgement of those after it.
type observer struct {
	*door
	set   *Settings
	talk  dialogue.Options
	m     *dialogue.Machine
	lines dialogue.Lines
	buf   []byte // at most dialogue.MaxLine of a line that is not whole
	deaf  bool
	lists *consultation

	counted  bool          // among the newcomers of its network
	patience time.Duration // that judgements may still hold the peer up for, all together

	f verdict.Facts
	v verdict.Verdict
}

// Write implements io.Writer; it never fails.
func (o *observer) Write(b []byte) (n int, err error) {
	defer func() {
		if p := recover(); p != nil {
			n, o.deaf = len(b), o.fault(o.f.Ref, p)
		}
	}()
	if o.deaf {
		return len(b), nil
	}
	o.buf = append(o.buf, b...)
	for !o.deaf {
		used, line, ok := o.lines.Cut(o.buf)
		if ok {
			o.hear(line)
		}
		o.buf = o.buf[:copy(o.buf, o.buf[used:])]
		if !ok {
			break
		}
	}
	if o.deaf {
		o.buf = nil
	}
	return len(b), nil
}

func (o *observer) hear(line dialogue.Line) {
	t := o.m.Line(line)
	if t.Ask == dialogue.Recipient {
		o.recipient(t)
		o.deaf = t.Excessive
		return
	}
	if t.Ask != dialogue.Nothing || dialogue.EndsCommands(line.Text) {
		o.deaf = true
	}
}

func (o *observer) recipient(t dialogue.Turn) {
	began := time.Now()
	ctx, cancel := context.WithTimeout(o.carrying, o.patience)
	defer func() {
		cancel()
		o.patience -= time.Since(began)
	}()
	envelopeFacts(&o.f, o.m.Envelope(), t.Path)
	o.f.Excessive = t.Excessive
	o.f.DNS = o.lists.wait(ctx)
	o.v = o.judge.Recipient(ctx, &o.f, &o.set.Policy, o.judge.Try(&o.counted), time.Now())
	o.record(&o.f, &o.v)
	if o.v.Action == verdict.HandOver {
		o.judge.Remember(ctx, &o.f, time.Now())
	}
	o.m.Settle(dialogue.Reply{Code: 250})
}
