package whitelist

import (
	"iter"
	"math/bits"
	"net/netip"
	"slices"
	"time"

	"github.com/gaissmai/bart"
)

// A List answers for an address from memory. It never changes: [List.With] and
// [List.Without] return another one that shares what is equal. Only the time of
// last use is written in place.
//
// There is a table for each source: a login from an address and its pass
// through the greylist are two facts. The strongest source that counts at the
// service and has an entry in force decides; within one source the longest
// prefix does.
type List struct {
	tables [len(sources)]*table
	held   set // the tables that are not empty: the others are not asked
}

type table = bart.Table[*row]

// Standing is what the List knows of an address.
type Standing struct {
	Class    Class  // where nothing is known: MUA at Client and Web, else Stranger; empty when Deny
	Deny     bool   // a person said no
	Evidence Source // what decided
	Entry    Entry  // the entry that decided; zero when Evidence is Nothing
}

// Known reports whether the peer is family: it is carried without being talked to.
func (s Standing) Known() bool { return !s.Deny && s.Class.Known() }

// Listed reports whether the peer is held for what it did.
func (s Standing) Listed() bool { return s.Class == Listed || s.Class == Guesser }

// NewList makes a List of entries. Of two entries with one key the later wins;
// one whose source is not among [Sources] is left out.
func NewList(entries iter.Seq[Entry]) *List {
	l := &List{}
	for rank := range l.tables {
		l.tables[rank] = new(table)
	}
	for e := range entries {
		if rank := e.Source.rank(); rank < len(l.tables) {
			l.tables[rank].Insert(e.Net, newRow(e))
			l.held |= 1 << rank
		}
	}
	return l
}

// Classify says what addr is to us at a service at the time now, and notes that
// it was asked for. It takes no lock and allocates nothing.
func (l *List) Classify(addr netip.Addr, at Service, now time.Time) (s Standing) {
	addr = CanonicalAddr(addr)
	rank, r := l.find(addr, at, now.Unix())
	if r != nil {
		r.touch(now.Unix())
	}
	s.fill(addr, at, rank, r)
	return s
}

// Look is Classify without leaving a trace.
func (l *List) Look(addr netip.Addr, at Service, now time.Time) (s Standing) {
	addr = CanonicalAddr(addr)
	rank, r := l.find(addr, at, now.Unix())
	s.fill(addr, at, rank, r)
	return s
}

// fill says what a row found for addr among those of a source means. A Standing
// has 208 bytes: copying it costs as much as the rest, so it is filled in place.
func (s *Standing) fill(addr netip.Addr, at Service, rank int, r *row) {
	if r == nil {
		s.Class, s.Evidence = at.nobody(), Nothing
		return
	}
	s.Class, s.Deny, s.Evidence = r.class, r.deny, sources[rank]
	if s.Class == Stranger {
		s.Class = at.nobody() // as a gateway that hides others: nothing is known of who comes
	}
	s.Entry.Net, _ = addr.Prefix(int(r.bits))
	r.fill(&s.Entry, sources[rank])
}

// find returns the row that decides and the rank of its source, nil if there is
// none in force.
func (l *List) find(addr netip.Addr, at Service, now int64) (rank int, r *row) {
	ask := at.asks() & l.held
	if at == Anywhere {
		if rank, r = l.first(ask&^doubtful, addr, now); r != nil {
			return rank, r
		}
		ask &= doubtful
	}
	return l.first(ask, addr, now)
}

// first asks some of the sources, the strongest first.
func (l *List) first(ask set, addr netip.Addr, now int64) (rank int, r *row) {
	for ; ask != 0; ask &= ask - 1 {
		rank = bits.TrailingZeros16(uint16(ask))
		if r = inForce(l.tables[rank], addr, now); r != nil {
			return rank, r
		}
	}
	return 0, nil
}

// inForce is the row of the longest prefix that holds addr and has not expired.
func inForce(t *table, addr netip.Addr, now int64) *row {
	r, ok := t.Lookup(addr)
	if ok && !r.inForce(now) {
		return further(t, addr, now)
	}
	return r
}

// further is for the rare case that the longest prefix has expired.
func further(t *table, addr netip.Addr, now int64) *row {
	for _, r := range t.Supernets(netip.PrefixFrom(addr, addr.BitLen())) {
		if r.inForce(now) {
			return r
		}
	}
	return nil
}

// With returns a List that has e as well, in place of the entry with its key.
// An entry whose source is not among [Sources] changes nothing.
func (l *List) With(e Entry) *List {
	rank := e.Source.rank()
	if rank == len(l.tables) {
		return l
	}
	return l.replace(rank, l.tables[rank].InsertPersist(e.Net, newRow(e)))
}

// Without returns a List that lacks the entry of that network and source.
func (l *List) Without(net netip.Prefix, source Source) *List {
	rank := source.rank()
	if rank == len(l.tables) {
		return l
	}
	return l.replace(rank, l.tables[rank].DeletePersist(net))
}

// withLocal returns a List whose local networks are entries.
func (l *List) withLocal(entries []Entry) *List {
	rank := Local.rank()
	return l.replace(rank, NewList(slices.Values(entries)).tables[rank])
}

func (l *List) replace(rank int, t *table) *List {
	next := *l
	next.tables[rank] = t
	next.held &^= 1 << rank
	if t.Size() > 0 {
		next.held |= 1 << rank
	}
	return &next
}

// Get returns the entry of exactly that network and source.
func (l *List) Get(net netip.Prefix, source Source) (Entry, bool) {
	rank := source.rank()
	if rank == len(l.tables) {
		return Entry{}, false
	}
	r, ok := l.tables[rank].Get(net)
	if !ok {
		return Entry{}, false
	}
	return r.entry(net, source), true
}

// All yields every entry, expired ones too: the strongest source first, then by
// network.
func (l *List) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for rank, t := range l.tables {
			for net, r := range t.AllSorted() {
				if !yield(r.entry(net, sources[rank])) {
					return
				}
			}
		}
	}
}

// Len is the number of entries, expired ones included.
func (l *List) Len() (n int) {
	for _, t := range l.tables {
		n += t.Size()
	}
	return n
}

// size is the number of entries of one source, which must be among [Sources].
func (l *List) size(source Source) int { return l.tables[source.rank()].Size() }
