package bolt

import (
	"maps"
	"sync"
)

// A table is a bucket of the file.
type table int

const (
	entries table = iota
	triplets
	origins
	traps
	meta
	tables = iota
)

// names are those of the buckets in the file.
var names = [tables][]byte{[]byte("entries"), []byte("triplets"), []byte("origins"), []byte("traps"), []byte("meta")}

func (t table) name() []byte { return names[t] }

// A batch is rows by table and key. A nil row is one to delete. Rows are never
// changed in place. Uses are times of use of persons' entries, in unix
// milliseconds: they change an entry that is there, and nothing else.
type batch struct {
	rows [tables]map[string][]byte
	uses map[string]int64
}

func newBatch() (b batch) {
	for t := range b.rows {
		b.rows[t] = make(map[string][]byte)
	}
	b.uses = make(map[string]int64)
	return b
}

func (b *batch) len() (n int) {
	for _, rows := range b.rows {
		n += len(rows)
	}
	return n + len(b.uses)
}

// add puts what is newer on top.
func (b *batch) add(newer batch) {
	for t, rows := range newer.rows {
		maps.Copy(b.rows[t], rows)
	}
	for key, used := range newer.uses {
		b.uses[key] = max(b.uses[key], used)
	}
}

func (b *batch) drop(t table, key string) {
	delete(b.rows[t], key)
	if t == entries {
		delete(b.uses, key)
	}
}

// recall returns what memory holds of a row; in is false where only the file
// knows. Callers hold mu.
func (s *Store) recall(t table, key []byte) (row []byte, in bool) {
	if row, in = s.pending.rows[t][string(key)]; in {
		return row, true
	}
	row, in = s.flushing.rows[t][string(key)]
	return row, in
}

// snapshot is what memory holds of a table, for the caller to keep.
func (s *Store) snapshot(t table) map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := maps.Clone(s.flushing.rows[t])
	if rows == nil {
		return maps.Clone(s.pending.rows[t])
	}
	maps.Copy(rows, s.pending.rows[t])
	return rows
}

// keep holds a row in memory until the next commit. It reports false, and counts
// it, when there is no room: in memory, or, for a row that is new, below the
// Limit. Rows in memory count as new ones there, so that the Limit is never
// passed.
func (s *Store) keep(t table, key string, row []byte, isNew bool) bool {
	s.mu.Lock()
	held := len(s.pending.rows[t]) + len(s.flushing.rows[t])
	_, there := s.pending.rows[t][key]
	limited := isNew && s.counts[t].Load()+int64(held) >= int64(s.o.Limit)
	ok := there || (held < s.o.Pending && !limited)
	if ok {
		s.pending.rows[t][key] = row
	}
	s.mu.Unlock()
	if !ok {
		s.dropped.Add(1)
	}
	if limited {
		s.full.Store(true)
	}
	s.arm()
	return ok
}

// erase deletes a row in memory until the next commit. There is always room for
// that: nothing a stranger does deletes.
func (s *Store) erase(t table, key string) {
	s.mu.Lock()
	s.pending.rows[t][key] = nil
	s.mu.Unlock()
	s.arm()
}

// arm lets the next group commit happen.
func (s *Store) arm() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// stripes are locks by key: two keys seldom share one, equal keys always do.
type stripes [64]sync.Mutex

func (l *stripes) of(key [16]byte) *sync.Mutex { return &l[key[0]%uint8(len(l))] }
