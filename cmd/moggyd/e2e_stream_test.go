package main_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
	"moggy/verdict/journal"
)

// TestStreams tries listeners for what is not ours to speak: real Dovecot and nginx behind moggyd, for clients with
// addresses of IPv4 and IPv6.
func TestStreams(t *testing.T) {
	apart(t, []part{
		{"true addresses", trueAddresses},
		{"web", web},
		{"idle", idle},
		{"shutdown", streamShutdown},
		{"backend down", streamBackendDown},
	})
}

// imapDoors are listeners in front of Dovecot, for both families.
func imapDoors(d *peers.IMAP) string {
	return stream("imaps", at("993"), d.ProxyTLS) + stream("imaps6", "["+server6+"]:993", d.ProxyTLS) +
		stream("imap", at("143"), d.Proxy)
}

// trueAddresses are what Dovecot logs, and TLS is its own.
func trueAddresses(t *testing.T, p programs) {
	dovecot := peers.Dovecot(t, peers.DovecotOptions{})
	d := p.home(t, imapDoors(dovecot))
	trust := &tls.Config{RootCAs: dovecot.Trust}
	mail(t, secure(mustReach(t, household, at("993")), trust)).login("four")
	mail(t, secure(mustReach(t, home6, "["+server6+"]:993"), trust)).login("six")
	starttls(t, mustReach(t, household, at("143")), trust).login("upgraded")
	for user, addr := range map[string]string{"four": household, "six": home6, "upgraded": household} {
		dovecot.WaitLog(t.Context(), regexp.MustCompile(`imap-login: Info: Login: user=<`+user+`>, .*rip=`+regexp.QuoteMeta(addr)+`, .*, TLS`))
	}
	d.waitLog(`src=198\.51\.100\.7 .*class=mua`)
	d.noHarm()
}

// starttls begins TLS within IMAP (RFC 9051 §6.2.1).
func starttls(t *testing.T, conn net.Conn, trust *tls.Config) *mailer {
	t.Helper()
	m := mail(t, conn)
	m.wants("STARTTLS", "OK ")
	conn = secure(conn, trust)
	return &mailer{Conn: conn, t: t, r: bufio.NewReader(conn)}
}

// web is a web server: it sees who comes, with TLS and without.
func web(t *testing.T, p programs) {
	nginx := peers.Nginx(t)
	p.home(t, stream("http", at("80"), nginx.Proxy), stream("https", at("443"), nginx.ProxyTLS),
		stream("https6", "["+server6+"]:443", nginx.ProxyTLS))
	trust := &tls.Config{RootCAs: nginx.Trust}
	for _, c := range []struct {
		from string
		conn net.Conn
	}{
		{household, mustReach(t, household, at("80"))},
		{visitor, secure(mustReach(t, visitor, at("443")), trust)},
		{home6, secure(mustReach(t, home6, "["+server6+"]:443"), trust)},
	} {
		fmt.Fprint(c.conn, "GET /", c.from, " HTTP/1.0\r\n\r\n")
		page, err := io.ReadAll(c.conn)
		if err != nil || !strings.HasSuffix(string(page), "\r\n\r\n"+peers.WebSays) {
			t.Errorf("%s got %q, %v", c.from, page, err)
		}
		nginx.WaitLog(t.Context(), regexp.MustCompile(`^proxy_protocol_addr=`+c.from+` remote_addr=`+c.from+` "GET /`+c.from+` `))
	}
}

// idle is a connection that says nothing for a while; mail that comes meanwhile is told at once.
func idle(t *testing.T, p programs) {
	dovecot := peers.Dovecot(t, peers.DovecotOptions{})
	d := p.home(t, imapDoors(dovecot))
	waits := mail(t, mustReach(t, household, at("143")))
	waits.login("me")
	waits.wants("SELECT INBOX", "OK ")
	fmt.Fprint(waits, "i IDLE\r\n")
	if said := waits.line(); !strings.HasPrefix(said, "+ ") {
		t.Fatalf("IDLE: %q", said)
	}
	d.waitMetric(`moggy_open{state="carry"}`, "1")
	other := mail(t, mustReach(t, visitor, at("143")))
	other.login("me")
	fmt.Fprint(other, "a APPEND INBOX {4+}\r\nhey!\r\n")
	if said := other.line(); !strings.HasPrefix(said, "a OK ") {
		t.Fatalf("APPEND: %q", said)
	}
	if said := waits.line(); said != "* 1 EXISTS" {
		t.Errorf("who idles hears %q of new mail", said)
	}
	other.wants("LOGOUT", "OK ")
	other.Close()
	d.outcome(journal.Carried)
}

// streamShutdown takes nobody new, and waits for those who are there.
func streamShutdown(t *testing.T, p programs) {
	dovecot := peers.Dovecot(t, peers.DovecotOptions{})
	d := p.home(t, imapDoors(dovecot))
	m := mail(t, mustReach(t, household, at("143")))
	m.login("me")
	d.signal(syscall.SIGTERM)
	d.until("nobody can connect", func() bool {
		conn, err := reach(t, household, at("143"))
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	m.wants("NOOP", "OK ")
	if d.gone() {
		t.Fatal("moggyd did not wait for who is carried")
	}
	began := time.Now()
	m.wants("LOGOUT", "OK ")
	m.Close()
	if code, took := d.wait(), time.Since(began); code != 0 || took > 10*time.Second {
		t.Errorf("moggyd ended with %d, %v after the last one had gone", code, took)
	}
}

// streamBackendDown is harm for who is known, and none for others. Both hear of it where IMAP has words for it.
func streamBackendDown(t *testing.T, p programs) {
	dovecot := peers.Dovecot(t, peers.DovecotOptions{})
	d := p.home(t, imapDoors(dovecot))
	d.tool("allow", "add", household, "--class", "user", "--note", "the household")
	dovecot.Stop()
	d.refused(visitor)
	d.noHarmTo("user")
	d.refused(household)
	d.waitMetric(`moggy_harm_total{class="user"}`, "1")
	if conn := mustReach(t, visitor, at("993")); !ends(conn) {
		t.Error("a connection without a backend stays open")
	}
	d.waitMetric(`moggy_backend_up{listener="imap"}`, "0")
	if said, exit := d.ask("hurt"); exit != 0 || !strings.Contains(said, household) || strings.Contains(said, visitor) {
		t.Errorf("moggy hurt (%d):\n%s", exit, said)
	}
	dovecot.Start()
	d.waitMetric(`moggy_backend_up{listener="imap"}`, "1")
	mail(t, mustReach(t, household, at("143"))).login("me")
	d.noHarmTo("mua")
}

// refused wants an IMAP client to be told to come later.
func (d *daemon) refused(source string) {
	d.t.Helper()
	m := &mailer{Conn: mustReach(d.t, source, at("143")), t: d.t}
	m.r = bufio.NewReader(m)
	if said := m.line(); !strings.HasPrefix(said, "* BYE [UNAVAILABLE] ") {
		d.t.Errorf("%s hears %q", source, said)
	}
	m.closed()
}

// ends tells whether a connection is closed without a word.
func ends(conn net.Conn) bool {
	text, err := io.ReadAll(conn)
	return err == nil && len(text) == 0
}

// noHarmTo wants nobody of a class to have been refused or made to wait.
func (d *daemon) noHarmTo(class string) {
	d.t.Helper()
	for _, r := range d.records() {
		if r.Harm && string(r.Class) == class {
			d.t.Errorf("harm to %s of class %s by %s", r.Peer, class, r.Rule)
		}
	}
}
