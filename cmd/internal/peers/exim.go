package peers

import (
	"net/netip"
	"strings"
	"testing"
)

// EximOptions say what kind of backend Exim is.
type EximOptions struct {
	// Source is the address whose connections must begin with a PROXY header; all others must not. Exim goes by the
	// caller's address, not by the port. Default 127.0.0.3.
	Source netip.Addr
}

// eximSettings are what the template of Exim uses.
type eximSettings struct {
	settings
	EximOptions
	Backend bool
}

// EximBackend starts Exim as a backend. Its Plain and Proxy are one address: Source makes the difference.
func EximBackend(t testing.TB, o EximOptions) *Backend {
	t.Helper()
	if !o.Source.IsValid() {
		o.Source = netip.MustParseAddr("127.0.0.3")
	}
	p := newUnpacked(t, "exim")
	p.ports = freePorts(t, 1)
	s := eximSettings{EximOptions: o, Backend: true}
	s.Hello, s.Port = "mx.test", p.ports[0]
	p.startExim(s, "-bdf")
	return &Backend{program: p, Plain: local(s.Port), Proxy: local(s.Port), Source: o.Source}
}

// EximSender starts Exim as a sender: it looks after its queue every second.
func EximSender(t testing.TB, o SenderOptions) *Sender {
	t.Helper()
	p := newUnpacked(t, "exim")
	s := eximSettings{settings: settle(t, p, o)}
	p.startExim(s, "-bdf", "-q1s")
	return &Sender{
		program: p,
		inject:  local(s.Port),
		queue:   func(p *program) string { return p.inside(exim, "-bp") },
		retry:   eximRun,
	}
}

// exim is the program's name inside its namespace.
const exim = "/usr/sbin/exim4"

// startExim writes the configuration and starts Exim in the foreground.
func (p *program) startExim(s eximSettings, mode ...string) {
	p.t.Helper()
	s.Dir = p.dir
	p.fill("ns/etc/exim4/exim4.conf", "exim4.conf", s)
	p.mkdir(p.path("ns/spool/exim4"), eximUser)
	p.mkdir(p.path("log"), eximUser)
	p.mkdir(p.path("maildir"), eximUser)
	p.argv = append([]string{exim}, mode...)
	p.Start()
}

// eximRun tries the whole queue now, and again if it meets a message that is just being delivered.
func eximRun(p *program) {
	p.t.Helper()
	locked := func() int { return strings.Count(p.Log(), "Spool file is locked") }
	p.rest(func() bool {
		before := locked()
		p.inside(exim, "-qff")
		return locked() == before
	})
}
