package firewall

import (
	"cmp"
	"net/netip"
	"slices"

	"moggy/whitelist"
)

// span is the addresses from one to another, both included, of one family.
type span struct{ from, to netip.Addr }

// spanOf is a network as a span.
func spanOf(p netip.Prefix) span { return span{p.Addr(), lastOf(p)} }

// lastOf is the last address of a network.
func lastOf(p netip.Prefix) netip.Addr {
	if p.Addr().Is4() {
		a := p.Addr().As4()
		fill(a[:], p.Bits())
		return netip.AddrFrom4(a)
	}
	a := p.Addr().As16()
	fill(a[:], p.Bits())
	return netip.AddrFrom16(a)
}

// fill sets all bits of a from the given one on.
func fill(a []byte, from int) {
	for i := range a {
		if left := from - 8*i; left < 8 {
			a[i] |= 0xff >> max(left, 0)
		}
	}
}

// prefixes are the networks that make up a span, the fewest that do.
func (s span) prefixes() (nets []netip.Prefix) {
	if !s.from.IsValid() || s.from.BitLen() != s.to.BitLen() {
		return nil
	}
	for from := s.from; from.IsValid() && from.Compare(s.to) <= 0; {
		p := netip.PrefixFrom(from, from.BitLen())
		for p.Bits() > 0 {
			wider := netip.PrefixFrom(from, p.Bits()-1)
			if wider.Masked().Addr() != from || lastOf(wider).Compare(s.to) > 0 {
				break
			}
			p = wider
		}
		nets = append(nets, p)
		from = lastOf(p).Next()
	}
	return nets
}

// merged sorts spans and joins those that overlap or touch.
func merged(spans []span) []span {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(a.from.Compare(b.from), a.to.Compare(b.to)) })
	joined := spans[:0]
	for _, s := range spans {
		if n := len(joined) - 1; n >= 0 && joined[n].meets(s) {
			if joined[n].to.Less(s.to) {
				joined[n].to = s.to
			}
			continue
		}
		joined = append(joined, s)
	}
	return joined
}

// meets reports whether next, which begins no earlier, overlaps s or follows at once.
func (s span) meets(next span) bool {
	return s.from.BitLen() == next.from.BitLen() && (next.from.Compare(s.to) <= 0 || s.to.Next() == next.from)
}

// narrow reports whether a network is no more than one peer.
func narrow(p netip.Prefix) bool { return p.Bits() >= whitelist.Net(p.Addr()).Bits() }

// cover answers whether one of its networks holds all of another.
type cover struct {
	nets map[netip.Prefix]bool
	bits [2][129]bool // the lengths that there are, of IPv4 and of IPv6
}

func newCover() *cover { return &cover{nets: make(map[netip.Prefix]bool)} }

func (c *cover) add(p netip.Prefix) {
	c.nets[p] = true
	c.bits[version(p)][p.Bits()] = true
}

func (c *cover) holds(p netip.Prefix) bool {
	for bits := range p.Bits() + 1 {
		if c.bits[version(p)][bits] && c.nets[netip.PrefixFrom(p.Addr(), bits).Masked()] {
			return true
		}
	}
	return false
}

func version(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}

// subtract yields the parts of p that lie in none of the holes, and reports
// whether to go on. The holes lie inside p, sorted by address.
func subtract(p netip.Prefix, holes []netip.Prefix, yield func(netip.Prefix) bool) bool {
	switch {
	case len(holes) == 0:
		return yield(p)
	case slices.ContainsFunc(holes, func(h netip.Prefix) bool { return h.Bits() <= p.Bits() }):
		return true
	}
	low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
	high := netip.PrefixFrom(lastOf(low).Next(), p.Bits()+1)
	split, _ := slices.BinarySearchFunc(holes, high.Addr(), func(h netip.Prefix, a netip.Addr) int { return h.Addr().Compare(a) })
	return subtract(low, holes[:split], yield) && subtract(high, holes[split:], yield)
}

// without takes holes out of members.
func without(members []member, holes []netip.Prefix) (rest []member) {
	if len(holes) == 0 {
		return members
	}
	slices.SortFunc(holes, netip.Prefix.Compare)
	for _, m := range members {
		subtract(m.net, inside(holes, m.net), func(p netip.Prefix) bool {
			part := m
			part.net = p
			rest = append(rest, part)
			return true
		})
	}
	return rest
}

// netsOf are the networks of members.
func netsOf(members []member) (nets []netip.Prefix) {
	for _, m := range members {
		nets = append(nets, m.net)
	}
	return nets
}

// inside returns those of the holes that lie in p; they are sorted.
func inside(holes []netip.Prefix, p netip.Prefix) []netip.Prefix {
	first, _ := slices.BinarySearchFunc(holes, p, netip.Prefix.Compare)
	last, _ := slices.BinarySearchFunc(holes, lastOf(p), func(h netip.Prefix, a netip.Addr) int {
		if h.Addr().Compare(a) <= 0 {
			return -1
		}
		return 1
	})
	return holes[first:max(first, last)]
}
