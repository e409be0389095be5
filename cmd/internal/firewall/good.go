package firewall

import (
	"iter"
	"net/netip"
	"slices"
	"time"

	"moggy/whitelist"
)

// Good yields networks that hold all known-good addresses of a list and no others:
// those that a person let in, and those known by a session, a local network, a
// login, a crawler's name, a pass or a correspondent, less the parts that a person
// denied. What List.Look calls known it holds, and nothing else. Networks may lie
// in one another; those of the strongest evidence come first.
func Good(list *whitelist.List, now time.Time) iter.Seq[netip.Prefix] {
	return func(yield func(netip.Prefix) bool) {
		h := holesOf(list, now)
		for e := range list.All() {
			if e.Deny || !e.Class.Known() || !inForce(e, now) || h.over(e) {
				continue
			}
			if !subtract(e.Net, h.inside(e), yield) {
				return
			}
		}
	}
}

func inForce(e whitelist.Entry, now time.Time) bool {
	end := e.End()
	return end.IsZero() || now.Unix() < end.Unix()
}

// holes are the networks that something calls other than good. A trap and guessing
// make them in what crawlers and mail hosts are trusted for, and in nothing stronger.
type holes struct {
	rank  map[whitelist.Source]int
	by    map[whitelist.Source][]netip.Prefix // sorted
	cover map[whitelist.Source]*cover
}

func holesOf(list *whitelist.List, now time.Time) *holes {
	h := &holes{rank: make(map[whitelist.Source]int), by: make(map[whitelist.Source][]netip.Prefix), cover: make(map[whitelist.Source]*cover)}
	for i, s := range whitelist.Sources() {
		h.rank[s] = 2 * i
	}
	h.rank[whitelist.Trapped], h.rank[whitelist.Guessing] = h.rank[whitelist.Login]+1, h.rank[whitelist.Login]+1
	for e := range list.All() {
		if !e.Deny && e.Class.Known() || !inForce(e, now) {
			continue
		}
		h.by[e.Source] = append(h.by[e.Source], e.Net)
		if h.cover[e.Source] == nil {
			h.cover[e.Source] = newCover()
		}
		h.cover[e.Source].add(e.Net)
	}
	for _, nets := range h.by {
		slices.SortFunc(nets, netip.Prefix.Compare)
	}
	return h
}

// over reports whether a hole of stronger evidence holds all of an entry. (Where
// still stronger or closer evidence calls some of it good, that is an entry of its own.)
func (h *holes) over(e whitelist.Entry) bool {
	for source, c := range h.cover {
		if h.rank[source] < h.rank[e.Source] && c.holds(e.Net) {
			return true
		}
	}
	return false
}

// inside returns the holes in an entry, sorted: those of evidence that is no weaker.
func (h *holes) inside(e whitelist.Entry) (in []netip.Prefix) {
	for source, nets := range h.by {
		if h.rank[source] > h.rank[e.Source] {
			continue
		}
		found := inside(nets, e.Net)
		if in == nil {
			in = found
		} else if len(found) > 0 {
			in = slices.SortedFunc(slices.Values(slices.Concat(in, found)), netip.Prefix.Compare)
		}
	}
	return in
}

// distinct sorts networks and leaves out those that lie in others.
func distinct(nets iter.Seq[netip.Prefix]) (sorted []netip.Prefix) {
	all := slices.SortedFunc(nets, netip.Prefix.Compare)
	for _, p := range all {
		if n := len(sorted); n > 0 && sorted[n-1].Bits() <= p.Bits() && sorted[n-1].Contains(p.Addr()) {
			continue
		}
		sorted = append(sorted, p)
	}
	return sorted
}
