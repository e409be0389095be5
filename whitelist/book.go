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

// MaxLearned bounds the entries that moggy learns by itself. When it is
// reached new ones are not remembered: their peers are greylisted by triplet,
// as before; nobody who is known already is forgotten for them.
const MaxLearned = 1_000_000

// A Book is the List in force, and the way to change it. Readers take the List
// and wait for nobody; writers go through the Store first.
type Book struct {
	list    atomic.Pointer[List]
	store   Store
	changed func(netip.Prefix)

	mu      sync.Mutex // serialises writers
	learned int        // entries in the learned tier
	full    atomic.Int64
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
	entries, err := b.load(ctx, o.Now)
	if err != nil {
		return nil, fmt.Errorf("reading the allow list: %w", err)
	}
	list := NewList(slices.Values(append(entries, o.Local...)))
	b.learned = list.tiers[tierLearned].Size()
	b.list.Store(list)
	return b, nil
}

// SetLocal puts other local networks in the place of those in force.
func (b *Book) SetLocal(entries []Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list.Store(b.List().withLocal(entries))
	for _, e := range entries {
		b.tell(e.Net)
	}
}

// load returns the entries that are in force. Learned ones that expired while
// nobody was there are taken out of the store: nobody else would do it.
func (b *Book) load(ctx context.Context, now time.Time) (entries []Entry, err error) {
	var gone []netip.Prefix
	for e, err := range b.store.Entries(ctx) {
		if err != nil {
			return nil, err
		}
		switch end := e.End(); {
		case end.IsZero() || now.Before(end):
			entries = append(entries, e)
		case !e.Source.Said():
			gone = append(gone, e.Net)
		}
	}
	b.store.ForgetEntries(gone...)
	return entries, nil
}

// List returns the List in force. Keep it for one decision, not for longer.
func (b *Book) List() *List { return b.list.Load() }

// Refused returns how many learned entries did not fit within MaxLearned.
func (b *Book) Refused() int64 { return b.full.Load() }

// Put takes a person's entry. It is in force, and survives a crash, when Put
// returns nil; on an error nothing has changed. What was learned of addresses
// inside a denied network, and listings inside an allowed one, no longer count,
// because what a person said beats them.
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
	b.list.Store(b.List().With(e, now))
	b.tell(e.Net)
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
	b.tell(net)
	return e, true, nil
}

// ErrFull is returned by Learn when MaxLearned entries are held.
var ErrFull = errors.New("as many learned entries as fit")

// Learn takes an entry that moggy found out. It is in force at once and kept
// within about a second.
func (b *Book) Learn(e Entry, now time.Time) error {
	e.Net = Canonical(e.Net)
	if err := e.Check(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.List()
	_, had := list.Get(e.Net, e.Source)
	if !had && b.learned >= MaxLearned {
		b.full.Add(1)
		return ErrFull
	}
	next := list.With(e, now)
	if next == list {
		return nil // something stronger is known of it
	}
	if !had {
		b.learned++
	}
	b.list.Store(next)
	b.store.LearnEntries(e)
	b.tell(e.Net)
	return nil
}

// Forget takes away all that was learned of the addresses of net, good and bad,
// and returns it. What persons said stays.
func (b *Book) Forget(net netip.Prefix) []Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.List()
	gone := slices.Collect(list.learnedIn(Canonical(net)))
	b.drop(gone)
	return gone
}

// drop takes learned entries out of the list and the store. Callers hold mu.
func (b *Book) drop(gone []Entry) {
	if len(gone) == 0 {
		return
	}
	list := b.List()
	nets := make([]netip.Prefix, 0, len(gone))
	for _, e := range gone {
		list = list.Without(e.Net, e.Source)
		nets = append(nets, e.Net)
	}
	b.learned -= len(gone)
	b.list.Store(list)
	b.store.ForgetEntries(nets...)
	for _, net := range nets {
		b.tell(net)
	}
}

// Flush gives new times of use to the store and forgets learned entries that
// have expired. It returns how many entries it wrote and forgot.
func (b *Book) Flush(now time.Time) (written, expired int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var used, gone []Entry
	for net, r := range b.List().rows() {
		switch {
		case r.source == Local:
		case !r.source.Said() && !r.inForce(now.Unix()):
			gone = append(gone, r.entry(net))
		case r.used.Load() > r.flushed:
			r.flushed = r.used.Load()
			used = append(used, r.entry(net))
		}
	}
	b.store.LearnEntries(used...)
	b.drop(gone)
	return len(used), len(gone)
}

func (b *Book) tell(net netip.Prefix) {
	if b.changed != nil {
		b.changed(net)
	}
}

// learnedIn yields the learned entries inside net, and the one that holds it.
func (l *List) learnedIn(net netip.Prefix) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		t := l.tiers[tierLearned]
		if holder, r, ok := t.LookupPrefixLPM(net); ok && holder != net && !yield(r.entry(holder)) {
			return
		}
		for n, r := range t.Subnets(net) {
			if !yield(r.entry(n)) {
				return
			}
		}
	}
}
