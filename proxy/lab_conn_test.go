package proxy

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"
)

// A caller is a peer in the lab.
type caller struct {
	net.Conn
	t    *testing.T
	r    *bufio.Reader
	came time.Time
}

func (l *lab) call(from string) *caller {
	l.t.Helper()
	return l.callAt(25, from)
}

// callAt connects to a port.
func (l *lab) callAt(port uint16, from string) *caller {
	l.t.Helper()
	c := &caller{t: l.t, came: time.Now()}
	var ok bool
	if c.Conn, ok = l.connect(port, netip.AddrPortFrom(netip.MustParseAddr(from), 40000)); !ok {
		l.t.Fatalf("port %d does not listen", port)
	}
	c.r = bufio.NewReader(c.Conn)
	return c
}

// connect is the peer's end of a new connection; false if nobody listens.
func (l *lab) connect(port uint16, from netip.AddrPort) (net.Conn, bool) {
	return (*l.listens.Load())[port].connect(from)
}

// reply reads one reply, its lines joined by " / ".
func (c *caller) reply() string {
	c.t.Helper()
	var lines []string
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return strings.Join(append(lines, "<"+err.Error()+">"), " / ")
		}
		lines = append(lines, strings.TrimSuffix(line, "\r\n"))
		if len(line) < 4 || line[3] != '-' {
			return strings.Join(lines, " / ")
		}
	}
}

// say sends lines in one write and wants the replies to begin as named.
func (c *caller) say(text string, want ...string) {
	c.t.Helper()
	if text != "" {
		go io.WriteString(c.Conn, strings.ReplaceAll(text, "\n", "\r\n"))
	}
	for _, w := range want {
		if got := c.reply(); !strings.HasPrefix(got, w) {
			c.t.Fatalf("to %q: %q, want %q", text, got, w)
		}
	}
}

// ask sends lines and returns the reply.
func (c *caller) ask(text string) string {
	c.t.Helper()
	if text != "" {
		go io.WriteString(c.Conn, strings.ReplaceAll(text, "\n", "\r\n"))
	}
	return c.reply()
}

// tell sends lines and returns the last of n replies.
func (c *caller) tell(text string, n int) (last string) {
	last = c.ask(text)
	for range n - 1 {
		last = c.reply()
	}
	return last
}

// after wants that much time to have passed since the call.
func (c *caller) after(want time.Duration) {
	c.t.Helper()
	if got := time.Since(c.came); got != want {
		c.t.Errorf("%v after the call, want %v", got, want)
	}
}

type memConn struct {
	net.Conn
	local, remote net.Addr
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

// A memListener listens at a port of 192.0.2.25.
type memListener struct {
	addr  *net.TCPAddr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newMemListener(port uint16) *memListener {
	return &memListener{addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 25), Port: int(port)}, conns: make(chan net.Conn), done: make(chan struct{})}
}

// connect is the peer's end of a new connection; false if nobody listens any more.
func (l *memListener) connect(from netip.AddrPort) (net.Conn, bool) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- &memConn{Conn: ours, local: l.addr, remote: net.TCPAddrFromAddrPort(from)}:
		return theirs, true
	case <-l.done:
		return nil, false
	}
}

func (l *memListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *memListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *memListener) Addr() net.Addr { return l.addr }
