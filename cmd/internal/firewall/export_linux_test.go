package firewall

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestExportLoads gives what is exported to the programs it is for.
func TestExportLoads(t *testing.T) {
	if !insideNamespace(t, "nft", "ipset", "postmap") {
		return
	}
	file := func(format string, nets ...string) string {
		name := filepath.Join(t.TempDir(), "good")
		if err := os.WriteFile(name, []byte(exported(t, format, nets...)), 0o644); err != nil {
			t.Fatal(err)
		}
		return name
	}
	nets := []string{"192.0.2.0/24", "192.0.2.9/32", "198.51.100.7/32", "2001:db8:1:2::/64"}
	for _, nets := range [][]string{nets, {"0.0.0.0/0", "::/0"}, nil, nets, nets} {
		shell(t, "nft -c -f "+file("nft", nets...)+"; nft -f "+file("nft", nets...)+"; ipset restore -f "+file("ipset", nets...))
	}
	shell(t, "nft add table inet guard; nft -c -f "+file("nft:inet guard", nets...))
	for set, want := range map[string]string{Good4: "192.0.2.0/24 198.51.100.7/32", Good6: "2001:db8:1:2::/64"} {
		if got, err := inSet(t, "inet moggy", set); err != nil || !slices.Equal(got, spansIn(want)) {
			t.Errorf("nft: %s: %v, %v", set, got, err)
		}
	}
	var got []string
	for line := range strings.Lines(shell(t, "ipset save")) {
		if strings.HasPrefix(line, "add ") {
			got = append(got, strings.TrimSpace(line))
		}
	}
	same(t, got, "add moggy_good 192.0.2.0/24\nadd moggy_good 198.51.100.7\nadd moggy_good6 2001:db8:1:2::/64")
	table := file("postfix-cidr", nets...)
	for addr, want := range map[string]string{"192.0.2.77": "permit", "198.51.100.7": "permit", "2001:db8:1:2::3": "permit", "198.51.100.8": "", "2001:db8::3": ""} {
		got := shell(t, "postmap -q "+addr+" cidr:"+table+" || true")
		if strings.TrimSpace(got) != want {
			t.Errorf("postmap: %s: %q", addr, got)
		}
	}
}
