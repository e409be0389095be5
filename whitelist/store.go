package whitelist

import (
	"context"
	"iter"
	"net/netip"
)

// An EntryKey names an entry: there is at most one for each network and source.
type EntryKey struct {
	Net    netip.Prefix
	Source Source
}

// Key names the entry.
func (e Entry) Key() EntryKey { return EntryKey{Net: e.Net, Source: e.Source} }

// A Store keeps entries, at most one for each [EntryKey]: what a person said of
// a network and what each kind of evidence says of it are so many entries.
//
// Methods may be called from many goroutines.
type Store interface {
	// Entries yields every entry that is kept, in any order.
	Entries(ctx context.Context) iter.Seq2[Entry, error]

	// PutEntry keeps e, in place of the one with its key. When it returns nil the
	// entry survives a crash of the machine.
	PutEntry(ctx context.Context, e Entry) error

	// DeleteEntry forgets an entry, as durably; no entry is no error.
	DeleteEntry(ctx context.Context, net netip.Prefix, source Source) error

	// LearnEntries keeps what moggy found out by itself, and new times of use. It
	// may lose the last second of it in a crash, and it never waits for a disk.
	LearnEntries(entries ...Entry)

	// ForgetEntries takes learned entries away, with the same promise. Keys of
	// entries that are not there, or that a person made, change nothing.
	ForgetEntries(keys ...EntryKey)
}

// A Sweeper is a Store that itself takes away what was learned and has ended, in its
// time. It has several books, of which none knows what another has just renewed: a
// book takes what has ended out of force, and leaves to the store whether it is kept.
type Sweeper interface {
	Store
	Sweeps()
}
