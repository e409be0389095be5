package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"moggy/metrics"
	"moggy/proxy/dialogue"
	"moggy/proxy/handover"
	"moggy/proxy/relay"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

// A door is one listener with what is known of its backend.
type door struct {
	DoorOptions
	*Server
	backend atomic.Pointer[backendState]
	asked   atomic.Int64  // when the backend was, in ns since 1970
	doubt   chan struct{} // a connection could not be given to the backend: ask it again
}

// backendState is what is known of a backend. It never changes.
type backendState struct {
	fault     error // why it cannot be used; nil: it can
	offer     dialogue.Offer
	tested    bool  // the relay test was done
	openRelay error // it relays for everybody; nil: it does not
}

// shut is why nobody may be given to the backend although it answers, because
// that would do harm. nil: everybody may.
func (s *backendState) shut(form relay.Form) error {
	switch {
	case errors.Is(s.fault, handover.ErrMisread):
		return s.fault
	case form == relay.None:
		return s.openRelay
	}
	return nil
}

// How often a backend is asked what it offers, and how soon again when it did
// not answer.
const (
	askAgain = 5 * time.Minute
	askSoon  = 5 * time.Second
)

// askTimeout is how long a backend may take to answer a question of our own.
const askTimeout = time.Minute

// How long a backend may take for one step, and for all of a hand-over: with the
// rest of a reply it must stay under the 30 s that Exim's call-outs wait.
const (
	stepTimeout     = 10 * time.Second
	handOverTimeout = 20 * time.Second
)

func newDoor(s *Server, o DoorOptions) *door {
	d := &door{DoorOptions: o, Server: s, doubt: make(chan struct{}, 1)}
	d.backend.Store(&backendState{fault: errors.New("not asked yet")})
	return d
}

func (d *door) state() *backendState { return d.backend.Load() }

func (d *door) handover() handover.Options {
	return handover.Options{Hostname: d.settings.Load().Policy.Hostname, Timeout: stepTimeout}
}

// accept gives each connection to a goroutine of its own until ctx ends. When
// descriptors run out it waits and counts; it neither dies nor spins.
func (d *door) accept(ctx context.Context) {
	defer context.AfterFunc(ctx, func() { d.Listen.Close() })()
	pause := firstPause
	for {
		conn, err := d.Listen.Accept()
		switch {
		case err == nil:
			pause = firstPause
			d.wait.Go(func() { d.meet(conn) })
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		default:
			d.metrics.AcceptFailed(d.Name)
			d.log.Warn("cannot accept", "listener", d.Name, "error", err, "pause", pause)
			nap(ctx, pause)
			pause = min(2*pause, lastPause)
		}
	}
}

// The pauses after an accept that failed, doubling.
const (
	firstPause = 5 * time.Millisecond
	lastPause  = time.Second
)

func nap(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// watch asks the backend what it offers, again and again.
func (d *door) watch(ctx context.Context) {
	for ctx.Err() == nil {
		pause := askAgain
		if d.state().fault != nil {
			pause = askSoon
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
			d.ask(ctx)
		case <-d.doubt:
			d.ask(ctx)
			nap(ctx, askSoon) // however many connections doubt it
		}
		t.Stop()
	}
}

// ask asks the backend once what it offers and, until the answer is no, whether
// it would relay for everybody. One that would and cannot tell peers apart is not
// to be used.
func (d *door) ask(ctx context.Context) {
	d.asked.Store(time.Now().UnixNano())
	if d.Service != whitelist.Mail {
		d.knock(ctx)
		return
	}
	was, now := d.state(), backendState{}
	o := d.handover()
	o.Timeout = askTimeout
	offer, err := handover.Ask(ctx, d.Backend, o)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return // moggyd ends, and knows nothing new of the backend
	}
	now.fault, now.tested, now.openRelay = err, was.tested, was.openRelay
	now.offer = dialogue.Keep(offer.Extensions)
	if err != nil {
		now.offer = was.offer
	} else if !was.tested || was.openRelay != nil {
		d.relayTest(ctx, &now)
	}
	if now.fault == nil {
		now.fault = now.shut(d.Backend.Form)
	}
	d.backend.Store(&now)
	d.tell(was, &now)
}

// relayTest asks whether the backend relays for everybody. Where it cannot be
// asked, what was known of it stays.
func (d *door) relayTest(ctx context.Context, now *backendState) {
	err := handover.SelfTest(ctx, d.Backend, d.handover())
	open := errors.Is(err, handover.ErrOpenRelay)
	if err != nil && !open {
		d.log.Warn("the backend could not be asked whether it relays", "listener", d.Name, "error", err)
		return
	}
	if open && now.openRelay == nil {
		d.log.Error("the backend relays for everybody", "listener", d.Name, "error", err)
	}
	now.tested, now.openRelay = true, err
}

// tell says what has changed about a backend.
func (d *door) tell(was, now *backendState) {
	d.metrics.Backend(d.Name, now.fault == nil)
	d.tellOpenRelay()
	switch {
	case now.fault != nil && (was.fault == nil || was.fault.Error() != now.fault.Error()):
		d.log.Error("the backend cannot be used", "listener", d.Name, "backend", d.Backend.Address, "error", now.fault)
	case now.fault == nil && was.fault != nil:
		d.log.Info("the backend answers", "listener", d.Name, "backend", d.Backend.Address, "offers", now.offer)
	}
}

// tellOpenRelay raises the alarm while any backend relays for everybody.
func (d *door) tellOpenRelay() {
	i := slices.IndexFunc(d.doors, func(d *door) bool { return d.state().openRelay != nil })
	if i < 0 {
		d.Alarm(metrics.OpenRelay, false, "")
		return
	}
	d.Alarm(metrics.OpenRelay, true, d.doors[i].Name+": "+d.doors[i].state().openRelay.Error())
}

// distrust has the backend asked again soon: it did not take a connection.
func (d *door) distrust() {
	select {
	case d.doubt <- struct{}{}:
	default:
	}
}

// meet decides about a connection that has just been accepted, and acts on it.
// It owns conn.
func (d *door) meet(conn net.Conn) {
	ref := journal.NewRef()
	defer func() {
		if d.fault(ref, recover()) {
			conn.Close()
		}
	}()
	peer, local, ok := d.ends(conn)
	if !ok {
		return
	}
	f := factsOf(ref, &d.DoorOptions, peer)
	g := &guest{door: d, ref: ref, peer: f.Peer, local: local, since: time.Now()}
	defer g.have.giveBack()
	set := d.settings.Load()
	v := d.greet(&f, &set.Policy, &g.have)
	g.class, g.rule = journal.ClassOf(&f), v.Rule
	if talks(&v) {
		d.hold(conn, g, set, f, v)
		return
	}
	d.pass(conn, g, f, v)
}

// pass deals with a peer that moggy does not talk to. It owns conn.
func (d *door) pass(conn net.Conn, g *guest, f verdict.Facts, v verdict.Verdict) {
	switch {
	case v.Observed && d.Service == whitelist.Mail:
		d.observe(conn, g, f, v)
	case v.Effective() == verdict.Carry:
		d.carry(conn, g, &f, &v)
	case v.Action == verdict.Wait:
		d.stand(conn, g, &f, &v)
	default:
		d.shed(conn, &f, &v)
	}
}

// talks reports whether a verdict takes a slot of the pit.
func talks(v *verdict.Verdict) bool {
	a := v.Effective()
	return a == verdict.Talk || a == verdict.Hold
}

// deliver writes all of b within the time of a step, and leaves no deadline behind.
func deliver(conn net.Conn, b []byte) (int, error) {
	conn.SetWriteDeadline(time.Now().Add(stepTimeout))
	defer conn.SetWriteDeadline(time.Time{})
	return conn.Write(b)
}

// lastWord says a reply to a peer that gets no more, closes, and returns how many
// bytes were said. Nobody waits long for it.
func (d *door) lastWord(conn net.Conn, r dialogue.Reply) int64 {
	defer conn.Close()
	text := r.Append(nil)
	if d.Service != whitelist.Mail {
		text = d.Tongue.put(r)
	}
	if r.Code == 0 || len(text) == 0 {
		return 0
	}
	conn.SetDeadline(time.Now().Add(time.Second))
	n, _ := conn.Write(text)
	return int64(n)
}

// hold gives a stranger to the pit, and all that it has to its session.
func (d *door) hold(conn net.Conn, g *guest, set *Settings, f verdict.Facts, v verdict.Verdict) {
	s := newSession(d, g, set, f, v)
	d.guests.enter(g, s.state())
	g.have.slot = nil // the pit's own from here on
	s.have, g.have = g.have, holdings{}
	s.begin(d.pit.Hold(conn, s))
}

// addrPort is the address of one end; the zero AddrPort where it is no TCP.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	p, _ := netip.ParseAddrPort(a.String())
	return p
}
