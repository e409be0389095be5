package foreign

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"moggy/whitelist"
)

// Patience is how long a look waits for one reader.
const Patience = 20 * time.Second

// Options are what a Watch needs.
type Options struct {
	Readers  []Reader
	List     func() *whitelist.List // the List in force
	Every    time.Duration          // between two looks of Run; 0: only when asked
	Appeared func(Hit)              // told once of each hit; must not call the Watch; nil: nobody
	Gone     func(Hit)              // told once when it is gone; must not call the Watch; nil: nobody
}

// A Watch looks for known-good addresses that are blocked, and remembers which
// it has told of. Its methods may be called from many goroutines; they look one
// after the other.
type Watch struct {
	o       Options
	turn    chan struct{} // holds one token: who has it looks
	asked   []*asked
	reads   sync.WaitGroup
	seen    map[key]found // of the last look; for who has the turn
	last    atomic.Pointer[Report]
	nothing *whitelist.List // before there is a List
}

// NewWatch returns a Watch that has not looked yet.
func NewWatch(o Options) *Watch {
	w := &Watch{o: o, turn: make(chan struct{}, 1), seen: make(map[key]found)}
	for _, r := range o.Readers {
		w.asked = append(w.asked, &asked{Reader: r})
	}
	w.nothing = whitelist.NewList(func(func(whitelist.Entry) bool) {})
	w.turn <- struct{}{}
	w.last.Store(&Report{})
	return w
}

// Run looks at once and then every Options.Every until ctx ends, and returns when
// all readers have. With Every 0 it returns at once.
func (w *Watch) Run(ctx context.Context) {
	if w.o.Every <= 0 {
		return
	}
	defer w.reads.Wait()
	tick := time.NewTicker(w.o.Every)
	defer tick.Stop()
	for ctx.Err() == nil {
		w.Look(ctx)
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// Last returns what the last look found, without looking.
func (w *Watch) Last() Report { return *w.last.Load() }

// Look asks all readers now. It takes as long as the slowest of them, at most
// Patience after those who asked before. When ctx ends first, what was not read
// by then counts as unread.
func (w *Watch) Look(ctx context.Context) Report {
	_, report := w.look(ctx)
	return report
}

// About looks, and returns as well all that blocks addr, be it good or not.
func (w *Watch) About(ctx context.Context, addr netip.Addr) ([]Block, Report) {
	readings, report := w.look(ctx)
	var about []Block
	for _, r := range readings {
		about = append(about, About(r.blocks, addr)...)
	}
	return about, report
}

func (w *Watch) look(ctx context.Context) ([]reading, Report) {
	select {
	case <-w.turn:
	case <-ctx.Done():
		return nil, w.Last()
	}
	defer func() { w.turn <- struct{}{} }()
	readings := w.read(ctx)
	now := time.Now()
	c := &crossing{list: w.list(), now: now, hits: make(map[key]found)}
	c.cross(readings)
	report := w.compare(c, readings)
	w.last.Store(&report)
	return readings, report
}

// maxKept is for how many looks a hit is kept that cannot be read: part of a firewall
// may never be readable, and what was lifted must not be an alarm for ever.
const maxKept = 5

func (w *Watch) list() *whitelist.List {
	if w.o.List == nil {
		return w.nothing
	}
	return w.o.List()
}

// compare tells of what appeared and what is gone since the last look.
func (w *Watch) compare(c *crossing, readings []reading) Report {
	report := Report{Time: c.now, Unread: make(map[string]string)}
	for _, r := range readings {
		switch {
		case r.err == nil:
			report.Read = append(report.Read, r.name)
		case !errors.Is(r.err, ErrAbsent):
			report.Unread[r.name] = r.err.Error()
		}
	}
	for k, old := range w.seen { // what could not be read now may still be there
		_, unread := report.Unread[old.reader]
		if _, there := c.hits[k]; !there && unread && old.kept < maxKept {
			old.kept++
			c.keep(old)
		}
	}
	hits := c.sorted()
	if len(hits) > MaxHits {
		report.More = len(hits) - MaxHits
		hits = hits[:MaxHits]
	}
	report.Hits = w.tell(hits, c.now)
	return report
}

// tell calls Appeared and Gone, and remembers the hits.
func (w *Watch) tell(hits []found, now time.Time) (told []Hit) {
	before := w.seen
	w.seen = make(map[key]found, len(hits))
	for _, f := range hits {
		old, had := before[f.key()]
		if f.First = old.First; !had {
			f.First = now
		}
		w.seen[f.key()] = f
		told = append(told, f.Hit)
		if !had && w.o.Appeared != nil {
			w.o.Appeared(f.Hit)
		}
	}
	for k, old := range before {
		if _, still := w.seen[k]; !still && w.o.Gone != nil {
			w.o.Gone(old.Hit)
		}
	}
	return told
}
