package budget

import (
	"math/rand/v2"
	"testing"
	"time"
)

// few is a limit of connections open at once that the rate does not reach.
var few = Limit{Rate: 600, Burst: 300, Open: 10}

// open is how many connections Take would count at a door, this one not included.
func (d *door) open(k Key, l Limit) int { return d.Look(k, l, time.Now()).Open - 1 }

// TestOpenAtAllDoors opens and closes at random: what is open is never more than
// the bound, and none is let in beyond the limit once all doors know.
func TestOpenAtAllDoors(t *testing.T) {
	for _, n := range []int{1, 2, 3, 8} {
		for _, l := range []Limit{few, {Open: 10}, {Rate: 20, Burst: 2, Open: 10}} {
			bound := l.Open + (n-1)*l.Open
			if l.Rate > 0 {
				bound = l.Open + int(min(float64((n-1)*l.Open), l.connections().excess(n, took)))
			}
			r := rand.New(rand.NewPCG(uint64(n), 1))
			worst := 0
			fleet(t, n, took, func(t *testing.T, doors []*door) {
				open := make([]int, n)
				for range 3000 {
					at, now := r.IntN(n), time.Now()
					if r.IntN(3) > 0 && doors[at].Take(userKey, l, now).Over == Within {
						open[at]++
					} else if open[at] > 0 {
						doors[at].Done(userKey, now)
						open[at]--
					}
					worst = max(worst, sum(open))
					time.Sleep(time.Duration(r.IntN(1 << 28)))
				}
			})
			if worst > bound {
				t.Errorf("%d doors, %+v: %d open, at most %d", n, l, worst, bound)
			}
			t.Logf("%d doors, %+v: %d open of %d, bound %d", n, l, worst, l.Open, bound)
		}
	}
}

func sum(all []int) (n int) {
	for _, v := range all {
		n += v
	}
	return n
}

// TestOpenElsewhere: what is open at one door counts at the others, for as long as
// it is.
func TestOpenElsewhere(t *testing.T) {
	fleet(t, 3, took, func(t *testing.T, doors []*door) {
		takeMany(doors[0], userKey, few, 6, time.Now())
		takeMany(doors[1], userKey, few, 3, time.Now())
		for range 20 { // nothing else happens
			time.Sleep(renewal + 2*interval)
			if a, b := doors[0].open(userKey, few), doors[1].open(userKey, few); a != 9 || b != 9 {
				t.Fatalf("%d and %d open, want 9", a, b)
			}
		}
		doors[2].Take(userKey, few, time.Now())
		time.Sleep(exchanged)
		for i, d := range doors {
			if u := d.Take(userKey, few, time.Now()); u.Over != OverOpen || u.Open != 11 {
				t.Errorf("the eleventh of ten, at door %d: %s", i, u)
			}
		}
		doors[0].Done(userKey, time.Now())
		time.Sleep(exchanged)
		if u := doors[2].Take(userKey, few, time.Now()); u.Over != Within {
			t.Errorf("one has ended, and: %s", u)
		}
	})
}

// TestRefusedAsksAgain: who was refused for what is open elsewhere is let in soon
// after that has ended, and not only with the next renewal.
func TestRefusedAsksAgain(t *testing.T) {
	fleet(t, 2, took, func(t *testing.T, doors []*door) {
		takeMany(doors[0], userKey, few, 10, time.Now())
		time.Sleep(interval + took)
		visit(doors[1], userKey, few, 1, time.Now())
		time.Sleep(interval + took)
		if u := doors[1].Take(userKey, few, time.Now()); u.Over != OverOpen {
			t.Fatalf("not refused: %s", u)
		}
		for range 10 {
			doors[0].Done(userKey, time.Now())
		}
		ended := time.Now()
		for doors[1].Take(userKey, few, time.Now()).Over != Within && time.Since(ended) < time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		if free := time.Since(ended); free > 2*(interval+took)+100*time.Millisecond {
			t.Errorf("let in again after %s", free)
		}
	})
}

// TestDeadDoor: what was open at a door that died is given back after its lease.
func TestDeadDoor(t *testing.T) {
	fleet(t, 2, took, func(t *testing.T, doors []*door) {
		takeMany(doors[0], userKey, few, 10, time.Now())
		time.Sleep(interval + took)
		visit(doors[1], userKey, few, 1, time.Now())
		time.Sleep(interval + took)
		doors[0].die()
		died := time.Now()
		var free time.Duration
		for ; free == 0 && time.Since(died) < time.Minute; time.Sleep(100 * time.Millisecond) {
			if doors[1].Take(userKey, few, time.Now()).Over == Within {
				free = time.Since(died)
			}
		}
		if free < lease-renewal-interval || free > lease+2*(interval+took) {
			t.Errorf("let in again after %s, its lease is %s", free, lease)
		}
	})
}

// TestClosedDoor: one that is ended after its last connection gives all back at once.
func TestClosedDoor(t *testing.T) {
	fleet(t, 2, took, func(t *testing.T, doors []*door) {
		takeMany(doors[0], userKey, few, 10, time.Now())
		time.Sleep(2 * (interval + took))
		for range 10 {
			doors[0].Done(userKey, time.Now())
		}
		doors[0].stop()
		time.Sleep(took)
		doors[1].Take(userKey, few, time.Now())
		time.Sleep(interval + took)
		if n := doors[1].open(userKey, few); n != 1 {
			t.Errorf("%d open, want 1", n)
		}
	})
}

// TestRestartedDoor learns what is owed and open with its first exchange.
func TestRestartedDoor(t *testing.T) {
	l := Limit{Rate: 1, Burst: 20, Open: 100, Recipients: 6}
	fleet(t, 2, took, func(t *testing.T, doors []*door) {
		takeMany(doors[0], userKey, l, 12, time.Now())
		for range 3 {
			recipient(doors[0], l)
		}
		time.Sleep(2 * interval)
		again := doors[0].link.hub.open(t, took)
		again.Take(userKey, l, time.Now())
		time.Sleep(2 * interval)
		if u := again.Look(userKey, l, time.Now()); u.Used != 14 || u.Open != 14 || u.Recipients != 3 {
			t.Errorf("%s, want 14 of both, and 3", u)
		}
	})
}

// TestOpenLapses: without exchanges nobody is refused for what was open elsewhere.
func TestOpenLapses(t *testing.T) {
	for _, mode := range []int32{failing, cutting, hanging} {
		fleet(t, 2, took, func(t *testing.T, doors []*door) {
			takeMany(doors[0], userKey, few, 8, time.Now())
			takeMany(doors[1], userKey, few, 1, time.Now())
			time.Sleep(exchanged)
			if n := doors[1].open(userKey, few); n != 9 {
				t.Fatalf("%d open", n)
			}
			doors[1].link.mode.Store(mode)
			time.Sleep(lease)
			if n := doors[1].open(userKey, few); n != 1 {
				t.Errorf("mode %d: %d open, want 1", mode, n)
			}
			doors[1].link.mode.Store(working)
			time.Sleep(time.Minute + lease)
			if n := doors[1].open(userKey, few); n != 9 {
				t.Errorf("mode %d: %d open again, want 9", mode, n)
			}
		})
	}
}

// TestOpenAndTheClock: a clock that is set makes nobody wait for longer than a lease.
func TestOpenAndTheClock(t *testing.T) {
	m := newLocal(MaxKeys, true)
	m.shard(userKey).hear(Others{Key: userKey, Open: 10}, few, start.UnixNano(), start.UnixNano())
	for _, by := range []time.Duration{-time.Hour, -lease, 0, lease - 1, lease, time.Hour} {
		want := Within
		if max(by, -by) < lease {
			want = OverOpen
		}
		if u := m.Look(userKey, few, start.Add(by)); u.Over != want {
			t.Errorf("the clock is set by %s: %s", by, u)
		}
	}
}
