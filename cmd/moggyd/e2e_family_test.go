package main_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/names"
	"moggy/cmd/internal/peers"
)

// TestFamily tries how moggyd comes to know the family: real Dovecot and Postfix tell who logged in and whom the users
// write to.
func TestFamily(t *testing.T) {
	apart(t, []part{
		{"login", login},
		{"guesser", guesser},
		{"ssh session", sshSession},
		{"logins from a log", loginsFromLog},
		{"correspondents", correspondents},
		{"gateway", gateway},
	})
}

// reporting starts Dovecot that reports logins to moggyd, which stands before it and before a mail server.
func (p programs) reporting(t *testing.T) *daemon {
	t.Helper()
	const key = "a-key-of-the-tests"
	reports := peers.FreeAddress(t)
	dovecot := peers.Dovecot(t, peers.DovecotOptions{Policy: "http://" + reports + "/", PolicyKey: key, PolicyTimeout: 200 * time.Millisecond})
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	return p.home(t, imapDoors(dovecot), smtp(b.Proxy), fmt.Sprintf("[hints]\ndovecot = %q\ndovecot_key = %q\n", reports, key))
}

// login makes whoever knew a password a user at once, at every door.
func login(t *testing.T, p programs) {
	d := p.reporting(t)
	m := mail(t, mustReach(t, household, at("143")))
	d.waitLog(`src=198\.51\.100\.7 listener=imap class=mua act=carry why=client`)
	m.login("me")
	d.good(household)
	d.told([]string{"why", household}, "NOT blocked by moggy", "user by a login: me by imap (dovecot)")
	mail(t, mustReach(t, household, at("143"))).login("me")
	d.waitLog(`src=198\.51\.100\.7 listener=imap class=user act=carry why=known evidence=login used=\d+/300 open=\d+/500`)
	d.answers(household, from, to, 0)
	if _, exit := d.ask("good", "-q", visitor); exit != 1 {
		t.Errorf("whoever did not log in is good: exit status %d", exit)
	}
	d.mild()
}

// guesser is whoever tries many passwords, and not a telephone that was not told of the new one.
func guesser(t *testing.T, p programs) {
	d := p.reporting(t)
	m := mail(t, mustReach(t, visitor, at("143")))
	const reported = `moggy_login_hints_total{result="failed"}`
	for range 20 {
		m.tries("me", "old")
	}
	d.waitMetric(reported, "20")
	d.told([]string{"why", visitor}, "on imaps, imaps6, imap: let in at once; a client of which nothing is known", "evidence none")
	for i := range 8 {
		m.tries("me", fmt.Sprint("guess", i))
	}
	d.waitMetric(reported, "28")
	d.told([]string{"why", visitor}, "guesser because it tried many wrong passwords (dovecot)", "3 burst, 1/min")
	d.overBudget()
	d.told([]string{"who"}, "guesser")
	m.login("me")
	d.good(visitor)
	d.told([]string{"why", visitor}, "user by a login: me by imap (dovecot)")
	mail(t, mustReach(t, visitor, at("143"))).login("me")
	d.waitLog(`src=198\.51\.100\.9 listener=imap class=user act=carry`)
	d.noHarm()
}

// overBudget wants a guesser to be sent away soon: it may have three connections in a hurry, two of them at once.
func (d *daemon) overBudget() {
	d.t.Helper()
	for n := range 2 {
		mustReach(d.t, visitor, at("143"))
		d.waitLog(fmt.Sprintf(`src=198\.51\.100\.9 listener=imap class=guesser act=wait why=guesser .*open=%d/2`, n+1))
	}
	d.refused(visitor)
	d.waitLog(`src=198\.51\.100\.9 listener=imap class=guesser act=busy why=over-budget`)
}

// sshSession makes the operator's address his own, and the set of the known-good in nft has it before any rule counts.
func sshSession(t *testing.T, p programs) {
	peers.Need(t, "nft", "utmpdump")
	const session = "[7] [%05d] [ts/0] [root    ] [pts/0       ] [home.test           ] [%-15s] [2026-11-23T02:00:00,000000+00:00]\n"
	command(t, fmt.Sprintf(session, os.Getpid(), household), "sh", "-c", "utmpdump -r >/run/utmp")
	command(t, strings.Replace(guide, "GOOD", accepted, 1), "nft", "-f", "-")
	dovecot := peers.Dovecot(t, peers.DovecotOptions{})
	d := p.home(t, imapDoors(dovecot), "[good]\nnft = [\"inet guard\"]\n")
	d.good(household)
	d.told([]string{"why", "me"}, "own by an ssh session: root by ssh")
	nftHas(t, "inet guard", "moggy_good", household)
	mail(t, mustReach(t, household, at("143"))).login("me")
	d.waitLog(`src=198\.51\.100\.7 listener=imap class=own act=carry why=known evidence=ssh`)
}

// loginsFromLog are read in Dovecot's log, before and after it was rotated.
func loginsFromLog(t *testing.T, p programs) {
	dovecot := peers.Dovecot(t, peers.DovecotOptions{})
	d := p.home(t, imapDoors(dovecot), fmt.Sprintf("[hints]\nlogs = [%q]\n", dovecot.LogFile()))
	mail(t, mustReach(t, household, at("143"))).login("me")
	d.good(household)
	dovecot.Rotate()
	mail(t, mustReach(t, visitor, at("143"))).login("you")
	d.good(visitor)
	d.told([]string{"why", visitor}, "you by imap (dovecot)")
}

// partner is a domain that our users write to: one host for its mail that comes in, others for mail that goes out.
var partner = map[string]string{"partner.test": soa + "@ MX 10 mx\nmx A 203.0.113.25\n@ TXT \"v=spf1 ip4:203.0.113.64/26 -all\"\n"}

// correspondents are whom our users write to, as Postfix logs it: their answers are not greylisted.
func correspondents(t *testing.T, p programs) {
	theirs := peers.PostfixBackend(t, peers.PostfixOptions{OpenRelay: true})
	serve(t, "203.0.113.25:25", func(conn net.Conn) { forward(conn, theirs.Plain) })
	ours := peers.PostfixSender(t, peers.SenderOptions{Relay: "203.0.113.25:25", Bind: server})
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	dns := names.Unbound(t, names.UnboundOptions{Zones: partner})
	d := p.home(t, smtp(b.Proxy), dnsConf(dns.Addr), fmt.Sprintf("[hints]\nlogs = [%q]\n", ours.LogFile()),
		"[greylist]\npass = \"1h\"\npass_unnamed = \"1h\"\n")
	d.answers("203.0.113.70", "first@partner.test", to, 451)
	ours.Submit(from, "friend@partner.test", note)
	ours.WaitEmpty(t.Context())
	d.good("203.0.113.25")
	d.told([]string{"why", "203.0.113.25"}, "correspondent", "we wrote to partner.test")
	d.answers("203.0.113.25", "mailer@elsewhere.test", to, 0)
	if r := d.about("203.0.113.25", "known"); r.Class != "correspondent" {
		t.Errorf("the host of our correspondent is of class %s", r.Class)
	}
	d.answers("203.0.113.71", "second@partner.test", to, 0)
	d.about("203.0.113.71", "origin-known")
	d.answers("203.0.113.200", "second@partner.test", to, 451)
	b.WaitMessages(t.Context(), 2)
	d.mild()
}

// forward carries a connection to an address, until one side ends.
func forward(conn net.Conn, addr string) {
	back, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer back.Close()
	go io.Copy(back, conn)
	io.Copy(conn, back)
}

// gateway is one private address from which all connections come: nothing that is said of it can be right, so nobody
// is judged by it, and moggyd says so.
func gateway(t *testing.T, p programs) {
	dovecot := peers.Dovecot(t, peers.DovecotOptions{})
	d := p.home(t, imapDoors(dovecot))
	const all = 200 // more than one client may have
	for range all {
		m := mail(t, mustReach(t, "10.9.9.9", at("143")))
		m.Close()
	}
	d.waitMetric(`moggy_alarms{alarm="source_address_lost"}`, "1")
	d.waitLog(`level=ERROR msg=alarm alarm=source-address-lost why="10\.9\.9\.9 makes most of the connections`)
	d.told([]string{"doctor"}, "FAIL clients' addresses are not real: 10.9.9.9", "PROXY protocol")
	carried := 0
	for _, r := range d.records() {
		if r.Event == "decided" && r.Action == "carry" {
			carried++
		}
	}
	if carried != all {
		t.Errorf("%d of %d connections were carried", carried, all)
	}
	if said, _ := d.ask("doctor"); strings.Contains(said, "addresses are real") {
		t.Errorf("doctor says both:\n%s", said)
	}
}
