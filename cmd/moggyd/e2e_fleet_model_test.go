package main_test

import (
	"slices"
	"sync"
	"time"

	"moggy/verdict"
	"moggy/verdict/journal"
)

// The model knows what a door has to know at a time, from what is promised:
//
//   - What Redis has taken it keeps, unless it is emptied.
//   - What a door was told while Redis was away it knows itself, until it dies, and
//     Redis knows it when the door says that all is well. A door that is killed
//     before that takes it along: such a try is a first one again elsewhere.
//   - A door that answers from memory knows only what it had to do with itself.
//   - An entry is in force at the door where it was made at once; at the others after
//     a second in which Redis was there; and it stays so, on that machine, for good.
//
// Where a door need not know, either answer of it is right.

// A chronicle is what was done to a fleet, and what peers saw of it.
type chronicle struct {
	began time.Time

	mu      sync.Mutex
	away    []outage
	letters []*letter
	friends []*friend
	entries int // that were made before it began
}

// An outage of Redis.
type outage struct {
	span
	what string
}

// over is when all doors have noticed that Redis is back.
func (o outage) over() time.Time {
	if o.what == stalls {
		return o.to.Add(recovery / 2) // they ask again at once
	}
	return o.to.Add(recovery)
}

// A letter is a triplet; all letters of a stranger have one origin.
type letter struct {
	origin int
	to     string
	visits []*visit
}

// A friend is a network that a person has let in.
type friend struct {
	since  time.Time // when the person was told so
	visits []*visit
}

func (c *chronicle) letter(origin int, to string) *letter {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := &letter{origin: origin, to: to}
	c.letters = append(c.letters, m)
	return m
}

func (c *chronicle) friend(since time.Time) *friend {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &friend{since: since}
	c.friends = append(c.friends, f)
	return f
}

func (m *letter) note(v *visit) { m.visits = append(m.visits, v) }
func (f *friend) note(v *visit) { f.visits = append(f.visits, v) }

// redisAway notes that Redis is away, until what it returns is called.
func (c *chronicle) redisAway(what string) (back func()) {
	from := time.Now()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.away = append(c.away, outage{span{from, time.Now()}, what})
	}
}

// The bounds of the model.
const (
	recovery = 2 * time.Second        // until a door has noticed that Redis is back
	asking   = 4 * time.Second        // until one that began without Redis has the entries: it asks every second
	telling  = 2 * time.Second        // until it says that all is well, or that it is not
	copying  = 3 * time.Second        // until an entry that is in force is in the door's copy; no time is promised
	slack    = 100 * time.Millisecond // between a peer's clock at its end, and the door's
)

// fine reports whether Redis was there all the while, and had been.
func (c *chronicle) fine(from, to time.Time) bool {
	return !slices.ContainsFunc(c.away, func(o outage) bool { return o.from.Before(to) && o.over().After(from) })
}

// emptied reports whether Redis lost what it had at that time.
func (c *chronicle) emptied(from, to time.Time) bool {
	return slices.ContainsFunc(c.away, func(o outage) bool {
		return o.what == emptied && o.from.Before(to) && o.over().After(from)
	})
}

// calm is the first time after t at which Redis had been there for a while; zero:
// there is none before end.
func (c *chronicle) calm(t, end time.Time, d time.Duration) time.Time {
	begins := []time.Time{t}
	for _, o := range c.away {
		begins = append(begins, later(t, o.over()))
	}
	slices.SortFunc(begins, time.Time.Compare)
	for _, b := range begins {
		if at := b.Add(d); at.Before(end) && c.fine(b, at) {
			return at
		}
	}
	return time.Time{}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// lifeAt is the life of the door in which all of a visit was; nil: there is none.
func (d *fleetDoor) lifeAt(v *visit) *life {
	for _, l := range d.lives {
		if !l.ready.After(v.began) && (l.ended.IsZero() || l.ended.After(v.answered)) {
			return l
		}
	}
	return nil
}

// An account is what a door says of a visit.
type account struct {
	known    bool // it says something
	degraded bool // it answered from memory, or may have
}

// accounts reads the journals of all doors.
func (f *fleet) accounts() map[*visit]account {
	all := make(map[*visit]account)
	for _, d := range f.doors {
		told := make(map[string][]journal.Record)
		for _, r := range d.records() {
			if r.Event == journal.EventDecided && r.Stage == verdict.Recipient {
				told[r.To] = append(told[r.To], r)
			}
		}
		for _, m := range f.seen.letters {
			for _, v := range m.visits {
				if v.door == d {
					all[v] = accountOf(told[v.to], v)
				}
			}
		}
	}
	return all
}

func accountOf(told []journal.Record, v *visit) (a account) {
	for _, r := range told {
		if !v.sent.IsZero() && r.Time.After(v.sent.Add(-slack)) && r.Time.Before(v.answered.Add(slack)) {
			a.known = true
			a.degraded = a.degraded || slices.Contains(r.Degraded, verdict.Store)
		}
	}
	return a
}

// told is when Redis had, at the latest, what a door learned at that time; zero:
// never, as far as is known.
func (l *life) toldBy(t time.Time) time.Time {
	for _, asked := range l.told {
		if asked.After(t.Add(telling)) {
			return asked
		}
	}
	return time.Time{}
}

// knows reports whether what a door did in one visit must be known in a later one.
func (j *judgement) knows(past, v *visit) bool {
	then, now := past.door.lifeAt(past), v.door.lifeAt(v)
	switch {
	case then == nil || now == nil || j.f.seen.emptied(past.began, v.answered):
		return false
	case then == now:
		return true
	case !j.accounts[v].known || j.accounts[v].degraded:
		return false
	}
	if a := j.accounts[past]; past.code == 451 && a.known && !a.degraded {
		return true
	}
	kept := then.toldBy(past.answered)
	return !kept.IsZero() && kept.Before(v.sent)
}

// letsIn reports whether an entry made at that time must be in force in a visit.
//
// A door that begins gives Redis what its copy has, if Redis was emptied since the copy
// was made, and reads what Redis has then; or its copy, where Redis does not answer. So
// what was held stays in force.
func (c *chronicle) letsIn(since time.Time, v *visit) bool {
	held := false // by this machine, whether Redis is there or not
	for _, l := range v.door.lives {
		end := l.ended
		if end.IsZero() || end.After(v.began) {
			end = v.began
		}
		if l.ready.After(v.began) {
			break
		}
		takes := seenBy
		if l.alone {
			takes += asking
		}
		at := c.calm(later(since, l.ready), end, takes)
		fresh := l.begun.After(since) && c.fine(l.begun, l.ready) && !l.alone
		if l == v.door.lifeAt(v) {
			return !at.IsZero() || fresh || held
		}
		held = held || !at.IsZero() && at.Add(copying).Before(end) || fresh && l.ready.Add(copying).Before(end)
	}
	return false
}
