package firewall

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"moggy/whitelist/foreign"
)

// pfMachine is one whose pfctl prints what the manual says.
func pfMachine(t *testing.T) Machine {
	t.Helper()
	dir, err := filepath.Abs("testdata/pf")
	if err != nil {
		t.Fatal(err)
	}
	return Machine{Path: []string{dir}}
}

func TestPF(t *testing.T) {
	m := pfMachine(t)
	blocks, err := (&pf{m: m}).Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, said(blocks), `
198.51.100.7/32 pf table bruteforce < pfctl -t bruteforce -T delete 198.51.100.7
203.0.113.0/25 pf table bruteforce <
2001:db8::7/128 pf table bruteforce < pfctl -t bruteforce -T delete 2001:db8::7
198.51.100.8/32 pf table slowly < pfctl -t slowly -T delete 198.51.100.8
192.0.2.7/32 pf rules <`)
	b := about(t, blocks, "198.51.100.7")
	if want := time.Date(2026, 11, 22, 21, 14, 7, 0, time.Local); !b.Since.Equal(want) {
		t.Errorf("since %s", b.Since)
	}
	if !strings.HasPrefix(b.Rule, "rule 13: pass in on em0 inet proto tcp") || !strings.HasSuffix(b.Rule, "dropped by rule 3") {
		t.Errorf("rule %q", b.Rule)
	}
	if b := about(t, blocks, "198.51.100.8"); b.Hint != "the rule has no quick: a later pass may undo it" {
		t.Errorf("hint %q", b.Hint)
	}
	found, err := m.Counting(t.Context())
	if err != nil || len(found) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	f := found[0]
	if f.Counts != "max-src-conn 100, max-src-conn-rate 15/5" || f.Accounts != 6 || f.Bans != "table bruteforce" || !f.Guarded || f.Before != "pass in quick proto tcp from <moggy_good> to any port { 25 }" {
		t.Errorf("%+v", f)
	}
}

func TestPFDisabled(t *testing.T) {
	dir := t.TempDir()
	script(t, dir, "pfctl", `[ "$*" = "-s info" ] && echo "Status: Disabled for 0 days 00:00:10" || exit 1`)
	if _, err := (&pf{m: Machine{Path: []string{dir}}}).Read(t.Context()); !errors.Is(err, foreign.ErrAbsent) {
		t.Errorf("%v", err)
	}
}

func TestFail2banWords(t *testing.T) {
	jails, err := parseBanned(string(testdata(t, "fail2ban-1.0.2/banned.txt")))
	if err != nil || len(jails) != 3 || jails[0].name != "quiet" || len(jails[0].banned) != 3 || jails[2].name != "empty" || len(jails[2].banned) != 0 {
		t.Errorf("%+v, %v", jails, err)
	}
	bans := parseBans(string(testdata(t, "fail2ban-1.0.2/banip.txt")))
	b := bans[jails[0].banned[0]]
	if b.since.Format(time.DateTime) != "2026-11-23 01:22:42" || b.until.Sub(b.since) != time.Hour || len(bans) != 3 {
		t.Errorf("%+v", bans)
	}
	for net, b := range parseBans(string(testdata(t, "fail2ban-1.0.2/banip-forever.txt"))) {
		if net.String() != "198.51.100.9/32" || b.since.IsZero() || !b.until.IsZero() {
			t.Errorf("%s: %+v", net, b)
		}
	}
	if _, err := parseBanned("Sorry"); err == nil {
		t.Error("taken")
	}
	if jails, err := parseBanned("[]"); err != nil || len(jails) != 0 {
		t.Errorf("no jails: %v, %v", jails, err)
	}
}

func TestFail2banRefuses(t *testing.T) {
	for file, want := range map[string]string{"denied.txt": "only root may speak to fail2ban; type: sudo moggy doctor", "down.txt": "fail2ban does not run: not there"} {
		dir := t.TempDir()
		words, err := filepath.Abs("testdata/fail2ban-1.0.2/" + file)
		if err != nil {
			t.Fatal(err)
		}
		script(t, dir, "fail2ban-client", "cat "+words+"; exit 255")
		_, err = (&fail2ban{m: Machine{Path: []string{dir}}}).Read(t.Context())
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v", file, err)
		}
		if errors.Is(err, foreign.ErrAbsent) != (file == "down.txt") {
			t.Errorf("%s is absent: %v", file, err)
		}
	}
}

func TestCrowdsec(t *testing.T) {
	blocks, err := parseDecisions(testdata(t, "crowdsec-1.4.6/decisions.json"), now)
	if err != nil {
		t.Fatal(err)
	}
	same(t, said(blocks), `
203.0.113.0/24 crowdsec decision of cscli <
198.51.100.7/32 crowdsec decision of cscli < cscli decisions delete --ip 198.51.100.7`)
	b := about(t, blocks, "198.51.100.7")
	if b.Rule != "moggy test" || b.Since.Format(time.RFC3339) != "2026-11-23T00:55:38Z" || b.Until.Sub(now) != 3*time.Hour+59*time.Minute+59*time.Second {
		t.Errorf("%+v", b)
	}
	if blocks, err := parseDecisions(testdata(t, "crowdsec-1.4.6/none.json"), now); err != nil || len(blocks) != 0 {
		t.Errorf("%v, %v", blocks, err)
	}
	if _, err := parseDecisions([]byte("Error"), now); err == nil {
		t.Error("taken")
	}
}

func TestHostsDeny(t *testing.T) {
	root := t.TempDir()
	h := &hostsDeny{m: Machine{Root: root}}
	if _, err := h.Read(t.Context()); !errors.Is(err, foreign.ErrAbsent) {
		t.Errorf("no file: %v", err)
	}
	if err := os.Mkdir(filepath.Join(root, "etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	const text = `# ALL: 192.0.2.1
ALL: 192.0.2.7
sshd, dovecot : 198.51.100. , .example.org \
  203.0.113.0/255.255.255.0 EXCEPT 203.0.113.9 : spawn echo 192.0.2.99
ALL: ALL
imapd: [2001:db8::7] [2001:db8:1::]/48 192.0.2.0/255.0.255.0 192.0.2.8/33
192.0.2.55
`
	if err := os.WriteFile(filepath.Join(root, "etc/hosts.deny"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	blocks, err := h.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	same(t, said(blocks), `
192.0.2.7/32 hosts.deny /etc/hosts.deny line 2 <
198.51.100.0/24 hosts.deny /etc/hosts.deny line 3 <
203.0.113.0/24 hosts.deny /etc/hosts.deny line 3 <
2001:db8::7/128 hosts.deny /etc/hosts.deny line 6 <
2001:db8:1::/48 hosts.deny /etc/hosts.deny line 6 <`)
	if b := about(t, blocks, "192.0.2.7"); b.Hint != "by hand: take it out of /etc/hosts.deny, line 2" || b.Rule != "ALL: 192.0.2.7" {
		t.Errorf("%+v", b)
	}
}

func FuzzOthers(f *testing.F) {
	for _, name := range []string{"pf/rules.txt", "pf/bruteforce.txt", "fail2ban-1.0.2/banned.txt", "fail2ban-1.0.2/banip.txt", "crowdsec-1.4.6/decisions.json", "nft-1.0.6/many.txt"} {
		f.Add(testdata(f, name))
	}
	f.Add([]byte("src=198.51.100.7 ttl: 64 last_seen: 4295123456 oldest_pkt: 2 4295123400, 4295123456\nsshd: 192.0.2. [::1]/8 EXCEPT 192.0.2.0/255.0.0.0 : x\n"))
	f.Fuzz(func(t *testing.T, out []byte) {
		parsePF(out, func(table string) []member { return pfTable(out, table) }).walkAll()
		parseBanned(string(out))
		parseBans(string(out))
		parseSeen(string(out))
		parseDecisions(out, now)
		nftTexts(out)
		for _, b := range parseHostsDeny(string(out)) {
			if !b.Net.IsValid() {
				t.Errorf("%+v", b)
			}
		}
	})
}
