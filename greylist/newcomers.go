package greylist

import (
	"net/netip"
	"sync"
	"time"
)

// maxNetworks bounds the networks that Newcomers counts. Beyond it, and when none
// of them has room again, a network that is new is not counted: its strangers wait
// as all do, and no longer.
const maxNetworks = 100_000

// Newcomers counts, for each network, the strangers that have just proved
// themselves: who sends from many addresses of one network under throw-away names
// (snowshoe) gets in no faster than this. Those who never come back are not
// counted, so that nobody can keep the honest ones of a network out. It is a limiter by the generic cell rate algorithm, which
// keeps one time for each network.
type Newcomers struct {
	hourly int

	mu   sync.Mutex
	full map[netip.Prefix]time.Time // when the network's count is back at nothing
}

// NewNewcomers returns a counter that admits that many an hour from each network,
// all of them at once if need be.
func NewNewcomers(hourly int) *Newcomers {
	return &Newcomers{hourly: hourly, full: make(map[netip.Prefix]time.Time)}
}

// Admit reports whether one more newcomer of net may come in, and counts it.
func (n *Newcomers) Admit(net netip.Prefix, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	full, ok := n.full[net]
	if !ok && len(n.full) >= maxNetworks && !n.sweep(now) {
		return true
	}
	next, admitted := admit(full, now, n.hourly)
	if admitted {
		n.full[net] = next
	}
	return admitted
}

// admit is the algorithm (ITU-T I.371): each newcomer moves the time at which the
// count is back at nothing by its share of an hour, and that time may be an hour
// ahead at the most.
func admit(full, now time.Time, hourly int) (next time.Time, admitted bool) {
	share := time.Hour / time.Duration(hourly)
	next = later(full, now).Add(share)
	return next, next.Sub(now) <= time.Hour
}

// sweep forgets networks whose count is at nothing, and reports whether there is
// room now. Callers hold mu.
func (n *Newcomers) sweep(now time.Time) bool {
	for net, full := range n.full {
		if !full.After(now) {
			delete(n.full, net)
		}
	}
	return len(n.full) < maxNetworks
}
