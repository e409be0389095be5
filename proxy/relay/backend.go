package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// dialTimeout is how long a backend without a Timeout may take to accept.
const dialTimeout = 10 * time.Second

// Backend is the server that connections are carried to, and how it is told whose
// they are.
type Backend struct {
	Address string        // host and port: "127.0.0.1:10025"
	Form    Form          // how it learns the peer's address
	Source  netip.Addr    // our own address to connect from; the zero Addr leaves it to the system
	Timeout time.Duration // for connecting and for writing the header; 0 is 10 s

	// Dialer connects in the place of net.Dialer, and then Source is its affair; nil: net.Dialer.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
}

// Dial connects to the backend on behalf of peer, which had connected to local, and
// writes the PROXY header, if the form has one, in a single write before anything
// else: Postfix refuses a header that comes in two segments. IPv4 addresses mapped
// into IPv6 are written as IPv4; a local address of the other family than the peer's
// is written as unspecified.
//
// The caller must close the connection. It has no deadline set. After an error there
// is nothing to close.
func (b Backend) Dial(ctx context.Context, peer, local netip.AddrPort) (net.Conn, error) {
	header, err := b.Form.header(peer, local)
	if err != nil {
		return nil, fmt.Errorf("connect to backend %s: %w", b.Address, err)
	}
	return b.dial(ctx, func(_, _ netip.AddrPort) ([]byte, error) { return header, nil })
}

// DialLocal connects to the backend on our own behalf, as for a health check: the
// header says LOCAL (version 2), or the connection's own addresses (version 1). Otherwise
// it is as Dial.
func (b Backend) DialLocal(ctx context.Context) (net.Conn, error) {
	return b.dial(ctx, b.Form.localHeader)
}

// dial connects and writes what header returns for the ends of the connection.
func (b Backend) dial(ctx context.Context, header func(near, far netip.AddrPort) ([]byte, error)) (net.Conn, error) {
	d := net.Dialer{Timeout: b.timeout()}
	if b.Source.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(b.Source, 0))
	}
	dial := d.DialContext
	if b.Dialer != nil {
		dial = b.Dialer
	}
	conn, err := dial(ctx, "tcp", b.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to backend %s: %w", b.Address, err)
	}
	text, err := header(endpoint(conn.LocalAddr()), endpoint(conn.RemoteAddr()))
	if err == nil {
		err = write(conn, text, b.timeout())
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("write %s header to backend %s: %w", b.Form, b.Address, err)
	}
	return conn, nil
}

// endpoint is the address of one end; the zero AddrPort where it is no TCP.
func endpoint(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort()
	}
	return netip.AddrPort{}
}

// timeout returns the time for connecting, and for the header again.
func (b Backend) timeout() time.Duration {
	if b.Timeout > 0 {
		return b.Timeout
	}
	return dialTimeout
}

// write writes the whole of p at once and leaves conn without a deadline. An empty p
// writes nothing.
func write(conn net.Conn, p []byte, timeout time.Duration) error {
	if len(p) == 0 {
		return nil
	}
	if err := conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return err
	}
	if _, err := conn.Write(p); err != nil {
		return err
	}
	return conn.SetWriteDeadline(time.Time{})
}
