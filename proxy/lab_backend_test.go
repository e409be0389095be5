package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"
)

// A memBackend is a mail server that takes everything but nobody@… from everybody
// but busy@…, and keeps what it was told.
type memBackend struct {
	mu       sync.Mutex
	users    []string // who exists besides; nil: everybody of every domain but foreign ones
	brief    bool     // what was said is not kept
	down     bool
	slow     time.Duration // to accept
	dialing  int
	most     int // of dialing
	sessions []*backendSession
}

// A backendSession is one connection that was no health check.
type backendSession struct {
	from  netip.AddrPort // the address in the PROXY header
	began time.Time
	lines []string
}

func (b *memBackend) dial(context.Context, string, string) (net.Conn, error) {
	b.dialed(1)
	time.Sleep(b.slow) // virtual
	b.dialed(-1)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	go b.serve(theirs)
	return ours, nil
}

func (b *memBackend) dialed(delta int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.dialing += delta
	b.most = max(b.most, b.dialing)
}

func (b *memBackend) set(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

// told is what the sessions of an address said, a session a string.
func (b *memBackend) told(from string) (sessions []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.sessions {
		if s.from.Addr().String() == from {
			sessions = append(sessions, strings.Join(s.lines, "|"))
		}
	}
	return sessions
}

// backendBanner is how a session with the mail server begins, and with it alone.
const backendBanner = "220 backend ESMTP\r\n"

func (b *memBackend) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	from, err := readProxyHeader(r)
	if err != nil {
		return
	}
	s := &backendSession{from: from, began: time.Now()}
	if from.IsValid() {
		b.mu.Lock()
		b.sessions = append(b.sessions, s)
		b.mu.Unlock()
	}
	io.WriteString(c, backendBanner)
	for inData := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		if reply := b.hear(s, line, &inData); reply != "" {
			if _, err := io.WriteString(c, reply); err != nil || strings.HasPrefix(reply, "221") {
				return
			}
		}
	}
}

// readProxyHeader returns the peer's address; not valid where the connection is the proxy's own.
func readProxyHeader(r *bufio.Reader) (from netip.AddrPort, err error) {
	header, err := proxyproto.Read(r)
	if err != nil {
		return from, err
	}
	if src, ok := header.SourceAddr.(*net.TCPAddr); ok && header.Command == proxyproto.PROXY {
		from = netip.AddrPortFrom(src.AddrPort().Addr().Unmap(), src.AddrPort().Port())
	}
	return from, nil
}

func (b *memBackend) hear(s *backendSession, line string, inData *bool) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.brief {
		s.lines = append(s.lines, line)
	}
	return b.answer(line, inData)
}

func (b *memBackend) answer(line string, inData *bool) string {
	verb := strings.ToUpper(string(bytes.TrimSpace([]byte(line)[:min(4, len(line))])))
	switch {
	case *inData && line != ".":
		return ""
	case *inData:
		*inData = false
		return "250 2.0.0 queued\r\n"
	case verb == "EHLO":
		return "250-backend\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 SIZE 1000\r\n"
	case verb == "MAIL" && strings.Contains(line, "busy@"):
		return "450 4.3.2 Busy\r\n"
	case verb == "RCPT":
		return b.recipient(line)
	case verb == "DATA":
		*inData = true
		return "354 go\r\n"
	case verb == "QUIT":
		return "221 2.0.0 bye\r\n"
	}
	return fmt.Sprintf("250 2.0.0 %s ok\r\n", verb)
}

// noSuchUser is what the backend, and nobody else, says of a mailbox that is not there.
const noSuchUser = "550 5.1.1 No such user"

func (b *memBackend) recipient(line string) string {
	_, mailbox, _ := strings.Cut(strings.TrimSuffix(line, ">"), "<")
	switch {
	case strings.Contains(line, "@foreign") || strings.Contains(line, "@example.com"):
		return "554 5.7.1 Relay access denied\r\n"
	case strings.Contains(line, "nobody@") || b.users != nil && !slices.Contains(b.users, strings.ToLower(mailbox)):
		return noSuchUser + "\r\n"
	}
	return "250 2.0.0 RCPT ok\r\n"
}

// memStreams are the servers behind stream listeners. Each greets at once, and
// repeats what it hears.
type memStreams struct {
	mu       sync.Mutex
	down     bool
	sessions []*backendSession
	knocks   int // connections that said they were the proxy's own
	open     int
}

// streamBanner is how a session with a stream's server begins, and with it alone.
const streamBanner = "* OK backend\r\n"

func (b *memStreams) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down || ctx.Err() != nil {
		return nil, errors.New("connection refused")
	}
	ours, theirs := net.Pipe()
	go b.serve(theirs)
	return ours, nil
}

func (b *memStreams) set(down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = down
}

func (b *memStreams) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	from, err := readProxyHeader(r)
	if err != nil {
		return
	}
	defer b.opened(from)()
	said := make(chan string, 1024) // as the kernel keeps what nobody has read yet
	said <- streamBanner
	go func() {
		defer close(said)
		for buf := make([]byte, 4096); ; {
			n, err := r.Read(buf)
			if err != nil {
				return
			}
			said <- string(buf[:n])
		}
	}()
	for s := range said {
		io.WriteString(c, s)
	}
}

// opened notes a session; the function it returns, its end.
func (b *memStreams) opened(from netip.AddrPort) (closed func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !from.IsValid() {
		b.knocks++
		return func() {}
	}
	b.sessions = append(b.sessions, &backendSession{from: from, began: time.Now()})
	b.open++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.open--
	}
}
