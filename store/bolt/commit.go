package bolt

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// longestPause is between two tries to write to a disk that fails.
const longestPause = time.Minute

// run commits in groups. It sleeps, without a timer, while nothing is pending.
func (s *Store) run() {
	for {
		select {
		case <-s.stop:
			return
		case <-s.wake:
		}
		for pause := s.o.Flush; ; pause = min(2*pause, longestPause) {
			if !s.pause(pause) {
				return
			}
			if s.Sync() == nil {
				break
			}
		}
	}
}

// pause reports false when the store is being closed.
func (s *Store) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.stop:
		return false
	case <-t.C:
		return true
	}
}

// Sync commits what is pending now. Whoever wants to be sure of more than the
// last second calls it; nobody has to.
func (s *Store) Sync() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	full := s.full.Swap(false)
	b := s.take()
	if b.len() == 0 && !full {
		return nil
	}
	err := s.write(b, full)
	s.settle(b, err)
	return s.report(err)
}

// take begins a commit of what is pending.
func (s *Store) take() batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushing, s.pending = s.pending, newBatch()
	return s.flushing
}

// settle ends a commit. What could not be written is pending again.
func (s *Store) settle(b batch, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		b.add(s.pending)
		s.pending = b
	}
	s.flushing = batch{}
}

// write puts a batch, and a slice of the sweep, on the disk.
func (s *Store) write(b batch, full bool) error {
	var counts [tables]int64
	sweep := s.sweep
	err := s.update(func(tx *bbolt.Tx) (err error) {
		if counts, err = readCounts(tx); err != nil {
			return err
		}
		if err = sweep.slice(tx, s.clock.Load(), full, &counts); err != nil {
			return err
		}
		for t, rows := range b.rows {
			n, err := apply(tx.Bucket(table(t).name()), rows)
			if err != nil {
				return err
			}
			counts[t] += n
		}
		if err = settleEntries(tx.Bucket(entries.name()), &b); err != nil {
			return err
		}
		return s.writeMeta(tx, counts)
	})
	if err != nil {
		return err
	}
	s.sweep = sweep
	s.counts[triplets].Store(counts[triplets])
	s.counts[origins].Store(counts[origins])
	return nil
}

// apply writes rows and returns by how many there are more now.
func apply(b *bbolt.Bucket, rows map[string][]byte) (more int64, err error) {
	for _, key := range slices.Sorted(maps.Keys(rows)) {
		row, had := rows[key], b.Get([]byte(key)) != nil
		switch {
		case row != nil:
			err = b.Put([]byte(key), row)
		case had:
			err = b.Delete([]byte(key))
		}
		if err != nil {
			return 0, err
		}
		more += change(had, row != nil)
	}
	return more, nil
}

func change(had, has bool) int64 {
	switch {
	case has && !had:
		return 1
	case had && !has:
		return -1
	}
	return 0
}

// settleEntries ends what the rows of a batch begin among the entries.
func settleEntries(entry *bbolt.Bucket, b *batch) error {
	for key := range b.rows[entries] {
		if err := dropOld(entry, key); err != nil {
			return err
		}
	}
	return applyUses(entry, b.uses)
}

// applyUses brings times of use into persons' entries that are still there.
func applyUses(b *bbolt.Bucket, uses map[string]int64) error {
	for key, used := range uses {
		row, ok := withUse(b.Get([]byte(key)), used)
		if !ok {
			continue
		}
		if err := b.Put([]byte(key), row); err != nil {
			return err
		}
	}
	return nil
}

// commitRow writes one row of a person's, or deletes it when row is nil. On an
// error nothing has changed. It reports whether there was one.
func (s *Store) commitRow(ctx context.Context, t table, key string, row []byte) (had bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	var old []byte
	err = s.update(func(tx *bbolt.Tx) error {
		old = s.latest(t, key, stored(tx, t, key))
		return putRow(tx, t, key, row)
	})
	if err != nil {
		s.restore(t, key, old)
		return false, s.report(err)
	}
	s.mu.Lock()
	s.pending.drop(t, key)
	s.mu.Unlock()
	return old != nil, s.report(nil)
}

// putRow writes a row, or deletes it when it is nil.
func putRow(tx *bbolt.Tx, t table, key string, row []byte) error {
	b := tx.Bucket(t.name())
	if t == entries {
		if err := dropOld(b, key); err != nil {
			return err
		}
	}
	if row == nil {
		return b.Delete([]byte(key))
	}
	return b.Put([]byte(key), row)
}

// latest is a copy of a row: as memory has it, else as the file does.
func (s *Store) latest(t table, key string, file []byte) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if row, in := s.recall(t, []byte(key)); in {
		return row
	}
	return bytes.Clone(file)
}

// restore undoes what a commit that failed has left behind. bbolt writes, then
// syncs: when the sync fails the file reads as if all were well.
func (s *Store) restore(t table, key string, old []byte) {
	var now []byte
	err := s.view(func(tx *bbolt.Tx) error {
		now = bytes.Clone(stored(tx, t, key))
		return nil
	})
	if err != nil || bytes.Equal(now, old) {
		return
	}
	s.mu.Lock()
	if _, newer := s.pending.rows[t][key]; !newer {
		s.pending.rows[t][key] = old
	}
	s.mu.Unlock()
	s.arm()
}

// report notes how a commit went and tells the log of a change. Callers hold
// writing.
func (s *Store) report(err error) error {
	if err != nil {
		err = s.cannotWrite(err)
	} else {
		s.commits.Add(1)
	}
	s.mu.Lock()
	before := s.failed
	s.failed = err
	s.mu.Unlock()
	switch {
	case err != nil && before == nil:
		s.o.Log.Error("the store cannot write; moggy goes on from memory", "err", err)
	case err == nil && before != nil:
		s.o.Log.Info("the store writes again", "path", s.o.Path)
	}
	return err
}

// format is the version of the whole file; rows carry their own.
const format = 1

// makeTables begins a new file.
func makeTables(tx *bbolt.Tx) error {
	for _, name := range names {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return putNumber(tx, "format", format)
}

// readMeta reports whether the tables are there, and reads what is known of them.
func (s *Store) readMeta(tx *bbolt.Tx) (ready bool, err error) {
	if tx.Bucket(meta.name()) == nil {
		return false, nil
	}
	switch v := number(tx, "format"); {
	case v == 0:
		return false, fmt.Errorf("%w: no format", ErrDamaged)
	case v != format:
		return false, fmt.Errorf("%w: format %d", ErrNewer, v)
	}
	counts, err := readCounts(tx)
	for t := range counts {
		s.counts[t].Store(counts[t])
	}
	if v := number(tx, "remember"); v > 0 {
		s.remember.Store(v)
	}
	return true, err
}

// readCounts also checks that the tables are there.
func readCounts(tx *bbolt.Tx) (counts [tables]int64, err error) {
	for _, name := range names {
		if tx.Bucket(name) == nil {
			return counts, fmt.Errorf("%w: no table %s", ErrDamaged, name)
		}
	}
	counts[triplets] = number(tx, "triplets")
	counts[origins] = number(tx, "origins")
	return counts, nil
}

func (s *Store) writeMeta(tx *bbolt.Tx, counts [tables]int64) error {
	for key, v := range map[string]int64{
		"triplets": counts[triplets], "origins": counts[origins], "remember": s.remember.Load(),
	} {
		if err := putNumber(tx, key, v); err != nil {
			return err
		}
	}
	return nil
}
