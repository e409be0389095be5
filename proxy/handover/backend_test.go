package handover

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path"
	"testing"
	"time"

	"moggy/proxy/relay"
)

// step is one turn of a scripted backend: it waits for a line, if it wants one, and
// then says reply, which may be several lines, or none if it has nothing to say. In want
// a * stands for anything.
type step struct{ want, reply string }

// backend is a server that plays a script to one client. It fails the test if the client
// says anything else, or speaks before it is its turn.
type backend struct {
	relay.Backend
	header int // bytes before everything else that the script does not show
	conn   chan net.Conn
	done   chan error
}

// play starts a backend. After the last step it leaves the connection open; hangUp
// closes it instead.
func play(t *testing.T, form relay.Form, hangUp bool, script ...step) *backend {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{
		Backend: relay.Backend{Address: l.Addr().String(), Form: form},
		conn:    make(chan net.Conn, 1),
		done:    make(chan error, 1),
	}
	if form == relay.ProxyV2 {
		b.header = 28
	}
	t.Cleanup(func() {
		l.Close()
		for conn := range b.conn {
			conn.Close()
		}
		if err := <-b.done; err != nil {
			t.Error(err)
		}
	})
	go func() {
		defer close(b.conn)
		b.done <- b.serve(l, hangUp, script)
	}()
	return b
}

// serve plays the script to the first client.
func (b *backend) serve(l net.Listener, hangUp bool, script []step) error {
	conn, err := l.Accept()
	if err != nil {
		return nil // the test never connected
	}
	if hangUp {
		defer conn.Close()
	} else {
		defer func() { b.conn <- conn }()
	}
	in := bufio.NewReader(conn)
	if _, err := io.ReadFull(in, make([]byte, b.header)); err != nil {
		return fmt.Errorf("header: %w", err)
	}
	for _, s := range script {
		if err := s.play(conn, in); err != nil {
			return err
		}
	}
	return nil
}

// play plays one turn.
func (s step) play(conn net.Conn, in *bufio.Reader) error {
	if s.want != "" {
		line, err := in.ReadString('\n')
		if ok, _ := path.Match(s.want+"\r\n", line); err != nil || line != s.want+"\r\n" && !ok {
			return fmt.Errorf("got %q, %v, want %q", line, err, s.want)
		}
	}
	if s.reply == "" {
		return nil
	}
	if err := quiet(conn, in); err != nil {
		return fmt.Errorf("after %q: %w", s.want, err)
	}
	_, err := io.WriteString(conn, s.reply)
	return err
}

// quiet gives the client a moment in which it must not speak.
func quiet(conn net.Conn, in *bufio.Reader) error {
	conn.SetReadDeadline(time.Now().Add(3 * time.Millisecond))
	defer conn.SetReadDeadline(time.Time{})
	c, err := in.ReadByte()
	switch {
	case err == nil:
		return fmt.Errorf("the client spoke out of turn: %q", c)
	case !errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the client went away: %w", err)
	}
	return nil
}

// hung checks that the client has closed the connection, and said nothing more.
func (b *backend) hung(t *testing.T) {
	t.Helper()
	conn, ok := <-b.conn
	if !ok {
		return // the backend closed it itself
	}
	defer conn.Close()
	rest, err := io.ReadAll(conn)
	if err != nil || len(rest) > 0 {
		t.Errorf("at the end: got %q, %v", rest, err)
	}
}
