package budget

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// took is how long an exchange takes.
const took = 200 * time.Millisecond

// fleetLimits are some with and without a line, slow and fast.
var fleetLimits = []Limit{
	{Rate: 20, Burst: 20},
	{Rate: 60, Burst: 30, Wait: 5 * time.Second},
	{Rate: 600, Burst: 100, Wait: 2 * time.Second},
	{Rate: 1, Burst: 3},
	{Rate: 600, Burst: 5},
}

// A gauge says what a client had beyond a rate, in the worst of all spans of time.
type gauge struct {
	rate       float64 // a minute
	at         time.Time
	owed, most float64
	all        int
}

func (g *gauge) count(now time.Time) {
	if g.all > 0 {
		g.owed = max(0, g.owed-now.Sub(g.at).Minutes()*g.rate)
	}
	g.at = now
	g.owed++
	g.all++
	g.most = max(g.most, g.owed)
}

// visits is a client at some doors; each connection ends at once.
func visits(doors []*door, l Limit, next func() (door int, pause time.Duration), until time.Duration, g *gauge) {
	end := time.Now().Add(until)
	for time.Now().Before(end) {
		n, pause := next()
		now := time.Now()
		if doors[n].Take(userKey, l, now).Over == Within {
			g.count(now)
			doors[n].Done(userKey, now)
		}
		time.Sleep(pause)
	}
}

// forgiven is the rate at which what is beyond MostBeyond is forgiven, at most.
func forgiven(l Limit, doors int) float64 {
	m, beyond := budgetOf(l), l.MostBeyond()
	return float64(l.Rate) * max(0, float64(doors-1)*m-beyond) / (m + beyond)
}

// budgetOf is M.
func budgetOf(l Limit) float64 { return inTokens(l.mostDebt()) }

// schedule is a client as random as it gets: now at one door, now at all of them,
// now at its limit, now far over it, now away.
func schedule(r *rand.Rand, l Limit, doors int) func() (int, time.Duration) {
	each := time.Minute / time.Duration(l.Rate)
	var left, home int
	var pace time.Duration
	return func() (int, time.Duration) {
		if left--; left > 0 {
			if home < doors {
				return home, pace
			}
			return r.IntN(doors), pace
		}
		left, home = 1+r.IntN(40*doors), r.IntN(2*doors)
		pace = each / time.Duration(1+r.IntN(10*doors))
		if r.IntN(4) == 0 {
			return r.IntN(doors), time.Duration(r.Float64() * l.MostOwed() * 1.2 * float64(each))
		}
		return r.IntN(doors), pace
	}
}

// TestBudgetOnce: whatever a client does, it gets its budget once, and what
// [Fleet] says beyond.
func TestBudgetOnce(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8} {
		for i, l := range fleetLimits {
			t.Run(fmt.Sprintf("%d doors, %d/min", n, l.Rate), func(t *testing.T) {
				worst := 0.0
				bound := budgetOf(l) + l.Excess(n, took)
				for seed := range uint64(3) {
					g := gauge{rate: float64(l.Rate) + forgiven(l, n)}
					fleet(t, n, took, func(t *testing.T, doors []*door) {
						visits(doors, l, schedule(rand.New(rand.NewPCG(seed, uint64(i))), l, n), 10*time.Minute, &g)
					})
					worst = max(worst, g.most)
				}
				if worst > bound+1 {
					t.Errorf("%.1f beyond its rate, at most %.1f", worst, bound)
				}
				t.Logf("budget %.0f at once, bound %.0f, seen %.0f", budgetOf(l), bound, worst)
			})
		}
	}
}

// TestOnslaughts: a client that pays back all, and then comes to all doors at once
// for as long as one lets it in, gets what the bound says and nothing beyond.
func TestOnslaughts(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8} {
		for _, l := range fleetLimits {
			g := gauge{rate: float64(l.Rate) + forgiven(l, n)}
			pays := time.Duration(l.MostOwed() / float64(l.Rate) * float64(time.Minute))
			fleet(t, n, took, func(t *testing.T, doors []*door) {
				for range 10 {
					for _, d := range doors {
						d.drain(l, &g)
					}
					time.Sleep(pays)
				}
			})
			bound := budgetOf(l) + l.Excess(n, took)
			if g.most > bound+1 {
				t.Errorf("%d doors, %+v: %.1f beyond its rate, at most %.1f", n, l, g.most, bound)
			}
			t.Logf("%d doors, %d/min: bound %.0f, seen %.0f, all %d", n, l.Rate, bound, g.most, g.all)
		}
	}
}

// drain takes all that a door lets in.
func (d *door) drain(l Limit, g *gauge) {
	for d.Take(userKey, l, time.Now()).Over == Within {
		g.count(time.Now())
		d.Done(userKey, time.Now())
	}
}

// TestPatience: a client that knows how it stands at each door, and comes to one
// only when it owes little there, one door after the other has heard, gets no more.
func TestPatience(t *testing.T) {
	for _, n := range []int{2, 3, 8} {
		for _, l := range fleetLimits {
			g := gauge{rate: float64(l.Rate) + forgiven(l, n)}
			pays := time.Duration(l.MostOwed() / float64(l.Rate) * float64(time.Minute))
			fleet(t, n, took, func(t *testing.T, doors []*door) {
				for end := time.Now().Add(10 * pays); time.Now().Before(end); time.Sleep(interval / 2) {
					for _, d := range doors {
						if owes := d.Look(userKey, l, time.Now()).Used - 1; owes*3 <= int(budgetOf(l)) {
							d.drain(l, &g)
							time.Sleep(interval + took)
						}
					}
				}
			})
			if bound := budgetOf(l) + l.Excess(n, took); g.most > bound+1 {
				t.Errorf("%d doors, %+v: %.1f beyond its rate, at most %.1f", n, l, g.most, bound)
			}
		}
	}
}

// TestAtItsLimit: a client that all doors know gets its rate, neither less nor
// more than what is paid back until they have told each other.
func TestAtItsLimit(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8} {
		for _, l := range []Limit{{Rate: 60, Burst: 30}, {Rate: 600, Burst: 300, Wait: 10 * time.Second}, {Rate: 120, Burst: 120, Wait: 5 * time.Second}} {
			first, g := gauge{rate: float64(l.Rate)}, gauge{rate: float64(l.Rate)}
			r := rand.New(rand.NewPCG(1, uint64(n)))
			next := func() (int, time.Duration) { return r.IntN(n), 20 * time.Millisecond }
			fleet(t, n, took, func(t *testing.T, doors []*door) {
				visits(doors, l, next, 5*time.Minute, &first)
				visits(doors, l, next, 10*time.Minute, &g)
			})
			once := 10 * l.Rate
			if blind := l.Excess(n, took) - float64(n-1)*budgetOf(l); g.most > 1+blind {
				t.Errorf("%d doors, %+v: %.1f beyond its rate, at most %.1f", n, l, g.most, 1+blind)
			}
			if g.all < once*95/100 {
				t.Errorf("%d doors, %+v: %d connections of %d: its budget is cut", n, l, g.all, once)
			}
			t.Logf("%d doors, %d/min: %d connections of %d in ten minutes, %.0f beyond its rate", n, l.Rate, g.all, once, g.most)
		}
	}
}
