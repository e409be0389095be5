package budget

import (
	"testing"
	"time"
)

// greeted is a limit of recipients alone, one a second; a connection that stays open
// has its door exchange.
var greeted = Limit{Open: 100, Recipients: 60}

// greet counts n recipients at each of some doors.
func greet(doors []*door, n int, g *gauge) {
	for _, d := range doors {
		for range n {
			if recipient(d, greeted) == Within {
				g.count(time.Now())
			}
		}
	}
}

// checkGreeted wants each door to know what is owed in truth, but for what is paid
// back until others are heard of: there sooner than here, or here sooner than there.
func checkGreeted(t *testing.T, doors []*door, when string, g *gauge) {
	t.Helper()
	truth, late := g.owes(time.Now()), clients([]Limit{greeted})[0].blind()+1
	for i, d := range doors {
		if n := float64(recipientsOwed(d, greeted)); n < truth-late || n > truth+late {
			t.Errorf("%s: %.0f owed at door %d, want %.1f, within %.1f", when, n, i, truth, late)
		}
	}
}

// TestRecipientsElsewhere count at each door, also where connections are not counted;
// not where nobody can be told; and again after the return.
func TestRecipientsElsewhere(t *testing.T) {
	for _, mode := range []int32{failing, cutting, hanging} {
		fleet(t, 3, took, func(t *testing.T, doors []*door) {
			for _, d := range doors {
				d.Take(userKey, greeted, time.Now())
			}
			g := gauge{rate: 60}
			greet(doors, 10, &g)
			time.Sleep(exchanged)
			checkGreeted(t, doors, "before", &g)
			away := doors[2:]
			away[0].link.mode.Store(mode)
			alone := g
			greet(away, 9, &alone)
			greet(doors[:2], 4, &g)
			time.Sleep(exchanged)
			checkGreeted(t, away, "away", &alone)
			if mode != cutting { // the hub does count then, and only the answers are lost
				checkGreeted(t, doors[:2], "without the third", &g)
			}
			time.Sleep(time.Minute)
			if lost := away[0].Sharing().Lost; lost != 9 {
				t.Errorf("mode %d: %d lost, want 9", mode, lost)
			}
			away[0].link.mode.Store(working)
			time.Sleep(time.Minute + lease)
			greet(doors, 5, &g)
			time.Sleep(exchanged)
			checkGreeted(t, doors, "after", &g)
		})
	}
}

// TestRecipientsOfAnEmptyHub are charged once.
func TestRecipientsOfAnEmptyHub(t *testing.T) {
	fleet(t, 3, took, func(t *testing.T, doors []*door) {
		for _, d := range doors {
			d.Take(userKey, greeted, time.Now())
		}
		g := gauge{rate: 60}
		greet(doors, 10, &g)
		time.Sleep(exchanged)
		doors[0].link.hub.forget()
		greet(doors, 3, &g)
		time.Sleep(exchanged)
		checkGreeted(t, doors, "after", &g)
	})
}

// TestRecipientsOfDeadDoors are owed still, and those that waited for too long are not.
func TestRecipientsOfDeadDoors(t *testing.T) {
	fleet(t, 2, took, func(t *testing.T, doors []*door) {
		g := gauge{rate: 60}
		greet(doors[:1], 30, &g)
		time.Sleep(interval + 2*took)
		doors[0].die()
		greet(doors[1:], 1, &g)
		time.Sleep(interval + 2*took)
		checkGreeted(t, doors[1:], "after its death", &g)
		again := doors[0].link.hub.open(t, took)
		greet([]*door{again}, 1, &g)
		time.Sleep(interval + 2*took)
		checkGreeted(t, []*door{again}, "restarted", &g)
	})
}
