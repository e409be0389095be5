// Package tally counts what a journal says of the last day: who came, what became
// of them, and which known peers were harmed.
//
// It knows where a journal's lines say that, and reads them backwards from the
// newest for a bounded time, without making a record of each: a few hundred
// megabytes take a fraction of a second. It does not keep anything from one
// reading to the next, and does not know how the numbers are shown.
package tally

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"moggy/verdict/journal"
	"moggy/whitelist"
)

// Span is how far back is counted.
const Span = 24 * time.Hour

// The bounds of a Day.
const (
	MaxHarms   = 20     // listed; all are counted
	maxPeers   = 10_000 // told apart; with more than that Peers stands still
	maxClasses = 64     // told apart; those beyond are counted as one
)

// A Day is what a journal says of the time since From.
type Day struct {
	Time    time.Time     // when it was counted
	Took    time.Duration // counting it
	From    time.Time     // nothing since then is left out
	Bound   Bound         // why that is less than Span ago; "": it is not
	Fault   string        // why the journal could not be read; "": it could
	Records int           // that were counted

	Classes []Class // the most trusted first, those that an operator made up after the built-in ones
	Harms   []Harm  // the latest first, at most MaxHarms
	Peers   int     // known peers that were harmed
	Times   int     // that it happened
}

// A Bound says what ended the look back.
type Bound string

// The bounds.
const (
	Begins Bound = "begins" // the journal begins there
	Time   Bound = "time"   // there was no time to read more
)

// A Class is what became of the connections of one class. Came counts those that
// were accepted, the others those that have ended, by their class at the end.
type Class struct {
	Class    whitelist.Class
	Came     int
	LetIn    int // the backend had them
	Deferred int // told to come back
	Held     int // kept, to a refusal
	Refused  int // no room, no mail, no backend
	Left     int // went by themselves before they were told anything, or broke
	Harmed   int // known peers refused or made to wait, at whatever stage
}

// A Harm is what a known peer met with, by one rule.
type Harm struct {
	Peer     netip.Addr
	Class    whitelist.Class  // at the last time
	Evidence whitelist.Source // for that
	Rule     string
	Listener string // of the last time
	Ref      string // of the last time
	Why      string // the numbers that decided the last time, as in the journal
	Times    int
	First    time.Time
	Last     time.Time
	Do       string // what to type; "": nothing
}

// Count reads the journal in dir back to Span before now, or until patience is
// over.
func Count(dir string, now time.Time, patience time.Duration) Day {
	c := newCounter(now)
	err := backward(dir, time.Now().Add(patience), c.block)
	return c.day(err)
}

// A counter is a Day in the making.
type counter struct {
	now     time.Time
	began   time.Time
	since   []byte // Span ago, as a line begins
	before  []byte // no line before one of this time matters
	oldest  []byte // the time of the oldest line that counts; nil: none did
	past    bool   // lines older than that were met
	records int
	classes map[whitelist.Class]*Class
	harms   harms
}

func newCounter(now time.Time) *counter {
	since := now.Add(-Span).UTC()
	return &counter{now: now, began: time.Now(), classes: make(map[whitelist.Class]*Class), harms: newHarms(),
		since: since.AppendFormat(nil, timeFormat), before: since.Add(-disorder).AppendFormat(nil, timeFormat)}
}

// class returns the row of a class.
func (c *counter) class(name []byte) *Class {
	if row := c.classes[whitelist.Class(name)]; row != nil {
		return row
	}
	class := whitelist.Class(name)
	if len(c.classes) >= maxClasses {
		class = "other"
	}
	if c.classes[class] == nil {
		c.classes[class] = &Class{Class: class}
	}
	return c.classes[class]
}

// day is what was counted; err is what ended the reading early.
func (c *counter) day(err error) Day {
	d := Day{Time: c.now, Took: time.Since(c.began), From: c.now.Add(-Span), Records: c.records,
		Harms: c.harms.listed(), Peers: len(c.harms.peers), Times: c.harms.times}
	c.reach(&d, err)
	for _, row := range c.classes {
		d.Classes = append(d.Classes, *row)
	}
	slices.SortFunc(d.Classes, func(a, b Class) int {
		return cmp.Or(cmp.Compare(rank(a.Class), rank(b.Class)), cmp.Compare(a.Class, b.Class))
	})
	return d
}

// reach says how far back the reading came.
func (c *counter) reach(d *Day, err error) {
	oldest, none := time.Parse(timeFormat, string(c.oldest))
	switch {
	case err == errTime:
		d.Bound = Time
	case err != nil:
		d.Fault = err.Error()
	case !c.past && none == nil:
		d.Bound = Begins
	default:
		return
	}
	if d.From = c.now; none == nil {
		d.From = oldest
	}
}

// rank is the place of a class in the order of [whitelist.Kinds].
func rank(c whitelist.Class) int {
	kinds := whitelist.Kinds()
	i := slices.IndexFunc(kinds, func(k whitelist.Kind) bool { return k.Class == c })
	switch {
	case i >= 0:
		return i
	case c == journal.Denied:
		return len(kinds) + 1
	}
	return len(kinds)
}
