package keep

import (
	"context"
	"iter"
	"time"

	"moggy/greylist"
	"moggy/store/redis"
	"moggy/whitelist"
)

// Follow implements Store.
func (s *shared) Follow(ctx context.Context, book *whitelist.Book, traps *greylist.Traps) {
	s.Watch(ctx, &follower{s, book, traps})
}

// follower keeps what is in force on this door, and the copy, in step with Redis.
type follower struct {
	store *shared
	book  *whitelist.Book
	traps *greylist.Traps
}

var _ redis.Follower = (*follower)(nil)

// copyPatience is how long this machine's own disk may take for a row of the copy.
const copyPatience = 5 * time.Second

// Apply implements redis.Follower.
func (f *follower) Apply(changes []redis.Change) {
	ctx, cancel := context.WithTimeout(context.Background(), copyPatience)
	defer cancel()
	for _, c := range changes {
		f.store.copied(f.apply(ctx, c))
	}
}

func (f *follower) apply(ctx context.Context, c redis.Change) error {
	switch {
	case c.Entry.Net.IsValid():
		f.book.Follow(c.Entry)
		return f.store.copyEntry(ctx, c.Entry)
	case c.Key.Net.IsValid():
		f.book.Unfollow(c.Key)
		return f.store.uncopyEntry(ctx, c.Key)
	case c.Trap.Address != "":
		f.traps.Follow(c.Trap)
		return f.store.copyTrap(ctx, c.Trap)
	}
	f.traps.Unfollow(c.Address)
	return f.store.uncopyTrap(ctx, c.Address)
}

// Reload implements redis.Follower.
func (f *follower) Reload(ctx context.Context) error {
	if err := f.book.Reload(ctx, time.Now()); err != nil {
		return err
	}
	if err := f.traps.Reload(ctx); err != nil {
		return err
	}
	f.store.copied(f.store.copyAll(ctx, f.book.List(), f.traps.All()))
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
