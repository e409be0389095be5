package keep

import (
	"context"
	"iter"
	"sync"
	"time"

	"moggy/greylist"
	"moggy/store/redis"
	"moggy/whitelist"
)

// again is how long a door waits before it tries again what Redis or the disk
// refused.
const again = time.Second

// Follow implements Store.
func (s *shared) Follow(ctx context.Context, book *whitelist.Book, traps *greylist.Traps) {
	f := &follower{store: s, book: book, traps: traps, copier: newCopier(s, book, traps)}
	var copying sync.WaitGroup
	defer copying.Wait()
	copying.Go(func() { f.copier.run(ctx) })
	if s.fellBack.Load() {
		f.catchUp(ctx)
	} else {
		f.copier.all()
	}
	s.Watch(ctx, f)
}

// follower keeps what is in force on this door in step with Redis.
type follower struct {
	store  *shared
	book   *whitelist.Book
	traps  *greylist.Traps
	copier *copier
}

var _ redis.Follower = (*follower)(nil)

// catchUp reads what a door has from its copy until Redis says it. Redis may have
// answered for the traps alone, or for the entries: then Watch has a place to go
// on from, and would not read the rest.
func (f *follower) catchUp(ctx context.Context) {
	for f.reread(ctx) != nil && pause(ctx, again) {
	}
}

// reread gives an empty Redis what is in force here before that is read from it. All
// doors may have been down when it lost what it had, and none could say so.
func (f *follower) reread(ctx context.Context) error {
	entries, err := collect(f.store.Store.Entries(ctx))
	if err != nil {
		return err
	}
	traps, err := collect(f.store.Store.Traps(ctx))
	if err != nil {
		return err
	}
	if len(entries)+len(traps) == 0 {
		if err := f.Restore(ctx); err != nil {
			return err
		}
	}
	return f.Reload(ctx)
}

// pause reports false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Apply implements redis.Follower.
func (f *follower) Apply(changes []redis.Change) {
	for _, c := range changes {
		switch {
		case c.Entry.Net.IsValid():
			f.book.Follow(c.Entry)
		case c.Key.Net.IsValid():
			f.book.Unfollow(c.Key)
		case c.Trap.Address != "":
			f.traps.Follow(c.Trap)
		default:
			f.traps.Unfollow(c.Address)
		}
	}
	f.copier.changed(changes)
}

// Reload implements redis.Follower.
func (f *follower) Reload(ctx context.Context) error {
	if err := f.book.Reload(ctx, time.Now()); err != nil {
		return err
	}
	if err := f.traps.Reload(ctx); err != nil {
		return err
	}
	f.copier.all()
	return nil
}

// Restore implements redis.Follower.
func (f *follower) Restore(ctx context.Context) error {
	n, err := f.store.Restore(ctx, f.book.List().All(), typed(f.traps.All()))
	if err == nil {
		f.store.log.Warn("Redis had lost entries; those in force here were given back to it", "entries", n)
	}
	return err
}

// typed are the traps that persons added.
func typed(traps map[string]greylist.Trap) iter.Seq[greylist.Trap] {
	return func(yield func(greylist.Trap) bool) {
		for _, t := range traps {
			if !t.Configured && !yield(t) {
				return
			}
		}
	}
}
