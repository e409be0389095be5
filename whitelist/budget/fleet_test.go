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
	{Rate: 20, Burst: 20, Recipients: 30},
	{Rate: 60, Burst: 30, Wait: 5 * time.Second},
	{Rate: 600, Burst: 100, Wait: 2 * time.Second},
	{Rate: 1, Burst: 3, Recipients: 2},
	{Rate: 600, Burst: 5},
	{Recipients: 600},
}

// A client uses what one of the two quotas of a limit gives.
type client struct {
	name  string
	limit Limit
	quota
	use  func(*door, Limit) Over
	owes func(*door, Limit) int
}

// clients are those of some limits: one for each quota that is counted.
func clients(limits []Limit) (all []client) {
	for _, l := range limits {
		if l.Rate > 0 {
			name := fmt.Sprintf("%d connections a minute", l.Rate)
			all = append(all, client{name, l, l.connections(), connect, connectionsOwed})
		}
		if l.Recipients > 0 {
			name := fmt.Sprintf("%d recipients a minute", l.Recipients)
			all = append(all, client{name, l, l.recipients(), recipient, recipientsOwed})
		}
	}
	return all
}

// connect opens a connection that ends at once.
func connect(d *door, l Limit) Over {
	now := time.Now()
	over := d.Take(userKey, l, now).Over
	if over == Within {
		d.Done(userKey, now)
	}
	return over
}

func recipient(d *door, l Limit) Over { return d.Recipient(userKey, l, time.Now()).Over }

func connectionsOwed(d *door, l Limit) int { return d.Look(userKey, l, time.Now()).Used - 1 }

func recipientsOwed(d *door, l Limit) int { return d.Look(userKey, l, time.Now()).Recipients }

// budget is M.
func (c client) budget() float64 { return inTokens(c.mostDebt()) }

// each is the time that pays back one token.
func (c client) each() time.Duration { return time.Minute / time.Duration(c.rate) }

// pays is the time that pays back all that can be owed.
func (c client) pays() time.Duration { return until(c.mostCharged(), 0, c.rate) }

// bound is what it gets at once, of doors that know nothing of it.
func (c client) bound(doors int) float64 { return c.budget() + c.excess(doors, took) }

// blind is what is paid back until doors have told and heard.
func (c client) blind() float64 { return 2 * float64(c.rate) * (interval + took).Minutes() }

// gauge counts what it gets. What is beyond MostOwed is forgiven at that rate, at most.
func (c client) gauge(doors int) gauge {
	m, most := c.budget(), inTokens(c.mostCharged())
	return gauge{rate: float64(c.rate) * (1 + max(0, float64(doors)*m-most)/most)}
}

// A gauge says what a client had beyond a rate, in the worst of all spans of time.
type gauge struct {
	rate       float64 // a minute
	at         time.Time
	owed, most float64
	all        int
}

func (g *gauge) owes(now time.Time) float64 {
	return max(0, g.owed-now.Sub(g.at).Minutes()*g.rate)
}

func (g *gauge) count(now time.Time) {
	g.owed = g.owes(now) + 1
	g.at = now
	g.all++
	g.most = max(g.most, g.owed)
}

// visits is a client at some doors.
func (c client) visits(doors []*door, next func() (door int, pause time.Duration), until time.Duration, g *gauge) {
	end := time.Now().Add(until)
	for time.Now().Before(end) {
		n, pause := next()
		if c.use(doors[n], c.limit) == Within {
			g.count(time.Now())
		}
		time.Sleep(pause)
	}
}

// drain takes all that a door lets in.
func (c client) drain(d *door, g *gauge) {
	for c.use(d, c.limit) == Within {
		g.count(time.Now())
	}
}

// schedule is a client as random as it gets: now at one door, now at all of them,
// now at its limit, now far over it, now away.
func (c client) schedule(r *rand.Rand, doors int) func() (int, time.Duration) {
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
		pace = c.each() / time.Duration(1+r.IntN(10*doors))
		if r.IntN(4) == 0 {
			return r.IntN(doors), time.Duration(r.Float64() * 1.2 * float64(c.pays()))
		}
		return r.IntN(doors), pace
	}
}

// TestBudgetOnce: whatever a client does, it gets its budget once, and what
// [Fleet] says beyond.
func TestBudgetOnce(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8} {
		for i, c := range clients(fleetLimits) {
			t.Run(fmt.Sprintf("%d doors, %s", n, c.name), func(t *testing.T) {
				worst := 0.0
				for seed := range uint64(3) {
					g := c.gauge(n)
					fleet(t, n, took, func(t *testing.T, doors []*door) {
						c.visits(doors, c.schedule(rand.New(rand.NewPCG(seed, uint64(i))), n), 10*time.Minute, &g)
					})
					worst = max(worst, g.most)
				}
				if worst > c.bound(n)+1 {
					t.Errorf("%.1f beyond its rate, at most %.1f", worst, c.bound(n))
				}
				t.Logf("budget %.0f at once, bound %.0f, seen %.0f", c.budget(), c.bound(n), worst)
			})
		}
	}
}

// TestOnslaughts: a client that pays back all, and then comes to all doors at once
// for as long as one lets it in, gets what the bound says and nothing beyond.
func TestOnslaughts(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8} {
		for _, c := range clients(fleetLimits) {
			g := c.gauge(n)
			fleet(t, n, took, func(t *testing.T, doors []*door) {
				for range 10 {
					for _, d := range doors {
						c.drain(d, &g)
					}
					time.Sleep(c.pays())
				}
			})
			if g.most > c.bound(n)+1 {
				t.Errorf("%d doors, %s: %.1f beyond its rate, at most %.1f", n, c.name, g.most, c.bound(n))
			}
			t.Logf("%d doors, %s: bound %.0f, seen %.0f, all %d", n, c.name, c.bound(n), g.most, g.all)
		}
	}
}

// TestPatience: a client that knows how it stands at each door, and comes to one
// only when it owes little there, one door after the other has heard, gets no more.
func TestPatience(t *testing.T) {
	for _, n := range []int{2, 3, 8} {
		for _, c := range clients(fleetLimits) {
			g := c.gauge(n)
			fleet(t, n, took, func(t *testing.T, doors []*door) {
				for end := time.Now().Add(10 * c.pays()); time.Now().Before(end); time.Sleep(interval / 2) {
					for _, d := range doors {
						if c.owes(d, c.limit)*3 <= int(c.budget()) {
							c.drain(d, &g)
							time.Sleep(interval + took)
						}
					}
				}
			})
			if g.most > c.bound(n)+1 {
				t.Errorf("%d doors, %s: %.1f beyond its rate, at most %.1f", n, c.name, g.most, c.bound(n))
			}
		}
	}
}

// TestAtItsLimit: a client that all doors know gets its rate, neither less nor
// more than what is paid back until they have told each other.
func TestAtItsLimit(t *testing.T) {
	limits := []Limit{{Rate: 60, Burst: 30, Recipients: 30}, {Rate: 600, Burst: 300, Wait: 10 * time.Second},
		{Rate: 120, Burst: 120, Wait: 5 * time.Second}, {Recipients: 600}}
	for _, n := range []int{1, 2, 3, 8} {
		for _, c := range clients(limits) {
			first, g := gauge{rate: float64(c.rate)}, gauge{rate: float64(c.rate)}
			r := rand.New(rand.NewPCG(1, uint64(n)))
			next := func() (int, time.Duration) { return r.IntN(n), 20 * time.Millisecond }
			fleet(t, n, took, func(t *testing.T, doors []*door) {
				c.visits(doors, next, 5*time.Minute, &first)
				c.visits(doors, next, 10*time.Minute, &g)
			})
			once := 10 * c.rate
			if most := 1 + float64(n-1)*c.blind(); g.most > most {
				t.Errorf("%d doors, %s: %.1f beyond its rate, at most %.1f", n, c.name, g.most, most)
			}
			if g.all < once*95/100 {
				t.Errorf("%d doors, %s: %d of %d: its budget is cut", n, c.name, g.all, once)
			}
			t.Logf("%d doors, %s: %d of %d in ten minutes, %.0f beyond its rate", n, c.name, g.all, once, g.most)
		}
	}
}
