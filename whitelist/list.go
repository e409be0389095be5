package whitelist

import (
	"iter"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gaissmai/bart"
)

// A List answers for an address from memory. It never changes: [List.With] and
// [List.Without] return another one that shares what is equal. Only the time of
// last use is written in place.
//
// Within what persons said, the longest prefix decides; what persons said beats
// local networks, and those beat what was learned.
type List struct {
	tiers [3]*bart.Table[*row]
}

// The tiers of a List, the strongest first.
const (
	tierOperator = iota
	tierLocal
	tierLearned
)

// row is an entry as the List keeps it: 72 bytes, times in seconds since 1970.
type row struct {
	class   Class
	note    string
	source  Source
	deny    bool
	bits    uint8 // of its network
	added   int64
	expires int64 // 0: never
	renew   int64
	used    atomic.Int64
	flushed int64 // the use the store knows of; written by the Book alone
}

// Standing is what the List knows of an address.
type Standing struct {
	Class    Class  // Stranger where nothing is known; empty when Deny
	Deny     bool   // a person said no
	Evidence Source // what decided
	Entry    Entry  // the entry that decided; zero when Evidence is Nothing
}

// Known reports whether the peer is family: it is carried without being talked to.
func (s Standing) Known() bool { return !s.Deny && s.Class.Known() }

// Listed reports whether the peer is held for what it did.
func (s Standing) Listed() bool { return s.Class == Listed || s.Class == Guesser }

// NewList makes a List of entries. Of two entries with one network the stronger
// source wins, and among equals the later.
func NewList(entries iter.Seq[Entry]) *List {
	l := &List{}
	for i := range l.tiers {
		l.tiers[i] = new(bart.Table[*row])
	}
	for e := range entries {
		t := l.tiers[tier(e.Source)]
		if old, ok := t.Get(e.Net); ok && old.source.rank() < e.Source.rank() {
			continue
		}
		t.Insert(e.Net, newRow(e))
	}
	return l
}

// Classify says what addr is to us at the time now, and notes that it was asked
// for. It takes no lock and allocates nothing.
func (l *List) Classify(addr netip.Addr, now time.Time) Standing {
	net, r := l.find(addr, now.Unix())
	if r == nil {
		return Standing{Class: Stranger, Evidence: Nothing}
	}
	if r.used.Load() != now.Unix() {
		r.used.Store(now.Unix())
	}
	return Standing{Class: r.class, Deny: r.deny, Evidence: r.source, Entry: r.entry(net)}
}

// Look is Classify without leaving a trace.
func (l *List) Look(addr netip.Addr, now time.Time) Standing {
	net, r := l.find(addr, now.Unix())
	if r == nil {
		return Standing{Class: Stranger, Evidence: Nothing}
	}
	return Standing{Class: r.class, Deny: r.deny, Evidence: r.source, Entry: r.entry(net)}
}

// find returns the row that decides and its network, nil if there is none in force.
func (l *List) find(addr netip.Addr, now int64) (netip.Prefix, *row) {
	addr = CanonicalAddr(addr)
	for _, t := range l.tiers {
		r, ok := t.Lookup(addr)
		if ok && !r.inForce(now) {
			r = lookFurther(t, addr, now)
		}
		if r != nil {
			net, _ := addr.Prefix(int(r.bits))
			return net, r
		}
	}
	return netip.Prefix{}, nil
}

// lookFurther is for the rare case that the longest prefix has expired.
func lookFurther(t *bart.Table[*row], addr netip.Addr, now int64) *row {
	for _, r := range t.Supernets(netip.PrefixFrom(addr, addr.BitLen())) {
		if r.inForce(now) {
			return r
		}
	}
	return nil
}

// With returns a List that has e as well. An entry of a weaker source does not
// displace a stronger one of the same network that is still in force.
func (l *List) With(e Entry, now time.Time) *List {
	i := tier(e.Source)
	old, ok := l.tiers[i].Get(e.Net)
	if ok && old.source.rank() < e.Source.rank() && old.inForce(now.Unix()) {
		return l
	}
	return l.replace(i, l.tiers[i].InsertPersist(e.Net, newRow(e)))
}

// Without returns a List that lacks the entry of that network and source tier.
func (l *List) Without(net netip.Prefix, source Source) *List {
	i := tier(source)
	return l.replace(i, l.tiers[i].DeletePersist(net))
}

// withLocal returns a List whose local tier is entries.
func (l *List) withLocal(entries []Entry) *List {
	return l.replace(tierLocal, NewList(slices.Values(entries)).tiers[tierLocal])
}

func (l *List) replace(i int, t *bart.Table[*row]) *List {
	next := *l
	next.tiers[i] = t
	return &next
}

// Get returns the entry of exactly that network in the tier of source.
func (l *List) Get(net netip.Prefix, source Source) (Entry, bool) {
	r, ok := l.tiers[tier(source)].Get(net)
	if !ok {
		return Entry{}, false
	}
	return r.entry(net), true
}

// All yields every entry, expired ones too: persons' first, then by network.
func (l *List) All() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		for net, r := range l.rows() {
			if !yield(r.entry(net)) {
				return
			}
		}
	}
}

// Counts are how many rows a List has, by who made them; expired ones are counted.
type Counts struct {
	Allowed int // by persons
	Denied  int // by persons
	Local   int // own networks; a gateway among them that is none is left out
	Passed  int // learned: came back
	Trapped int // learned: named a trap
}

// Counts counts the rows, which takes a walk over all of them.
func (l *List) Counts() (c Counts) {
	for _, r := range l.rows() {
		switch {
		case r.deny:
			c.Denied++
		case r.source == Operator:
			c.Allowed++
		case r.source == Local && r.class.Known():
			c.Local++
		case r.source == Passed:
			c.Passed++
		case r.source == Trapped:
			c.Trapped++
		}
	}
	return c
}

// Len is the number of entries, expired ones included.
func (l *List) Len() (n int) {
	for _, t := range l.tiers {
		n += t.Size()
	}
	return n
}

func (l *List) rows() iter.Seq2[netip.Prefix, *row] {
	return func(yield func(netip.Prefix, *row) bool) {
		for _, t := range l.tiers {
			for net, r := range t.AllSorted() {
				if !yield(net, r) {
					return
				}
			}
		}
	}
}

func tier(s Source) int { return min(s.rank(), tierLearned) }

func newRow(e Entry) *row {
	r := &row{class: e.Class, note: e.Note, source: e.Source, deny: e.Deny, bits: uint8(e.Net.Bits()),
		added: seconds(e.Added), expires: seconds(e.Expires), renew: int64(e.Renew / time.Second)}
	r.used.Store(seconds(e.Used))
	r.flushed = seconds(e.Used)
	return r
}

func (r *row) entry(net netip.Prefix) Entry {
	return Entry{Net: net, Deny: r.deny, Class: r.class, Source: r.source, Note: r.note,
		Added: at(r.added), Expires: at(r.expires), Used: at(r.used.Load()), Renew: time.Duration(r.renew) * time.Second}
}

// inForce reports whether the row counts at the second now. Use renews it.
func (r *row) inForce(now int64) bool {
	if r.expires == 0 || now < r.expires {
		return true
	}
	used := r.used.Load()
	return r.renew != 0 && used != 0 && now < used+r.renew
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func at(s int64) time.Time {
	if s == 0 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}
