package dnsbl

import (
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestQuery(t *testing.T) {
	const v6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zone.example"
	const two = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.zone.example"
	for addr, want := range map[string]string{
		"192.0.2.99":    "99.2.0.192.zone.example", // RFC 5782 §2.1
		"127.0.0.2":     "2.0.0.127.zone.example",
		"2001:db8::1":   v6,
		"2001:db8::1%e": v6,
		"::ffff:7f00:2": two, // §5
	} {
		if got := Query(ip(addr), "zone.example"); got != want {
			t.Errorf("Query(%s) = %q, want %q", addr, got, want)
		}
	}
}

func FuzzQuery(f *testing.F) {
	for _, s := range []string{"\x7f\x00\x00\x02", "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "\xc0\x00\x02\x63"} {
		f.Add([]byte(s), "zone.example")
	}
	f.Fuzz(func(t *testing.T, b []byte, zone string) {
		addr, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		rest, ok := strings.CutSuffix(Query(addr, zone), "."+zone)
		labels := strings.Split(rest, ".")
		slices.Reverse(labels)
		back := strings.Join(labels, ".")
		if addr.Is6() {
			back = strings.Join(labels, "")
			for i := 28; i > 0; i -= 4 {
				back = back[:i] + ":" + back[i:]
			}
		}
		if got, err := netip.ParseAddr(back); !ok || err != nil || got != addr {
			t.Errorf("Query(%s) leads back to %s, %v", addr, got, err)
		}
	})
}

func TestShown(t *testing.T) {
	for zone, want := range map[string]string{
		"zen.spamhaus.org":  "zen.spamhaus.org",
		"ZEN.spamhaus.org.": "zen.spamhaus.org",
		"abcdefghijklmnopqrstuvwxyz.zen.dq.spamhaus.net":        "***.zen.dq.spamhaus.net",
		"ABCDEFGHIJ0123456789.zen.example":                      "***.zen.example",
		"0123456789abcdef0123456789abcdef.combined.example.org": "***.combined.example.org",
		"spam.dnsbl.anonmails.example":                          "spam.dnsbl.anonmails.example",
		"a-long-name-with-its-dashes.example":                   "a-long-name-with-its-dashes.example",
		"":                                                      "",
	} {
		if got := Shown(zone); got != want {
			t.Errorf("Shown(%q) = %q, want %q", zone, got, want)
		}
	}
}

func TestWithDefaults(t *testing.T) {
	l := List{Zone: "Abcdefghijklmnopqrstuvwxyz.ZEN.example.", Timeout: time.Hour}.withDefaults(time.Second)
	if l.Zone != "abcdefghijklmnopqrstuvwxyz.zen.example" || l.Name != "***.zen.example" || l.Timeout != time.Second {
		t.Errorf("%+v", l)
	}
	if !slices.Equal(l.Codes, codes("127.0.0.2", "127.0.0.255")) || l.TestListed != ip("127.0.0.2") || l.TestUnlisted != ip("127.0.0.1") {
		t.Errorf("%+v", l)
	}
	own := List{Zone: "a.example", Name: "a", Timeout: time.Millisecond, TestListed: ip("192.0.2.1"), TestUnlisted: ip("192.0.2.2")}
	if l := own.withDefaults(time.Second); l.Name != "a" || l.Timeout != time.Millisecond || l.TestListed != own.TestListed {
		t.Errorf("%+v", l)
	}
}

func TestRange(t *testing.T) {
	r := Range{ip("127.0.0.2"), ip("127.0.0.11")}
	for code, want := range map[string]bool{"127.0.0.2": true, "127.0.0.11": true, "127.0.0.1": false, "127.0.0.12": false, "::ffff:127.0.0.3": false} {
		if got := r.Contains(ip(code)); got != want {
			t.Errorf("Contains(%s) = %v", code, got)
		}
	}
	if r.Contains(netip.Addr{}) {
		t.Error("nothing is in a range")
	}
}

func TestCanonical(t *testing.T) {
	for addr, want := range map[string]string{"::ffff:192.0.2.1": "192.0.2.1", "fe80::1%eth0": "fe80::1", "192.0.2.1": "192.0.2.1"} {
		if got := canonical(ip(addr)); got != ip(want) {
			t.Errorf("canonical(%s) = %s", addr, got)
		}
	}
}

func TestHost(t *testing.T) {
	for addr, want := range map[string]string{"192.0.2.1": "192.0.2.1", "2001:db8::1:2:3:4": "2001:db8::", "2001:db8:0:1::9": "2001:db8:0:1::"} {
		if got := host(ip(addr)); got != ip(want) {
			t.Errorf("host(%s) = %s", addr, got)
		}
	}
}

// TestNoNetwork: what decides does not reach the network.
func TestNoNetwork(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Skip("no go command:", err)
	}
	for dep := range strings.FieldsSeq(string(out)) {
		if dep == "net" || strings.HasPrefix(dep, "moggy/") && dep != "moggy/dnsbl" {
			t.Errorf("it depends on %s", dep)
		}
	}
}
