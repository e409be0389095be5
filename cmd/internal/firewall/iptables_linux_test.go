package firewall

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
	"moggy/whitelist/foreign"
)

// blocked is the block of an address that a reader finds.
func blocked(t *testing.T, r foreign.Reader, addr string) foreign.Block {
	t.Helper()
	blocks, err := r.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return about(t, blocks, addr)
}

// TestRealIPTables bans by each variant of iptables in four ways, finds the bans,
// and lifts them.
func TestRealIPTables(t *testing.T) {
	if !insideNamespace(t, "iptables-nft", "iptables-legacy", "ipset") {
		return
	}
	serve(t, 22, 993)
	for _, program := range []string{"iptables-nft", "iptables-legacy"} {
		shell(t, program+" -A INPUT -s "+me+" -m comment --comment 'it was \"me\"' -j DROP")
		try(t, program+" rule", me, "chain filter INPUT")
		shell(t, "ipset create banned hash:ip timeout 3600; ipset add banned "+me+"; "+program+" -A INPUT -m set --match-set banned src -j DROP")
		try(t, program+" ipset", me, "set banned")
		shell(t, program+" -F; ipset destroy banned; "+program+" -A INPUT -p tcp --dport 993 -m conntrack --ctstate NEW -m recent --name imap --set;"+
			program+" -A INPUT -p tcp --dport 993 -m conntrack --ctstate NEW -m recent --name imap --update --seconds 60 --hitcount 6 -j DROP")
		for range 6 {
			connect(t, me, 993)
		}
		try(t, program+" recent", me, "recent list imap")
		shell(t, program+" -F")
	}
}

// try sees to it that the address cannot connect, is found where it should be, and
// can connect again when that is lifted.
func try(t *testing.T, name, addr, where string) {
	t.Helper()
	if connect(t, addr, 993) == nil {
		t.Fatalf("%s: it does not block", name)
	}
	b := blocked(t, &iptables{}, addr)
	if b.Where != where {
		t.Errorf("%s: %+v", name, b)
	}
	if left := time.Until(b.Until); strings.HasPrefix(where, "recent") && (left < 50*time.Second || left > time.Minute) {
		t.Errorf("%s: %s left", name, left)
	}
	lift(t, b)
	if err := connect(t, addr, 993); err != nil {
		t.Errorf("%s: lifted, and %v", name, err)
	}
}

// TestLegacyIsNotWoken: to read must not make tables.
func TestLegacyIsNotWoken(t *testing.T) {
	if !insideNamespace(t, "iptables-legacy", "nft") {
		return
	}
	watch(family()).Look(t.Context())
	if tables := strings.TrimSpace(shell(t, "cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; nft list ruleset")); tables != "" {
		t.Errorf("there are tables now: %s", tables)
	}
}

// TestFail2ban bans by a real fail2ban, with an action that does nothing.
func TestFail2ban(t *testing.T) {
	if !insideNamespace(t, "fail2ban-server", "fail2ban-client") {
		return
	}
	start(t)
	shell(t, "fail2ban-client set quiet banip "+me+" 203.0.113.0/24 2001:db8::7")
	h := hit(t, watch(family()).Look(t.Context()))
	if h.Where != "jail quiet" || h.Rule != "maxretry 2, findtime 600 s" {
		t.Errorf("%+v", h)
	}
	if ago := time.Since(h.Since); ago < 0 || ago > time.Minute || h.Until.Sub(h.Since) != time.Hour {
		t.Errorf("since %s until %s", h.Since, h.Until)
	}
	lift(t, h.Block)
	lift(t, blocked(t, &fail2ban{}, "203.0.113.9"))
	lift(t, blocked(t, &fail2ban{}, "2001:db8::7"))
}

// start starts a fail2ban server in the place of the machine's own.
func start(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	shell(t, "mount -t tmpfs none /run; mkdir /run/fail2ban; mount -t tmpfs none /var/lib/fail2ban; cp -r /etc/fail2ban/. "+dir+"; rm -f "+dir+"/jail.d/*")
	for name, text := range map[string]string{
		"log": "", "action.d/quiet.conf": "[Definition]\nactionban =\n", "filter.d/quiet.conf": "[Definition]\nfailregex = failed login from <HOST>$\n",
		"jail.local": "[quiet]\nenabled = true\nbackend = polling\nfilter = quiet\nlogpath = " + dir + "/log\nmaxretry = 2\nfindtime = 10m\nbantime = 1h\naction = quiet\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	daemon(t, "fail2ban-server", "-f", "-c", dir, "-p", dir+"/pid", "--logtarget", dir+"/words")
	if err := peers.Poll(t.Context(), func() bool {
		_, err := Machine{}.run(t.Context(), "fail2ban-client", "ping")
		return err == nil
	}); err != nil {
		t.Fatal(err)
	}
}
