package firewall

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Formats returns the formats of Export.
func Formats() []string { return []string{"nft", "pf", "ipset", "postfix-cidr"} }

// Export writes networks as another program loads them:
//
//	nft           nft -f: fills the sets moggy_good and moggy_good6 of table inet moggy, which it makes
//	nft:inet guard  the same for another table, which must be there
//	pf            pfctl -t moggy_good -T replace -f: a line for each network
//	ipset         ipset restore: fills the sets moggy_good and moggy_good6
//	postfix-cidr  a cidr: table that permits them (cidr_table(5))
//
// Networks that lie in others are left out. nft and ipset put the new content in
// place of the old in one step.
func Export(w io.Writer, format string, nets iter.Seq[netip.Prefix]) error {
	format, table, named := strings.Cut(format, ":")
	out := bufio.NewWriter(w)
	sorted := distinct(nets)
	switch {
	case format == "nft" && !named:
		exportNFT(out, "inet moggy", sorted)
	case format == "nft" && nftTable(table):
		nftFill(out, table, sorted)
	case format == "pf" && !named:
		exportLines(out, sorted, "")
	case format == "ipset" && !named:
		exportIPSet(out, sorted)
	case format == "postfix-cidr" && !named:
		exportLines(out, sorted, " permit")
	default:
		return fmt.Errorf("cannot export as %q; give one of %s, or nft:inet guard for a table of yours", line(format+":"+table), strings.Join(Formats(), ", "))
	}
	return out.Flush()
}

// nftTable reports whether a text is a family and a table, such as "inet guard".
func nftTable(text string) bool {
	return regexp.MustCompile(`^(inet|ip|ip6|bridge|netdev) [A-Za-z_][A-Za-z0-9_./-]{0,63}$`).MatchString(text)
}

func exportNFT(out *bufio.Writer, table string, nets []netip.Prefix) {
	fmt.Fprintf(out, "add table %s\n", table)
	nftFill(out, table, nets)
}

// nftBatch is how many elements stand in one line.
const nftBatch = 1000

// nftFill writes the commands that make the sets of a table and put networks in
// place of what is in them. nft takes all in one transaction.
func nftFill(out *bufio.Writer, table string, nets []netip.Prefix) {
	v4, v6 := families(nets)
	for _, set := range goodSets(table) {
		fmt.Fprintf(out, "add set %s %s { type %s; flags interval; auto-merge; }\n", table, set.name, set.kind)
		fmt.Fprintf(out, "flush set %s %s\n", table, set.name)
		nets := v4
		if set.name == Good6 {
			nets = v6
		}
		nftElements(out, "add", table, set.name, strung(nets))
	}
}

// goodSet is one of the sets that hold the known-good in nft.
type goodSet struct{ name, kind string }

// goodSets are those that the family of a table can hold.
func goodSets(table string) []goodSet {
	v4, v6 := goodSet{Good4, "ipv4_addr"}, goodSet{Good6, "ipv6_addr"}
	switch {
	case strings.HasPrefix(table, "ip "):
		return []goodSet{v4}
	case strings.HasPrefix(table, "ip6 "):
		return []goodSet{v6}
	}
	return []goodSet{v4, v6}
}

// nftElements writes commands that add or delete elements.
func nftElements(out *bufio.Writer, command, table, set string, elements iter.Seq[string]) {
	n := 0
	for element := range elements {
		switch {
		case n == 0:
			fmt.Fprintf(out, "%s element %s %s { ", command, table, set)
		default:
			out.WriteString(", ")
		}
		out.WriteString(element)
		if n++; n == nftBatch {
			out.WriteString(" }\n")
			n = 0
		}
	}
	if n > 0 {
		out.WriteString(" }\n")
	}
}

// families parts IPv4 from IPv6.
func families(nets []netip.Prefix) (v4, v6 []netip.Prefix) {
	split := slices.IndexFunc(nets, func(p netip.Prefix) bool { return !p.Addr().Is4() })
	if split < 0 {
		split = len(nets)
	}
	return nets[:split], nets[split:]
}

func strung(nets []netip.Prefix) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, p := range nets {
			if !yield(address(p)) {
				return
			}
		}
	}
}

func exportLines(out *bufio.Writer, nets []netip.Prefix, behind string) {
	for _, p := range nets {
		fmt.Fprintf(out, "%s%s\n", p, behind)
	}
}

// exportIPSet fills new sets and swaps them for the old ones. A set of ipset
// cannot hold everything at once (its networks are no wider than half of all).
func exportIPSet(out *bufio.Writer, nets []netip.Prefix) {
	v4, v6 := families(nets)
	for _, set := range []struct {
		name, family string
		nets         []netip.Prefix
	}{{Good4, "inet", v4}, {Good6, "inet6", v6}} {
		limit := max(65536, len(set.nets)+2)
		fresh := set.name + "-new"
		for _, name := range []string{set.name, fresh} {
			fmt.Fprintf(out, "create %s hash:net family %s maxelem %d -exist\n", name, set.family, limit)
		}
		fmt.Fprintf(out, "flush %s\n", fresh)
		for _, p := range set.nets {
			for _, half := range halves(p) {
				fmt.Fprintf(out, "add %s %s\n", fresh, half)
			}
		}
		fmt.Fprintf(out, "swap %s %s\ndestroy %s\n", fresh, set.name, fresh)
	}
}

// halves is a network, or the two halves of all addresses.
func halves(p netip.Prefix) []netip.Prefix {
	if p.Bits() > 0 {
		return []netip.Prefix{p}
	}
	low := netip.PrefixFrom(p.Addr(), 1)
	return []netip.Prefix{low, netip.PrefixFrom(lastOf(low).Next(), 1)}
}
