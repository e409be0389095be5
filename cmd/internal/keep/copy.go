package keep

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"moggy/greylist"
	"moggy/store/redis"
	"moggy/whitelist"
)

// A copier keeps the copy on this machine in step with what is in force on this
// door. It goes beside the follower, and not before: a person's entry costs the
// disk a write of its own, and a thousand of them must not hold up what is in force.
//
// It remembers at most so many rows that are to be copied; beyond that it looks at
// all of them.
type copier struct {
	store *shared
	book  *whitelist.Book
	traps *greylist.Traps
	wake  chan struct{}

	mu   sync.Mutex
	todo todo
}

// todo is what of the copy may differ from what is in force.
type todo struct {
	place   string // of Redis' log, up to which all is in the copy when this is done; "": not known
	all     bool
	entries map[whitelist.EntryKey]struct{}
	traps   map[string]struct{}
}

// maxTodo is how many rows are remembered.
const maxTodo = 10_000

func newTodo() todo {
	return todo{entries: make(map[whitelist.EntryKey]struct{}), traps: make(map[string]struct{})}
}

func newCopier(s *shared, book *whitelist.Book, traps *greylist.Traps) *copier {
	return &copier{store: s, book: book, traps: traps, wake: make(chan struct{}, 1), todo: newTodo()}
}

// changed has rows copied as they are then in force.
func (c *copier) changed(changes []redis.Change) {
	c.add(func(t *todo) {
		for _, change := range changes {
			if change.Key.Net.IsValid() {
				t.entries[change.Key] = struct{}{}
			} else {
				t.traps[change.Address] = struct{}{}
			}
		}
		t.all = t.all || len(t.entries)+len(t.traps) > maxTodo
	})
}

// all has the copy made anew, but for what is in it already.
func (c *copier) all() { c.add(func(t *todo) { t.all = true }) }

// at says how far the copy goes when all up to now is done.
func (c *copier) at(place string) { c.add(func(t *todo) { t.place = place }) }

func (c *copier) add(more func(*todo)) {
	if c.store.copy == nil {
		return
	}
	c.mu.Lock()
	more(&c.todo)
	if c.todo.all { // which takes in the rest
		clear(c.todo.entries)
		clear(c.todo.traps)
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *copier) take() todo {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.todo
	c.todo = newTodo()
	return t
}

// lastCopy is how long the copy may take of a door that ends.
const lastCopy = 2 * time.Second

// run copies until ctx ends, and then what is left.
func (c *copier) run(ctx context.Context) {
	for {
		select {
		case <-c.wake:
			c.copy(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCopy)
			defer cancel()
			c.copy(last)
			return
		}
	}
}

// copy does what is to be done. What failed is done again, after a while.
func (c *copier) copy(ctx context.Context) {
	t := c.take()
	err := c.rows(ctx, t)
	if err == nil {
		c.store.setMark(t.place)
		return
	}
	c.add(func(next *todo) { next.all, next.place = true, cmp.Or(next.place, t.place) })
	if ctx.Err() == nil {
		c.store.copied(err)
		pause(ctx, again)
	}
}

func (c *copier) rows(ctx context.Context, t todo) error {
	list, traps := c.book.List(), c.traps.All()
	if t.all {
		return errors.Join(c.allEntries(ctx, list), c.allTraps(ctx, traps))
	}
	for k := range t.entries {
		if err := c.entry(ctx, list, k); err != nil {
			return err
		}
	}
	for address := range t.traps {
		if err := c.trap(ctx, traps, address); err != nil {
			return err
		}
	}
	return nil
}

// entry makes one row of the copy what it is in the list.
func (c *copier) entry(ctx context.Context, list *whitelist.List, k whitelist.EntryKey) error {
	if e, ok := list.Get(k.Net, k.Source); ok {
		return c.store.copyEntry(ctx, e)
	}
	return c.store.uncopyEntry(ctx, k)
}

func (c *copier) trap(ctx context.Context, traps map[string]greylist.Trap, address string) error {
	if t, ok := traps[address]; ok && !t.Configured {
		return c.store.copyTrap(ctx, t)
	}
	return c.store.uncopyTrap(ctx, address)
}

// allEntries leaves alone what is in the copy as it is in force.
func (c *copier) allEntries(ctx context.Context, list *whitelist.List) error {
	same := make(map[whitelist.EntryKey]bool)
	var other []whitelist.EntryKey
	for e, err := range c.store.copy.Entries(ctx) {
		if err != nil {
			return err
		}
		if now, ok := list.Get(e.Net, e.Source); ok && alike(now, e) {
			same[e.Key()] = true
		} else {
			other = append(other, e.Key())
		}
	}
	for e := range list.All() {
		if e.Source != whitelist.Local && !same[e.Key()] {
			other = append(other, e.Key())
		}
	}
	for _, k := range other {
		if err := c.entry(ctx, list, k); err != nil {
			return err
		}
	}
	return nil
}

// alike reports whether two entries of one key say the same, but for their use: a
// list knows whole seconds.
func alike(a, b whitelist.Entry) bool {
	return a.Class == b.Class && a.Deny == b.Deny && a.Note == b.Note && a.Renew.Truncate(time.Second) == b.Renew.Truncate(time.Second) &&
		second(a.Added) == second(b.Added) && second(a.Expires) == second(b.Expires)
}

func second(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func (c *copier) allTraps(ctx context.Context, traps map[string]greylist.Trap) error {
	had, err := collect(c.store.copy.Traps(ctx))
	if err != nil {
		return err
	}
	other := make(map[string]bool)
	for t := range typed(traps) {
		other[t.Address] = true
	}
	for _, t := range had {
		now, ok := traps[t.Address]
		other[t.Address] = !ok || now.Configured || now.Note != t.Note || !now.Added.Equal(t.Added)
	}
	for address, differs := range other {
		if !differs {
			continue
		}
		if err := c.trap(ctx, traps, address); err != nil {
			return err
		}
	}
	return nil
}
