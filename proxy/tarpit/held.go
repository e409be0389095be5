package tarpit

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// The bytes of a peer that are kept before they are dealt with: at first, and at
// the most.
const (
	heardFirst = 256
	heardMost  = 4 << 10
)

// lingerBytes is how much a peer that is hung up on may still send us.
const lingerBytes = 256 << 10

// A Held is one connection in a Pit.
type Held struct {
	pit    *Pit
	conn   net.Conn
	talker Talker
	since  time.Time
	hurry  atomic.Bool
	woken  chan struct{}

	in       []byte    // heard and not yet used
	eof      bool      // the peer will say no more
	deadline time.Time // for the word that is awaited
	bytesIn  int64
	bytesOut int64
	stutters int64
}

// Hurry ends all stuttering at this peer: what is being said now is said at once.
func (h *Held) Hurry() {
	h.hurry.Store(true)
	h.wake()
}

// wake makes a pause or a wait end at once; whoever waits looks again why it did.
func (h *Held) wake() {
	select {
	case h.woken <- struct{}{}:
	default:
	}
	h.conn.SetReadDeadline(past())
}

// past is a deadline that is over, in real as in virtual time.
func past() time.Time { return time.Unix(1, 0) }

// listening is a Why that is none: the conversation goes on.
const listening Why = 255

func (h *Held) run() {
	why := h.say(h.talker.Greet(), h.talker.Early)
	for why == listening {
		why = h.converse()
	}
	l := Left{Why: why, Held: time.Since(h.since), In: h.bytesIn, Out: h.bytesOut, Stutters: h.stutters}
	if why == Parted {
		h.conn.SetDeadline(time.Time{})
		l.Conn, l.Rest = h.conn, h.in
	} else {
		h.hangUp(why)
	}
	h.pit.leave(h)
	h.talker.Left(l)
}

// converse deals with what was heard, and listens when there is nothing to deal
// with.
func (h *Held) converse() Why {
	if len(h.in) == 0 {
		return h.listen()
	}
	used, s := h.talker.Hear(h.in)
	h.in = h.in[:copy(h.in, h.in[used:])]
	if why := h.say(s, nil); why != listening || used > 0 {
		return why
	}
	if len(h.in) == heardMost {
		return Gone // a Talker that uses nothing of so much would never
	}
	return h.listen()
}

// listen waits until more was heard. The time for a word runs from the end of
// the last reply, whatever came in between: a byte now and then buys nothing.
func (h *Held) listen() Why {
	for {
		h.conn.SetReadDeadline(h.deadline)
		switch {
		case h.pit.closing.Load():
			return h.lapse(LetGo)
		case h.eof:
			return Gone
		}
		err := h.read()
		switch {
		case err == nil:
			return listening
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return Gone
		case !time.Now().Before(h.deadline):
			return h.lapse(Lapsed)
		}
	}
}

func (h *Held) lapse(why Why) Why {
	if s := h.talker.Lapse(why); len(s.Text) > 0 {
		h.write(s.Text)
	}
	return why
}

// read appends what comes to in, within the read deadline.
func (h *Held) read() error {
	if len(h.in) == cap(h.in) {
		grown := make([]byte, len(h.in), min(heardMost, max(heardFirst, 2*cap(h.in))))
		copy(grown, h.in)
		h.in = grown
	}
	n, err := h.conn.Read(h.in[len(h.in):cap(h.in)])
	h.in = h.in[:len(h.in)+n]
	h.bytesIn += int64(n)
	if errors.Is(err, io.EOF) {
		h.eof = true
	}
	if n > 0 {
		return nil
	}
	return err
}

// say says s and returns how the connection ends with it, or listening.
func (h *Held) say(s Say, early func()) Why {
	if len(s.Text) > 0 {
		if why := h.speak(s.Text, s.Slow, early); why != listening {
			return why
		}
		h.deadline = time.Now().Add(h.pit.o.Timeout)
	}
	switch s.Then {
	case Part:
		return Parted
	case Close:
		return Done
	}
	return listening
}

// speak stutters at the peer for a time, then says the rest at once.
func (h *Held) speak(text []byte, slow time.Duration, early func()) Why {
	began := time.Now()
	for len(text) > 1 && time.Since(began) < slow && !h.hurry.Load() && !h.pit.closing.Load() {
		if h.write(text[:1]) != nil {
			return Gone
		}
		h.stutters++
		text = text[1:]
		if h.pause() != nil {
			return Gone
		}
		if early != nil && len(h.in) > 0 {
			early()
			early = nil
		}
	}
	if h.pit.closing.Load() {
		return LetGo
	}
	if h.write(text) != nil {
		return Gone
	}
	return listening
}

// pause waits for one gap and keeps an ear open, so that a peer that hangs up is
// let go at once, and one that talks meanwhile is heard.
func (h *Held) pause() error {
	until := time.Now().Add(h.pit.o.Gap)
	for !h.eof && len(h.in) < heardMost {
		h.conn.SetReadDeadline(until)
		if h.hurry.Load() || h.pit.closing.Load() {
			return nil
		}
		err := h.read()
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case h.eof && len(h.in) > 0:
			// It said its piece and closed its side: it may still be listening.
		default:
			return err
		}
	}
	h.nap(until)
	return nil
}

// nap waits without listening.
func (h *Held) nap(until time.Time) {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case <-h.woken:
	}
}

func (h *Held) write(b []byte) error {
	h.conn.SetWriteDeadline(time.Now().Add(h.pit.o.Write))
	n, err := h.conn.Write(b)
	h.bytesOut += int64(n)
	return err
}

// hangUp closes the connection. A peer that was still sending gets the time to
// read our last word: closing with bytes unread would take it back (a reset).
func (h *Held) hangUp(why Why) {
	defer h.conn.Close()
	half, ok := h.conn.(interface{ CloseWrite() error })
	if why == Gone || why == LetGo || !ok || half.CloseWrite() != nil {
		return
	}
	h.conn.SetReadDeadline(time.Now().Add(h.pit.o.Linger))
	io.CopyN(io.Discard, h.conn, lingerBytes)
}
