package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// pollEvery is how often Follow looks for more.
const pollEvery = 200 * time.Millisecond

// Follow calls fn with each record that is written to dir from now on, in their
// order and across rotations, until ctx ends; then it returns nil. Lines that
// are no records are passed over. A journal that does not exist yet is waited for.
func Follow(ctx context.Context, dir string, fn func(Record)) error {
	t := &tail{dir: dir, fn: fn, buf: make([]byte, blockSize)}
	defer t.close()
	if err := t.begin(); err != nil {
		return fmt.Errorf("following the journal: %w", err)
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := t.poll(); err != nil {
			return fmt.Errorf("following the journal: %w", err)
		}
	}
}

// tail is where Follow stands.
type tail struct {
	dir  string
	fn   func(Record)
	file *os.File // nil: none yet
	buf  []byte
	have int // bytes of buf that are an unfinished line
}

func (t *tail) close() {
	if t.file != nil {
		_ = t.file.Close() // was only read
	}
}

// begin goes to the end of the current file.
func (t *tail) begin() error {
	if _, err := os.Stat(t.dir); err != nil {
		return err
	}
	err := t.open(current)
	if err == nil && t.file != nil {
		_, err = t.file.Seek(0, io.SeekEnd)
	}
	return err
}

// open goes to the beginning of another file, if it is there.
func (t *tail) open(name string) error {
	f, err := os.Open(filepath.Join(t.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	t.close()
	t.file, t.have = f, 0
	return nil
}

// poll reads all there is. A file that is not the current one any more is read
// again after that was seen, because it may have grown just before.
func (t *tail) poll() error {
	for {
		if err := t.read(); err != nil {
			return err
		}
		if t.file != nil && same(t.file, filepath.Join(t.dir, current)) {
			return nil
		}
		if err := t.read(); err != nil {
			return err
		}
		if moved, err := t.advance(); err != nil || !moved {
			return err
		}
	}
}

// advance goes to the file after this one.
func (t *tail) advance() (moved bool, err error) {
	was := t.file
	names, err := oldFiles(t.dir)
	if err != nil {
		return false, err
	}
	next := current
	for i := len(names) - 1; i >= 0 && t.file != nil && !same(t.file, filepath.Join(t.dir, names[i])); i-- {
		next = names[i]
	}
	err = t.open(next)
	return t.file != was, err
}

// read gives fn what there is behind the last line it got.
func (t *tail) read() error {
	for t.file != nil {
		n, err := t.file.Read(t.buf[t.have:])
		t.have += n
		t.lines()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// lines gives fn the finished lines of buf and keeps the rest. A line that
// fills the buffer is thrown away.
func (t *tail) lines() {
	whole := bytes.LastIndexByte(t.buf[:t.have], '\n') + 1
	for line := range bytes.Lines(t.buf[:whole]) {
		if r, err := decode(line); err == nil {
			t.fn(r)
		}
	}
	t.have = copy(t.buf, t.buf[whole:t.have])
	if t.have == len(t.buf) {
		t.have = 0
	}
}
