package foreign

import (
	"cmp"
	"iter"
	"net/netip"
	"slices"
	"time"

	"moggy/whitelist"
)

// found is a hit and who read its block.
type found struct {
	Hit
	reader string
	kept   int // looks since it was last read
}

// key says which hit is which from one look to the next. Rules are renumbered
// and times of expiry move, so neither is part of it.
type key struct {
	by, where string
	net, addr netip.Prefix
}

func (h Hit) key() key { return key{h.By, h.Where, h.Net, h.Addr} }

// crossing collects the hits of one look.
type crossing struct {
	list *whitelist.List
	now  time.Time
	hits map[key]found
}

// narrow reports whether a blocked network is one peer, or part of one: asking
// for its first address says all.
func narrow(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() == 32
	}
	return p.Bits() >= 64
}

// cross asks the List for each block, and walks over the List once if there are
// blocked networks in which good ones may lie.
func (c *crossing) cross(readings []reading) {
	inside := &nets{blocks: make(map[netip.Prefix][]*wide)}
	for _, r := range readings {
		for _, b := range r.blocks {
			if !b.Net.IsValid() {
				continue
			}
			f := found{Hit: Hit{Block: b}, reader: r.name}
			c.try(f, b.Net.Addr())
			if !narrow(b.Net) {
				inside.add(f)
			}
		}
	}
	if len(inside.blocks) > 0 {
		c.walk(inside)
	}
}

// keep keeps a hit of an earlier look, if the address is good still.
func (c *crossing) keep(f found) {
	if s := c.list.Look(f.Addr.Addr(), whitelist.Anywhere, c.now); s.Known() && s.Evidence != whitelist.Local {
		f.Standing = s
		c.hits[f.key()] = f
	}
}

// try makes a hit of f if addr is good, and reports whether it is a new one.
func (c *crossing) try(f found, addr netip.Addr) bool {
	f.Standing = c.list.Look(addr, whitelist.Anywhere, c.now)
	if !f.Standing.Known() || f.Standing.Evidence == whitelist.Local {
		return false
	}
	f.Addr = f.Standing.Entry.Net
	k := f.key()
	if _, had := c.hits[k]; had {
		return false
	}
	c.hits[k] = f
	return true
}

// walk looks for entries inside blocked networks.
func (c *crossing) walk(inside *nets) {
	for e := range c.list.All() {
		if e.Deny || !e.Class.Known() || e.Source == whitelist.Local {
			continue
		}
		for w := range inside.around(e.Net) {
			if w.hits < MaxInBlock && c.try(w.found, e.Net.Addr()) {
				w.hits++
			}
		}
	}
}

// sorted returns the hits, those of the strongest evidence first.
func (c *crossing) sorted() []found {
	rank := make(map[whitelist.Source]int)
	for i, s := range whitelist.Sources() {
		rank[s] = i
	}
	all := make([]found, 0, len(c.hits))
	for _, f := range c.hits {
		all = append(all, f)
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(
			cmp.Compare(rank[a.Standing.Evidence], rank[b.Standing.Evidence]),
			a.Addr.Compare(b.Addr), a.Net.Compare(b.Net),
			cmp.Compare(a.By, b.By), cmp.Compare(a.Where, b.Where))
	})
	return all
}

// nets are blocked networks, to be found by what lies in them.
type nets struct {
	blocks map[netip.Prefix][]*wide
	bits   [2][129]bool // the lengths that there are, of IPv4 and of IPv6
}

// wide is a blocked network and how many hits it has.
type wide struct {
	found
	hits int
}

func (n *nets) add(f found) {
	n.blocks[f.Net] = append(n.blocks[f.Net], &wide{found: f})
	n.bits[version(f.Net)][f.Net.Bits()] = true
}

// around yields the blocks that hold all of p.
func (n *nets) around(p netip.Prefix) iter.Seq[*wide] {
	lengths := &n.bits[version(p)]
	return func(yield func(*wide) bool) {
		for bits := range p.Bits() + 1 {
			if !lengths[bits] {
				continue
			}
			for _, w := range n.blocks[netip.PrefixFrom(p.Addr(), bits).Masked()] {
				if !yield(w) {
					return
				}
			}
		}
	}
}

func version(p netip.Prefix) int {
	if p.Addr().Is4() {
		return 0
	}
	return 1
}
