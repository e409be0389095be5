package bolt

import (
	"bytes"
	"encoding/binary"
	"time"

	"go.etcd.io/bbolt"
)

// A sweep goes through the triplets and the origins and deletes what has
// expired, a slice with each group commit: when nobody tries, nothing grows and
// nothing is swept. Its clock is that of the last Try.
type sweep struct {
	running bool
	began   int64 // unix milliseconds
	table   table
	next    []byte
}

const (
	sweepRows  = 2000                                // looked at with one commit
	sweepEvery = int64(time.Hour / time.Millisecond) // from one beginning to the next, unless the Limit is met
)

// slice looks at the next rows, if there is anything to do at the time now.
func (w *sweep) slice(tx *bbolt.Tx, now int64, full bool, counts *[tables]int64) error {
	if !w.running && !w.begin(now, full) {
		return nil
	}
	for left := sweepRows; left > 0 && w.running; {
		b := tx.Bucket(w.table.name())
		gone, next, looked := expired(b, w.next, left, now)
		for _, key := range gone {
			if err := b.Delete(key); err != nil {
				return err
			}
		}
		counts[w.table] -= int64(len(gone))
		left -= looked
		w.advance(next)
	}
	return nil
}

func (w *sweep) begin(now int64, full bool) bool {
	age := now - w.began
	if now == 0 || !full && 0 <= age && age < sweepEvery {
		return false
	}
	*w = sweep{running: true, began: now, table: triplets}
	return true
}

func (w *sweep) advance(next []byte) {
	w.next = next
	switch {
	case next != nil:
	case w.table == triplets:
		w.table = origins
	default:
		w.running = false
	}
}

// expired returns the keys of rows that have expired among the rows from the key
// from, at most limit of them, and where to go on; nil at the end of the table.
func expired(b *bbolt.Bucket, from []byte, limit int, now int64) (gone [][]byte, next []byte, looked int) {
	c := b.Cursor()
	key, row := c.Seek(from)
	for ; key != nil && looked < limit; key, row = c.Next() {
		looked++
		if end, ok := expiry(row); ok && end < now {
			gone = append(gone, bytes.Clone(key))
		}
	}
	return gone, bytes.Clone(key), looked
}

func number(tx *bbolt.Tx, key string) int64 {
	v := tx.Bucket(meta.name()).Get([]byte(key))
	if len(v) != 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(v))
}

func putNumber(tx *bbolt.Tx, key string, v int64) error {
	if v != 0 && number(tx, key) == v {
		return nil
	}
	return tx.Bucket(meta.name()).Put([]byte(key), binary.BigEndian.AppendUint64(nil, uint64(v)))
}
