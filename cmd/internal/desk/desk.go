// Package desk is where an operator's questions are answered and orders are
// taken: who is let in, what the greylist holds, what would become of a peer,
// who is connected.
//
// There is one implementation, [Local], and it is reached in two ways: by the
// daemon over itself, or by the tool over a [Client] that talks to the daemon's
// socket. [Open] chooses: the tool works when the daemon is down.
//
// The package does not know how answers look to people, what decides (package
// verdict does), or what was decided in the past (package journal does).
package desk

import (
	"context"
	"net/netip"

	"moggy/verdict/journal"
	"moggy/whitelist"
)

// A Desk answers an operator. An error that it returns is an [*Error], or is
// taken for one of kind [Fault].
type Desk interface {
	// PutEntry lets a network in, or denies it. It acts at once, also on
	// connections that are open, and survives a crash when it returns.
	PutEntry(context.Context, EntryPut) (EntryChange, error)
	// RemoveEntry takes an entry away. Where there is none to take away it says
	// No, and what to type instead.
	RemoveEntry(context.Context, EntryKey) (EntryChange, error)
	// Entries lists what is allowed or denied.
	Entries(context.Context, EntryFilter) (EntryList, error)
	// Show says what a network is to us, and every entry that has a say in it.
	Show(context.Context, Where) (Shown, error)

	PutTrap(context.Context, TrapPut) (TrapChange, error)
	// RemoveTrap says No where there is no such trap.
	RemoveTrap(context.Context, TrapKey) (TrapChange, error)
	Traps(context.Context, TrapFilter) (TrapList, error)

	// Grey lists what waits in the greylist, and the origins that are known.
	Grey(context.Context, GreyFilter) (GreyList, error)
	// Forget takes out of the greylist what Grey would list.
	Forget(context.Context, GreyFilter) (Forgotten, error)
	// Pardon forgets what speaks against an address, or has the next try of a
	// sender pass.
	Pardon(context.Context, Plea) (Pardoned, error)

	// Stuck lists mail that comes back and does not pass.
	Stuck(context.Context, StuckFilter) (StuckList, error)

	// Evidence says what is held of an address at each service, and how its
	// budget stands.
	Evidence(context.Context, EvidenceFilter) (Evidence, error)
	// Blocked looks for what keeps an address out elsewhere on this machine, and
	// for known-good addresses that are kept out. Where nobody looks the Sight
	// has no Time.
	Blocked(context.Context, BlockFilter) (Sight, error)
	// Good lists the networks that are known to be good.
	Good(context.Context, GoodFilter) (GoodList, error)
	// Top lists who uses the most of a budget. Without a daemon it is a Fault.
	Top(context.Context, TopFilter) (TopList, error)
	// Records are decisions of all doors that share a store; none where there is one door.
	Records(context.Context, journal.Query) (RecordList, error)

	// Try says what would become of a peer now, and changes nothing but the
	// figures of the DNS lists, which it asks.
	Try(context.Context, Question) (Trial, error)
	// Lists says how the DNS lists do. Where there are none it says No.
	Lists(context.Context, ListsFilter) (ListsAnswer, error)
	// Who lists the open connections. Without a daemon it is a Fault.
	Who(context.Context, WhoFilter) (WhoList, error)
	Status(context.Context, StatusFilter) (Status, error)
}

// MaxRows bounds the rows of one answer. Totals count all.
const MaxRows = 100_000

// rows is the limit that an operator's limit means; 0 is as many as fit.
func rows(limit int) int {
	if limit <= 0 || limit > MaxRows {
		return MaxRows
	}
	return limit
}

// Where names a network; a single address is one of full length.
type Where struct {
	Net netip.Prefix `json:"net"`
}

// Standing is what the list knows of an address.
type Standing struct {
	Class    whitelist.Class  `json:"class,omitempty"` // empty when denied
	Deny     bool             `json:"deny,omitempty"`
	Known    bool             `json:"known"` // carried without being talked to
	Evidence whitelist.Source `json:"evidence"`
	Entry    *whitelist.Entry `json:"entry,omitempty"` // the entry that decided
}

func standingOf(s whitelist.Standing) Standing {
	out := Standing{Class: s.Class, Deny: s.Deny, Evidence: s.Evidence, Known: s.Known()}
	if s.Evidence != whitelist.Nothing {
		out.Entry = &s.Entry
	}
	return out
}
