package dnsbl

import (
	"net/netip"
	"sync"
	"time"
)

// A Decision is one that hung on a list: without it the peer would have fared
// otherwise.
type Decision struct {
	Addr netip.Addr `json:"addr"`
	Time time.Time  `json:"time"`
}

// decisions are the last ones that hung on a list. When there are more than it
// has room for, the oldest are given up.
type decisions struct {
	ring [256]Decision
	n    int // ever
}

func (d *decisions) add(addr netip.Addr, now time.Time) {
	d.ring[d.n%len(d.ring)] = Decision{addr, now}
	d.n++
}

// since returns those after t, the oldest first.
func (d *decisions) since(t time.Time) (all []Decision) {
	for i := max(0, d.n-len(d.ring)); i < d.n; i++ {
		if v := d.ring[i%len(d.ring)]; v.Time.After(t) {
			all = append(all, v)
		}
	}
	return all
}

// goodPeers are the last peers known to be good, one of each /24 or /48, so that
// no network can be most of them. When a new one comes to a full ring, the
// oldest is given up.
type goodPeers struct {
	mu   sync.Mutex
	ring [32]goodPeer
	next int
}

type goodPeer struct {
	addr netip.Addr
	net  netip.Prefix
}

func (g *goodPeers) add(addr netip.Addr) {
	bits := 24
	if addr.Is6() {
		bits = 48
	}
	net, err := addr.Prefix(bits)
	if err != nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.ring {
		if g.ring[i].net == net {
			g.ring[i].addr = addr
			return
		}
	}
	g.ring[g.next] = goodPeer{addr, net}
	g.next = (g.next + 1) % len(g.ring)
}

// all returns the peers that a list can be asked about.
func (g *goodPeers) all(ipv6 bool) (all []netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, p := range g.ring {
		if p.addr.Is4() || ipv6 && p.addr.Is6() {
			all = append(all, p.addr)
		}
	}
	return all
}

// recentHits remembers which lists had which peers, of the last 5,000 to 10,000
// peers that were on any: when there are more, what the older half was on is
// given up. A list is a bit, the first 64 lists have one.
type recentHits struct {
	mu          sync.Mutex
	now, before map[netip.Addr]uint64
}

const halfOfHits = 5000

func (r *recentHits) add(peer netip.Addr, lists uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.now == nil || len(r.now) >= halfOfHits {
		r.now, r.before = make(map[netip.Addr]uint64), r.now
	}
	r.now[peer] |= lists
}

// take returns the lists that had the peer, and forgets them.
func (r *recentHits) take(peer netip.Addr) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	lists := r.now[peer] | r.before[peer]
	delete(r.now, peer)
	delete(r.before, peer)
	return lists
}
