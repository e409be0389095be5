package firewall

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// saidBy is the walk through what a variant of iptables-save printed.
func saidBy(t *testing.T, program, file string) *walk {
	t.Helper()
	sets := parseIPSets(testdata(t, "ipset.txt"), now)
	lists := newRecents(Machine{Root: t.TempDir()}, now)
	p := &xtParser{program: program, v6: strings.HasPrefix(program, "ip6"), ipset: sets.find, recent: lists.find}
	p.parse(testdata(t, "iptables-1.8.9/"+file))
	return p.set.walkAll()
}

func TestIPTables(t *testing.T) {
	for _, program := range []string{"iptables-nft", "iptables-legacy"} {
		w := saidBy(t, program, strings.TrimPrefix(program, "iptables-")+".txt")
		same(t, said(w.blocks), strings.ReplaceAll(`
198.51.100.7/32 iptables chain filter f2b-sshd < PROGRAM -t filter -D f2b-sshd -s 198.51.100.7/32 -j REJECT --reject-with icmp-port-unreachable
203.0.113.0/24 iptables chain filter INPUT <
198.51.100.8/32 ipset set banned < ipset del banned 198.51.100.8
192.0.2.128/26 ipset set nets <
192.0.2.192/29 ipset set nets <
192.0.2.201/32 ipset set nets <
192.0.2.202/31 ipset set nets <
192.0.2.204/30 ipset set nets <
192.0.2.208/28 ipset set nets <
192.0.2.224/27 ipset set nets <
198.51.100.60/32 ipset set all < ipset del more 198.51.100.60
198.51.100.9/32 ipset set pairs < ipset del pairs 198.51.100.9,tcp:25
198.51.100.41/32 iptables chain filter guard < PROGRAM -t filter -D guard -s 198.51.100.41/32 -j DROP`, "PROGRAM", program))
		b := about(t, w.blocks, "198.51.100.8")
		if b.Until.Sub(now) != 3599*time.Second || now.Sub(b.Since) != (86400-3599)*time.Second {
			t.Errorf("since %s until %s", b.Since, b.Until)
		}
		if want := strings.TrimSuffix(program, "-nft") + " -t filter: -A INPUT -m set --match-set banned src -j DROP"; b.Rule != want {
			t.Errorf("rule %q", b.Rule)
		}
	}
	same(t, said(saidBy(t, "ip6tables-legacy", "legacy6.txt").blocks), `
2001:db8::7/128 iptables chain filter INPUT < ip6tables-legacy -t filter -D INPUT -s 2001:db8::7/128 -j DROP
2001:db8:bad::/48 ipset set banned6 <`)
}

func TestIPTablesFindings(t *testing.T) {
	var got []string
	for _, f := range saidBy(t, "iptables-nft", "nft.txt").findings("iptables") {
		got = append(got, fmt.Sprint(f.Counts, " trips at ", f.Accounts, ", guarded: ", f.Guarded, ", ", f.Before))
	}
	before := func(ports string) string {
		return ", guarded: true, iptables-nft -t filter -I INPUT -p tcp -m multiport --dports " + ports + " -m set --match-set moggy_good src -j ACCEPT"
	}
	same(t, got, `
recent imap hitcount 16 in 60 s trips at 6`+before("993")+`
hashlimit-above 15/sec burst 15 trips at 6`+before("587")+`
connlimit-above 15 trips at 6`+before("25,465"))
}

// TestIPTablesRules are rules that block, and some that look as if they did.
func TestIPTablesRules(t *testing.T) {
	for rules, blocked := range map[string]bool{
		"-A INPUT -s 192.0.2.7/32 -j DROP":                                                                             true,
		"-A INPUT -s 192.0.2.7/32 -i eth0 -p tcp -m tcp --dport 25 -j REJECT":                                          true,
		"-A INPUT -s 192.0.2.7/32 -p tcp -m conntrack --ctstate NEW -j DROP":                                           true,
		"-A INPUT -s 192.0.2.7/32 -m conntrack --ctstate INVALID -j DROP":                                              false,
		"-A INPUT -s 192.0.2.7/32 -p tcp -m tcp --tcp-flags FIN,SYN FIN,SYN -j DROP":                                   false,
		"-A INPUT -s 192.0.2.7/32 -m limit --limit 3/min -j DROP":                                                      false,
		"-A INPUT -s 192.0.2.7/32 -p udp -m udp --dport 53 -j DROP":                                                    false,
		"-A INPUT -s 192.0.2.7/32 -m statistic --mode random --probability 0.5 -j DROP":                                false,
		"-A OUTPUT -s 192.0.2.7/32 -j DROP":                                                                            false,
		"-A INPUT -d 192.0.2.7/32 -j DROP":                                                                             false,
		"-A INPUT -s 192.0.2.7/32 -j LOG --log-prefix \"DROP -j DROP \"":                                               false,
		"-A INPUT -s 192.0.2.7/32 -j ACCEPT\n-A INPUT -s 192.0.2.0/24 -j DROP":                                         true,
		"-A INPUT -s 192.0.2.0/24 -j ACCEPT\n-A INPUT -s 192.0.2.7/32 -j DROP":                                         false,
		"-A INPUT -s 192.0.2.0/24 -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -s 192.0.2.7/32 -j DROP":                true,
		"-A INPUT -s 192.0.2.7/32 -j own\n-A own -j LOG\n-A own -j DROP":                                               true,
		"-A INPUT -s 192.0.2.7/32 -p tcp -m tcp --dport 25 -j own\n-A own -j ACCEPT\n-A INPUT -s 192.0.2.7/32 -j DROP": true,
		"-A INPUT -s 192.0.2.7/32 -j own\n-A own -j ACCEPT\n-A INPUT -s 192.0.2.7/32 -j DROP":                          false,
		"-A INPUT -s 192.0.2.7/32 -j own\n-A own -j RETURN\n-A own -j DROP\n":                                          false,
		"-A INPUT -s 192.0.2.7/32 -j own\n-A own -s 198.51.100.0/24 -j DROP":                                           false,
		"-A INPUT -s 192.0.2.0/24 -j own\n-A own -s 192.0.2.7/32 -j DROP":                                              true,
		"-A INPUT -j own\n-A own -j INPUT\n-A own -s 192.0.2.7/32 -j DROP":                                             true,
		"-A INPUT -m set --match-set nosuch src -j DROP":                                                               false,
	} {
		p := &xtParser{program: "iptables", ipset: (&ipsets{}).find, recent: newRecents(Machine{}, now).find}
		p.parse([]byte("*filter\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:own - [0:0]\n" + rules + "\nCOMMIT\n"))
		if got := said(p.set.walkAll().blocks); (len(got) > 0) != blocked {
			t.Errorf("%s\nblocks %q", rules, got)
		}
	}
}

func TestTokens(t *testing.T) {
	for text, want := range map[string]string{
		`-A INPUT -m comment --comment "by \"hand\", \\ 2026" -j DROP`: `-A|INPUT|-m|comment|--comment|by "hand", \ 2026|-j|DROP`,
		`  a   "" "b c"d `: `a||b cd`,
		`"never ends`:      `never ends`,
		``:                 ``,
	} {
		if got := strings.Join(tokens(text), "|"); got != want {
			t.Errorf("%s: %s", text, got)
		}
	}
}

// TestRecent: the times of the lists are in jiffies, 250 in a second on this kernel.
func TestRecent(t *testing.T) {
	const hz, uptime = 250, 100_000.0
	jiffies := func(ago float64) uint64 { return uint64(1<<32 + (uptime-300-ago)*hz) }
	root := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("proc/uptime", "100000.00 1.00\n")
	row := func(addr string, agos ...float64) string {
		var stamps []string
		for _, ago := range agos {
			stamps = append(stamps, fmt.Sprint(jiffies(ago)))
		}
		return fmt.Sprintf("src=%s ttl: 64 last_seen: %d oldest_pkt: %d %s\n", addr, jiffies(agos[len(agos)-1]), len(agos), strings.Join(stamps, ", "))
	}
	write("proc/net/xt_recent/imap", row("198.51.100.7", 50, 40, 5)+row("198.51.100.8", 5000, 4000, 3000)+row("198.51.100.9", 4000, 30, 20)+"src=odd\nodd\n")
	const rule = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -m tcp --dport 993 -m recent --update --seconds 60 --hitcount %s --name imap --mask 255.255.255.255 --rsource -j DROP\n"
	for hitcount, want := range map[string]string{"3": "198.51.100.7/32", "2": "198.51.100.7/32 198.51.100.9/32", "4": ""} {
		p := &xtParser{program: "iptables", ipset: (&ipsets{}).find, recent: newRecents(Machine{Root: root}, now).find}
		p.parse(fmt.Appendf(nil, rule, hitcount))
		var got []string
		for _, b := range p.set.walkAll().blocks {
			got = append(got, b.Net.String())
			if want := "echo -" + b.Net.Addr().String() + " > /proc/net/xt_recent/imap"; strings.Join(b.Lift, " ") != want {
				t.Errorf("lift %q", b.Lift)
			}
			if left := b.Until.Sub(now); b.Net.Addr().String() == "198.51.100.7" && (left < 54*time.Second || left > 56*time.Second) {
				t.Errorf("%s left", left)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("hitcount %s: %q", hitcount, got)
		}
	}
}

func FuzzIPTables(f *testing.F) {
	for _, name := range []string{"nft", "legacy", "legacy6", "incompatible"} {
		f.Add(testdata(f, "iptables-1.8.9/"+name+".txt"), testdata(f, "ipset.txt"))
	}
	f.Fuzz(func(t *testing.T, rules, sets []byte) {
		p := &xtParser{program: "iptables", ipset: parseIPSets(sets, now).find, recent: newRecents(Machine{Root: "testdata"}, now).find}
		p.parse(rules)
		for _, b := range p.set.walkAll().blocks {
			if !b.Net.IsValid() || len(b.Rule) > 3*maxText {
				t.Errorf("%+v", b)
			}
		}
	})
}
