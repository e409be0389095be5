package redis

import (
	"sync/atomic"

	"moggy/greylist"
)

// A shelf holds at most a number of rows. Its owner has the lock.
type shelf[T any] struct {
	most  int
	rows  map[greylist.Key]*slot[T]
	dirty map[greylist.Key]struct{} // of rows: what Redis does not have
	turn  uint64
	lost  *atomic.Int64
}

// A slot is a row, and when it was last changed here; 0: it is as Redis said.
type slot[T any] struct {
	v       T
	changed uint64
}

func newShelf[T any](most int, lost *atomic.Int64) shelf[T] {
	return shelf[T]{most: most, rows: map[greylist.Key]*slot[T]{}, dirty: map[greylist.Key]struct{}{}, lost: lost}
}

func (s *shelf[T]) get(k greylist.Key) (v T, ok bool) {
	if r := s.rows[k]; r != nil {
		return r.v, true
	}
	return v, false
}

// told returns a row that Redis has to be told of, and its turn, for settle.
func (s *shelf[T]) told(k greylist.Key) (v T, turn uint64) {
	if r := s.rows[k]; r != nil && r.changed != 0 {
		return r.v, r.changed
	}
	return v, 0
}

// change keeps what Redis does not know.
func (s *shelf[T]) change(k greylist.Key, v T) {
	r := s.rows[k]
	if r == nil {
		if !s.room() {
			s.lost.Add(1)
			return
		}
		r = &slot[T]{}
		s.rows[k] = r
	}
	s.turn++
	r.v, r.changed = v, s.turn
	s.dirty[k] = struct{}{}
}

// settle keeps what Redis said when it had been told of the row as it was at that
// turn. Where the row has changed since, Redis knows nothing of that yet.
func (s *shelf[T]) settle(k greylist.Key, v T, turn uint64) {
	r := s.rows[k]
	switch {
	case r == nil && !s.room():
		return
	case r == nil:
		r = &slot[T]{}
		s.rows[k] = r
	case r.changed != 0 && r.changed != turn:
		return
	}
	r.v, r.changed = v, 0
	delete(s.dirty, k)
}

// drop forgets a row that Redis does not have, unless it has changed since that
// turn.
func (s *shelf[T]) drop(k greylist.Key, turn uint64) {
	if r := s.rows[k]; r != nil && (r.changed == 0 || r.changed == turn) {
		s.remove(k)
	}
}

func (s *shelf[T]) remove(k greylist.Key) {
	delete(s.rows, k)
	delete(s.dirty, k)
}

// clear forgets what is only a copy of what Redis has, or had.
func (s *shelf[T]) clear() {
	for k, r := range s.rows {
		if r.changed == 0 {
			delete(s.rows, k)
		}
	}
}

// restore makes all rows ones that Redis does not have.
func (s *shelf[T]) restore() {
	for k, r := range s.rows {
		s.turn++
		r.changed = s.turn
		s.dirty[k] = struct{}{}
	}
}

// looks is among how many rows one is sought that may give way.
const looks = 16

// room makes room for one more row, if some is not dirty. Which it is is left to
// the order of the map.
func (s *shelf[T]) room() bool {
	if len(s.rows) < s.most {
		return true
	}
	if len(s.dirty) == len(s.rows) {
		return false
	}
	n := 0
	for k, r := range s.rows {
		if r.changed == 0 {
			delete(s.rows, k)
			return true
		}
		if n++; n == looks {
			break
		}
	}
	return false
}

// some are the keys of at most so many dirty rows.
func (s *shelf[T]) some(most int) (keys []greylist.Key) {
	for k := range s.dirty {
		if len(keys) == most {
			break
		}
		keys = append(keys, k)
	}
	return keys
}
