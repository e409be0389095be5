package main_test

import (
	"fmt"
	"math"
	"time"

	"moggy/whitelist/budget"
)

// What is promised of budgets, see budget.Fleet. All of it follows from what one
// door lets a client have, whatever it knows of the others: M = Burst + Rate·Wait at
// once, and Rate, for as long as the door lives (an ideal bucket; it begins full when
// the door does). A door counts what the others let in like its own as soon as it has
// heard of it. So of all that a client gets in a window of time one door has counted
//
//	M + Rate·t
//
// but for what the other doors, or other lives of them, let in and it has not heard
// of. That is, at each of them:
//
//   - what it let in since it was last heard: M + 2·Rate·I. Of a life that was killed
//     this is the last thing, and lost; so all lives in the window have this term, and
//     not only those at its end. A life that was killed is to the client as a door
//     that it went to for once. [budget.Limit.Excess] adds them up.
//   - what it let in while Redis was away, for notes that cannot be told are dropped:
//     Rate for so long, and what was paid back since the last such time once more,
//     M at most. "So long" begins with what was not told yet, or not heard, and ends
//     when the door has noticed that Redis is back.
//
// And a charge owes no more than MostOwed; what is beyond is forgiven, at no more
// than forgiven a minute. That Redis was emptied gives nothing: the doors that live
// know what they know, and those that do not begin anew anyway.

// exchangeTook is what one exchange may take on a machine that is busy with all this,
// and blind how long a door may know nothing of what another one lets in: 2·I.
const (
	exchangeTook = 500 * time.Millisecond
	blind        = 2 * (time.Second + exchangeTook)
)

func (s span) overlaps(other span) bool { return s.from.Before(other.to) && other.from.Before(s.to) }
func (s span) within(other span) span {
	return span{later(s.from, other.from), earlier(s.to, other.to)}
}

// minutes is how long it is; none where it ends before it begins.
func (s span) minutes() float64 { return max(0, s.to.Sub(s.from).Minutes()) }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// lives are those of all doors, from when each could let in somebody. The last ones
// end with the world.
func (f *fleet) lives() (all []span) {
	for _, d := range f.doors {
		for _, l := range d.lives {
			s := span{l.begun, l.gone}
			if l.gone.IsZero() {
				s.to = f.until(time.Hour)
			}
			all = append(all, s)
		}
	}
	return all
}

// mostAtOnce is M: what a client may come to owe at one door.
func mostAtOnce(l budget.Limit) float64 { return float64(l.Burst) + float64(l.Rate)*l.Wait.Minutes() }

// mostPatient is what a client may owe that is never refused: M - 2·Rate·I - 1; less,
// because what was told to a Redis that hangs is charged when it goes on.
func mostPatient(l budget.Limit) float64 {
	return mostAtOnce(l) - float64(l.Rate)*(blind+longestHang).Minutes() - 1
}

// forgiven is how much a minute is forgiven, at most, of what charges would owe.
func forgiven(l budget.Limit) float64 {
	owed, _ := l.MostOwed()
	m := mostAtOnce(l)
	return float64(l.Rate) * max(0, (fleetDoors-1)*m-(owed-m)) / owed
}

// An allowance is how many connections a client may get within a window of time.
type allowance struct {
	alone  float64 // if each door counted for itself
	shared float64 // what is promised
	calm   bool    // no door began there and Redis was never away: it is Limit.Excess that is promised
}

func (a allowance) String() string {
	return fmt.Sprintf("%.1f are allowed, and %.1f if each door counts for itself (all is well: %v)", a.shared, a.alone, a.calm)
}

func (j *judgement) allowed(l budget.Limit, w span) (a allowance) {
	m, rate := mostAtOnce(l), float64(l.Rate)
	lives, untold, least := 0, 0.0, math.Inf(1)
	for _, life := range j.lives {
		if !life.overlaps(w) {
			continue
		}
		here := life.within(w)
		more := j.f.seen.untold(m, rate, here)
		lives, untold, least = lives+1, untold+more, min(least, more)
		a.alone += m + rate*here.minutes()
	}
	excess, _ := l.Excess(lives, exchangeTook)
	a.shared = m + (rate+forgiven(l))*w.minutes() + excess + untold - least
	a.calm = untold == 0 && lives <= fleetDoors
	return a
}

// untold is what a door lets in while Redis is away, in some part of its life, beyond
// what it lets in before its end: that has had M.
func (c *chronicle) untold(m, rate float64, part span) (sum float64) {
	next := part.to.Add(-blind)
	for i := len(c.away) - 1; i >= 0; i-- {
		o := span{c.away[i].from.Add(-blind), c.away[i].over()}
		if !o.overlaps(part) {
			continue
		}
		o = o.within(span{part.from, later(part.from, next)})
		sum += rate*o.minutes() + min(m, rate*span{o.to, next}.minutes())
		next = o.from
	}
	return sum
}
