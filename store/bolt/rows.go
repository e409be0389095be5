package bolt

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"moggy/greylist"
)

// sliceRows is how many rows one read transaction yields. Between two, a commit
// may map a larger file.
const sliceRows = 1000

// walk yields the rows of a table, memory on top of the file. decode must copy
// what it keeps of its arguments.
func walk[T any](ctx context.Context, s *Store, t table, decode func(key, row []byte) (T, bool)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		w := walker[T]{s: s, table: t, memory: s.snapshot(t), decode: decode}
		for more := true; more; {
			var err error
			if more, err = w.slice(ctx); err != nil {
				yield(*new(T), err)
				return
			}
			for _, row := range w.rows {
				if !yield(row, nil) {
					return
				}
			}
		}
	}
}

type walker[T any] struct {
	s      *Store
	table  table
	memory map[string][]byte // what the file was not asked for yet
	decode func(key, row []byte) (T, bool)
	next   []byte
	rows   []T
}

// slice reads the next rows; after the file's last one, those of memory alone.
func (w *walker[T]) slice(ctx context.Context) (more bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	w.rows = w.rows[:0]
	err = w.s.view(func(tx *bbolt.Tx) error {
		c := tx.Bucket(w.table.name()).Cursor()
		key, row := c.Seek(w.next)
		for ; key != nil && len(w.rows) < sliceRows; key, row = c.Next() {
			w.add(key, row)
		}
		w.next = bytes.Clone(key)
		return nil
	})
	if err != nil || w.next != nil {
		return true, err
	}
	for key, row := range w.memory {
		w.take([]byte(key), row)
	}
	return false, nil
}

// add takes a row of the file, or what memory says of it.
func (w *walker[T]) add(key, row []byte) {
	if w.table == entries {
		key = currentKey(key, row)
	}
	if newer, ok := w.memory[string(key)]; ok {
		delete(w.memory, string(key))
		row = newer
	}
	w.take(key, row)
}

func (w *walker[T]) take(key, row []byte) {
	if row == nil {
		return
	}
	t, ok := w.decode(key, row)
	w.s.tally(ok)
	if ok {
		w.rows = append(w.rows, t)
	}
}

// keyed is a row and the key under which it is kept, which the row alone, cut to
// a bound, may not give.
type keyed[T any] struct {
	key     greylist.Key
	expires int64
	row     T
}

func (s *Store) allTriplets(ctx context.Context) iter.Seq2[keyed[greylist.Row], error] {
	return walk(ctx, s, triplets, func(key, row []byte) (k keyed[greylist.Row], ok bool) {
		r, ok := decodeTriplet(row)
		if !ok || copy(k.key[:], key) != len(k.key) {
			return k, false
		}
		k.expires, k.row = r.expires, r.row()
		return k, true
	})
}

func (s *Store) allOrigins(ctx context.Context) iter.Seq2[keyed[greylist.OriginRow], error] {
	return walk(ctx, s, origins, func(key, row []byte) (k keyed[greylist.OriginRow], ok bool) {
		r, ok := decodeOrigin(row)
		if !ok || copy(k.key[:], key) != len(k.key) {
			return k, false
		}
		k.expires, k.row = r.expires, r.row()
		return k, true
	})
}

// Triplets yields the triplets that have not expired by the Window of their last
// Try. Of names and mailboxes it yields at most 320 bytes.
func (s *Store) Triplets(ctx context.Context, now time.Time) iter.Seq2[greylist.Row, error] {
	return inForce(s.allTriplets(ctx), now.UnixMilli())
}

// Origins yields the origins that are known, by the Remember of their last use.
func (s *Store) Origins(ctx context.Context, now time.Time) iter.Seq2[greylist.OriginRow, error] {
	return inForce(s.allOrigins(ctx), now.UnixMilli()+1)
}

// inForce leaves out what expires before the unix millisecond now.
func inForce[T any](rows iter.Seq2[keyed[T], error], now int64) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for k, err := range rows {
			if err == nil && k.expires < now {
				continue
			}
			if !yield(k.row, err) {
				return
			}
		}
	}
}

// forgetRows is after how many deletions Forget commits, so that forgetting
// everything does not hold everything in memory.
const forgetRows = 10_000

// Forget takes away the matching triplets and origins, expired ones included,
// and commits: what it has counted is gone for good when the error is nil. It
// reads all that is kept, which is for persons to ask for.
func (s *Store) Forget(ctx context.Context, match func(greylist.Row) bool, matchOrigin func(greylist.OriginRow) bool) (nt, no int, err error) {
	if match != nil {
		nt, err = forget(s, triplets, &s.triplets, s.allTriplets(ctx), match)
	}
	if err == nil && matchOrigin != nil {
		no, err = forget(s, origins, &s.origins, s.allOrigins(ctx), matchOrigin)
	}
	return nt, no, errors.Join(err, s.Sync())
}

func forget[T any](s *Store, t table, l *stripes, rows iter.Seq2[keyed[T], error], match func(T) bool) (n int, err error) {
	for k, err := range rows {
		if err != nil {
			return n, err
		}
		if !match(k.row) {
			continue
		}
		mu := l.of(k.key)
		mu.Lock()
		s.erase(t, string(k.key[:]))
		mu.Unlock()
		if n++; n%forgetRows != 0 {
			continue
		}
		if err := s.Sync(); err != nil {
			return n, err
		}
	}
	return n, nil
}
