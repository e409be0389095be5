// Package handover is the one door from talk to carry: it opens a session with the
// backend, says again what a stranger has said so far, and gives the connection away
// at the point where the backend itself has answered the stranger's last command.
//
// It knows as much of SMTP as a client needs to get there: replies, EHLO, XCLIENT,
// MAIL, RCPT. It does not know DATA, and never sends it: no message passes through
// here. It does not know why a stranger is handed over, nor what the stranger is told
// when that fails; the caller decides by the error.
//
// Commands go in strict lock step: each waits for the reply to the one before, and the
// first for the greeting. OpenSMTPD closes on pipelined input, and loses what comes in
// one segment with the PROXY header.
package handover

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"moggy/proxy/dialogue"
	"moggy/proxy/relay"
)

// Options say how to speak with a backend.
type Options struct {
	Hostname string        // said in an EHLO of our own; "" is "localhost"
	Timeout  time.Duration // for each step: a command and the whole of its reply; 0 is 30 s
}

// Opened is a session in which the backend has answered the peer's RCPT.
type Opened struct {
	Conn  net.Conn // to be carried; without a deadline; the caller must close it
	Reply Reply    // to that RCPT, whatever it was: to be given to the peer
	Early []byte   // what the backend sent beyond it, to be given to the peer next; normally nothing
}

// Open opens a session with the backend in the name of peer, which had connected to
// local, and replays e: EHLO or HELO, MAIL, a RCPT for each recipient that was promised
// already, and then a RCPT for rcpt. The answer to the last is not judged here, be it
// 250, 550 or 421.
//
// The error is a *Refused if the backend answered an earlier step with other than 2yz,
// and wraps ErrMisread if that was no answer to EHLO but to the PROXY header.
// Any other error says that the backend could not be reached or understood in time, or
// that ctx was done. After an error there is nothing to close.
func Open(ctx context.Context, b relay.Backend, o Options, peer, local netip.AddrPort, e dialogue.Envelope, rcpt dialogue.Path) (*Opened, error) {
	if e.Verb == "" || !e.Mail {
		return nil, errors.New("hand over: the peer has not said HELO and MAIL")
	}
	s, err := dial(ctx, b, o, peer, local)
	if err != nil {
		return nil, fmt.Errorf("hand over: %w", err)
	}
	opened, err := s.open(b.Form, peer, e, rcpt)
	if err != nil {
		s.abandon()
		return nil, fmt.Errorf("hand over to backend %s: %w", b.Address, err)
	}
	return opened, nil
}

// open does what Open does, once connected.
func (s *session) open(form relay.Form, peer netip.AddrPort, e dialogue.Envelope, rcpt dialogue.Path) (*Opened, error) {
	if err := s.greet(form, peer); err != nil {
		return nil, err
	}
	if err := s.replay(form, e); err != nil {
		return nil, err
	}
	reply, err := s.ask("RCPT TO:" + rcpt.Command())
	if err != nil {
		return nil, fmt.Errorf("rcpt: %w", err)
	}
	if reply.Code/100 == 3 {
		return nil, fmt.Errorf("rcpt: answered %s, which asks for something that nobody offered", reply)
	}
	conn, early, err := s.release()
	if err != nil {
		return nil, err
	}
	return &Opened{Conn: conn, Reply: reply, Early: early}, nil
}

// replay says what the peer has said.
func (s *session) replay(form relay.Form, e dialogue.Envelope) error {
	if _, err := s.hello(form, e.Verb+" "+e.Helo); err != nil {
		return err
	}
	if _, err := s.expect(Mail, "MAIL FROM:"+e.From.Command()); err != nil {
		return err
	}
	for _, to := range e.To {
		if _, err := s.expect(EarlierRcpt, "RCPT TO:"+to.Command()); err != nil {
			return err
		}
	}
	return nil
}

// Connect connects to the backend in the name of a known peer, which is carried from
// its first byte. With most forms that is all, and greeting is nil: the backend's own
// flows by itself. With XClient the session begins with XCLIENT, and greeting is what
// the backend said after it, to be given to the peer before anything else.
//
// The caller must close conn, which has no deadline set. Errors are as with Open.
func Connect(ctx context.Context, b relay.Backend, o Options, peer, local netip.AddrPort) (conn net.Conn, greeting []byte, err error) {
	if b.Form != relay.XClient {
		conn, err = b.Dial(ctx, peer, local)
		return conn, nil, err
	}
	s, err := dial(ctx, b, o, peer, local)
	if err != nil {
		return nil, nil, err
	}
	conn, greeting, err = s.introduce(peer)
	if err != nil {
		s.abandon()
		return nil, nil, fmt.Errorf("introduce the peer to backend %s: %w", b.Address, err)
	}
	return conn, greeting, nil
}

// introduce says XCLIENT and gives the connection away.
func (s *session) introduce(peer netip.AddrPort) (net.Conn, []byte, error) {
	if _, err := s.expect(Greeting, ""); err != nil {
		return nil, nil, err
	}
	greeting, err := s.xclient(peer)
	if err != nil {
		return nil, nil, err
	}
	conn, early, err := s.release()
	if err != nil {
		return nil, nil, err
	}
	return conn, append(greeting.Raw, early...), nil
}
