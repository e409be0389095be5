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
	before := b.List()
	list := before.With(e)
	if r, ok := before.tables[e.Source.rank()].Get(e.Net); ok {
		list.keepUse(e.Net, e.Source.rank(), r)
	}
	b.list.Store(list)
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
	list.keepUses(b.List())

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
		rank := k.Source.rank()
		if k.Source == Local || rank == len(sources) {
			continue
		}
		if r, ok := l.tables[rank].Get(k.Net); ok {
			other = other.replace(rank, other.tables[rank].InsertPersist(k.Net, r))
		} else {
			other = other.Without(k.Net, k.Source)
		}
	}
	return other
}

// keepUse has the row of a network know of a use that another was told of.
func (l *List) keepUse(net netip.Prefix, rank int, other *row) {
	if r, ok := l.tables[rank].Get(net); ok {
		r.keepUse(other)
	}
}

// keepUses is that for all rows of another list. Nobody may have this one yet.
func (l *List) keepUses(other *List) {
	for rank, t := range other.tables {
		for net, r := range t.All() {
			if r.used.Load() > 0 {
				l.keepUse(net, rank, r)
			}
		}
	}
}
