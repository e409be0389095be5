package whitelist

import (
	"context"
	"iter"
	"net/netip"
)

// A Store keeps entries. At most one entry is kept for each network and
// standing of its source: what a person said and what was learned of the same
// network are two.
//
// Methods may be called from many goroutines.
type Store interface {
	// Entries yields every entry that is kept, in any order.
	Entries(ctx context.Context) iter.Seq2[Entry, error]

	// PutEntry keeps e, in place of the one with its network and standing. When
	// it returns nil the entry survives a crash of the machine.
	PutEntry(ctx context.Context, e Entry) error

	// DeleteEntry forgets an entry, as durably; no entry is no error.
	DeleteEntry(ctx context.Context, net netip.Prefix, source Source) error

	// LearnEntries keeps what moggy found out by itself, and new times of use. It
	// may lose the last second of it in a crash, and it never waits for a disk.
	LearnEntries(entries ...Entry)

	// ForgetEntries takes learned entries away, with the same promise.
	ForgetEntries(nets ...netip.Prefix)
}

// Said reports whether entries of source s are a person's, and not learned.
func (s Source) Said() bool { return s == Operator }
