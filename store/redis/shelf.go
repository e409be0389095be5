package redis

import (
	"sync/atomic"

	"moggy/greylist"
)

// A shelf holds at most a number of rows. Its owner has the lock.
type shelf[T any] struct {
	most   int
	copies map[greylist.Key]T       // as Redis said
	dirty  map[greylist.Key]news[T] // what Redis does not have
	turn   uint64
	lost   *atomic.Int64
}

// News is a row that was changed here, and when.
type news[T any] struct {
	v    T
	turn uint64
}

func newShelf[T any](most int, lost *atomic.Int64) shelf[T] {
	return shelf[T]{most: most, copies: map[greylist.Key]T{}, dirty: map[greylist.Key]news[T]{}, lost: lost}
}

func (s *shelf[T]) get(k greylist.Key) (v T, ok bool) {
	if n, ok := s.dirty[k]; ok {
		return n.v, true
	}
	v, ok = s.copies[k]
	return v, ok
}

// told returns a row that Redis has to be told of, and its turn, for settle.
func (s *shelf[T]) told(k greylist.Key) (v T, turn uint64) {
	n := s.dirty[k]
	return n.v, n.turn
}

// change keeps what Redis does not know. What is new and does not fit is lost.
func (s *shelf[T]) change(k greylist.Key, v T) {
	if _, there := s.get(k); !there && !s.room() {
		s.lost.Add(1)
		return
	}
	delete(s.copies, k)
	s.turn++
	s.dirty[k] = news[T]{v, s.turn}
}

// settle keeps what Redis said when it had been told of the row as it was at that
// turn. Where the row has changed since, Redis knows nothing of that yet.
func (s *shelf[T]) settle(k greylist.Key, v T, turn uint64) {
	if n, there := s.dirty[k]; there && n.turn != turn {
		return
	}
	delete(s.dirty, k)
	if _, there := s.copies[k]; there || s.room() {
		s.copies[k] = v
	}
}

// drop forgets a row that Redis does not have, unless it has changed since that
// turn.
func (s *shelf[T]) drop(k greylist.Key, turn uint64) {
	delete(s.copies, k)
	if s.dirty[k].turn == turn {
		delete(s.dirty, k)
	}
}

// clear forgets the copies: Redis may not have them any more.
func (s *shelf[T]) clear() { clear(s.copies) }

// restore makes all rows ones that Redis does not have.
func (s *shelf[T]) restore() {
	for k, v := range s.copies {
		s.turn++
		s.dirty[k] = news[T]{v, s.turn}
	}
	clear(s.copies)
}

// room makes room for one more row, where a copy can give way. Which one is left
// to the order of the map.
func (s *shelf[T]) room() bool {
	if len(s.copies)+len(s.dirty) < s.most {
		return true
	}
	for k := range s.copies {
		delete(s.copies, k)
		return true
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
