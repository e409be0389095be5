package hear

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
)

// maxLine bounds a line, in bytes. Of a longer one nothing is read: a line that was cut could begin with what a stranger
// put into its middle.
const maxLine = 4 << 10

// Files are looked at this often. Looking is the same on every system and file system, takes no descriptors that may have
// run out, and misses nothing; it costs two calls of the system each time.
const lookEvery = 500 * time.Millisecond

// lingerFor is how long a file is still read after another took its name: its writer goes on in it until it is told.
const lingerFor = 10 * time.Second

// A follower reads the lines that are written to a file from now on, whatever becomes of the file: renamed and made anew,
// copied and emptied, missing, or not readable for a while. Nothing of it is fatal.
type follower struct {
	path  string
	line  func(text string)
	fault func(error) // told after each look; nil: all is well

	file    *following // nil: none yet
	old     *following // has lost its name; nil: none
	missing bool       // there was no such file: what comes is new from its first line
}

// run follows until ctx is done.
func (f *follower) run(ctx context.Context) {
	defer func() { f.file.close(); f.old.close() }()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for now := time.Now(); ctx.Err() == nil; {
		f.fault(f.look(ctx, now))
		select {
		case <-ctx.Done():
		case now = <-tick.C:
		}
	}
}

// look reads what is new, and finds out which file has the name now.
func (f *follower) look(ctx context.Context, now time.Time) error {
	err := errors.Join(f.old.read(ctx, f.line), f.file.read(ctx, f.line))
	if f.old != nil && now.Sub(f.old.lost) >= lingerFor {
		f.old.close()
		f.old = nil
	}
	info, statErr := os.Stat(f.path)
	if statErr != nil {
		f.missing = f.missing || errors.Is(statErr, fs.ErrNotExist)
		return errors.Join(err, statErr)
	}
	if f.file == nil || !f.file.is(info) {
		return errors.Join(err, f.open(info, now))
	}
	f.file.truncated(info.Size())
	return err
}

// open begins with another file: at its end, unless it is known to be new.
func (f *follower) open(info fs.FileInfo, now time.Time) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", f.path)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	next := &following{file: file}
	if f.file == nil && !f.missing {
		if err := next.seekEnd(); err != nil {
			next.close()
			return err
		}
	}
	if f.file != nil {
		f.old.close()
		f.file.lost, f.old = now, f.file
	}
	f.file = next
	return nil
}

// A following is one file, and how far it was read.
type following struct {
	file  *os.File
	at    int64
	lines splitter
	lost  time.Time // when it was seen that another file has the name
}

// read reads up to the end, as it is now.
func (f *following) read(ctx context.Context, line func(string)) error {
	if f == nil {
		return nil
	}
	buf := make([]byte, 32<<10)
	for ctx.Err() == nil {
		n, err := f.file.ReadAt(buf, f.at)
		f.at += int64(n)
		f.lines.feed(buf[:n], maxLine, line)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// seekEnd passes over what is there. A line that is half written is passed over when it is whole.
func (f *following) seekEnd() error {
	info, err := f.file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	f.at = info.Size()
	last := make([]byte, 1)
	if _, err := f.file.ReadAt(last, f.at-1); err != nil && err != io.EOF {
		return err
	}
	f.lines.skip = last[0] != '\n'
	return nil
}

// is reports whether info is of this file.
func (f *following) is(info fs.FileInfo) bool {
	mine, err := f.file.Stat()
	return err == nil && os.SameFile(mine, info)
}

// truncated begins anew if the file has become shorter than it was read.
func (f *following) truncated(size int64) {
	if size < f.at {
		f.at, f.lines = 0, splitter{}
	}
}

func (f *following) close() {
	if f != nil {
		f.file.Close()
	}
}

// A splitter makes lines of what comes in pieces. It keeps one line at most.
type splitter struct {
	part []byte
	skip bool // up to the next end of a line
}

// feed takes the next piece, and gives each line of up to limit bytes, without its end.
func (s *splitter) feed(b []byte, limit int, line func(string)) {
	for len(b) > 0 {
		piece, rest, whole := bytes.Cut(b, []byte{'\n'})
		if s.skip = s.skip || len(s.part)+len(piece) > limit; s.skip {
			s.part = s.part[:0]
		} else {
			s.part = append(s.part, piece...)
		}
		if !whole {
			return
		}
		if !s.skip {
			line(strings.TrimSuffix(string(s.part), "\r"))
		}
		s.part, s.skip = s.part[:0], false
		b = rest
	}
}
