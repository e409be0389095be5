package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"

	"moggy/greylist"
	"moggy/metrics"
	"moggy/proxy/relay"
	"moggy/proxy/tarpit"
	"moggy/store/bolt"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

// A lab is the real proxy in virtual time: real store, real journal, connections
// in memory, a backend of a few lines.
type lab struct {
	t       *testing.T
	dir     string
	store   *bolt.Store
	book    *whitelist.Book
	traps   *greylist.Traps
	server  *Server
	listen  *memListener
	backend *memBackend
	journal memJournal
	alarms  []string // guarded by journal.mu
	stop    context.CancelFunc
	served  chan struct{}
}

// labTimers are moggy.toml's defaults.
var labTimers = greylist.Timers{Pass: 4 * time.Minute, PassUnnamed: 25 * time.Minute, Window: 48 * time.Hour, Remember: 36 * 24 * time.Hour}

// inLab runs f in a lab with default settings, which change may alter.
func inLab(t *testing.T, change func(*Settings), slots int, f func(l *lab)) {
	inWorld(t, change, slots, func(*lab, *Judge) {}, f)
}

// inWorld is inLab with a judge that learn has told of the world outside.
func inWorld(t *testing.T, change func(*Settings), slots int, learn func(*lab, *Judge), f func(l *lab)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, dir: dir, listen: newMemListener(), backend: &memBackend{}, served: make(chan struct{})}
		set := &Settings{Policy: verdict.Policy{Hostname: "mx.test", GreyCode: 451, TrapTTL: 24 * time.Hour},
			Stutter: 10 * time.Second, Recipients: 100, Errors: 10}
		if change != nil {
			change(set)
		}
		defer l.open(set, slots, learn)()
		f(l)
	})
}

func (l *lab) open(set *Settings, slots int, learn func(*lab, *Judge)) (done func()) {
	l.store = must(bolt.Open(bolt.Options{Path: filepath.Join(l.dir, "moggy.db")}))
	l.book = must(whitelist.Open(l.t.Context(), whitelist.Options{Store: l.store, Now: time.Now(),
		Changed: func(net netip.Prefix) {
			if l.server != nil {
				l.server.Changed(net)
			}
		}}))
	l.traps = must(greylist.OpenTraps(l.t.Context(), l.store, []string{"trap@example.net"}, time.Now()))
	j := NewJudge(l.book, l.store, l.traps, labTimers)
	learn(l, j)
	l.server = New(Options{Judge: j, Journal: &l.journal, Settings: set, Grace: 30 * time.Second, Visitors: 100, Line: 100,
		Pit:     tarpit.New(tarpit.Options{Slots: slots, Gap: time.Second, Timeout: time.Minute}),
		Metrics: metrics.New(metrics.Options{Listeners: []string{"smtp"}}), Log: slog.New(slog.DiscardHandler),
		Doors: []DoorOptions{{Name: "smtp", Service: whitelist.Mail, Listen: l.listen, Idle: 10 * time.Minute,
			Backend: relay.Backend{Address: "backend", Form: relay.ProxyV2, Dialer: l.backend.dial}}},
	})
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	go func() { l.server.Serve(ctx); close(l.served) }()
	l.server.doors[0].ask(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if j.Lists != nil {
			j.Lists.Watch(ctx)
		}
	}()
	return func() {
		l.stop()
		<-l.served
		<-watched
		if j.Lists != nil {
			j.Lists.Close()
		}
		l.store.Close()
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A memJournal keeps all records.
type memJournal struct {
	mu  sync.Mutex
	all []journal.Record
}

func (j *memJournal) Append(r journal.Record) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.all = append(j.all, r)
}

// records are what the journal holds of an address, oldest first.
func (l *lab) records(addr string) (found []journal.Record) {
	synctest.Wait()
	l.journal.mu.Lock()
	defer l.journal.mu.Unlock()
	for _, r := range l.journal.all {
		if r.Peer.Addr() == netip.MustParseAddr(addr) {
			found = append(found, r)
		}
	}
	return found
}

// rules are the rules that decided about an address, oldest first.
func (l *lab) rules(addr string) string {
	var rules []string
	for _, r := range l.records(addr) {
		if r.Event == journal.EventDecided {
			rules = append(rules, r.Rule)
		}
	}
	return strings.Join(rules, " ")
}

// A caller is a peer in the lab.
type caller struct {
	net.Conn
	t    *testing.T
	r    *bufio.Reader
	came time.Time
}

func (l *lab) call(from string) *caller {
	l.t.Helper()
	ours, theirs := net.Pipe()
	peer := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(from + ":40000"))
	l.listen.conns <- &memConn{Conn: ours, local: memAddr, remote: peer}
	return &caller{Conn: theirs, t: l.t, r: bufio.NewReader(theirs), came: time.Now()}
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

// after wants that much time to have passed since the call.
func (c *caller) after(want time.Duration) {
	c.t.Helper()
	if got := time.Since(c.came); got != want {
		c.t.Errorf("%v after the call, want %v", got, want)
	}
}

// memAddr is the lab's own address.
var memAddr = &net.TCPAddr{IP: net.IPv4(192, 0, 2, 25), Port: 25}

type memConn struct {
	net.Conn
	local, remote net.Addr
}

func (c *memConn) LocalAddr() net.Addr  { return c.local }
func (c *memConn) RemoteAddr() net.Addr { return c.remote }

type memListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newMemListener() *memListener {
	return &memListener{conns: make(chan net.Conn), done: make(chan struct{})}
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
func (l *memListener) Addr() net.Addr { return memAddr }

// A memBackend is a mail server that takes everything but nobody@… from everybody
// but busy@…, and keeps what it was told.
type memBackend struct {
	mu       sync.Mutex
	down     bool
	slow     time.Duration // to accept
	dialing  int
	most     int // of dialing
	sessions []*backendSession
}

// A backendSession is one connection that was no health check.
type backendSession struct {
	from  string // the address in the PROXY header
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
		if s.from == from {
			sessions = append(sessions, strings.Join(s.lines, "|"))
		}
	}
	return sessions
}

func (b *memBackend) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	header, err := proxyproto.Read(r)
	if err != nil {
		return
	}
	s := &backendSession{}
	if src, ok := header.SourceAddr.(*net.TCPAddr); ok && header.Command == proxyproto.PROXY {
		s.from = src.IP.String()
		b.mu.Lock()
		b.sessions = append(b.sessions, s)
		b.mu.Unlock()
	}
	io.WriteString(c, "220 backend ESMTP\r\n")
	for inData := false; ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		b.mu.Lock()
		s.lines = append(s.lines, line)
		b.mu.Unlock()
		reply := b.answer(line, &inData)
		if _, err := io.WriteString(c, reply); err != nil || strings.HasPrefix(reply, "221") {
			return
		}
	}
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
	case verb == "RCPT" && strings.Contains(line, "nobody@"):
		return "550 5.1.1 No such user\r\n"
	case verb == "RCPT" && strings.Contains(line, "@foreign") || strings.Contains(line, "@example.com"):
		return "554 5.7.1 Relay access denied\r\n"
	case verb == "DATA":
		*inData = true
		return "354 go\r\n"
	case verb == "QUIT":
		return "221 2.0.0 bye\r\n"
	}
	return fmt.Sprintf("250 2.0.0 %s ok\r\n", verb)
}
