package handover

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"moggy/proxy/relay"
)

// stepTimeout is how long a step may take with Options that name no Timeout.
const stepTimeout = 30 * time.Second

// session is a session with a backend, from connecting to giving the connection away.
// It lives no longer than the call that made it.
type session struct {
	ctx  context.Context
	stop func() bool // ends the watch over ctx
	conn net.Conn
	in   *bufio.Reader
	o    Options
}

// dial connects in the name of peer.
func dial(ctx context.Context, b relay.Backend, o Options, peer, local netip.AddrPort) (*session, error) {
	conn, err := b.Dial(ctx, peer, local)
	if err != nil {
		return nil, err
	}
	return newSession(ctx, conn, o), nil
}

// dialLocal connects in our own name.
func dialLocal(ctx context.Context, b relay.Backend, o Options) (*session, error) {
	conn, err := b.DialLocal(ctx)
	if err != nil {
		return nil, err
	}
	return newSession(ctx, conn, o), nil
}

// newSession begins a session on conn, which is the session's from now on: it is ended
// by release or abandon.
func newSession(ctx context.Context, conn net.Conn, o Options) *session {
	if o.Hostname == "" {
		o.Hostname = "localhost"
	}
	if o.Timeout <= 0 {
		o.Timeout = stepTimeout
	}
	past := time.Unix(1, 0)
	return &session{
		ctx:  ctx,
		stop: context.AfterFunc(ctx, func() { conn.SetDeadline(past) }),
		conn: conn,
		in:   bufio.NewReaderSize(conn, maxLine),
		o:    o,
	}
}

// release gives the connection away, without a deadline, and with it what was read but
// not used.
func (s *session) release() (net.Conn, []byte, error) {
	if !s.stop() {
		return nil, nil, s.ctx.Err()
	}
	if err := s.conn.SetDeadline(time.Time{}); err != nil {
		return nil, nil, err
	}
	early, err := s.in.Peek(s.in.Buffered())
	return s.conn, bytes.Clone(early), err
}

// abandon closes the connection. After release it must not be called.
func (s *session) abandon() {
	s.stop()
	s.conn.Close()
}

// greet waits for the greeting, and tells the backend who the peer is if that takes
// XCLIENT.
func (s *session) greet(form relay.Form, peer netip.AddrPort) error {
	if _, err := s.expect(Greeting, ""); err != nil {
		return err
	}
	if form != relay.XClient {
		return nil
	}
	_, err := s.xclient(peer)
	return err
}

// expect is ask for a reply of 2yz; any other is a *Refused.
func (s *session) expect(stage Stage, command string) (Reply, error) {
	reply, err := s.ask(command)
	if err != nil {
		return Reply{}, fmt.Errorf("%s: %w", stage, err)
	}
	if !reply.ok() {
		return Reply{}, &Refused{Stage: stage, Reply: reply}
	}
	return reply, nil
}

// ask sends a command, or nothing if it is empty, and waits for a reply.
func (s *session) ask(command string) (Reply, error) {
	if err := s.arm(s.o.Timeout); err != nil {
		return Reply{}, err
	}
	if err := s.say(command); err != nil {
		return Reply{}, s.explain(err)
	}
	reply, err := readReply(s.in)
	if err != nil {
		return Reply{}, s.explain(err)
	}
	return reply, nil
}

// arm sets the deadline of a step. It looks at the context after that, not before: the
// watch over it may have set its own deadline just now.
func (s *session) arm(timeout time.Duration) error {
	if err := s.conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	return s.ctx.Err()
}

// say sends a command in one write. A control character in it, which only a fault of
// ours could have left there, would be a command of its own: nothing is sent.
func (s *session) say(command string) error {
	if command == "" {
		return nil
	}
	if strings.ContainsFunc(command, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return fmt.Errorf("not a command: %.60q", command)
	}
	_, err := io.WriteString(s.conn, command+"\r\n")
	return err
}

// explain turns an error of the connection into what it means here.
func (s *session) explain(err error) error {
	switch {
	case s.ctx.Err() != nil:
		return s.ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer within %s: %w", s.o.Timeout, err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the backend closed the connection: %w", io.ErrUnexpectedEOF)
	}
	return err
}
