package proxy

import (
	"net/netip"
	"sync"

	"moggy/whitelist"
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
	told  netip.Addr         // the one that the alarm is about; not valid: none
}

// How many connections are looked at, and how many of them have to come from one
// private address, and still come from it.
const (
	watched = 60
	most    = watched * 9 / 10
	still   = watched / 2
)

// note takes one more connection down, and reports whether its address hides who
// comes.
func (g *gateways) note(addr netip.Addr) (gateway bool) {
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
	switch {
	case g.now.IsValid() && g.count[g.now] < still:
		g.now = netip.Addr{}
	case !g.now.IsValid() && addr.IsPrivate() && g.count[addr] >= most:
		g.now = addr
	}
	return addr == g.now
}

// tell calls say when there is something new to say: hides is whether addr, which
// has just been noted, is a gateway that nobody vouches for. say gets the gateway,
// not valid if there is none any more.
func (g *gateways) tell(addr netip.Addr, hides bool, say func(netip.Addr)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.told
	switch {
	case hides:
		g.told = addr
	case addr == g.told || !g.now.IsValid():
		g.told = netip.Addr{}
	}
	if g.told != was {
		say(g.told)
	}
}

// answeredFor reports whether somebody stands for all that comes from an address: a
// person, the operator's own session, the machine's own networks. That somebody
// logged in, or that mail passed, says nothing for a gateway: behind it was one of
// many.
func answeredFor(s whitelist.Standing) bool {
	switch s.Evidence {
	case whitelist.Operator, whitelist.Session, whitelist.Local:
		return s.Known() || s.Deny
	}
	return false
}
