package dnsbl

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// crowd makes peers that are all different.
func crowd() func() netip.Addr {
	n := uint32(0)
	return func() netip.Addr {
		n++
		return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	}
}

// until is how many peers in a row are named before it shows, at most 200.
func until(s *surge, next func() netip.Addr) int {
	for i := 1; i <= 200; i++ {
		if s.see(next(), true) {
			return i
		}
	}
	return 0
}

func TestSurge(t *testing.T) {
	for _, c := range []struct {
		share    float64 // of peers that the list names as a rule
		min, max int     // peers until it shows that it names all
	}{
		{0, 2, 6}, {0.05, 2, 6}, {0.2, 3, 10}, {0.5, 8, 20}, {0.8, 20, 60}, {0.9, 60, 120}, {1, 60, 120},
	} {
		var s surge
		next, r, alarms := crowd(), rand.New(rand.NewPCG(1, 2)), 0
		for range 3000 {
			if s.see(next(), r.Float64() < c.share) {
				alarms++
				s.settle()
			}
		}
		if alarms > 40 || c.share <= 0.5 && alarms > 3 {
			t.Errorf("a list that names %v of all is suspected %d times in 3000", c.share, alarms)
		}
		if s.asked > surgeLong {
			t.Errorf("what was long ago weighs as much as what is now: %v peers", s.asked)
		}
		s.settle()
		if n := until(&s, next); n < c.min || n > c.max {
			t.Errorf("a list that names %v of all is suspected after %d", c.share, n)
		}
	}
}

func TestSurgeAtFirst(t *testing.T) {
	if n := until(new(surge), crowd()); n < 10 || n > 40 {
		t.Errorf("a new list is suspected after %d", n)
	}
}

// TestSurgeOnePeer: one that comes again and again is one.
func TestSurgeOnePeer(t *testing.T) {
	var s surge
	for range 1000 {
		if s.see(ip("192.0.2.1"), true) {
			t.Fatal("one peer is a surge")
		}
	}
	if s.asked != 1 {
		t.Errorf("one peer counts as %v", s.asked)
	}
}

// TestSurgeGoesOn: while a list goes on naming all it stays suspicious, and a
// few others end it.
func TestSurgeGoesOn(t *testing.T) {
	var s surge
	next := crowd()
	until(&s, next)
	for range 500 {
		if !s.see(next(), true) {
			t.Fatal("it is no longer suspicious")
		}
	}
	for range 5 {
		s.see(next(), false)
	}
	if s.see(next(), true) {
		t.Error("it is still suspicious after five that it does not name")
	}
}
