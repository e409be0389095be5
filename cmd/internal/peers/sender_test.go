package peers

import (
	"context"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// grudge refuses the recipients of the first connection with 451 and carries all later ones to a backend.
type grudge struct {
	mu      sync.Mutex
	sources []string    // who called
	times   []time.Time // and when
}

// newGrudge starts one and returns its address.
func newGrudge(t *testing.T, backend string) (*grudge, string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g := &grudge{}
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { g.serve(ctx, l, backend) })
	t.Cleanup(func() {
		cancel()
		l.Close()
		serving.Wait()
	})
	return g, l.Addr().String()
}

// serve answers until l is closed, one connection after the other.
func (g *grudge) serve(ctx context.Context, l net.Listener, backend string) {
	carrier := pool{target: backend}
	for first := true; ; first = false {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		g.mu.Lock()
		g.sources = append(g.sources, conn.RemoteAddr().(*net.TCPAddr).IP.String())
		g.times = append(g.times, time.Now())
		g.mu.Unlock()
		if first {
			refuse(textproto.NewConn(conn))
		} else {
			carrier.carry(ctx, conn.(*net.TCPConn), netip.MustParseAddr("127.0.0.1"))
		}
	}
}

// refuse speaks SMTP and defers every recipient. It closes the connection.
func refuse(c *textproto.Conn) {
	defer c.Close()
	c.PrintfLine("220 grudge.test ESMTP")
	for {
		line, err := c.ReadLine()
		if err != nil {
			return
		}
		switch verb, _, _ := strings.Cut(strings.ToUpper(line), " "); verb {
		case "QUIT":
			c.PrintfLine("221 2.0.0 bye")
			return
		case "RCPT":
			c.PrintfLine("451 4.7.0 later")
		case "DATA":
			c.PrintfLine("503 5.5.1 nobody to send it to")
		case "EHLO":
			c.PrintfLine("250-grudge.test\r\n250 8BITMIME")
		default:
			c.PrintfLine("250 2.0.0 ok")
		}
	}
}

// retries sends a message past a grudge and wants it to arrive unchanged, from the right address.
func retries(t *testing.T, start func(SenderOptions) *Sender, o SenderOptions, after func(*Sender)) *grudge {
	t.Helper()
	b := PostfixBackend(t, PostfixOptions{})
	g, addr := newGrudge(t, b.Plain)
	o.Relay, o.Bind = addr, "127.9.8.7"
	s := start(o)
	m := Awkward("a@"+SenderDomain, "b@"+Domain)
	s.Send("a@"+SenderDomain, "b@"+Domain, m.Raw)
	s.WaitLog(t.Context(), regexp.MustCompile(`451 4\.7\.0 later`))
	if s.Queue() == "" {
		t.Error("the queue is empty after a 451")
	}
	after(s)
	if err := m.Same(b.WaitMessage(t.Context())); err != nil {
		t.Error(err)
	}
	s.WaitEmpty(t.Context())
	bounces(t, s)
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.IndexFunc(g.sources, func(a string) bool { return a != o.Bind }); i >= 0 {
		t.Errorf("a connection came from %s, not %s", g.sources[i], o.Bind)
	}
	return g
}

// bounces wants a refused message to come back to the sender's own maildir.
func bounces(t *testing.T, s *Sender) {
	t.Helper()
	s.Send("a@"+SenderDomain, Nobody, []byte("Subject: bounce\r\n\r\nbounce\r\n"))
	if got := s.WaitMessage(t.Context()); !strings.Contains(string(got), "550") {
		t.Errorf("a bounce without the reason:\n%s", got)
	}
}

func TestPostfixSender(t *testing.T) {
	slow(t)
	start := func(o SenderOptions) *Sender { return PostfixSender(t, o) }
	g := retries(t, start, SenderOptions{Backoff: 2 * time.Second}, func(*Sender) {})
	if wait := g.times[1].Sub(g.times[0]); wait < time.Second || wait > 10*time.Second {
		t.Errorf("it tried again after %v, not about 2 s", wait)
	}
}

func TestEximSender(t *testing.T) {
	slow(t)
	start := func(o SenderOptions) *Sender { return EximSender(t, o) }
	g := retries(t, start, SenderOptions{}, func(*Sender) {})
	if wait := g.times[1].Sub(g.times[0]); wait < time.Second || wait > 10*time.Second {
		t.Errorf("it tried again after %v, not about 2 s", wait)
	}
}

func TestOpenSMTPDSender(t *testing.T) {
	slow(t)
	start := func(o SenderOptions) *Sender { return OpenSMTPDSender(t, o) }
	retries(t, start, SenderOptions{}, (*Sender).Retry)
}

func TestPostfixRetry(t *testing.T) {
	slow(t)
	start := func(o SenderOptions) *Sender { return PostfixSender(t, o) }
	retries(t, start, SenderOptions{Backoff: time.Hour}, (*Sender).Retry)
}

func TestEximRetry(t *testing.T) {
	slow(t)
	start := func(o SenderOptions) *Sender { return EximSender(t, o) }
	retries(t, start, SenderOptions{Backoff: time.Hour}, (*Sender).Retry)
}

func TestPool(t *testing.T) {
	slow(t)
	b := PostfixBackend(t, PostfixOptions{})
	s := PostfixSender(t, SenderOptions{Relay: b.Plain, Pool: netip.MustParsePrefix("127.9.3.2/31")})
	for n := range 3 {
		s.Send("a@"+SenderDomain, "b@"+Domain, []byte("Subject: pool\r\n\r\npool\r\n"))
		b.WaitMessages(t.Context(), n+1)
	}
	seen := regexp.MustCompile(` connect from \S+\[(127\S+)\]`).FindAllStringSubmatch(b.Log(), -1)
	var got []string
	for _, m := range seen {
		got = append(got, m[1])
	}
	if want := []string{"127.9.3.2", "127.9.3.3", "127.9.3.2"}; !slices.Equal(got, want) {
		t.Errorf("connections came from %v, not %v", got, want)
	}
}

func TestPoolGoesOn(t *testing.T) {
	for _, x := range []struct{ prefix, source, next string }{
		{"127.9.3.2/31", "127.9.3.2", "127.9.3.3"},
		{"127.9.3.2/31", "127.9.3.3", "127.9.3.2"},
		{"127.9.0.0/24", "127.9.0.7", "127.9.0.8"},
		{"127.9.0.0/16", "127.9.0.0", "127.9.1.1"},
		{"127.9.0.0/16", "127.9.254.254", "127.9.255.255"},
		{"127.9.0.0/16", "127.9.255.255", "127.9.0.0"},
	} {
		p := pool{prefix: netip.MustParsePrefix(x.prefix)}
		if got := p.after(netip.MustParseAddr(x.source)).String(); got != x.next {
			t.Errorf("%s: %s comes after %s, not %s", x.prefix, got, x.source, x.next)
		}
	}
}

func TestNothingOutlivesStop(t *testing.T) {
	slow(t)
	b := PostfixBackend(t, PostfixOptions{})
	accepts(t, b, Call{Addr: b.Plain}) // smtpd, cleanup, qmgr and others are running now
	if len(running(t, b.dir)) < 3 {
		t.Fatal("cannot tell the programs of a backend")
	}
	b.Stop()
	if left := running(t, b.dir); len(left) > 0 {
		t.Errorf("still running: %q", left)
	}
}

// running lists the processes that mention dir in their environment, command line or working directory.
func running(t *testing.T, dir string) []string {
	t.Helper()
	all, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range all {
		proc := "/proc/" + e.Name()
		cmd, _ := os.ReadFile(proc + "/cmdline") // errors: no process, or gone
		env, _ := os.ReadFile(proc + "/environ")
		cwd, _ := os.Readlink(proc + "/cwd")
		if strings.Contains(string(cmd)+string(env)+cwd, dir) {
			found = append(found, e.Name()+" "+string(cmd))
		}
	}
	return found
}
