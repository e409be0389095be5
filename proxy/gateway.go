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

// How many connections are looked at, from how many on there is something to see, and
// how many of them still have to come from a gateway: fewer than those of a stranger's
// burst, so that nobody behind it is refused first.
const (
	watched = 60
	enough  = 10
)

// most reports whether so many of n connections are most of them.
func most(so, n int) bool { return n >= enough && so*10 >= min(n, watched)*9 }

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
	case g.now.IsValid() && g.count[g.now] < min(g.n, watched)/2:
		g.now = netip.Addr{}
	case !g.now.IsValid() && addr.IsPrivate() && most(g.count[addr], g.n):
		g.now = addr
	}
	return addr == g.now
}

// is reports whether addr is the gateway.
func (g *gateways) is(addr netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now.IsValid() && addr == g.now
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

// onTheLAN reports whether an address is own because the machine's networks were
// looked up, and not because somebody said so: it may be a balancer there.
func onTheLAN(s whitelist.Standing) bool {
	return s.Evidence == whitelist.Local && s.Known() && s.Entry.Note == whitelist.Connected
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
