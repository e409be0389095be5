package greylist

import (
	"context"
	"iter"
	"net/netip"
	"time"
)

// A Store keeps triplets, origins that passed, and trap addresses. Methods may
// be called from many goroutines; the clock is the caller's.
type Store interface {
	// Try looks the try's origin and triplet up, applies Next, and keeps the
	// result, all as one step. A known origin is renewed, its triplet left alone.
	// It waits for no disk.
	Try(ctx context.Context, t Try) (Result, error)

	// Peek is what Try would return, and changes nothing.
	Peek(ctx context.Context, t Try) (Result, error)

	// Pass makes an origin known from now on. It waits for no disk.
	Pass(ctx context.Context, o Origin, now time.Time) error

	// Triplets yields what is kept of triplets that have not expired.
	Triplets(ctx context.Context, now time.Time) iter.Seq2[Row, error]

	// Origins yields the origins that are known.
	Origins(ctx context.Context, now time.Time) iter.Seq2[OriginRow, error]

	// Forget takes away the triplets and origins for which the functions return
	// true, and returns how many of each. A nil function matches nothing.
	Forget(ctx context.Context, triplets func(Row) bool, origins func(OriginRow) bool) (int, int, error)

	// Traps yields the trap addresses that persons added.
	Traps(ctx context.Context) iter.Seq2[Trap, error]

	// PutTrap keeps a trap address; it survives a crash when PutTrap returns nil.
	PutTrap(ctx context.Context, t Trap) error

	// DeleteTrap forgets one, as durably, and reports whether it was there.
	DeleteTrap(ctx context.Context, address string) (bool, error)
}

// A Try is one recipient that a stranger named.
type Try struct {
	Triplet
	Peer   netip.Addr // for people: which address tried last
	Now    time.Time
	Timers Timers
}

// A Row is a triplet as persons see it.
type Row struct {
	Triplet
	State
	Peer netip.Addr // the address that tried last
}

// An OriginRow is a known origin as persons see it.
type OriginRow struct {
	Origin
	Known
}

// A Trap is an address that no honest sender writes to.
type Trap struct {
	Address string    `json:"address"` // canonical mailbox
	Note    string    `json:"note,omitempty"`
	Added   time.Time `json:"added"`

	Configured bool `json:"configured,omitempty"` // it stands in the configuration; no store keeps it
}
