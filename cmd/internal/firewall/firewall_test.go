package firewall

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/whitelist/foreign"
)

// now is when the testdata was captured, about.
var now = time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)

func testdata(t testing.TB, name string) []byte {
	t.Helper()
	out, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// said are blocks, one in a line: network, where, what lifts it.
func said(blocks []foreign.Block) (lines []string) {
	for _, b := range blocks {
		lines = append(lines, strings.TrimSpace(b.Net.String()+" "+b.By+" "+b.Where+" < "+strings.Join(b.Lift, " ")))
	}
	return lines
}

// same compares lines with the wanted ones.
func same(t *testing.T, got []string, want string) {
	t.Helper()
	wanted := strings.Split(strings.Trim(want, "\n"), "\n")
	for _, line := range got {
		if !slices.Contains(wanted, line) {
			t.Errorf("too much: %s", line)
		}
	}
	for _, line := range wanted {
		if !slices.Contains(got, line) {
			t.Errorf("missing:  %s", line)
		}
	}
}

// about is the block of an address.
func about(t *testing.T, blocks []foreign.Block, addr string) foreign.Block {
	t.Helper()
	found := foreign.About(blocks, netip.MustParseAddr(addr))
	if len(found) != 1 {
		t.Fatalf("%d blocks about %s", len(found), addr)
	}
	return found[0]
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{"abusers": true, "f2b-sshd": true, "a.b/c": true, "": false, "-f": false, "a b": false,
		"a;b": false, "$(x)": false, "a\nb": false, strings.Repeat("a", 129): false} {
		if plainName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
	if got := line("a\tb\x00c\n\x1b[31md \xff"); got != "a b c [31md ?" {
		t.Errorf("%q", got)
	}
	if got := line(strings.Repeat("ä", maxText)); len(got) > maxText+3 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes", len(got))
	}
}

func TestSpans(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{"192.0.2.10", "192.0.2.13", "192.0.2.10/31 192.0.2.12/31"},
		{"0.0.0.0", "255.255.255.255", "0.0.0.0/0"},
		{"255.255.255.254", "255.255.255.255", "255.255.255.254/31"},
		{"192.0.2.1", "192.0.2.1", "192.0.2.1/32"},
		{"192.0.2.2", "192.0.2.1", ""},
		{"192.0.2.1", "2001:db8::", ""},
		{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db8::/32"},
	} {
		var got []string
		for _, p := range (span{netip.MustParseAddr(c.from), netip.MustParseAddr(c.to)}).prefixes() {
			got = append(got, p.String())
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s-%s: %q, want %q", c.from, c.to, got, c.want)
		}
	}
	if got := (span{}).prefixes(); got != nil {
		t.Errorf("of nothing: %v", got)
	}
}

func TestMerged(t *testing.T) {
	var spans []span
	for _, p := range []string{"192.0.2.2/32", "192.0.2.0/31", "192.0.2.3/32", "192.0.2.8/29", "192.0.2.9/32", "2001:db8::/64", "2001:db8:0:1::/64", "255.255.255.255/32", "::/128"} {
		spans = append(spans, spanOf(netip.MustParsePrefix(p)))
	}
	got := strings.Join(slices.Collect(elements(merged(spans))), " ")
	if want := "192.0.2.0-192.0.2.3 192.0.2.8-192.0.2.15 255.255.255.255 :: 2001:db8::-2001:db8:0:1:ffff:ffff:ffff:ffff"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
