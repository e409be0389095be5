package peers

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"net/smtp"
	"time"
)

// Call is one SMTP connection that the test makes itself. Its zero value, with Addr, is a plain one.
type Call struct {
	Addr    string         // host:port
	Source  netip.Addr     // address to call from; invalid: what the system chooses
	Header  int            // version of the PROXY header to begin with, 1 or 2; 0 for none
	XClient bool           // name the client by XCLIENT, after EHLO
	Client  netip.AddrPort // the peer that the header or XCLIENT names
}

// Dial connects, names the client, reads the greeting and says EHLO. The caller closes the connection, which ends
// when ctx has a deadline and that has passed, at the latest after 30 seconds.
func (c Call) Dial(ctx context.Context) (*smtp.Client, error) {
	conn, err := c.connect(ctx)
	if err != nil {
		return nil, err
	}
	client, err := smtp.NewClient(conn, c.Addr)
	if err == nil {
		err = c.greet(client)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("calling %s: %w", c.Addr, err)
	}
	return client, nil
}

// connect makes the connection and sends the header, if one is wanted, in one piece.
func (c Call) connect(ctx context.Context) (net.Conn, error) {
	var dialer net.Dialer
	if c.Source.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.Source, 0))
	}
	conn, err := dialer.DialContext(ctx, "tcp", c.Addr)
	if err != nil {
		return nil, err
	}
	end, bounded := ctx.Deadline()
	if !bounded {
		end = time.Now().Add(pollBound)
	}
	conn.SetDeadline(end)
	if _, err := conn.Write(c.header(conn.RemoteAddr().(*net.TCPAddr).AddrPort())); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// header is what goes before everything else: the PROXY protocol's text (version 1) or binary form (version 2).
func (c Call) header(dst netip.AddrPort) []byte {
	src := c.Client
	v4 := src.Addr().Is4()
	family, kind := "TCP6", byte(0x21)
	from, to := src.Addr().AsSlice(), netip.AddrFrom16(dst.Addr().As16()).AsSlice()
	if v4 {
		family, kind, to = "TCP4", 0x11, dst.Addr().Unmap().AsSlice()
	}
	switch c.Header {
	case 1:
		return fmt.Appendf(nil, "PROXY %s %s %s %d %d\r\n", family, src.Addr(), net.IP(to), src.Port(), dst.Port())
	case 2:
		h := append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21"), kind)
		h = binary.BigEndian.AppendUint16(h, uint16(len(from)+len(to)+4))
		h = append(append(h, from...), to...)
		h = binary.BigEndian.AppendUint16(h, src.Port())
		return binary.BigEndian.AppendUint16(h, dst.Port())
	}
	return nil
}

// greet says EHLO, and EHLO again after XCLIENT, as Postfix wants it.
func (c Call) greet(client *smtp.Client) error {
	if err := client.Hello("caller.test"); err != nil || !c.XClient {
		return err
	}
	if err := say(client, 220, "XCLIENT ADDR=%s PORT=%d", c.Client.Addr(), c.Client.Port()); err != nil {
		return err
	}
	return say(client, 250, "EHLO caller.test")
}

// say sends one command and wants this reply.
func say(client *smtp.Client, code int, format string, args ...any) error {
	id, err := client.Text.Cmd(format, args...)
	if err != nil {
		return err
	}
	client.Text.StartResponse(id)
	defer client.Text.EndResponse(id)
	_, _, err = client.Text.ReadResponse(code)
	return err
}

// Send delivers one message in a connection of its own. The line ends of msg are CRLF; an empty from makes a bounce.
// What the server refuses comes back as a *textproto.Error with its code.
func (c Call) Send(ctx context.Context, from, to string, msg []byte) error {
	client, err := c.Dial(ctx)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Mail(from); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	data, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := data.Write(msg); err != nil {
		return err
	}
	if err := data.Close(); err != nil {
		return err
	}
	return client.Quit()
}
