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
	b.list.Store(b.List().With(b.withUse(e)))
	b.tell(e.Key())
}

// Unfollow takes out of force what another node has taken out of the store.
func (b *Book) Unfollow(key EntryKey) {
	if key.Source == Local {
		return
	}
	key.Net = Canonical(key.Net)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list.Store(b.List().Without(key.Net, key.Source))
	b.tell(key)
}

// Reload puts in force what the store has, because changes of other nodes may have
// been missed. Local networks stay, and so does what changes while it reads: nobody
// waits for that, however slow the store is.
func (b *Book) Reload(ctx context.Context, now time.Time) error {
	b.reloading.Lock()
	defer b.reloading.Unlock()
	b.mu.Lock()
	b.meanwhile = make(map[EntryKey]struct{})
	b.mu.Unlock()
	entries, gone, err := b.load(ctx, now)
	list := NewList(slices.Values(entries))

	b.mu.Lock()
	defer b.mu.Unlock()
	later := b.meanwhile
	b.meanwhile = nil
	if err != nil {
		return fmt.Errorf("reading the allow list again: %w", err)
	}
	b.ended(slices.DeleteFunc(gone, func(k EntryKey) bool { _, changed := later[k]; return changed }))
	b.list.Store(b.List().over(list, later))
	for _, all := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		b.tell(EntryKey{Net: netip.PrefixFrom(all, 0)})
	}
	return nil
}

// over is another list with the local networks of this one, and with what this one
// says of some keys.
func (l *List) over(other *List, keys map[EntryKey]struct{}) *List {
	var local []Entry
	for net, r := range l.tables[Local.rank()].All() {
		local = append(local, r.entry(net, Local))
	}
	other = other.withLocal(local)
	for k := range keys {
		if k.Source == Local {
			continue
		}
		if e, ok := l.Get(k.Net, k.Source); ok {
			other = other.With(e)
		} else {
			other = other.Without(k.Net, k.Source)
		}
	}
	return other
}
