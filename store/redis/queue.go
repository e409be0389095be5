package redis

import (
	"context"
	"iter"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"moggy/whitelist"
)

// A queue is what was learned and is not written yet: of each entry the last
// change, in no order. It is bounded; what does not fit is counted as lost.
type queue struct {
	most int
	lost atomic.Int64

	mu    sync.Mutex
	turn  uint64
	items map[whitelist.EntryKey]item
}

// An item is what becomes of an entry: Gone, or Entry, of which only the time of
// use counts where a person made it.
type item struct {
	entry whitelist.Entry
	gone  bool
	at    time.Time // when it was found out or forgotten, by the clock of those who call
	sent  bool      // Redis may have it
	turn  uint64
}

// use reports whether the item is a time of use of what was known before.
func (i item) use() bool { return !i.gone && i.entry.Used.After(i.entry.Added) }

func newQueue(most int) *queue {
	return &queue{most: most, items: map[whitelist.EntryKey]item{}}
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

func (q *queue) put(k whitelist.EntryKey, i item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	old, there := q.items[k]
	if !there && len(q.items) >= q.most {
		q.lost.Add(1)
		return
	}
	if k.Source.Said() && there && !i.entry.Used.After(old.entry.Used) {
		return
	}
	q.turn++
	i.turn = q.turn
	q.items[k] = i
}

func (q *queue) drop(k whitelist.EntryKey) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.items, k)
}

// knowsBetter reports whether something was learned here of an entry that Redis
// has not been told. A use does not count against its being taken away. What is left
// out because of it Redis says again when it is told. From when that may be on, all
// that Redis says is heard.
func (q *queue) knowsBetter(c Change) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	i, there := q.items[c.Key]
	if !there || i.sent || c.Key.Source.Said() {
		return false
	}
	return c.Entry.Net.IsValid() || !i.use()
}

// some are at most so many items, to be sent.
func (q *queue) some(most int) (keys []whitelist.EntryKey, items []item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for k, i := range q.items {
		if len(keys) == most {
			break
		}
		i.sent = true
		q.items[k] = i
		keys, items = append(keys, k), append(items, i)
	}
	return keys, items
}

// written takes out items that have not changed since.
func (q *queue) written(keys []whitelist.EntryKey, items []item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for n, k := range keys {
		if q.items[k].turn == items[n].turn {
			delete(q.items, k)
		}
	}
}

// A snapshot is what waits, for the caller to keep.
type snapshot map[whitelist.EntryKey]item

func (q *queue) snapshot() snapshot {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := make(snapshot, len(q.items))
	maps.Copy(s, q.items)
	return s
}

// on is an entry of Redis with what waits on top, as write.lua has it; false if it is
// to go. What was asked for is taken out.
func (s snapshot) on(e whitelist.Entry) (whitelist.Entry, bool) {
	i, ok := s[e.Key()]
	delete(s, e.Key())
	switch {
	case !ok:
		return e, true
	case i.gone:
		return e, e.Added.After(i.at)
	case !e.Source.Said() && !e.Added.After(i.entry.Added):
		e, i.entry = i.entry, e
	}
	if i.entry.Used.After(e.Used) {
		e.Used = i.entry.Used.UTC().Truncate(time.Second)
	}
	return e, true
}

// rest are the entries that were not asked for, which Redis does not have.
func (s snapshot) rest() iter.Seq[whitelist.Entry] {
	return func(yield func(whitelist.Entry) bool) {
		for _, i := range s {
			if !i.gone && !i.entry.Source.Said() && !yield(i.entry) {
				return
			}
		}
	}
}

// LearnEntries keeps entries in memory, and gives them to Redis about every half
// second. While Redis is away they wait; it never waits for them. Of an entry that
// a person made only the time of use is taken, and only if it is still there when
// it is written. Where another node found something out later, that stays, and so
// does the latest time of use. What was taken away after it was found out stays away,
// whatever its use; what has only ended comes back. An entry that does not pass
// Entry.Check is dropped and counted.
func (s *Store) LearnEntries(list ...whitelist.Entry) {
	for _, e := range list {
		switch {
		case e.Check() != nil:
			s.queue.lost.Add(1)
		case e.Source.Said() && e.Used.IsZero():
		default:
			s.queue.put(e.Key(), item{entry: e, at: s.found(e)})
		}
	}
	s.arm()
}

// found is when an entry was found out: now, after what was forgotten just before,
// unless it was used and may be an old one.
func (s *Store) found(e whitelist.Entry) time.Time {
	if e.Used.IsZero() {
		return s.o.Clock().Add(time.Millisecond)
	}
	return e.Added
}

// ForgetEntries takes learned entries away in the same manner, but for what another
// node finds out later than now. Keys of persons' entries change nothing.
func (s *Store) ForgetEntries(keys ...whitelist.EntryKey) {
	now := s.o.Clock()
	for _, k := range keys {
		if k.Net.IsValid() && !k.Source.Said() {
			k.Net = whitelist.Canonical(k.Net)
			s.queue.put(k, item{gone: true, at: now})
		}
	}
	s.arm()
}

// flush writes what waits.
func (s *Store) flush(ctx context.Context) error {
	for range s.queue.len()/writeRows + 1 {
		if more, err := s.flushSome(ctx); err != nil || !more {
			return err
		}
	}
	return nil
}

func (s *Store) flushSome(ctx context.Context) (more bool, err error) {
	s.learning <- struct{}{}
	defer func() { <-s.learning }()
	keys, items := s.queue.some(writeRows)
	if len(keys) == 0 {
		return false, nil
	}
	changes := make([]change, 0, len(keys))
	for n, k := range keys {
		changes = append(changes, s.learned(k, items[n]))
	}
	if _, err := s.write(ctx, changes); err != nil {
		return false, err
	}
	s.queue.written(keys, items)
	return true, nil
}

// learned is the change that an item asks for.
func (s *Store) learned(k whitelist.EntryKey, i item) change {
	c := change{op: opLearn, key: s.entryTable(k), name: nameEntry + entryField(k), at: milli(i.at)}
	switch {
	case i.gone:
		c.op = opDel
		return c
	case k.Source.Said():
		c.op = opUse
	default:
		c.ends = ends(i.entry)
	}
	c.row = encodeEntry(i.entry)
	return c
}
