package bolt

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// ErrLocked is wrapped by the error of [Open] when another process has the file.
var ErrLocked = errors.New("another process has it open")

// ErrDamaged is wrapped by errors about a file that is not, or no longer, what
// this package writes.
var ErrDamaged = errors.New("damaged")

// ErrNewer is wrapped by the error of [Open] when a later moggy wrote the file.
var ErrNewer = errors.New("written by a later version of moggy")

// explain says why the file cannot be opened, and what to type.
func explain(path string, err error) error {
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("opening the store %s: %w: moggyd is running and has it; type: moggy status", path, ErrLocked)
	case errors.Is(err, ErrNewer):
		return fmt.Errorf("opening the store %s: %w; install that version again", path, err)
	case errors.Is(err, ErrDamaged):
		return fmt.Errorf("opening the store %s: %w; %s", path, err, putAside(path))
	case isNoDatabase(err):
		return fmt.Errorf("opening the store %s: %w: %w; %s", path, ErrDamaged, err, putAside(path))
	}
	dir := filepath.Dir(path)
	return fmt.Errorf("opening the store %s: %w; type: ls -ld %s; df -h %s", path, err, dir, dir)
}

// isNoDatabase tells what bbolt says of a file from what the system says.
func isNoDatabase(err error) bool {
	for _, is := range []error{bolterrors.ErrInvalid, bolterrors.ErrChecksum, bolterrors.ErrVersionMismatch} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

func putAside(path string) string {
	return fmt.Sprintf("bring back a copy, or begin anew: mv %s %s.damaged", path, path)
}

// cannotWrite says that a commit failed, and what to type.
func (s *Store) cannotWrite(err error) error {
	if errors.Is(err, ErrDamaged) {
		return fmt.Errorf("writing %s: %w; stop moggyd, then %s", s.o.Path, err, putAside(s.o.Path))
	}
	return fmt.Errorf("writing %s: %w; type: df -h %s", s.o.Path, err, filepath.Dir(s.o.Path))
}

// guard turns a panic of bbolt over a damaged file, and a fault on reading
// beyond the end of one, into an error. Call it and defer what it returns.
func guard(err *error) func() {
	faults := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(faults)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}
}

// view reads within one short transaction. Nothing that f sees of the file may
// outlive it, and f must not call into foreign code: while it runs, a commit
// that has to map a larger file waits, and everybody behind it.
func (s *Store) view(f func(*bbolt.Tx) error) error {
	err := s.read(f)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrDamaged):
		err = fmt.Errorf("reading %s: %w; stop moggyd, then %s", s.o.Path, err, putAside(s.o.Path))
		s.mu.Lock()
		s.unreadable = err
		s.mu.Unlock()
		return err
	}
	return fmt.Errorf("reading %s: %w", s.o.Path, err)
}

// read is view without the words.
func (s *Store) read(f func(*bbolt.Tx) error) (err error) {
	defer guard(&err)()
	return s.db.View(f)
}

// update writes f's changes to the disk, all or none. Callers hold writing.
func (s *Store) update(f func(*bbolt.Tx) error) (err error) {
	if s.broken != nil {
		return s.broken
	}
	defer func() {
		if errors.Is(err, ErrDamaged) {
			s.broken = err
		}
	}()
	defer guard(&err)()
	if err := s.db.Update(f); err != nil {
		return err
	}
	return s.fsync(s.file)
}
