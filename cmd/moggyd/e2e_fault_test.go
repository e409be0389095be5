package main_test

import (
	"net"
	"regexp"
	"syscall"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
	"moggy/verdict/journal"
)

// backendDown costs a stranger that has proved itself nothing: it passes with its next try.
func backendDown(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy})
	d.answers("127.9.9.9", from, to, 451)
	d.mature()
	b.Stop()
	d.answers("127.9.9.9", from, to, 421)
	d.answers("127.0.0.1", from, to, 421)
	d.outcome(journal.BackendDown)
	d.waitMetric(`moggy_backend_up{listener="smtp"}`, "0")
	b.Start()
	d.answers("127.9.9.9", from, to, 0)
	d.answers("127.0.0.1", from, to, 0)
	b.WaitMessages(t.Context(), 2)
	d.waitMetric(`moggy_backend_up{listener="smtp"}`, "1")
}

// backendLater starts after moggyd, which says so, defers strangers meanwhile and finds it by itself.
func backendLater(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	b.Stop()
	d := p.start(t, conf{Backend: b.Proxy})
	d.waitLog(`no mail gets through yet: the backend cannot be used.*connection refused`)
	d.answers("127.9.9.9", from, to, 451)
	d.answers("127.0.0.1", from, to, 421)
	b.Start()
	d.waitLog(`the backend answers.*CHUNKING`)
	d.answers("127.0.0.1", from, to, 0)
	d.mature()
	d.answers("127.9.9.9", from, to, 0)
}

func restart(t *testing.T, p programs) { survives(t, p, syscall.SIGTERM) }

func killed(t *testing.T, p programs) { survives(t, p, syscall.SIGKILL) }

// survives ends moggyd between the first try and the retry, which passes, and just after an entry was made, which counts.
func survives(t *testing.T, p programs, end syscall.Signal) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy})
	d.answers("127.9.9.9", from, to, 451)
	d.waitMetric("moggy_grey_triplets", "1")
	d.tool("allow", "add", "127.4.4.0/24", "--note", "just now")
	d.again(end)
	d.answers("127.4.4.4", from, to, 0)
	d.mature()
	d.answers("127.9.9.9", from, to, 0)
	d.inOneConnection()
	b.WaitMessages(t.Context(), 2)
}

// reload keeps the old configuration where the new one is wrong, and takes a good one.
func reload(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy})
	c := d.conf
	d.write("mode = \"absent\"\n")
	d.signal(syscall.SIGHUP)
	d.waitLog(`the old one stays in force.*moggy\.toml:1`)
	d.waitMetric("moggy_config_ok", "0")
	d.answers("127.3.3.3", from, to, 451)

	c.Mode = "observe"
	d.configure(c)
	d.signal(syscall.SIGHUP)
	d.waitLog(`the configuration was read again.*mode=observe`)
	d.waitMetric("moggy_config_ok", "1")
	d.answers("127.3.3.3", from, to, 0)

	c.Mode, c.Pass = "enforce", "1h"
	d.configure(c)
	d.signal(syscall.SIGHUP)
	d.waitLog(`the configuration was read again.*mode=enforce`)
	d.answers("127.3.4.5", from, to, 451)
	long := func(r journal.Record) bool { return r.Wait == time.Hour.Seconds() }
	d.record("that somebody has to wait for an hour", long)
}

// shutdown lets strangers go at once and gives who is carried the time to end.
func shutdown(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy, Gap: "1s"})
	m := peers.Awkward(from, to)
	carried, rest := d.halfway(m)
	talked, stuttered := d.call("127.3.3.3"), d.call("127.3.3.4")
	talked.hear(220)
	talked.say("EHLO caller.test", 250)
	d.waitMetric(`moggy_open{state="talk"}`, "2")
	d.signal(syscall.SIGTERM)
	stuttered.ends(3 * time.Second)
	if said := talked.ends(3 * time.Second); said[:min(4, len(said))] != "421 " {
		t.Errorf("a stranger was let go with %q", said)
	}
	d.until("nobody can connect", func() bool { return !d.accepts() })
	if d.gone() {
		t.Fatal("moggyd did not wait for who is carried")
	}
	rest()
	carried.leave()
	if code := d.wait(); code != 0 {
		t.Errorf("moggyd ended with %d", code)
	}
	way{daemon: d, to: b}.arrives(m, 1)
}

// halfway sends the first half of a message from this machine, and returns how the rest is sent.
func (d *daemon) halfway(m peers.Message) (*caller, func()) {
	d.t.Helper()
	c := d.call("127.0.0.1")
	c.recipient(to, 250)
	c.say("DATA", 354)
	w := c.DotWriter()
	half := len(m.Raw) / 2
	send := func(part []byte) {
		d.t.Helper()
		if _, err := w.Write(part); err != nil {
			d.t.Fatal(err)
		}
		if err := c.W.Flush(); err != nil {
			d.t.Fatal(err)
		}
	}
	send(m.Raw[:half])
	return c, func() {
		d.t.Helper()
		send(m.Raw[half:])
		if err := w.Close(); err != nil {
			d.t.Fatal(err)
		}
		c.hear(250)
	}
}

// accepts tells whether somebody listens where moggyd does.
func (d *daemon) accepts() bool {
	conn, err := net.Dial("tcp", d.Mail)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// openRelay is a backend that takes mail for everybody from addresses like moggyd's own.
func openRelay(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{OpenRelay: true})
	d := p.make(t, conf{Backend: b.Plain, Forward: "none"})
	d.run()
	if code := d.wait(); code != 1 {
		t.Errorf("moggyd ended with %d, not 1", code)
	}
	d.waitLog(`moggyd: open relay.*set forward = "proxy-v2"`)

	d = p.start(t, conf{Backend: b.Proxy})
	if on := d.metric(`moggy_alarms{alarm="open_relay"}`); on != "0" {
		t.Errorf("alarm %s over a backend that learns the address", on)
	}
	b.WaitLog(t.Context(), regexp.MustCompile(`reject: RCPT from unknown\[192\.0\.2\.1\]: 554 .*Relay access denied`))
}

// openRelayLater is one that moggyd could not ask at its start: then it gives nobody to it.
func openRelayLater(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{OpenRelay: true})
	b.Stop()
	d := p.start(t, conf{Backend: b.Plain, Forward: "none"})
	b.Start()
	d.waitLog(`the backend cannot be used.*open relay: .*set forward = \\"proxy-v2\\"`)
	d.waitMetric(`moggy_alarms{alarm="open_relay"}`, "1")
	d.answers("127.0.0.1", from, to, 421)
	if n := len(b.Messages()); n > 0 {
		t.Errorf("%d messages were delivered", n)
	}
}

// noHeaderRead has backends that take the PROXY header for commands. moggyd says so, and what to do; nobody is given to
// them, because their answers, refusals for good among them, are those to other commands.
func noHeaderRead(t *testing.T, p programs) {
	pf := peers.PostfixBackend(t, peers.PostfixOptions{})
	for _, b := range []*peers.Backend{pf, peers.OpenSMTPDBackend(t), peers.EximBackend(t, peers.EximOptions{})} {
		p.misread(t, b, "proxy-v1")
		p.misread(t, b, "proxy-v2")
	}
	d := p.misread(t, pf, "proxy-v2")
	d.answers("127.9.9.9", from, to, 451)
	d.mature()
	d.answers("127.9.9.9", from, to, 421)
}

// misread starts moggyd in front of a backend that reads no header.
func (p programs) misread(t *testing.T, b *peers.Backend, forward string) *daemon {
	t.Helper()
	d := p.start(t, conf{Backend: b.Plain, Forward: forward})
	d.waitLog(`the backend cannot be used.*it does not read the PROXY header.*` + forward + `.*make it read the header`)
	d.waitMetric(`moggy_backend_up{listener="smtp"}`, "0")
	d.answers("127.0.0.1", from, to, 421)
	if n := len(b.Messages()); n > 0 {
		t.Errorf("%d messages were delivered", n)
	}
	return d
}

// headerWanted is a backend that waits for a header that never comes.
func headerWanted(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy, Forward: "none"})
	d.waitLog(`the backend cannot be used.*PROXY header.*set forward = \\"proxy-v2\\"`)
}
