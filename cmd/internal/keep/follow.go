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
	f.begin(ctx)
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

// begin puts in force what Redis has, where that is not so yet, and waits until Redis
// answers. Redis may have answered for the traps alone, or for the entries: then Watch
// has a place to go on from, and would not read the rest.
func (f *follower) begin(ctx context.Context) {
	if !f.store.fellBack.Load() {
		f.copier.all()
		return
	}
	for f.first(ctx) != nil && pause(ctx, again) {
	}
}

func (f *follower) first(ctx context.Context) error {
	if err := f.store.catchUp(ctx); err != nil {
		return err
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

// At implements redis.Follower.
func (f *follower) At(place string) { f.copier.at(place) }

// Restore implements redis.Follower.
func (f *follower) Restore(ctx context.Context) error {
	return f.store.restore(ctx, f.book.List().All(), typed(f.traps.All()))
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
