// Package bolt keeps entries, triplets, origins and traps in one file, with
// bbolt. A [Store] is a whitelist.Store and a greylist.Store in one.
//
// What a person says is on the disk when the call returns. What moggy finds out
// by itself is held in memory first, where reads see it at once, and committed
// in groups: a crash loses about the last second of it.
//
// The package does not know what a try means, greylist.Next does; nor who is
// family, nor when to ask.
package bolt

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
)

// Options are what [Open] needs. Only Path has no default.
type Options struct {
	Path     string        // the file, created with mode 0600, its directory with 0700
	Timeout  time.Duration // how long to wait until another process lets go; 250 ms
	Flush    time.Duration // the least time between two group commits; 1 s
	Limit    int           // most triplets kept, and most origins; 2,000,000
	Pending  int           // most rows of a kind held in memory until a commit; 100,000
	Remember time.Duration // how long Pass remembers until a Try has said; 36 days
	Log      *slog.Logger  // told when writing begins to fail and when it works again; nil: nobody
}

func (o Options) withDefaults() Options {
	o.Timeout = cmp.Or(o.Timeout, 250*time.Millisecond)
	o.Flush = cmp.Or(o.Flush, time.Second)
	o.Limit = cmp.Or(o.Limit, 2_000_000)
	o.Pending = cmp.Or(o.Pending, 100_000)
	o.Remember = cmp.Or(o.Remember, 36*24*time.Hour)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	return o
}

// A Store is one open file. Its methods may be called from many goroutines.
//
// Two bounds hold. Beyond Options.Limit a triplet that is new is not remembered:
// its next try is a first try again, until expired rows have been swept. Beyond
// Options.Pending, which only a disk that fails or far more than 10,000 tries a
// second reach, the same goes for what is not yet in memory, and times of use
// are lost. [Stats] counts both. No call fails or waits for either.
type Store struct {
	o     Options
	db    *bbolt.DB
	file  *os.File
	fsync func(*os.File) error // after a commit, where bbolt's own does not suffice

	origins  stripes // held from reading an origin until it is written; taken before triplets
	triplets stripes

	writing sync.Mutex // one commit at a time; guards sweep and broken
	sweep   sweep
	broken  error // bbolt found the file damaged while it wrote: no more writing

	mu         sync.Mutex // guards the next four
	pending    batch      // not on disk yet
	flushing   batch      // being committed; pending is newer
	failed     error      // of the last commit
	unreadable error      // a page that is damaged

	counts   [tables]atomic.Int64 // rows on disk, of triplets and origins
	clock    atomic.Int64         // the caller's, in unix milliseconds, at the last Try
	remember atomic.Int64         // Timers.Remember at the last Try, in milliseconds
	full     atomic.Bool          // a triplet or an origin met the Limit: sweep

	commits, damaged, dropped atomic.Int64

	wake chan struct{}
	stop chan struct{}
	once sync.Once
	loop sync.WaitGroup
}

// Open opens the file at o.Path, and makes it if there is none. It takes
// milliseconds however much is kept. The error wraps [ErrLocked] or [ErrDamaged]
// where that is what is wrong. Whoever opens must [Store.Close].
func Open(o Options) (*Store, error) {
	o = o.withDefaults()
	if o.Path == "" {
		return nil, errors.New("opening the store: no file named; set state_dir in moggy.toml")
	}
	s := &Store{o: o, fsync: syncFile, pending: newBatch(),
		wake: make(chan struct{}, 1), stop: make(chan struct{})}
	s.remember.Store(o.Remember.Milliseconds())
	if err := s.openFile(); err != nil {
		return nil, explain(o.Path, err)
	}
	s.loop.Go(s.run)
	return s, nil
}

// leastSize is less than any file of bbolt's has, in bytes: it makes four pages.
const leastSize = 4 * 4096

// openFile opens the file, checks what can be checked without reading it all,
// and reads the meta table.
func (s *Store) openFile() error {
	dir := filepath.Dir(s.o.Path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	info, err := os.Stat(s.o.Path)
	fresh := errors.Is(err, os.ErrNotExist)
	if err == nil && info.Mode().IsRegular() && 0 < info.Size() && info.Size() < leastSize {
		return fmt.Errorf("%w: %d bytes", ErrDamaged, info.Size())
	}
	if err := s.openBolt(); err != nil {
		s.closeFile()
		return err
	}
	if err := s.prepare(); err != nil {
		s.db.Close()
		return err
	}
	if fresh {
		return syncDir(dir)
	}
	return nil
}

// openBolt turns a panic over a damaged file into an error.
func (s *Store) openBolt() (err error) {
	defer guard(&err)()
	s.db, err = bbolt.Open(s.o.Path, 0o600, &bbolt.Options{
		Timeout:      s.o.Timeout,
		FreelistType: bbolt.FreelistMapType,
		NoStatistics: true,
		OpenFile: func(path string, flag int, mode os.FileMode) (f *os.File, err error) {
			s.file, err = os.OpenFile(path, flag, mode)
			return s.file, err
		},
	})
	return err
}

// closeFile lets go of the file where bbolt did not get as far as to do so.
func (s *Store) closeFile() {
	if s.file != nil {
		s.file.Close()
	}
}

// prepare makes the tables that are missing and reads meta.
func (s *Store) prepare() error {
	if err := s.checkSize(); err != nil {
		return err
	}
	ready := false
	err := s.read(func(tx *bbolt.Tx) (err error) {
		ready, err = s.readMeta(tx)
		return err
	})
	if err != nil || ready {
		return err
	}
	return s.update(makeTables)
}

// checkSize finds a file that was cut short: reading beyond its end is a fault.
func (s *Store) checkSize() error {
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	return s.read(func(tx *bbolt.Tx) error {
		if tx.Size() > info.Size() {
			return fmt.Errorf("%w: %d bytes, should be %d", ErrDamaged, info.Size(), tx.Size())
		}
		return nil
	})
}

// Close commits what is pending and lets go of the file. The error is that of
// the commit: what was pending is lost then.
func (s *Store) Close() (err error) {
	s.once.Do(func() {
		close(s.stop)
		s.loop.Wait()
		err = s.Sync()
		s.writing.Lock()
		defer s.writing.Unlock()
		if s.broken != nil { // bbolt may hold its locks for ever
			s.closeFile()
			return
		}
		err = errors.Join(err, s.db.Close())
	})
	return err
}

// Healthy returns the error of the last commit, nil if it went well, or that of
// having met a damaged page, which stays. It ends with what to type.
func (s *Store) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return cmp.Or(s.unreadable, s.failed)
}

// Stats are figures for people and for metrics.
type Stats struct {
	Triplets int64 // on disk, expired ones that were not swept yet included
	Origins  int64 // the same
	Pending  int   // rows in memory that are not on disk yet
	Commits  int64 // since Open
	Dropped  int64 // rows that were not remembered for want of room, since Open
	Damaged  int64 // rows read that made no sense and were taken for absent, since Open
}

// Stats returns the figures. It waits for no disk.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	pending := s.pending.len() + s.flushing.len()
	s.mu.Unlock()
	return Stats{
		Triplets: s.counts[triplets].Load(), Origins: s.counts[origins].Load(), Pending: pending,
		Commits: s.commits.Load(), Dropped: s.dropped.Load(), Damaged: s.damaged.Load(),
	}
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
