package proxy

import (
	"net/netip"
	"sync"
)

// gateways notices a private address that makes most of the connections: a
// container's gateway, a load balancer without the PROXY protocol, a router that
// rewrites addresses. Behind it are strangers and family alike, so that nothing
// that is said of it can be right. It remembers the last [watched] connections and
// no more.
type gateways struct {
	mu    sync.Mutex
	last  [watched]netip.Addr
	n     int                // connections seen
	count map[netip.Addr]int // of those in last
	now   netip.Addr         // the gateway; not valid: none
}

// How many connections are looked at, and how many of them have to come from one
// private address, and still come from it.
const (
	watched = 60
	most    = watched * 9 / 10
	still   = watched / 2
)

// note takes one more connection down. gateway says whether its address hides who
// comes; changed, that there is a gateway now or that there is none any more.
func (g *gateways) note(addr netip.Addr) (gateway, changed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.count == nil {
		g.count = make(map[netip.Addr]int)
	}
	if old := g.last[g.n%watched]; old.IsValid() {
		if g.count[old]--; g.count[old] == 0 {
			delete(g.count, old)
		}
	}
	g.last[g.n%watched] = addr
	g.n++
	g.count[addr]++
	was := g.now
	switch {
	case g.now.IsValid() && g.count[g.now] < still:
		g.now = netip.Addr{}
	case !g.now.IsValid() && addr.IsPrivate() && g.count[addr] >= most:
		g.now = addr
	}
	return addr == g.now, g.now != was
}

// address is the gateway; not valid if there is none.
func (g *gateways) address() netip.Addr {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}
