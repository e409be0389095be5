package firewall

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// exported is what Export writes for some networks.
func exported(t *testing.T, format string, nets ...string) string {
	t.Helper()
	var all []netip.Prefix
	for _, n := range nets {
		all = append(all, netip.MustParsePrefix(n))
	}
	var out bytes.Buffer
	if err := Export(&out, format, slices.Values(all)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestExport(t *testing.T) {
	nets := []string{"198.51.100.7/32", "2001:db8:1:2::/64", "192.0.2.0/24", "192.0.2.9/32", "198.51.100.7/32"}
	for format, want := range map[string]string{
		"nft": `add table inet moggy
add set inet moggy moggy_good { type ipv4_addr; flags interval; auto-merge; }
flush set inet moggy moggy_good
add element inet moggy moggy_good { 192.0.2.0/24, 198.51.100.7 }
add set inet moggy moggy_good6 { type ipv6_addr; flags interval; auto-merge; }
flush set inet moggy moggy_good6
add element inet moggy moggy_good6 { 2001:db8:1:2::/64 }
`,
		"nft:ip guard": `add set ip guard moggy_good { type ipv4_addr; flags interval; auto-merge; }
flush set ip guard moggy_good
add element ip guard moggy_good { 192.0.2.0/24, 198.51.100.7 }
`,
		"pf":           "192.0.2.0/24\n198.51.100.7/32\n2001:db8:1:2::/64\n",
		"postfix-cidr": "192.0.2.0/24 permit\n198.51.100.7/32 permit\n2001:db8:1:2::/64 permit\n",
		"ipset": `create moggy_good hash:net family inet maxelem 65536 -exist
create moggy_good-new hash:net family inet maxelem 65536 -exist
flush moggy_good-new
add moggy_good-new 192.0.2.0/24
add moggy_good-new 198.51.100.7/32
swap moggy_good-new moggy_good
destroy moggy_good-new
create moggy_good6 hash:net family inet6 maxelem 65536 -exist
create moggy_good6-new hash:net family inet6 maxelem 65536 -exist
flush moggy_good6-new
add moggy_good6-new 2001:db8:1:2::/64
swap moggy_good6-new moggy_good6
destroy moggy_good6-new
`,
	} {
		if got := exported(t, format, nets...); got != want {
			t.Errorf("%s:\n%s", format, got)
		}
	}
}

func TestExportRefuses(t *testing.T) {
	for _, format := range []string{"", "xml", "nft:", "nft:inet", "nft:inet a; flush ruleset", "pf:x", "nft:inet guard\n"} {
		err := Export(new(bytes.Buffer), format, slices.Values([]netip.Prefix{}))
		if err == nil || !strings.Contains(err.Error(), "give one of nft, pf, ipset, postfix-cidr") {
			t.Errorf("%q: %v", format, err)
		}
	}
}
