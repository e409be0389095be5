package whitelist

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Follow puts in force what another node has given to the store. It keeps the later
// of the times of use.
func (b *Book) Follow(e Entry) {
	e.Net = Canonical(e.Net)
	if e.Check() != nil || e.Source.rank() == len(sources) || e.Source == Local {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.List().Get(e.Net, e.Source); ok && old.Used.After(e.Used) {
		e.Used = old.Used
	}
	b.list.Store(b.List().With(e))
	b.tell(e.Net)
}

// Unfollow takes out of force what another node has taken out of the store.
func (b *Book) Unfollow(key EntryKey) {
	if key.Source == Local {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list.Store(b.List().Without(Canonical(key.Net), key.Source))
	b.tell(key.Net)
}

// Reload puts in force what the store has, because changes of other nodes may have
// been missed. Local networks stay.
func (b *Book) Reload(ctx context.Context, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	entries, err := b.load(ctx, now)
	if err != nil {
		return fmt.Errorf("reading the allow list again: %w", err)
	}
	for net, r := range b.List().tables[Local.rank()].All() {
		entries = append(entries, r.entry(net, Local))
	}
	b.list.Store(NewList(slices.Values(entries)))
	b.tell(netip.PrefixFrom(netip.IPv4Unspecified(), 0))
	b.tell(netip.PrefixFrom(netip.IPv6Unspecified(), 0))
	return nil
}
