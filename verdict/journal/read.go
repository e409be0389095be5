package journal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrCorrupt is wrapped by the complaint about a line that is no record. What
// comes after it can be read.
var ErrCorrupt = errors.New("not a record")

// Read yields the records in dir, the oldest first. A line that is no record is
// yielded as an error that wraps [ErrCorrupt], and reading goes on; a last line
// that is not finished yet is passed over. Any other error is the last thing
// yielded. It needs no running daemon, and does not disturb one.
func Read(dir string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s, err := open(dir)
		if err != nil {
			yield(Record{}, err)
			return
		}
		defer s.close()
		for f, err := range s.oldestFirst() {
			if err != nil {
				yield(Record{}, err)
				return
			}
			if !readFile(f, yield) {
				return
			}
		}
	}
}

// readFile yields the records of one file; false: stop.
func readFile(f *os.File, yield func(Record, error) bool) bool {
	n := 0
	for block, err := range blocks(f) {
		if err != nil {
			yield(Record{}, fmt.Errorf("reading the journal: %w", err))
			return false
		}
		for line := range bytes.Lines(block) {
			n++
			r, err := decode(line)
			if errors.Is(err, errNothing) {
				continue
			}
			if err != nil {
				err = fmt.Errorf("%s:%d: %w", f.Name(), n, err)
			}
			if !yield(r, err) {
				return false
			}
		}
	}
	return true
}

// errNothing is decode's answer to an empty or unfinished line.
var errNothing = errors.New("no record here")

// decode reads one line.
func decode(line []byte) (r Record, err error) {
	whole := bytes.HasSuffix(line, []byte("\n"))
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return Record{}, errNothing
	}
	err = json.Unmarshal(line, &r)
	switch {
	case err == nil && r.Event != "" && !r.Time.IsZero():
		r.scrub()
		return r, nil
	case !whole && len(line) < blockSize:
		return Record{}, errNothing
	case err == nil:
		return Record{}, fmt.Errorf("%w: no time or no event", ErrCorrupt)
	}
	return Record{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// scrub makes the strings of a record that somebody else may have written fit
// to be shown.
func (r *Record) scrub() {
	for _, s := range []*string{&r.Ref, &r.Node, &r.Listener, &r.Action, &r.Rule, &r.Why, &r.Origin, &r.Helo, &r.From, &r.To, &r.Answer} {
		scrub(s)
	}
	scrub((*string)(&r.Event))
	scrub((*string)(&r.Stage))
	scrub((*string)(&r.Class))
	scrub((*string)(&r.Evidence))
	scrub((*string)(&r.Outcome))
	for i := range r.Steps {
		scrub(&r.Steps[i].Rule)
	}
	for i := range r.Degraded {
		scrub((*string)(&r.Degraded[i]))
	}
	r.Peer = peerOf(r.Peer)
}

func scrub(s *string) {
	if !shown(*s) {
		*s = text(*s)
	}
}

// shelf is the files of a journal at one moment. The current file is opened
// first, so that a rotation while we look shows no record twice and hides none.
type shelf struct {
	dir     string
	current *os.File // nil: none
	old     []string // names, the oldest first
}

func open(dir string) (*shelf, error) {
	s := &shelf{dir: dir}
	f, err := os.Open(filepath.Join(dir, current))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	if err == nil {
		s.current = f
	}
	if s.old, err = oldFiles(dir); err != nil {
		s.close()
		return nil, fmt.Errorf("reading the journal: %w", err)
	}
	s.old = slices.DeleteFunc(s.old, func(name string) bool { return same(s.current, filepath.Join(dir, name)) })
	return s, nil
}

// oldFiles returns the names of the rotated files, the oldest first.
func oldFiles(dir string) (names []string, err error) {
	entries, err := os.ReadDir(dir) // sorted by name
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), oldPrefix) && strings.HasSuffix(e.Name(), oldSuffix) {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// same reports whether the open file f is the one at path.
func same(f *os.File, path string) bool {
	if f == nil {
		return false
	}
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

func (s *shelf) close() {
	if s.current != nil {
		_ = s.current.Close() // was only read
	}
}

// oldestFirst yields the files opened, to be used until the next one.
func (s *shelf) oldestFirst() iter.Seq2[*os.File, error] {
	return func(yield func(*os.File, error) bool) {
		for _, name := range s.old {
			if !s.visit(name, yield) {
				return
			}
		}
		if s.current != nil {
			yield(s.current, nil)
		}
	}
}

// newestFirst is oldestFirst the other way round.
func (s *shelf) newestFirst() iter.Seq2[*os.File, error] {
	return func(yield func(*os.File, error) bool) {
		if s.current != nil && !yield(s.current, nil) {
			return
		}
		for _, name := range slices.Backward(s.old) {
			if !s.visit(name, yield) {
				return
			}
		}
	}
}

// visit yields one old file; one that was removed meanwhile is passed over.
func (s *shelf) visit(name string, yield func(*os.File, error) bool) bool {
	f, err := os.Open(filepath.Join(s.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		return yield(nil, fmt.Errorf("reading the journal: %w", err))
	}
	defer f.Close()
	return yield(f, nil)
}
