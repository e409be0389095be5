package budget

import (
	"context"
	"errors"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A hub is what doors exchange through. It does what the script in Redis does.
type hub struct {
	mu      sync.Mutex
	budgets map[Key]*common
}

// A common is what all doors have used of a budget.
type common struct {
	conns, recipients pile
	at                time.Time
	doors             map[*link]visited
}

// A pile is what they used of one of its quotas, and what is owed of that.
type pile struct {
	total int
	debt  float64
}

// add adds what a door used that saw so much of the total, and says what others did.
func (p *pile) add(q quota, used int, gone time.Duration, seen *int) (others int) {
	p.debt = max(0, p.debt-gone.Minutes()*float64(q.rate))
	others = int(math.Ceil(p.debt))
	if seen != nil {
		others = min(others, p.total-*seen)
	}
	p.total += used
	p.debt = min(inTokens(q.mostCharged()), max(0, p.debt+float64(used)))
	return others
}

// A visited is what a door said when it last asked, and what there was then.
type visited struct {
	conns, recipients int // the totals
	open              int
	ends              time.Time
}

func (h *hub) exchange(from *link, u Use, lease time.Duration) Others {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.budgets[u.Key]
	if c == nil {
		c = &common{at: time.Now(), doors: map[*link]visited{}}
		h.budgets[u.Key] = c
	}
	now := time.Now()
	o, gone := Others{Key: u.Key}, now.Sub(c.at)
	var conns, recipients *int
	if last, ok := c.doors[from]; ok {
		conns, recipients = &last.conns, &last.recipients
	}
	o.Tokens = c.conns.add(u.Limit.connections(), u.Tokens, gone, conns)
	o.Recipients = c.recipients.add(u.Limit.recipients(), u.Recipients, gone, recipients)
	for door, v := range c.doors {
		if door != from && now.Before(v.ends) {
			o.Open += v.open
		}
	}
	c.at = now
	c.doors[from] = visited{c.conns.total, c.recipients.total, u.Open, now.Add(lease)}
	return o
}

// How a link works.
const (
	working int32 = iota
	failing       // at once
	cutting       // the hub counts, but no answer comes
	hanging       // until its context ends, and longer
)

// A link is one door's way to the hub.
type link struct {
	hub   *hub
	mode  atomic.Int32
	took  time.Duration // what an exchange takes
	mu    sync.Mutex
	calls [][]Use
}

// forget empties the hub, as one that was restarted without its memory.
func (h *hub) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	clear(h.budgets)
}

var errLink = errors.New("no way to the hub")

func (l *link) Exchange(ctx context.Context, uses []Use, lease time.Duration) (all []Others, err error) {
	l.mu.Lock()
	l.calls = append(l.calls, append([]Use(nil), uses...))
	l.mu.Unlock()
	switch l.mode.Load() {
	case failing:
		return nil, errLink
	case hanging:
		<-ctx.Done()
		time.Sleep(time.Minute)
		return nil, errLink
	}
	time.Sleep(l.took / 2)
	for _, u := range uses {
		all = append(all, l.hub.exchange(l, u, lease))
	}
	time.Sleep(l.took / 2)
	if l.mode.Load() == cutting {
		return nil, errLink
	}
	return all, nil
}

// asked are the uses since the last time.
func (l *link) asked() (uses []Use) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, call := range l.calls {
		uses = append(uses, call...)
	}
	l.calls = nil
	return uses
}

// A door is a Fleet that runs.
type door struct {
	*Fleet
	link *link
	stop context.CancelFunc
}

// die ends a door so that it tells nobody.
func (d *door) die() {
	d.link.mode.Store(failing)
	d.stop()
	synctest.Wait()
}

// fleet runs doors in virtual time, that begin one after the other within a second;
// f begins between two of their exchanges.
func fleet(t *testing.T, n int, took time.Duration, f func(t *testing.T, doors []*door)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hub{budgets: map[Key]*common{}}
		var doors []*door
		for range n {
			doors = append(doors, h.open(t, took))
			time.Sleep(interval / time.Duration(n))
		}
		time.Sleep(interval / time.Duration(2*n))
		f(t, doors)
	})
}

// open opens a door, which the test closes.
func (h *hub) open(t *testing.T, took time.Duration) *door {
	ctx, stop := context.WithCancel(t.Context())
	l := &link{hub: h, took: took}
	d := &door{NewFleet(l), l, stop}
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx)
	}()
	t.Cleanup(func() { stop(); <-done })
	return d
}
