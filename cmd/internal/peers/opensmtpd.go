package peers

import (
	"strconv"
	"strings"
	"testing"
)

// openSMTPDSettings are what the template of OpenSMTPD uses.
type openSMTPDSettings struct {
	settings
	Backend bool
	Ports   []int
}

// OpenSMTPDBackend starts OpenSMTPD as a backend. At Proxy it reads version 2 of the header only, and loses what comes
// in one segment with it (its issue 1161).
func OpenSMTPDBackend(t testing.TB) *Backend {
	t.Helper()
	p := newUnpacked(t, "opensmtpd")
	p.ports = freePorts(t, 2)
	s := openSMTPDSettings{Backend: true, Ports: p.ports}
	s.Hello = "mx.test"
	p.startOpenSMTPD(s)
	return &Backend{program: p, Plain: local(p.ports[0]), Proxy: local(p.ports[1])}
}

// OpenSMTPDSender starts OpenSMTPD as a sender. It tries again 400 s times the square of the attempt after the message
// came in; nothing makes that shorter but [Sender.Retry]. It is set to end a connection when it has nothing to send for
// the moment, as it has by the time of such a retry: else a retry within 10 s would come in the connection of the attempt.
func OpenSMTPDSender(t testing.TB, o SenderOptions) *Sender {
	t.Helper()
	p := newUnpacked(t, "opensmtpd")
	s := openSMTPDSettings{settings: settle(t, p, o)}
	s.Ports = p.ports
	p.startOpenSMTPD(s)
	return &Sender{
		program: p,
		inject:  local(s.Port),
		queue:   func(p *program) string { return p.smtpctl("show", "queue") },
		retry:   (*program).schedule,
	}
}

// startOpenSMTPD writes the configuration and starts OpenSMTPD in the foreground.
func (p *program) startOpenSMTPD(s openSMTPDSettings) {
	p.t.Helper()
	s.Dir = p.dir
	p.fill("smtpd.conf", "smtpd.conf", s)
	p.mkdir(p.path("ns/lib/opensmtpd/empty"), 0)
	p.mkdir(p.path("ns/spool/smtpd"), 0)
	p.chmod("ns/spool/smtpd", 0o711)
	p.mkdir(p.path("maildir"), keeperUser)
	p.argv = []string{"/usr/sbin/smtpd", "-d", "-f", p.path("smtpd.conf")}
	p.Start()
}

// schedule tries the whole queue now. OpenSMTPD takes no such order for what it is just trying, so this waits for that.
func (p *program) schedule() {
	p.t.Helper()
	p.rest(func() bool { return !strings.Contains(p.smtpctl("show", "queue"), "|inflight|") })
	p.smtpctl("schedule", "all")
}

// smtpctl asks the running OpenSMTPD, with the group that Debian's installation would have given to the program.
func (p *program) smtpctl(args ...string) string {
	p.t.Helper()
	group := "--setgid=" + strconv.Itoa(queueUser)
	return p.inside(append([]string{"nsenter", group, "--", "/usr/sbin/smtpctl"}, args...)...)
}
