package whitelist

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Book is the List in force, and the way to change it. Readers take the List
// and wait for nobody; writers go through the Store first.
type Book struct {
	list    atomic.Pointer[List]
	store   Store
	changed func(netip.Prefix)

	mu        sync.Mutex            // serialises writers
	meanwhile map[EntryKey]struct{} // what changed while Reload reads; nil: it does not
	reloading sync.Mutex
	full      atomic.Int64
}

// Options are what Open needs.
type Options struct {
	Store   Store
	Local   []Entry            // of source Local: the networks of class own
	Now     time.Time          // expired entries are left out
	Changed func(netip.Prefix) // told of each change after it is in force; nil: nobody
}

// Open reads all entries from the store.
func Open(ctx context.Context, o Options) (*Book, error) {
	b := &Book{store: o.Store, changed: o.Changed}
	b.list.Store(NewList(slices.Values[[]Entry](nil)))
	entries, gone, err := b.load(ctx, o.Now)
	if err != nil {
		return nil, fmt.Errorf("reading the allow list: %w", err)
	}
	b.ended(gone)
	b.list.Store(NewList(slices.Values(append(entries, o.Local...))))
	return b, nil
}

// SetLocal puts other local networks in the place of those in force.
func (b *Book) SetLocal(entries []Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.List()
	b.list.Store(before.withLocal(entries))
	for net := range before.tables[Local.rank()].All() {
		b.tell(EntryKey{Net: net, Source: Local})
	}
	for _, e := range entries {
		b.tell(e.Key())
	}
}

// load returns the entries that are in force, as the store has them, and the learned
// ones that are not any more. It holds no lock.
func (b *Book) load(ctx context.Context, now time.Time) (entries []Entry, gone []EntryKey, err error) {
	for e, err := range b.store.Entries(ctx) {
		if err != nil {
			return nil, nil, err
		}
		switch {
		case b.withUse(e).InForce(now):
			entries = append(entries, e)
		case !e.Source.Said():
			gone = append(gone, e.Key())
		}
	}
	return entries, gone, nil
}

// withUse is an entry of the store's with the later of its time of use and that
// known here.
func (b *Book) withUse(e Entry) Entry {
	if here, ok := b.List().Get(e.Net, e.Source); ok && here.Used.After(e.Used) {
		e.Used = here.Used
	}
	return e
}

// ended takes out of the store what was learned and has expired while nobody was
// there, unless the store does so itself: nobody else would.
func (b *Book) ended(keys []EntryKey) {
	if _, sweeps := b.store.(Sweeper); !sweeps {
		b.store.ForgetEntries(keys...)
	}
}

// List returns the List in force. Keep it for one decision, not for longer.
func (b *Book) List() *List { return b.list.Load() }

// Refused returns how many learned entries, of all sources, did not fit within
// [MaxLearned].
func (b *Book) Refused() int64 { return b.full.Load() }

// Put takes a person's entry. It is in force, and survives a crash, when Put
// returns nil; on an error nothing has changed. What was learned of addresses
// inside its network no longer counts, good or bad, because what a person said
// beats it; it counts again when the entry is removed or has expired.
func (b *Book) Put(ctx context.Context, e Entry, now time.Time) error {
	e.Net, e.Source, e.Added = Canonical(e.Net), Operator, cmp.Or(e.Added, now)
	if err := e.Check(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.store.PutEntry(ctx, e); err != nil {
		return fmt.Errorf("keeping the entry for %s: %w", e.Net, err)
	}
	b.list.Store(b.List().With(e))
	b.tell(e.Key())
	return nil
}

// Remove takes a person's entry away and returns it; false if there is none.
func (b *Book) Remove(ctx context.Context, net netip.Prefix) (Entry, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	net = Canonical(net)
	e, ok := b.List().Get(net, Operator)
	if !ok {
		return Entry{}, false, nil
	}
	if err := b.store.DeleteEntry(ctx, net, Operator); err != nil {
		return Entry{}, false, fmt.Errorf("removing the entry for %s: %w", net, err)
	}
	b.list.Store(b.List().Without(net, Operator))
	b.tell(e.Key())
	return e, true, nil
}

// ErrFull is returned by Learn when [MaxLearned] entries of the source are held.
var ErrFull = errors.New("as many learned entries as fit")

// Learn takes an entry that moggy found out at the time now, in place of the one
// of its network and source. It is in force at once and kept within about a second. An entry
// whose source is none that moggy learns from is an [ErrEntry].
func (b *Book) Learn(e Entry, now time.Time) error {
	e.Net, e.Added = Canonical(e.Net), cmp.Or(e.Added, now)
	if err := e.Check(); err != nil {
		return err
	}
	if !e.Source.Learned() {
		return fmt.Errorf("%w: nothing is learned from source %q", ErrEntry, e.Source)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.List()
	if _, had := list.Get(e.Net, e.Source); !had && list.size(e.Source) >= MaxLearned(e.Source) {
		b.full.Add(1)
		return ErrFull
	}
	b.list.Store(list.With(e))
	b.store.LearnEntries(e)
	b.tell(e.Key())
	return nil
}

// Forget takes away what was learned of the addresses of net from the sources
// named, from all of them if none is, and returns it. What persons said stays.
func (b *Book) Forget(net netip.Prefix, from ...Source) []Entry {
	if len(from) == 0 {
		from = sources[:]
	}
	net = Canonical(net)
	b.mu.Lock()
	defer b.mu.Unlock()
	var gone []Entry
	for _, source := range from {
		if source.Learned() {
			gone = slices.AppendSeq(gone, b.List().about(net, source))
		}
	}
	b.store.ForgetEntries(b.drop(gone)...)
	return gone
}

// drop takes learned entries out of the list, and returns their keys. Callers hold mu.
func (b *Book) drop(gone []Entry) (keys []EntryKey) {
	list := b.List()
	for _, e := range gone {
		list = list.Without(e.Net, e.Source)
		keys = append(keys, e.Key())
	}
	b.list.Store(list)
	for _, key := range keys {
		b.tell(key)
	}
	return keys
}

// Flush gives new times of use to the store and forgets learned entries that
// have expired; a [Sweeper] keeps them for a while. It returns how many entries it
// wrote and forgot.
func (b *Book) Flush(now time.Time) (written, expired int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var used, gone []Entry
	for rank, t := range b.List().tables {
		source := sources[rank]
		if source == Local {
			continue
		}
		for net, r := range t.All() {
			switch latest := r.used.Load(); {
			case source.Learned() && !r.inForce(now.Unix()):
				gone = append(gone, r.entry(net, source))
			case latest > r.flushed:
				r.flushed = latest
				used = append(used, r.entry(net, source))
			}
		}
	}
	b.store.LearnEntries(used...)
	b.ended(b.drop(gone))
	return len(used), len(gone)
}

// tell says that an entry has changed. Callers hold mu.
func (b *Book) tell(key EntryKey) {
	if b.meanwhile != nil {
		b.meanwhile[key] = struct{}{}
	}
	if b.changed != nil {
		b.changed(key.Net)
	}
}

// about yields the entries of a source inside net, and the one that holds it.
func (l *List) about(net netip.Prefix, source Source) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		t := l.tables[source.rank()]
		if holder, r, ok := t.LookupPrefixLPM(net); ok && holder != net && !yield(r.entry(holder, source)) {
			return
		}
		for n, r := range t.Subnets(net) {
			if !yield(r.entry(n, source)) {
				return
			}
		}
	}
}
