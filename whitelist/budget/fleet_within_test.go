package budget

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestWithin: a client that owes no more than [Fleet] says is never refused,
// whichever doors it uses: neither while all works, nor while exchanges fail, the
// hub forgets, and doors die and begin again.
func TestWithin(t *testing.T) {
	limits := []Limit{fleetLimits[0], fleetLimits[1], fleetLimits[2], {Recipients: 200}}
	for _, n := range []int{2, 3, 8} {
		for i, c := range clients(limits) {
			for _, faults := range []func(*testing.T, *rand.Rand, []*door){nil, faults} {
				r, g := rand.New(rand.NewPCG(uint64(n), uint64(i))), gauge{rate: float64(c.rate)}
				fleet(t, n, took, func(t *testing.T, doors []*door) {
					for range 3000 {
						c.step(t, doors, r, &g)
						if faults != nil {
							faults(t, r, doors)
						}
					}
				})
				if g.most < c.careful()-1 {
					t.Errorf("%d doors, %s: no more than %.1f tried, and %.1f may be owed", n, c.name, g.most, c.careful())
				}
			}
		}
	}
}

// careful is what a client may owe that does not want to be refused.
func (c client) careful() float64 { return c.budget() - c.blind() - 1 }

// step uses one more, if the client may, and pauses: mostly for less than pays it back.
func (c client) step(t *testing.T, doors []*door, r *rand.Rand, g *gauge) {
	if now := time.Now(); g.owes(now)+1 <= c.careful() {
		at := r.IntN(len(doors))
		if over := c.use(doors[at], c.limit); over != Within {
			t.Fatalf("%d doors, %s: refused at door %d, where it owes %d; in truth it owes %.1f",
				len(doors), c.name, at, c.owes(doors[at], c.limit), g.owes(now))
		}
		g.count(now)
	}
	pause := c.each() * 2 * time.Duration(r.IntN(100)) / 100
	if r.IntN(2) == 0 {
		pause /= 10
	}
	if r.IntN(300) == 0 {
		pause = time.Duration(r.Float64() * float64(c.pays()))
	}
	time.Sleep(pause)
}

// faults brings one about, or an end to one, now and then.
func faults(t *testing.T, r *rand.Rand, doors []*door) {
	at := r.IntN(len(doors))
	h := doors[at].link.hub
	switch r.IntN(300) {
	case 0, 1, 2:
		doors[at].link.mode.Store(int32(r.IntN(4)))
	case 3:
		h.forget()
	case 4:
		doors[at].die()
		doors[at] = h.open(t, took)
	}
}
