package proxy

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"moggy/proxy/dialogue"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

// stand has a peer wait for its turn, and carries it then. Who was let in
// meanwhile need not wait any longer; who hung up, or was denied at a stream
// listener, has no turn. A mail host in line was known: what is denied meanwhile is
// its next connection.
func (d *door) stand(conn net.Conn, g *guest, f *verdict.Facts, v *verdict.Verdict) {
	g.turn = make(chan struct{}, 1)
	e := listenTo(conn)
	d.guests.enter(g, waiting)
	d.hurry(g) // an entry made in the meantime acts now
	here := d.await(g, e, v.Wait)
	g.said = e.stop()
	d.guests.leave(g)
	g.have.leaveLine()
	switch {
	case !here:
		g.have.share.refund()
		conn.Close()
		d.ended(f, v, journal.End{Outcome: journal.Left, In: int64(len(g.said))})
	case d.carrying.Err() != nil:
		g.have.share.refund()
		d.ended(f, v, journal.End{Outcome: journal.Cancelled, In: int64(len(g.said)), Out: d.lastWord(conn, goodbye)})
	case d.deniedMeanwhile(f, v):
		d.shed(conn, f, v)
	default:
		d.carry(conn, g, f, v)
	}
}

// goodbye is the last word of a moggyd that ends.
var goodbye = dialogue.Reply{Code: 421, Enhanced: "4.3.2", Text: "Shutting down, come back later"}

// await returns when it is the peer's turn; false if the peer went away.
func (d *door) await(g *guest, e *ear, wait time.Duration) bool {
	t := time.NewTimer(wait)
	defer t.Stop()
	for heard := e.done; ; {
		select {
		case <-t.C:
		case <-g.turn:
		case <-d.carrying.Done():
		case <-heard:
			if e.gone() {
				return false
			}
			heard = nil // it said as much as we listen to
			continue
		}
		return true
	}
}

// deniedMeanwhile decides again about a peer that a person denied while it waited
// at a stream listener.
func (d *door) deniedMeanwhile(f *verdict.Facts, v *verdict.Verdict) bool {
	now := d.judge.Book.List().Look(f.Peer.Addr(), f.Service, time.Now())
	if !now.Deny || d.Service == whitelist.Mail {
		return false
	}
	f.Standing = now
	*v = verdict.Decide(f, &d.settings.Load().Policy)
	d.record(f, v)
	return v.Effective() != verdict.Carry
}

// hurry ends the waiting of a peer that has become somebody else.
func (s *Server) hurry(g *guest) {
	now := s.judge.Book.List().Look(g.peer.Addr(), g.door.Service, time.Now())
	denied := now.Deny && g.door.Service != whitelist.Mail
	if !denied && (now.Class == g.class || !now.Known()) {
		return
	}
	select {
	case g.turn <- struct{}{}:
	default:
	}
}

// lineHears is how much of what a peer says in line is kept for the backend: a
// TLS client begins to talk at once, and has to be read to be seen leaving.
const lineHears = 4 << 10

// An ear listens to a peer that waits.
type ear struct {
	conn  net.Conn
	done  chan struct{} // closed when it listens no more
	heard []byte
	err   error
}

// listenTo begins to listen; stop ends it.
func listenTo(conn net.Conn) *ear {
	e := &ear{conn: conn, done: make(chan struct{})}
	go e.run()
	return e
}

func (e *ear) run() {
	defer close(e.done)
	buf := make([]byte, lineHears)
	for len(e.heard) < len(buf) && e.err == nil {
		var n int
		n, e.err = e.conn.Read(buf[len(e.heard):])
		e.heard = buf[:len(e.heard)+n]
	}
}

// gone reports whether the peer went away. One that said something and then
// closed its side may still be listening. It is asked when done is closed.
func (e *ear) gone() bool {
	switch {
	case e.err == nil || errors.Is(e.err, os.ErrDeadlineExceeded):
		return false
	case errors.Is(e.err, io.EOF):
		return len(e.heard) == 0
	}
	return true
}

// stop ends the listening and returns what was heard. It leaves no deadline behind.
func (e *ear) stop() []byte {
	e.conn.SetReadDeadline(time.Unix(1, 0)) // over, in real as in virtual time
	<-e.done
	e.conn.SetReadDeadline(time.Time{})
	return e.heard
}
