package main_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
	"moggy/verdict/journal"
)

// swaks makes one call from 127.5.5.5 and wants its exit status and words of what was said.
func (d *daemon) swaks(exit int, said string, args ...string) {
	d.t.Helper()
	fixed := []string{"--server", d.Mail, "--local-interface", "127.5.5.5", "--helo", "swaks.test", "--timeout", "20"}
	out, got := peers.Swaks(d.t, append(fixed, args...)...)
	if got != exit || !regexp.MustCompile(said).MatchString(out) {
		d.t.Errorf("swaks %q: exit %d, not %d, or no %q in:\n%s", args, got, exit, said, out)
	}
}

// The exit statuses of swaks, see swaks(1).
const (
	swaksOK          = 0
	swaksNoRecipient = 24
	swaksNoData      = 25
)

// answers is what a stranger hears, in sessions of their own.
func answers(t *testing.T, p programs) {
	peers.Need(t, "swaks")
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy})
	const later = `451 4\.7\.0 Greylisted, please try again later \(ref \w{6}\)`
	d.swaks(swaksNoRecipient, later, "--from", from, "--to", peers.Nobody)
	d.swaks(swaksNoRecipient, later, "--from", from, "--to", to)
	d.swaks(swaksNoRecipient, later, "--from", from, "--to", to)
	d.decided("too-early")
	d.mature()
	d.swaks(swaksNoRecipient, `550 5\.1\.1 .*there is nobody here`, "--from", from, "--to", peers.Nobody)
	d.swaks(swaksNoRecipient, later, "--from", "other@"+peers.SenderDomain, "--to", to)
	d.swaks(swaksOK, `250 2\.1\.5 Ok`, "--from", from, "--to", to)
	d.swaks(swaksOK, `250 2\.1\.5 Ok`, "--from", "other@"+peers.SenderDomain, "--to", to)
	d.smallTalk()
}

// smallTalk is what else a stranger can say.
func (d *daemon) smallTalk() {
	d.t.Helper()
	c := d.call("127.5.6.7")
	c.hear(220)
	for _, x := range []struct {
		say  string
		code int
	}{
		{"MAIL FROM:<a@b.test>", 503}, {"EHLO caller.test", 250}, {"VRFY root", 252}, {"EXPN all", 502}, {"HELP", 214},
		{"NOOP", 250}, {"RSET", 250}, {"STARTTLS", 454}, {"AUTH PLAIN x", 502}, {"XCLIENT ADDR=127.0.0.1", 502},
		{"WHAT", 500}, {"RCPT TO:<" + to + ">", 503}, {"DATA", 503}, {"QUIT", 221},
	} {
		c.say(x.say, x.code)
	}
	c.ends(3 * time.Second)
}

// bounce is mail with the null sender: its recipient is taken, for call-outs, and its data deferred until it comes back.
func bounce(t *testing.T, p programs) {
	peers.Need(t, "swaks")
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy})
	d.swaks(swaksNoData, `(?s)250 2\.1\.5 Ok.*451 4\.7\.0 Greylisted`, "--from", "<>", "--to", to)
	d.mature()
	d.swaks(swaksOK, `250 2\.0\.0 Ok: queued`, "--from", "<>", "--to", to)
	d.inOneConnection()
	if got := string(b.WaitMessage(t.Context())); !strings.HasPrefix(got, "Return-Path: <>\n") {
		t.Errorf("not from the null sender:\n%s", got)
	}
}

// bounceForTwo has promised one recipient already when another matures: the backend hears of both.
func bounceForTwo(t *testing.T, p programs) {
	b := peers.OpenSMTPDBackend(t)
	d := p.start(t, conf{Backend: b.Proxy})
	d.answers("127.5.5.6", "", to, 451)
	d.mature()
	c := d.call("127.5.5.6")
	c.hear(220)
	c.say("EHLO caller.test", 250)
	c.say("MAIL FROM:<>", 250)
	c.say("RCPT TO:<e@"+peers.Domain+">", 250)
	d.decided("null-sender")
	c.say("RCPT TO:<"+to+">", 250)
	c.data()
	if n := len(b.WaitMessages(t.Context(), 2)); n != 2 {
		t.Errorf("%d copies were delivered, not one for each of two", n)
	}
}

// threeRecipients of one mail, one of whom the backend refuses: that one alone is sent back, at the first valid retry.
func threeRecipients(t *testing.T, p programs) {
	peers.Need(t, "swaks")
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy})
	all := to + "," + peers.Nobody + ",e@" + peers.Domain
	d.swaks(swaksNoRecipient, `(?s)451 4\.7\.0 .*451 4\.7\.0 .*451 4\.7\.0 `, "--pipeline", "--from", from, "--to", all)
	d.mature()
	d.swaks(swaksOK, `(?s)250 2\.1\.5 .*550 5\.1\.1 .*250 2\.1\.5 `, "--pipeline", "--from", from, "--to", all)
	d.inOneConnection()
	b.WaitMessages(t.Context(), 2)
}

// bots do not come back, or do not wait for the banner: nothing of them reaches the backend.
func bots(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy})
	d.answers("127.6.6.1", from, to, 451)
	d.hasty("127.6.6.2")
	d.mature()
	d.hasty("127.6.6.2")
	d.browser("127.6.6.3")
	if log := b.Log(); strings.Contains(log, "127.6.6.") || len(b.Messages()) > 0 {
		t.Errorf("the backend heard of a bot:\n%s", log)
	}
}

// hasty says everything at once, before the banner, and is deferred however often it comes.
func (d *daemon) hasty(source string) {
	d.t.Helper()
	c := d.call(source)
	c.PrintfLine("HELO bot.test\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\nQUIT", from, to)
	said := c.ends(10 * time.Second)
	if !strings.Contains(said, "\r\n451 4.7.0 Greylisted") || strings.Contains(said, "354") {
		d.t.Errorf("a bot heard %q", said)
	}
	d.decided("early")
}

// browser speaks HTTP.
func (d *daemon) browser(source string) {
	d.t.Helper()
	c := d.call(source)
	c.PrintfLine("POST / HTTP/1.1\r\nHost: mx.moggy.test\r\n\r\nMAIL FROM:<%s>\r\nRCPT TO:<%s>", from, to)
	if said := c.ends(10 * time.Second); !strings.Contains(said, "421 4.7.0") || strings.Contains(said, "250") {
		d.t.Errorf("a browser heard %q", said)
	}
	d.decided("not-smtp")
}

// trap lists who names one: not even its retry of other mail passes.
func trap(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy, Gap: "10ms"})
	d.answers("127.7.7.7", from, to, 451)
	c := d.call("127.7.7.7")
	c.recipient("trap@"+peers.Domain, 451)
	d.waitMetric(`moggy_open{state="hold"}`, "1")
	c.Close()
	d.mature()
	d.answers("127.7.7.7", from, to, 450)
	d.decided("listed-recipient")
	if n := len(b.Messages()); n > 0 {
		t.Errorf("%d messages were delivered", n)
	}
	d.answers("127.0.0.1", from, to, 0)
}

// allowWhileHeld makes an entry for a peer that is being held: it is let go on at once, in the same connection.
func allowWhileHeld(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy, Gap: "1s"})
	d.listed("127.7.7.8")
	c := d.call("127.7.7.8")
	if _, err := c.R.Peek(3); err != nil {
		t.Fatal(err)
	}
	d.tool("allow", "add", "127.7.7.8", "--note", "an honest one")
	began := time.Now()
	c.recipient(to, 250)
	c.data()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the held peer went on to be held, for %v", took)
	}
	b.WaitMessage(t.Context())
	if r := d.outcome(journal.HandedOver); r.Rule != "known-recipient" {
		t.Errorf("handed over by %s, not known-recipient", r.Rule)
	}
}

// listed makes a peer one that named a trap; it does not wait for the answer.
func (d *daemon) listed(source string) {
	d.t.Helper()
	c := d.call(source)
	c.hear(220)
	c.say("EHLO caller.test", 250)
	c.say("MAIL FROM:<"+from+">", 250)
	c.PrintfLine("RCPT TO:<trap@%s>", peers.Domain)
	d.decided("trap")
	c.Close()
}

// observe judges, records, and lets everything through.
func observe(t *testing.T, p programs) {
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.start(t, conf{Backend: b.Proxy, Mode: "observe"})
	w := way{d, peers.PostfixSender(t, peers.SenderOptions{Relay: d.Mail}), b, postfixSees}
	m := peers.Awkward(from, to)
	w.from.Send(from, to, m.Raw)
	w.arrives(m, 1)
	w.from.WaitEmpty(t.Context())
	b.WaitLog(t.Context(), regexp.MustCompile(w.sees))
	if r := d.decided("first-seen"); r.Action != "observe:defer" || r.To != to {
		t.Errorf("the journal says %s of mail to %s", r.Action, r.To)
	}
	d.waitLog(`act=observe:defer`)
	if strings.Contains(w.from.Log(), "status=deferred") {
		t.Error("the mail was deferred all the same")
	}
}
