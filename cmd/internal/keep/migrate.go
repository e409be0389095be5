package keep

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"moggy/cmd/internal/config"
	"moggy/greylist"
	"moggy/whitelist"
)

// Copied counts what was copied from one store to another, and what of it is not there
// afterwards.
type Copied struct {
	Said     int `json:"said"`    // entries of persons
	Learned  int `json:"learned"` // entries
	Traps    int `json:"traps"`
	Origins  int `json:"origins"`
	Triplets int `json:"triplets"`
	Missing  int `json:"missing"` // rows that were read back and are not as they were
}

// mover is what a store can do beside what a daemon asks of it.
type mover interface {
	Store
	Keep(context.Context, greylist.Row, greylist.Timers, time.Time) error
	KeepOrigin(context.Context, greylist.OriginRow, greylist.Timers, time.Time) error
	Sync() error
}

// OpenURL opens the store of a URL as [store] url has it, for a copy.
func OpenURL(c *config.Config, url string) (Store, error) {
	named := *c
	named.Store.URL = url
	return OpenAlone(&named)
}

// Copy gives all that one store keeps to another, which keeps what it had, and reads it
// back. Times of use may differ by what a store does not write each time.
func Copy(ctx context.Context, from, to Store, timers greylist.Timers, now time.Time) (n Copied, err error) {
	dst, ok := to.(mover)
	if !ok {
		return n, fmt.Errorf("copying to %T is not available", to)
	}
	c := copying{from: from, to: dst, timers: timers, now: now, n: &n}
	for _, part := range []func(context.Context) error{c.entries, c.traps, c.origins, c.triplets} {
		if err := part(ctx); err != nil {
			return n, err
		}
		if err := dst.Sync(); err != nil {
			return n, fmt.Errorf("writing what was copied: %w", err)
		}
	}
	return n, c.verify(ctx)
}

type copying struct {
	from   Store
	to     mover
	timers greylist.Timers
	now    time.Time
	n      *Copied
}

// batch is after how many rows what is held in memory is written.
const batch = 10_000

// pause writes what was copied so far now and then.
func (c *copying) pause(n int) error {
	if n%batch != 0 {
		return nil
	}
	return c.to.Sync()
}

func (c *copying) entries(ctx context.Context) error {
	for e, err := range c.from.Entries(ctx) {
		if err != nil {
			return err
		}
		if e.Source.Said() {
			c.n.Said++
			err = c.to.PutEntry(ctx, e)
		} else {
			c.n.Learned++
			c.to.LearnEntries(e)
			err = c.pause(c.n.Learned)
		}
		if err != nil {
			return fmt.Errorf("copying the entry for %s: %w", e.Net, err)
		}
	}
	return nil
}

func (c *copying) traps(ctx context.Context) error {
	for t, err := range c.from.Traps(ctx) {
		if err == nil {
			err = c.to.PutTrap(ctx, t)
		}
		if err != nil {
			return fmt.Errorf("copying the traps: %w", err)
		}
		c.n.Traps++
	}
	return nil
}

func (c *copying) origins(ctx context.Context) error {
	for o, err := range c.from.Origins(ctx, c.now) {
		if err == nil {
			err = c.to.KeepOrigin(ctx, o, c.timers, c.now)
		}
		if c.n.Origins++; err == nil {
			err = c.pause(c.n.Origins)
		}
		if err != nil {
			return fmt.Errorf("copying the known origins: %w", err)
		}
	}
	return nil
}

func (c *copying) triplets(ctx context.Context) error {
	for r, err := range c.from.Triplets(ctx, c.now) {
		if err == nil {
			err = c.to.Keep(ctx, r, c.timers, c.now)
		}
		if c.n.Triplets++; err == nil {
			err = c.pause(c.n.Triplets)
		}
		if err != nil {
			return fmt.Errorf("copying the deferred mail: %w", err)
		}
	}
	return nil
}

// verify reads back what was copied. Of deferred mail what would have to wait for
// longer than before counts as missing.
func (c *copying) verify(ctx context.Context) error {
	entries, err1 := missing(c.from.Entries(ctx), c.to.Entries(ctx), whitelist.Entry.Key, func(was, is whitelist.Entry) bool {
		return was.Deny == is.Deny && was.Class == is.Class && was.Note == is.Note && was.Expires.Sub(is.Expires).Abs() < time.Second
	})
	traps, err2 := missing(c.from.Traps(ctx), c.to.Traps(ctx), func(t greylist.Trap) string { return t.Address },
		func(was, is greylist.Trap) bool { return was.Note == is.Note })
	origins, err3 := missing(c.from.Origins(ctx, c.now), c.to.Origins(ctx, c.now), func(o greylist.OriginRow) greylist.Key { return o.Origin.Key() },
		func(was, is greylist.OriginRow) bool { return true })
	triplets, err4 := missing(c.from.Triplets(ctx, c.now), c.to.Triplets(ctx, c.now), func(r greylist.Row) greylist.Key { return r.Triplet.Key() },
		func(was, is greylist.Row) bool { return !is.First.After(was.First.Add(time.Second)) })
	c.n.Missing = entries + traps + origins + triplets
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return fmt.Errorf("reading back what was copied: %w", err)
	}
	return nil
}

// missing counts the rows of from that are not in to, or not the same there.
func missing[T any, K comparable](from, to iter.Seq2[T, error], key func(T) K, same func(was, is T) bool) (n int, err error) {
	there := make(map[K]T)
	for row, err := range to {
		if err != nil {
			return 0, err
		}
		there[key(row)] = row
	}
	for row, err := range from {
		if err != nil {
			return n, err
		}
		if is, ok := there[key(row)]; !ok || !same(row, is) {
			n++
		}
	}
	return n, nil
}
