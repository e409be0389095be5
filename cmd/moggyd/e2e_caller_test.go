package main_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"net/textproto"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// The envelope of most mail.
const (
	from = "a@" + peers.SenderDomain
	to   = "b@" + peers.Domain
)

// note is a message for tests that are not about its bytes.
var note = []byte("Subject: note\r\n\r\nnote\r\n")

// send delivers a note from the address in a connection of its own and returns the code of what it was refused with;
// 0 is a mail that was taken.
func (d *daemon) send(source, from, to string) int {
	d.t.Helper()
	return d.code(peers.Call{Addr: d.Mail, Source: netip.MustParseAddr(source)}.Send(d.t.Context(), from, to, note))
}

// answers wants a note to be refused with the code, or taken (0).
func (d *daemon) answers(source, from, to string, code int) {
	d.t.Helper()
	if got := d.send(source, from, to); got != code {
		d.t.Errorf("mail of %s from %s to %s: answer %d, not %d", source, from, to, got, code)
	}
}

// code is the reply's in err. Any other error fails the test.
func (d *daemon) code(err error) int {
	d.t.Helper()
	reply, ok := errors.AsType[*textproto.Error](err)
	if err != nil && !ok {
		d.t.Fatalf("no answer: %v", err)
	}
	if !ok {
		return 0
	}
	return reply.Code
}

// A caller is one connection in which the test says what it likes.
type caller struct {
	*textproto.Conn
	t *testing.T
}

// call connects from the address. The connection lives no longer than the test, and half a minute.
func (d *daemon) call(source string) *caller {
	d.t.Helper()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(source), 0))}
	ctx, cancel := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer cancel()
	conn, err := dialer.DialContext(ctx, "tcp", d.Mail)
	if err != nil {
		d.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	c := &caller{textproto.NewConn(conn), d.t}
	d.t.Cleanup(func() { c.Close() })
	return c
}

// hear reads a reply and wants its code.
func (c *caller) hear(code int) string {
	c.t.Helper()
	got, text, err := c.ReadResponse(code)
	if err != nil {
		c.t.Fatalf("heard %d %q (%v), not %d", got, text, err, code)
	}
	return text
}

// say says a command and wants this reply.
func (c *caller) say(command string, code int) string {
	c.t.Helper()
	if err := c.PrintfLine("%s", command); err != nil {
		c.t.Fatal(err)
	}
	got, text, err := c.ReadResponse(code)
	if err != nil {
		c.t.Fatalf("%s: heard %d %q (%v), not %d", command, got, text, err, code)
	}
	return text
}

// recipient says everything up to the first recipient, and wants this reply to that.
func (c *caller) recipient(to string, code int) string {
	c.t.Helper()
	c.hear(220)
	c.say("EHLO caller.test", 250)
	c.say("MAIL FROM:<"+from+">", 250)
	return c.say("RCPT TO:<"+to+">", code)
}

// leave says QUIT and closes the connection.
func (c *caller) leave() {
	c.t.Helper()
	c.say("QUIT", 221)
	c.Close()
}

// data sends the note after a recipient was taken, and takes leave.
func (c *caller) data() {
	c.t.Helper()
	c.say("DATA", 354)
	c.say(string(note)+".", 250)
	c.leave()
}

// ends wants the connection to be closed by moggyd soon, whatever is said before.
func (c *caller) ends(soon time.Duration) (said string) {
	c.t.Helper()
	began := time.Now()
	var all bytes.Buffer
	_, err := all.ReadFrom(c.R)
	if err != nil || time.Since(began) > soon {
		c.t.Errorf("closed after %v, not %v (%v)", time.Since(began), soon, err)
	}
	return all.String()
}
