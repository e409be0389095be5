package resolver

import (
	"cmp"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// The measures of a server's health.
const (
	minPatience = 100 * time.Millisecond // before the next server is asked as well
	slack       = 3                      // times the usual latency, likewise
	failing     = 3                      // failures in a row after which others are asked first
	probeFirst  = time.Second            // until a failing server is tried again
	probeMost   = 30 * time.Second
)

// A server is a name server and how it does.
type server struct {
	addr     netip.AddrPort
	caseless atomic.Bool // it does not keep the case of letters
	log      *slog.Logger

	mu      sync.Mutex
	latency time.Duration // EWMA; 0: it has answered nothing yet
	row     int           // failures in a row
	asked   uint64
	failed  uint64
	pause   time.Duration // between the last probe and the next
	probe   time.Time     // when it may be tried again
}

// good says that the server has answered.
func (s *server) good(took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.row >= failing {
		s.log.Info("name server answers again", "server", s.addr)
		s.latency = 0 // what it was before says nothing any more
	}
	s.row, s.pause = 0, 0
	if s.latency == 0 {
		s.latency = max(took, 1)
	}
	s.latency += (took - s.latency) / 8
}

// bad says that the server has failed, or had not answered after some time.
func (s *server) bad(now time.Time, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	s.failed++
	s.row++
	if s.latency > 0 {
		s.latency += max(took-s.latency, 0) / 8
	}
	if s.row == failing {
		s.log.Warn("name server fails; others, if there are any, are asked first", "server", s.addr, "times", failing)
		s.pause = probeFirst
		s.probe = now.Add(s.pause)
	}
}

// fade says that others were asked. Slowly it is forgotten how slow the server was, so that it is tried again some day.
func (s *server) fade() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latency -= s.latency / 256
}

// due tells whether a failing server may be tried again, and if so puts off the next time.
func (s *server) due(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.row < failing || now.Before(s.probe) {
		return false
	}
	s.pause = min(2*s.pause, probeMost)
	s.probe = now.Add(s.pause)
	return true
}

// patience is how long to wait for the server until another one is asked as well.
func (s *server) patience() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return max(slack*s.latency, minPatience)
}

// rank is what servers are ordered by: failing ones last, then by latency. Who was never asked comes first.
func (s *server) rank() (fails bool, latency time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.row >= failing, s.latency
}

// stats is the server for people.
func (s *server) stats() ServerStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ServerStats{
		Addr: s.addr, Asked: s.asked, Failed: s.failed, Latency: s.latency,
		Failing: s.row >= failing, Caseless: s.caseless.Load(),
	}
}

// ordered returns the servers in the order in which to ask them.
func ordered(servers []*server) []*server {
	type ranked struct {
		*server
		fails   int
		latency time.Duration
	}
	all := make([]ranked, len(servers))
	for i, s := range servers {
		fails, latency := s.rank()
		all[i] = ranked{server: s, latency: latency}
		if fails {
			all[i].fails = 1
		}
	}
	slices.SortStableFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.fails, b.fails), cmp.Compare(a.latency, b.latency))
	})
	order := make([]*server, len(all))
	for i, r := range all {
		order[i] = r.server
	}
	return order
}
