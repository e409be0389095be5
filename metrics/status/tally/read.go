package tally

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The files of a journal: the current one, and older ones, whose names sort as
// they were written.
const (
	current   = "journal.jsonl"
	oldPrefix = "journal-"
	oldSuffix = ".jsonl"
)

// blockSize is how much is read at once. A longer line is no record.
const blockSize = 256 << 10

// errTime ends a reading that takes too long.
var errTime = errors.New("no time to read more")

// errEnough ends a reading that has come to what is too old.
var errEnough = errors.New("enough")

// backward gives f the lines of all files in dir, the newest first, in blocks of
// whole lines that are in their order, until f wants no more. It returns errTime
// when it is past the deadline. The current file is opened before the others are
// looked for, so that a rotation meanwhile hides no line and shows none twice.
func backward(dir string, deadline time.Time, f func(lines []byte) bool) error {
	r := reader{buf: make([]byte, blockSize), deadline: deadline, f: f}
	now, err := os.Open(filepath.Join(dir, current))
	if err == nil {
		defer now.Close()
		err = r.lines(now)
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = r.old(dir, now)
	}
	switch {
	case err == nil, err == errEnough:
		return nil
	case err == errTime:
		return err
	}
	return fmt.Errorf("the journal cannot be read: %w", err)
}

// A reader reads files from their ends.
type reader struct {
	buf      []byte
	deadline time.Time
	f        func(lines []byte) bool
}

// old reads the files that are not now, which is the current one; nil: there is none.
func (r *reader) old(dir string, now *os.File) error {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return err
	}
	for _, e := range slices.Backward(entries) {
		if !strings.HasPrefix(e.Name(), oldPrefix) || !strings.HasSuffix(e.Name(), oldSuffix) {
			continue
		}
		if err := r.file(filepath.Join(dir, e.Name()), now); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err // one that was removed meanwhile is passed over
		}
	}
	return nil
}

// file reads the file at path, unless it is now.
func (r *reader) file(path string, now *os.File) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if now != nil && same(file, now) {
		return nil
	}
	return r.lines(file)
}

func same(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// lines reads one file, the last block first.
func (r *reader) lines(file *os.File) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	keep := 0 // bytes at the front of buf that are the end of a line that begins before
	for end := info.Size(); end > 0; {
		if time.Now().After(r.deadline) {
			return errTime
		}
		n := int(min(end, int64(len(r.buf)-keep)))
		copy(r.buf[n:], r.buf[:keep])
		end -= int64(n)
		if _, err := file.ReadAt(r.buf[:n], end); err != nil {
			return err
		}
		block := r.buf[:n+keep]
		keep = head(block, end == 0)
		if !r.f(block[keep:]) {
			return errEnough
		}
	}
	return nil
}

// head is how much of a block belongs to a line that begins before it. A line that
// fills the block is taken as it is: it is no record.
func head(block []byte, first bool) int {
	n := bytes.IndexByte(block, '\n') + 1
	if first || n == len(block) {
		return 0
	}
	return n
}
