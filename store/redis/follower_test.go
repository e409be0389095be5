package redis

import (
	"context"
	"maps"
	"sync"
	"testing"

	"moggy/greylist"
	"moggy/whitelist"
)

// A book is a Follower such as whitelist.Book and greylist.Traps will be together.
type book struct {
	s *Store

	mu                sync.Mutex
	entries           map[whitelist.EntryKey]whitelist.Entry
	traps             map[string]greylist.Trap
	reloads, restores int
	place             string
}

// openBook reads what there is, and follows until the test ends.
func openBook(t *testing.T, s *Store) *book {
	t.Helper()
	b := &book{s: s}
	must(t, b.read(context.Background()))
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { s.Watch(ctx, b) })
	t.Cleanup(func() { stop(); wg.Wait() })
	return b
}

func (b *book) read(ctx context.Context) error {
	entries, traps := map[whitelist.EntryKey]whitelist.Entry{}, map[string]greylist.Trap{}
	for e, err := range b.s.Entries(ctx) {
		if err != nil {
			return err
		}
		entries[e.Key()] = e
	}
	for t, err := range b.s.Traps(ctx) {
		if err != nil {
			return err
		}
		traps[t.Address] = t
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries, b.traps = entries, traps
	return nil
}

func (b *book) Apply(changes []Change) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range changes {
		switch {
		case c.Key.Net.IsValid() && c.Entry.Net.IsValid():
			b.entries[c.Key] = c.Entry
		case c.Key.Net.IsValid():
			delete(b.entries, c.Key)
		case c.Trap.Address != "":
			b.traps[c.Address] = c.Trap
		default:
			delete(b.traps, c.Address)
		}
	}
}

func (b *book) Reload(ctx context.Context) error {
	b.mu.Lock()
	b.reloads++
	b.mu.Unlock()
	return b.read(ctx)
}

func (b *book) Restore(ctx context.Context) error {
	b.mu.Lock()
	b.restores++
	entries, traps := maps.Clone(b.entries), maps.Clone(b.traps)
	b.mu.Unlock()
	_, err := b.s.Restore(ctx, maps.Values(entries), maps.Values(traps))
	return err
}

func (b *book) At(place string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.place = place
}

func (b *book) get(net string, source whitelist.Source) (whitelist.Entry, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := person(net)
	e.Source = source
	got, ok := b.entries[e.Key()]
	return got, ok
}

func (b *book) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries)
}

func (b *book) hasTrap(address string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, ok := b.traps[address]
	return ok
}

func (b *book) counts() (reloads, restores int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.reloads, b.restores
}
