package peers

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// SenderOptions say how a sender delivers. Only Relay has no default.
type SenderOptions struct {
	Relay   string        // host:port, an IPv4 address: where all mail goes that is not for SenderDomain
	Bind    string        // address to deliver from; default 127.9.9.9
	Hello   string        // what it calls itself; default sender.test
	Backoff time.Duration // shortest wait before a retry, whole seconds; default 2s; OpenSMTPD knows no such thing
	TLS     string        // smtp_tls_security_level; default "none"; Postfix only
	Pool    netip.Prefix  // deliver from its addresses in turn, one for each connection, not from Bind; Postfix only
}

// Sender is a mail server that relays what it is given, and tries again what was refused for now.
// Its Messages are the bounces it made itself for addresses of SenderDomain.
type Sender struct {
	*program
	inject string                  // address where it takes mail from the test
	queue  func(p *program) string // what is still to be sent; "" for nothing
	retry  func(p *program)        // tries all of it now
}

// settings are the options as the templates use them.
type settings struct {
	SenderOptions
	Dir       string
	Port      int
	RelayHost string
	RelayPort string
	Seconds   int // of Backoff
}

// settle fills in the defaults.
func settle(t testing.TB, p *program, o SenderOptions) settings {
	t.Helper()
	o.Bind = cmp.Or(o.Bind, "127.9.9.9")
	o.Hello = cmp.Or(o.Hello, SenderDomain)
	o.TLS = cmp.Or(o.TLS, "none")
	o.Backoff = cmp.Or(o.Backoff, 2*time.Second)
	if o.Pool.IsValid() {
		o.Relay, o.Bind = SourcePool(t, o.Relay, o.Pool), "127.0.0.1"
	}
	host, port, err := net.SplitHostPort(o.Relay)
	if err != nil {
		t.Fatalf("%s has nowhere to send to: %v", p.name, err)
	}
	p.ports = freePorts(t, 1)
	return settings{o, p.dir, p.ports[0], host, port, max(1, int(o.Backoff/time.Second))}
}

// Send puts a message into the sender's queue, which starts to deliver it at once. The line ends of msg are CRLF.
// An empty from sends it as a bounce.
func (s *Sender) Send(from, to string, msg []byte) {
	s.t.Helper()
	if err := (Call{Addr: s.inject}).Send(s.t.Context(), from, to, msg); err != nil {
		s.t.Fatalf("giving %s a message to send: %v", s.name, err)
	}
}

// Queue returns what is still to be sent, as the program's own listing shows it, and "" for nothing.
func (s *Sender) Queue() string {
	s.t.Helper()
	return s.queue(s.program)
}

// Retry tries everything in the queue now, whatever the timers say.
func (s *Sender) Retry() {
	s.t.Helper()
	s.retry(s.program)
}

// WaitEmpty waits until nothing is left to be sent.
// The test fails when ctx ends first, or after 30 seconds where ctx has no deadline.
func (s *Sender) WaitEmpty(ctx context.Context) {
	s.t.Helper()
	if err := Poll(ctx, func() bool { return s.Queue() == "" }); err != nil {
		s.t.Fatalf("%s still has mail to send: %v\n%s", s.name, err, s.Queue())
	}
}

// rest waits for the attempts that go on just now.
func (p *program) rest(idle func() bool) {
	p.t.Helper()
	if err := Poll(p.t.Context(), idle); err != nil {
		p.t.Fatalf("%s does not come to the end of an attempt: %v", p.name, err)
	}
}
