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
	total int
	debt  float64
	at    time.Time
	doors map[*link]visited
}

// A visited is what a door said when it last asked, and what there was then.
type visited struct {
	seen, open int
	ends       time.Time
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
	c.debt = max(0, c.debt-now.Sub(c.at).Minutes()*float64(u.Limit.Rate))
	o := Others{Key: u.Key, Tokens: int(math.Ceil(c.debt))}
	if last, ok := c.doors[from]; ok {
		o.Tokens = min(o.Tokens, c.total-last.seen)
	}
	for door, v := range c.doors {
		if door != from && now.Before(v.ends) {
			o.Open += v.open
		}
	}
	c.total += u.Tokens
	c.debt, c.at = min(u.Limit.MostOwed(), max(0, c.debt+float64(u.Tokens))), now
	c.doors[from] = visited{c.total, u.Open, now.Add(lease)}
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

// fleet runs doors in virtual time, that begin one after the other within a second.
func fleet(t *testing.T, n int, took time.Duration, f func(t *testing.T, doors []*door)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &hub{budgets: map[Key]*common{}}
		var doors []*door
		for range n {
			doors = append(doors, h.open(t, took))
			time.Sleep(interval / time.Duration(n))
		}
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
