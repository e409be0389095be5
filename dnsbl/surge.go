package dnsbl

import (
	"math"
	"net/netip"
	"slices"
)

// surge notices when a list that named some peers begins to name all. It sums
// up, peer by peer, how much likelier the answers are of a list that names 99 %
// than of this list as it has been for long, and begins anew whenever they are
// not (Page's cumulative sum test). So a list that names one peer in twenty is
// suspected after four in a row, one that names nearly all of them anyway only
// after dozens. A spam run may do the same: a surge proves nothing, it is a
// reason to ask the test points.
//
// It keeps the last peers to count each once; one that is seen again after
// surgeMemory others counts again.
type surge struct {
	seen        [surgeMemory]netip.Addr
	next        int
	hits, asked float64 // of the last peers; halved at surgeLong
	sum         float64
}

const (
	surgeMemory = 64
	surgeLong   = 1000
	surgePrior  = 20   // peers, half of them listed, that a list begins with
	surgeAll    = 0.99 // what a list that names everybody names
	surgeLow    = 0.05 // the share of hits is taken to be at least this
	surgeHigh   = 0.9  // and at most this
)

// surgeEnough is a likelihood of ten thousand to one.
var surgeEnough = math.Log(10_000)

// see reports whether the answers of late are those of a list that names all.
func (s *surge) see(peer netip.Addr, hit bool) bool {
	if slices.Contains(s.seen[:], peer) {
		return false
	}
	s.seen[s.next] = peer
	s.next = (s.next + 1) % surgeMemory
	s.sum = min(max(0, s.sum+s.step(hit)), surgeEnough)
	s.count(hit)
	return s.sum >= surgeEnough
}

// step is the logarithm of how much likelier the answer is of a list that names all.
func (s *surge) step(hit bool) float64 {
	usual := min(max((s.hits+surgePrior/2)/(s.asked+surgePrior), surgeLow), surgeHigh)
	if hit {
		return math.Log(surgeAll / usual)
	}
	return math.Log((1 - surgeAll) / (1 - usual))
}

func (s *surge) count(hit bool) {
	if s.asked++; hit {
		s.hits++
	}
	if s.asked >= surgeLong {
		s.asked, s.hits = s.asked/2, s.hits/2
	}
}

// settle begins anew: the test points were right.
func (s *surge) settle() { s.sum = 0 }
