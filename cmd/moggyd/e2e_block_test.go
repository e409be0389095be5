package main_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// TestBlocks is the story that this project exists for, and what else may keep the family out: real nft and fail2ban
// around the real moggyd.
func TestBlocks(t *testing.T) {
	apart(t, []part{
		{"story", story},
		{"story with the known-good in front", storyGuarded},
		{"fail2ban asks first", fail2banAsks},
		{"fail2ban has banned", fail2banBanned},
		{"export", export},
	})
}

// guide is the rule of many guides, in front of a mail server's ports: whoever makes more than three connections a second,
// and had fifteen to spare, gets no packet through for a day. %s is what stands before it.
const guide = `table inet guard {
	set abusers { type ipv4_addr; flags dynamic,timeout; timeout 1d; }
	set rate { type ipv4_addr; flags dynamic,timeout; timeout 1m; }
	set moggy_good { type ipv4_addr; flags interval; auto-merge; }
	set moggy_good6 { type ipv6_addr; flags interval; auto-merge; }
	chain in {
		type filter hook input priority filter; policy accept;
		GOOD
		ip saddr @abusers counter drop
		ct state new tcp dport { 25, 465, 587, 993, 995, 443 } add @rate { ip saddr limit rate over 3/second burst 15 packets } add @abusers { ip saddr } counter drop
	}
}
`

// accepted are the rules that stand before those that count, as README.md has them.
const accepted = "ip saddr @moggy_good accept\n\t\tip6 saddr @moggy_good6 accept"

// command runs a program of the machine, which has to succeed, and returns what it printed.
func command(t *testing.T, input, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

// The household has six accounts with two connections over IMAP each, and one for submission.
const accounts, each = 6, 3

// neighbourhood is the server of the story: Dovecot and Postfix behind moggyd, and an ssh daemon beside them.
func (p programs) neighbourhood(t *testing.T, rules string, sections ...string) (*daemon, *ssh) {
	t.Helper()
	peers.Need(t, "nft")
	reports := peers.FreeAddress(t)
	dovecot := peers.Dovecot(t, peers.DovecotOptions{Policy: "http://" + reports + "/", PolicyTimeout: 200 * time.Millisecond})
	postfix := peers.PostfixBackend(t, peers.PostfixOptions{})
	command(t, rules, "nft", "-f", "-")
	d := p.home(t, append([]string{stream("imap", at("993"), dovecot.Proxy), stream("submission", at("587"), postfix.Proxy),
		"[hints]\ndovecot = \"" + reports + "\"\n[foreign]\nevery = \"10s\"\n"}, sections...)...)
	mail(t, mustReach(t, household, at("993"))).login("me")
	d.good(household)
	return d, sshd(t)
}

// outlook opens everything at once, as a mail program does when it starts, and returns on how many connections a
// server answered.
func outlook(t *testing.T) (answered int) {
	t.Helper()
	conns := make(chan net.Conn, accounts*each)
	var dialing sync.WaitGroup
	for range accounts {
		for _, port := range []string{"993", "993", "587"} {
			dialing.Go(func() {
				if conn, err := reach(t, household, at(port)); err == nil {
					conns <- conn
				}
			})
		}
	}
	dialing.Wait()
	close(conns)
	for conn := range conns {
		conn.SetReadDeadline(time.Now().Add(3 * time.Second))
		if n, _ := conn.Read(make([]byte, 1)); n == 1 {
			answered++
		}
	}
	return answered
}

// A session that is frozen is quiet for so long; once it is freed, TCP may wait this long until it tries again.
const (
	freeze = 2 * time.Second
	thaw   = 30 * time.Second
)

// An ssh is a session from the household that was there before: the other side says again what it hears.
type ssh struct{ net.Conn }

// sshd starts the other side, and the session.
func sshd(t *testing.T) *ssh {
	t.Helper()
	serve(t, at("22"), func(conn net.Conn) { io.Copy(conn, conn) })
	return &ssh{mustReach(t, household, at("22"))}
}

// alive tells whether what is typed arrives, and comes back in time.
func (s *ssh) alive(within time.Duration) bool {
	said, heard := []byte("uptime\n"), make([]byte, 7)
	s.SetDeadline(time.Now().Add(within))
	if _, err := s.Write(said); err != nil {
		return false
	}
	_, err := io.ReadFull(s, heard)
	return err == nil && bytes.Equal(said, heard)
}

// story: the household's mail program trips a rule of the firewall, everything from its address is dead, and moggy says
// what it was, and what to type.
func story(t *testing.T, p programs) {
	d, ssh := p.neighbourhood(t, strings.Replace(guide, "GOOD", "", 1))
	if n := outlook(t); n == accounts*each {
		t.Fatal("nobody was cut off: it is not as the story goes")
	}
	if ssh.alive(freeze) {
		t.Fatal("the ssh session goes on: it is not as the story goes")
	}
	d.waitMetric(`moggy_alarms{alarm="known_good_blocked_elsewhere"}`, "1")
	d.waitMetric(`moggy_foreign_block_known_good{source="nft"}`, "1")
	d.waitLog(`level=ERROR msg="known-good blocked elsewhere" src=198\.51\.100\.7(/32)? class=user .*by=nft where="set inet guard abusers".*do="moggy unblock 198\.51\.100\.7"`)
	d.told([]string{"status"}, "known-good-blocked-elsewhere", "moggy unblock "+household)
	d.told([]string{"why", "me"}, household+" (your ssh session) NOT blocked by moggy, BLOCKED by nft",
		"BLOCKED nft set inet guard abusers since ", "limit rate over 3/second burst 15 packets",
		"me by imap (dovecot)", "moggy unblock "+household)
	d.told([]string{"doctor"}, "FAIL nft set inet guard abusers blocks 1 known-good address: "+household+" (you)")
	d.told([]string{"unblock", household}, household+" is blocked no longer")
	mail(t, mustReach(t, household, at("993"))).login("me")
	if !ssh.alive(thaw) {
		t.Error("the ssh session is still dead")
	}
	d.waitMetric(`moggy_alarms{alarm="known_good_blocked_elsewhere"}`, "0")
	d.noHarmTo("user")
}

// storyGuarded is the same with the known-good in front of the rule that counts: nobody is cut off.
func storyGuarded(t *testing.T, p programs) {
	d, ssh := p.neighbourhood(t, strings.Replace(guide, "GOOD", accepted, 1), "[good]\nnft = [\"inet guard\"]\n")
	nftHas(t, "inet guard", "moggy_good", household)
	if n := outlook(t); n != accounts*each {
		t.Errorf("only %d of %d connections were answered", n, accounts*each)
	}
	if !ssh.alive(freeze) {
		t.Error("the ssh session is dead")
	}
	if rules := command(t, "", "nft", "list", "chain", "inet", "guard", "in"); strings.Count(rules, "counter packets 0 bytes 0 drop") != 2 {
		t.Errorf("packets were dropped:\n%s", rules)
	}
	d.told([]string{"why", "me"}, "NOT blocked by moggy, nor elsewhere")
	d.waitMetric(`moggy_harm_total{class="user"}`, "0")
	d.waitMetric(`moggy_alarms{alarm="known_good_blocked_elsewhere"}`, "0")
	d.noHarm()
}

// knownGood starts moggyd, for which the household is good.
func (p programs) knownGood(t *testing.T, sections ...string) *daemon {
	t.Helper()
	b := peers.PostfixBackend(t, peers.PostfixOptions{})
	d := p.home(t, append([]string{stream("submission", at("587"), b.Proxy)}, sections...)...)
	d.tool("allow", "add", household, home6, "--class", "user", "--note", "the household")
	return d
}

// fail2banAsks moggy before it bans.
func fail2banAsks(t *testing.T, p programs) {
	d := p.knownGood(t)
	f := peers.StartFail2ban(t, peers.Fail2banOptions{Ignore: d.moggy + " -c " + d.file("moggy.toml") + " good -q <ip>", Retries: 2})
	for range 2 {
		f.Failed(household)
		f.Failed(visitor)
		f.Failed(home6)
	}
	f.WaitBans(t.Context(), "ban "+visitor+"\n")
	f.WaitLog(t.Context(), regexp.MustCompile(`Ignore `+regexp.QuoteMeta(household)+` by command`))
	f.WaitLog(t.Context(), regexp.MustCompile(`Ignore `+home6+` by command`))
}

// fail2banBanned has banned the household all the same: moggy says so, and takes it out.
func fail2banBanned(t *testing.T, p programs) {
	d := p.knownGood(t, "[foreign]\nevery = \"10s\"\n")
	f := peers.StartFail2ban(t, peers.Fail2banOptions{Retries: 2})
	f.Client("set", peers.Jail, "banip", household)
	f.WaitBans(t.Context(), "ban "+household+"\n")
	d.told([]string{"why", household}, "BLOCKED by fail2ban", "BLOCKED fail2ban jail "+peers.Jail, "maxretry 2, findtime 600 s", "moggy unblock "+household)
	d.waitMetric(`moggy_foreign_block_known_good{source="fail2ban"}`, "1")
	d.told([]string{"unblock", household}, household+" is blocked no longer")
	f.WaitBans(t.Context(), "ban "+household+"\nunban "+household+"\n")
	d.waitMetric(`moggy_foreign_block_known_good{source="fail2ban"}`, "0")
}

// export is read by the programs that it is for.
func export(t *testing.T, p programs) {
	peers.Need(t, "nft", "ipset")
	d := p.knownGood(t)
	d.tool("allow", "add", "203.0.113.0/24", "--note", "a friend")
	write := func(format string) string {
		d.tool("export", "--format", format, "-o", d.file("good"))
		return d.file("good")
	}
	command(t, "", "nft", "-c", "-f", write("nft"))
	command(t, "", "nft", "-f", write("nft"))
	command(t, "", "nft", "-f", write("nft")) // again, in place of the old
	nftHolds(t, "inet moggy")
	command(t, "table inet guard { }", "nft", "-f", "-")
	command(t, "", "nft", "-f", write("nft:inet guard"))
	nftHolds(t, "inet guard")

	for range 2 {
		command(t, "", "ipset", "restore", "-file", write("ipset"))
	}
	command(t, "", "ipset", "test", "moggy_good", household)
	command(t, "", "ipset", "test", "moggy_good", "203.0.113.77")
	command(t, "", "ipset", "test", "moggy_good6", home6)

	table := "cidr:" + write("postfix-cidr")
	for _, addr := range []string{household, "203.0.113.77", home6} {
		if got := command(t, "", "postmap", "-q", addr, table); got != "permit\n" {
			t.Errorf("Postfix finds %q for %s", got, addr)
		}
	}
	if out, err := exec.Command("postmap", "-q", visitor, table).CombinedOutput(); err == nil || len(out) > 0 {
		t.Errorf("Postfix finds %q for %s", out, visitor)
	}
	text, err := os.ReadFile(write("pf"))
	if err != nil || !strings.Contains("\n"+string(text), "\n"+household+"/32\n") {
		t.Errorf("for pf: %q, %v", text, err)
	}
}

// nftHolds wants the sets of a table to hold the known-good.
func nftHolds(t *testing.T, table string) {
	t.Helper()
	nftHas(t, table, "moggy_good", household)
	nftHas(t, table, "moggy_good", "203.0.113.0/24")
	nftHas(t, table, "moggy_good6", "2001:db8::")
}

// nftHas waits until a set of a table has an element.
func nftHas(t *testing.T, table, set, element string) {
	t.Helper()
	family, name, _ := strings.Cut(table, " ")
	var elements string
	if err := peers.Poll(t.Context(), func() bool {
		elements = command(t, "", "nft", "list", "set", family, name, set)
		return strings.Contains(elements, element)
	}); err != nil {
		t.Errorf("%s is not in:\n%s", element, elements)
	}
}
