// Package budget knows how much a client of a class may use, and counts what it
// uses: connections a minute with a burst, connections at once, new recipients a
// minute.
//
// It does not know connections, the line they wait in, or what a peer is told:
// the conductor asks a [Meter] and acts. Nor how doors reach each other: that is the
// business of an [Exchanger]. It reads no clock, but for [Fleet.Run]: the time is
// given.
package budget

import (
	"net/netip"
	"time"

	"moggy/whitelist"
)

// A Limit is how much a client of a class may use.
type Limit struct {
	Rate       int           `json:"rate,omitempty"`       // connections a minute; 0: no limit
	Burst      int           `json:"burst,omitempty"`      // connections at once after a pause; 0 counts as 1
	Open       int           `json:"open,omitempty"`       // connections open at a time; 0: no limit
	Recipients int           `json:"recipients,omitempty"` // new ones a minute, that many at once; 0: not counted
	Wait       time.Duration `json:"wait,omitempty"`       // in line, at most; 0: over the burst is over
}

// defaults is the table of CLASSES.md, section 4; nothing changes it.
var defaults = [...]struct {
	class whitelist.Class
	limit Limit
}{
	{whitelist.Own, Limit{Rate: 6000, Burst: 1000, Open: 1000, Wait: 30 * time.Second}},
	{whitelist.User, Limit{Rate: 600, Burst: 300, Open: 500, Wait: 10 * time.Second}},
	{whitelist.Crawler, Limit{Rate: 300, Burst: 300, Open: 100, Wait: 5 * time.Second}},
	{whitelist.Probe, Limit{Rate: 60, Burst: 30, Open: 10, Wait: 5 * time.Second}},
	{whitelist.Correspondent, Limit{Rate: 120, Burst: 60, Open: 20, Recipients: 120, Wait: 5 * time.Second}},
	{whitelist.Peer, Limit{Rate: 120, Burst: 120, Open: 50, Recipients: 600, Wait: 5 * time.Second}},
	{whitelist.Pool, Limit{Rate: 600, Burst: 200, Open: 100, Recipients: 600, Wait: 5 * time.Second}},
	{whitelist.MUA, Limit{Rate: 120, Burst: 120, Open: 150, Wait: 5 * time.Second}},
	{whitelist.Stranger, Limit{Rate: 20, Burst: 20, Open: 10, Recipients: 30}},
	{whitelist.Listed, Limit{Rate: 6, Burst: 6, Open: 2, Recipients: 6}},
	{whitelist.Guesser, Limit{Rate: 1, Burst: 3, Open: 2}},
}

// Defaults returns the limits of the classes that moggy comes with.
func Defaults() map[whitelist.Class]Limit {
	limits := make(map[whitelist.Class]Limit, len(defaults))
	for _, d := range defaults {
		limits[d.class] = d.limit
	}
	return limits
}

// For returns the limit of class c: the one in limits as it is, else the default. A
// class that somebody made up has Peer's where it has none. The empty class, that of
// a denied peer, is Listed.
func For(limits map[whitelist.Class]Limit, c whitelist.Class) Limit {
	c = orListed(c)
	if l, given := limits[c]; given {
		return l
	}
	if standard, ok := builtInLimit(c); ok {
		return standard
	}
	return For(limits, whitelist.Peer)
}

func orListed(c whitelist.Class) whitelist.Class {
	if c == "" {
		return whitelist.Listed
	}
	return c
}

// builtInLimit is the default limit of c; false where c is a class somebody made up.
func builtInLimit(c whitelist.Class) (Limit, bool) {
	for i := range defaults {
		if defaults[i].class == c {
			return defaults[i].limit, true
		}
	}
	return Limit{}, false
}

// A Key names who is counted as one.
type Key struct {
	Class  whitelist.Class
	Net    netip.Prefix // whitelist.Net of the peer; zero when Origin is set
	Origin string       // only for class pool: all addresses of an origin share a budget
}

// KeyOf is the key of a peer that is counted by its address (IPv4) or /64 (IPv6).
// Crawlers are confirmed address by address, and a search engine has many in one
// /64: each counts for itself. The empty class, that of a denied peer, counts as
// Listed.
func KeyOf(c whitelist.Class, addr netip.Addr) Key {
	if c == whitelist.Crawler {
		addr = whitelist.CanonicalAddr(addr)
		return Key{Class: c, Net: netip.PrefixFrom(addr, addr.BitLen())}
	}
	return Key{Class: orListed(c), Net: whitelist.Net(addr)}
}
