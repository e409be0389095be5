package main_test

import (
	"slices"
	"time"

	"moggy/whitelist/budget"
)

// What is promised of connections open at once. A door counts its own, and those of
// the others as it has heard of them:
//
//   - an exchange follows within I on a connection that it takes in, and on one that it
//     refuses because of those elsewhere; and within renewal on any that is open there;
//   - the others tell within I what has begun or ended there. What a door told that was
//     killed, or that could not tell of an end, counts for a lease.
//   - what was heard counts for a lease.
const (
	openLease   = 10 * time.Second
	openRenewal = 3 * time.Second
)

// endOf is when a connection was over, at the earliest and at the latest: the client
// hung up, or the door was ended.
func (j *judgement) endOf(n *knock) (least, most time.Time, killed bool) {
	at := n.left
	if at.IsZero() {
		at = n.answered
	}
	for _, l := range n.door.lives {
		if !l.ended.IsZero() && !l.begun.After(n.answered) && l.ended.After(n.began) && l.ended.Before(at) {
			return l.ended, earlier(at, l.gone), true
		}
	}
	return at, at, false
}

// open judges the connections that a client had open, each time that it was taken in
// or refused for them.
func (j *judgement) open(k *knocker) {
	for _, n := range k.knocks {
		switch {
		case j.takenIn(k, n):
			j.openAtOne(k, n)
			j.openAtAll(k, n)
			j.openHeard(k, n)
		case n.refusedFor(overOpen) && j.ofClass(k, n):
			j.openOwn(k, n)
		}
	}
}

// openDuring is how many connections the client certainly had at those doors during
// all of a span, of those that were taken in after a time.
func (j *judgement) openDuring(k *knocker, s span, since time.Time, at func(*fleetDoor) bool) (count int) {
	for _, o := range k.knocks {
		end, _, _ := j.endOf(o)
		if at(o.door) && j.takenIn(k, o) && !o.began.Before(since) && !o.answered.After(s.from) && end.After(s.to) {
			count++
		}
	}
	return count
}

func everywhere(*fleetDoor) bool { return true }

// openAtOne: no door lets in more than that many, whatever it knows of others.
func (j *judgement) openAtOne(k *knocker, n *knock) {
	here := func(d *fleetDoor) bool { return d == n.door }
	if count := j.openDuring(k, span{n.answered, n.answered}, time.Time{}, here); count > k.kind.limit.Open {
		j.fault("too many open", &n.visit, "%d at one door, of %d", count, k.kind.limit.Open)
	}
}

// openAtAll: Open + (N-1)·min(Open, M+2·Rate·I), of those that were taken in since
// Redis was last away. What came before may be more, for doors forget each other then.
func (j *judgement) openAtAll(k *knocker, n *knock) {
	since := j.calmSince(n.answered)
	if since.IsZero() {
		return
	}
	l := k.kind.limit
	excess, _ := l.Excess(fleetDoors, exchangeTook)
	most := float64(l.Open) + min(float64(l.Open*(fleetDoors-1)), excess)
	count := j.openDuring(k, span{n.answered, n.answered}, since, everywhere)
	t := j.tally(k)
	t.open = max(t.open, float64(count)/most)
	if float64(count) > most {
		j.fault("too many open", &n.visit, "%d at all doors, of %.1f", count, most)
	}
}

// calmSince is when Redis was last away and all doors had exchanged after that; zero:
// it is away.
func (j *judgement) calmSince(t time.Time) time.Time {
	since := j.f.seen.began
	for _, o := range j.f.seen.away {
		if o.from.Before(t) {
			since = later(since, o.over().Add(blind))
		}
	}
	if since.After(t) {
		return time.Time{}
	}
	return since
}

// openHeard: a door lets none in beyond Open once it has heard of the others. It has
// for sure when it had a connection of the client itself for a renewal and an
// exchange, and the others for one exchange longer.
func (j *judgement) openHeard(k *knocker, n *knock) {
	renewed, told := n.began.Add(-openRenewal-blind), n.began.Add(-openRenewal-blind-blind/2)
	if !j.f.seen.fine(told, n.answered) || !told.After(j.f.seen.began) {
		return
	}
	here := func(d *fleetDoor) bool { return d == n.door }
	if j.openDuring(k, span{renewed, n.answered}, time.Time{}, here) == 0 {
		return
	}
	elsewhere := j.openDuring(k, span{told, n.answered}, time.Time{}, func(d *fleetDoor) bool { return d != n.door })
	own := j.openDuring(k, span{n.began, n.answered}, time.Time{}, here)
	j.tally(k).heard++
	if own+elsewhere >= k.kind.limit.Open {
		j.fault("let in beyond open", &n.visit, "with %d at this door, and %d elsewhere that it had heard of, of %d",
			own, elsewhere, k.kind.limit.Open)
	}
}

// openOwn: a client is refused for connections that it had, or that a door had which
// was killed and whose lease has not ended; those that have ended are given back as
// soon as it is known.
func (j *judgement) openOwn(k *knocker, n *knock) {
	seen, count, dead := j.lookedAt(n, k.knocks), 0, []time.Duration(nil)
	for _, o := range k.knocks {
		if o == n || o.shut || o.code == 421 || o.began.After(n.answered) || !j.countsUntil(o, n).After(seen) {
			continue
		}
		if _, end, killed := j.endOf(o); killed && end.Before(n.began) {
			dead = append(dead, n.began.Sub(end))
		} else {
			count++
		}
	}
	switch needed := k.kind.limit.Open - count; {
	case needed > len(dead):
		j.fault("refused for too few", &n.visit, "%d open and %d leased, of %d: %s", count, len(dead), k.kind.limit.Open, n.text)
	case needed > 0:
		slices.Sort(dead)
		t := j.tally(k)
		t.leased = max(t.leased, dead[needed-1])
	}
}

// lookedAt is the time as of which a door must know of the others, at the latest,
// when it answers a knock: it exchanged after the last one that it took in or refused
// for what is open, if Redis was there.
func (j *judgement) lookedAt(n *knock, knocks []*knock) time.Time {
	at := n.began.Add(-openLease)
	life := n.door.lifeAt(&n.visit)
	for _, o := range knocks {
		asked := o.code == 220 || o.refusedFor(overOpen)
		if asked && o.door == n.door && o.door.lifeAt(&o.visit) == life && o.answered.Before(n.began.Add(-blind/2)) {
			at = later(at, o.began)
		}
	}
	if !j.f.seen.fine(at, n.answered) {
		return n.began.Add(-openLease)
	}
	return at
}

// countsUntil is until when a connection may count in Redis, or at its own door.
func (j *judgement) countsUntil(o, at *knock) time.Time {
	_, end, killed := j.endOf(o)
	if end.After(at.began) {
		return end
	}
	if killed || !j.f.seen.fine(end, end.Add(blind/2)) {
		return end.Add(openLease + blind/2)
	}
	return end.Add(blind / 2)
}

// refusedFor reports whether it was refused for that.
func (n *knock) refusedFor(over budget.Over) bool { return n.code == 421 && overIn(n.text) == over }

const (
	overOpen = budget.OverOpen
	overRate = budget.OverRate
)
