package budget

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"
	"time"
)

// MaxKeys bounds how many keys a Local remembers: half of them of classes that
// are known, half of the others, so that a flood of strangers pushes out
// strangers alone.
const MaxKeys = 1 << 17

// shards is how many locks there are.
const shards = 64

// Local is the Meter of one daemon. It remembers at most [MaxKeys] keys, some
// 30 MB when they are all there, and runs no goroutine: each new key looks at a
// few old ones and drops those that are idle and owe nothing, which loses nothing.
//
// What is given up when it is full: a new key takes the place of one of its half
// that has no connection open; of the few that are looked at, of the one that
// has paid back soonest. That one starts afresh when it comes again, which is to
// its advantage. So an attacker who owns a /32 of IPv6 and comes from each of its
// /64s once pushes out mostly the keys of that same flood, and gains by it what a
// new /64 gives him anyway. A key with open connections is never dropped; where
// all that are looked at have some, the newcomer is let in and not counted,
// and its Done counts for whatever is open under its key by then.
type Local struct {
	seed   maphash.Seed // a peer cannot choose its shard
	shards [shards]shard
}

var _ Meter = (*Local)(nil)

// NewLocal returns a Meter that knows of no use yet.
func NewLocal() *Local { return newLocal(MaxKeys, false) }

func newLocal(maxKeys int, shared bool) *Local {
	m := &Local{seed: maphash.MakeSeed()}
	for i := range m.shards {
		for j := range m.shards[i].halves {
			m.shards[i].halves[j] = table{max: maxKeys / shards / 2, shared: shared, accounts: map[Key]*account{}}
		}
	}
	return m
}

// Take implements [Meter].
func (m *Local) Take(k Key, l Limit, now time.Time) Usage {
	s := m.lock(k)
	defer s.mu.Unlock()
	a := s.half(k).open(k, l, now.UnixNano())
	u := a.take()
	s.note(a, a.last)
	return u
}

// Done implements [Meter].
func (m *Local) Done(k Key, now time.Time) {
	s := m.lock(k)
	defer s.mu.Unlock()
	if a := s.half(k).accounts[k]; a != nil {
		a.open = max(0, a.open-1)
		s.note(a, now.UnixNano())
	}
}

// Refund implements [Meter]. The account needs no time: what is paid back sooner
// and what is given back later come to the same.
func (m *Local) Refund(k Key, _ Limit, now time.Time) {
	s := m.lock(k)
	defer s.mu.Unlock()
	if a := s.half(k).accounts[k]; a != nil {
		a.refund(now.UnixNano())
		s.note(a, now.UnixNano())
	}
}

// Recipient implements [Meter].
func (m *Local) Recipient(k Key, l Limit, now time.Time) Usage {
	s := m.lock(k)
	defer s.mu.Unlock()
	a := s.half(k).open(k, l, now.UnixNano())
	u := a.recipient()
	s.note(a, a.last)
	return u
}

// Look implements [Meter].
func (m *Local) Look(k Key, l Limit, now time.Time) Usage {
	s := m.lock(k)
	defer s.mu.Unlock()
	a := account{last: now.UnixNano()}
	if there := s.half(k).accounts[k]; there != nil {
		a = *there
	}
	a.settle(l, now.UnixNano())
	return a.ask()
}

// Top returns the n keys that use the most, the most used first. Their Usage is
// as it stands, with no further connection.
func (m *Local) Top(n int, now time.Time) []Row {
	var top []Row
	for i := range m.shards {
		top = m.shards[i].rows(top, now.UnixNano())
		slices.SortFunc(top, mostUsed)
		top = top[:min(len(top), max(0, n))]
	}
	return top
}

// mostUsed orders rows by what they use, and equal ones by key.
func mostUsed(a, b Row) int {
	return cmp.Or(
		cmp.Compare(b.Usage.Used, a.Usage.Used),
		cmp.Compare(b.Usage.Open, a.Usage.Open),
		cmp.Compare(b.Usage.Recipients, a.Usage.Recipients),
		cmp.Compare(a.Key.Class, b.Key.Class),
		a.Key.Net.Addr().Compare(b.Key.Net.Addr()),
		cmp.Compare(a.Key.Origin, b.Key.Origin),
	)
}

// lock finds the shard of a key and locks it.
func (m *Local) lock(k Key) *shard {
	s := m.shard(k)
	s.mu.Lock()
	return s
}

func (m *Local) shard(k Key) *shard { return &m.shards[m.hash(k)%shards] }

// hash spreads keys over the shards. It leaves the class out: the map hashes the
// whole key once more, and hashing is most of what a connection costs here.
func (m *Local) hash(k Key) uint64 {
	if k.Origin != "" {
		return maphash.String(m.seed, k.Origin)
	}
	addr := k.Net.Addr().As16()
	return maphash.Bytes(m.seed, addr[:])
}

// A shard has the keys of one lock.
type shard struct {
	mu     sync.Mutex
	halves [2]table   // of the known, of the others
	noted  []*account // of which other doors are told
}

func (s *shard) half(k Key) *table {
	if k.Class.Known() {
		return &s.halves[0]
	}
	return &s.halves[1]
}

// rows appends a row for each key that uses anything.
func (s *shard) rows(rows []Row, now int64) []Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.halves {
		for k, a := range s.halves[i].accounts {
			if a.settle(a.limit, now); !a.blank() {
				rows = append(rows, Row{k, a.usage(0)})
			}
		}
	}
	return rows
}
