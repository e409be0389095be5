package resolver

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// counters are what a Resolver has counted since it began.
type counters struct{ hits, stale, misses atomic.Uint64 }

// Stats are the figures of a Resolver since it began.
type Stats struct {
	Hits    uint64        // answered from the cache
	Misses  uint64        // that had to wait for the servers, or for somebody who had asked them already
	Stale   uint64        // answered with what has expired, because the servers failed or were slow; mostly Misses as well
	TCP     uint64        // tries that had to go over TCP
	Foreign uint64        // messages that answered something else: late, or forged
	Entries int           // in the cache now, about
	Flights int           // questions under way now
	Servers []ServerStats // in the order of Options.Servers
}

// ServerStats are the figures of one server since the Resolver began.
type ServerStats struct {
	Addr     netip.AddrPort
	Asked    uint64        // questions that it won or failed at
	Failed   uint64        // of these
	Latency  time.Duration // moving average of its answers; 0: none yet
	Failing  bool          // others are asked first
	Caseless bool          // it does not keep the case of letters, which therefore is no secret between us
}

// Stats returns the figures.
func (r *Resolver) Stats() Stats {
	s := Stats{
		Hits: r.count.hits.Load(), Stale: r.count.stale.Load(), Misses: r.count.misses.Load(),
		TCP: r.wire.tcp.Load(), Foreign: r.wire.foreign.Load(),
		Entries: r.cache.EstimatedSize(),
	}
	r.flights.mu.Lock()
	s.Flights = len(r.flights.under)
	r.flights.mu.Unlock()
	for _, server := range r.servers {
		s.Servers = append(s.Servers, server.stats())
	}
	return s
}
