package handover

import (
	"bytes"
	"errors"
	"net"
	"sync/atomic"
)

// ErrXClient is the read error of a guarded peer that tried to say who it is itself.
var ErrXClient = errors.New("the peer sent XCLIENT or XFORWARD of its own")

// Guard wraps the connection of a peer that is carried to a backend which takes XCLIENT
// from us. Such a backend takes it from whoever speaks on our connection, the peer too,
// who could then be anybody, one of the backend's own networks for instance. Reading from
// the guarded connection fails before such a command is complete, which ends the carrying.
//
// early is what the peer has sent already; it is read first. Message text may hold what
// it likes: the backend's 354 and the line with a dot are where it begins and ends. A line
// with a dot counts however it is ended, and text in BDAT chunks is looked at like commands:
// where backends differ, the guard errs on its side, and such a peer is cut off.
func Guard(peer net.Conn, early []byte) net.Conn { return &guard{Conn: peer, early: early} }

type guard struct {
	net.Conn
	early  []byte
	said   prefix      // of the peer's current line
	heard  prefix      // of the backend's current line
	inData atomic.Bool // the backend has said 354, and no dot has come since
}

// prefix is how a line begins. A CR and a LF end one each.
type prefix struct {
	text [8]byte
	n    int // bytes of the line, white space before it left out
}

// add takes one byte and reports whether it ended a line.
func (p *prefix) add(c byte) (ended bool) {
	switch {
	case c == '\r' || c == '\n':
		return true
	case p.n == 0 && (c == ' ' || c == '\t'):
	case p.n < len(p.text):
		p.text[p.n] = c
		fallthrough
	default:
		p.n++
	}
	return false
}

// is reports whether the line so far begins with word.
func (p *prefix) is(word string) bool {
	return p.n >= len(word) && bytes.EqualFold(p.text[:len(word)], []byte(word))
}

// Read returns what the peer sends, up to what it may not.
func (g *guard) Read(b []byte) (int, error) {
	n, err := g.next(b)
	for _, c := range b[:n] {
		if !g.allows(c) {
			return 0, ErrXClient
		}
	}
	return n, err
}

func (g *guard) next(b []byte) (int, error) {
	if len(g.early) == 0 {
		return g.Conn.Read(b)
	}
	n := copy(b, g.early)
	g.early = g.early[n:]
	return n, nil
}

func (g *guard) allows(c byte) bool {
	if g.said.add(c) {
		if g.said.n == 1 && g.said.text[0] == '.' {
			g.inData.Store(false)
		}
		g.said = prefix{}
	}
	return g.inData.Load() || !(g.said.is("XCLIENT") || g.said.is("XFORWARD"))
}

// Write gives the peer what the backend says.
func (g *guard) Write(b []byte) (int, error) {
	for _, c := range b {
		if g.heard.add(c) {
			g.heard = prefix{}
		} else if g.heard.n == 3 && g.heard.is("354") {
			g.inData.Store(true)
		}
	}
	return g.Conn.Write(b)
}

// CloseWrite passes a half-close on.
func (g *guard) CloseWrite() error {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return g.Conn.Close()
}
