package hear

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A tail follows a file named log in a directory of its own, in virtual time.
type tail struct {
	t   *testing.T
	dir string

	mu    sync.Mutex
	lines []string
	why   error
}

// line and noted are what the follower tells.
func (f *tail) line(s string)   { f.mu.Lock(); defer f.mu.Unlock(); f.lines = append(f.lines, s) }
func (f *tail) noted(err error) { f.mu.Lock(); defer f.mu.Unlock(); f.why = err }

// read is what was read so far, and fault what was told last.
func (f *tail) read() []string { f.mu.Lock(); defer f.mu.Unlock(); return slices.Clone(f.lines) }
func (f *tail) fault() error   { f.mu.Lock(); defer f.mu.Unlock(); return f.why }

// follow runs a test of a follower.
func follow(t *testing.T, test func(f *tail)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { test(&tail{t: t, dir: dir}) })
}

// start begins to follow; the follower ends with the test.
func (f *tail) start() {
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan struct{})
	follower := follower{path: f.path("log"), line: f.line, fault: f.noted}
	go func() { defer close(done); follower.run(ctx) }()
	f.t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
}

func (f *tail) path(name string) string { return filepath.Join(f.dir, name) }

// must fails the test on an error.
func (f *tail) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// open opens a file as the writer of a log does.
func (f *tail) open(name string) *os.File {
	f.t.Helper()
	w, err := os.OpenFile(f.path(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	f.must(err)
	f.t.Cleanup(func() { w.Close() })
	return w
}

func (f *tail) write(w *os.File, text string) {
	f.t.Helper()
	_, err := w.WriteString(text)
	f.must(err)
}

// later lets the follower look.
func (f *tail) later(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// want compares all lines that were read so far.
func (f *tail) want(lines ...string) {
	f.t.Helper()
	f.later(lookEvery)
	f.later(lookEvery) // a second look: it may have found the file at the first
	if got := f.read(); !slices.Equal(got, lines) {
		f.t.Errorf("read %q, not %q", got, lines)
	}
}

func TestFollowFromTheEnd(t *testing.T) {
	follow(t, func(f *tail) {
		w := f.open("log")
		f.write(w, "old\nhalf")
		f.start()
		f.write(w, " a line\nnew\r\nin two")
		f.want("new")
		f.write(w, " pieces\n\nlast\n")
		f.want("new", "in two pieces", "", "last")
		if f.fault() != nil {
			t.Error(f.fault())
		}
	})
}

func TestFollowRenamed(t *testing.T) {
	follow(t, func(f *tail) {
		w := f.open("log")
		f.start()
		f.write(w, "1\n")
		f.later(lookEvery)
		f.write(w, "2\n") // not read yet when it is renamed
		f.must(os.Rename(f.path("log"), f.path("log.1")))
		f.want("1", "2")
		if f.fault() == nil {
			t.Error("the file is missing, and nothing is said")
		}
		f.write(w, "3\n") // its writer has not been told
		next := f.open("log")
		f.write(next, "4\n")
		f.want("1", "2", "3", "4")
		f.write(w, "5\n") // still has not
		f.write(next, "6\n")
		f.later(lookEvery)
		if got := f.read(); strings.Join(slices.Sorted(slices.Values(got)), "") != "123456" {
			t.Errorf("read %q", got)
		}
		f.later(lingerFor)
		f.write(w, "too late\n")
		f.write(next, "7\n")
		f.want("1", "2", "3", "4", "5", "6", "7")
		if f.fault() != nil {
			t.Error(f.fault())
		}
	})
}

func TestFollowManyRotations(t *testing.T) {
	follow(t, func(f *tail) {
		f.open("log")
		f.start()
		var want []string
		for i := range 20 {
			w := f.open("log")
			f.write(w, fmt.Sprintln(i))
			want = append(want, fmt.Sprint(i))
			f.later(lookEvery)
			f.must(os.Rename(f.path("log"), f.path(fmt.Sprint("log.", i))))
		}
		f.want(want...)
	})
}

func TestFollowTruncated(t *testing.T) {
	follow(t, func(f *tail) {
		w := f.open("log")
		f.write(w, "old\n")
		f.start()
		f.write(w, "1\nhalf a")
		f.want("1")
		f.must(w.Truncate(0))
		f.write(w, "2\n")
		f.want("1", "2")
		f.must(w.Truncate(0))
		f.want("1", "2")
		f.write(w, "3\n")
		f.want("1", "2", "3")
	})
}

func TestFollowMissing(t *testing.T) {
	follow(t, func(f *tail) {
		f.start()
		if f.fault() == nil || !strings.Contains(f.fault().Error(), "no such file") {
			t.Errorf("fault: %v", f.fault())
		}
		f.later(time.Hour)
		w := f.open("log")
		f.write(w, "1\n") // before anybody looked
		f.want("1")
		f.must(os.Remove(f.path("log")))
		f.want("1")
		f.later(time.Hour)
		f.write(f.open("log"), "2\n")
		f.want("1", "2")
		if f.fault() != nil {
			t.Error(f.fault())
		}
	})
}

func TestFollowUnreadable(t *testing.T) {
	follow(t, func(f *tail) {
		f.must(os.Mkdir(f.path("log"), 0o700))
		f.start()
		if f.fault() == nil {
			t.Error("a directory is no fault")
		}
		f.must(os.Remove(f.path("log")))
		f.must(os.WriteFile(f.path("else"), []byte("all of last year\n"), 0o600))
		f.must(os.Rename(f.path("else"), f.path("log")))
		f.want()
		f.write(f.open("log"), "1\n")
		f.want("1")
	})
}

func TestFollowNeverEndsTheProcess(t *testing.T) {
	follow(t, func(f *tail) {
		f.must(os.Mkdir(f.path("sub"), 0o700))
		w := f.open("sub/log")
		f.must(os.Symlink("sub/log", f.path("log")))
		f.start()
		f.must(os.Rename(f.path("sub"), f.path("gone")))
		f.must(os.WriteFile(f.path("sub"), nil, 0o600)) // what was a directory is a file: ENOTDIR
		f.write(w, "1\n")
		f.want("1")
		if f.fault() == nil {
			t.Error("nothing is said")
		}
	})
}

func TestFollowLongLines(t *testing.T) {
	long := strings.Repeat("x", maxLine)
	forged := "Nov 22 21:00:00 mx dovecot: imap-login: Login: user=<me>, method=PLAIN, rip=203.0.113.99, lip=1"
	follow(t, func(f *tail) {
		w := f.open("log")
		f.start()
		f.write(w, long+"\n"+long+"y\n"+long+forged+"\n1\n")
		f.want(long, "1")
		for range 100 {
			f.write(w, long)
			f.later(lookEvery)
		}
		f.write(w, forged+"\n2\n")
		f.want(long, "1", "2")
	})
}

// TestFollowHole is a log that was copied and emptied under a writer that goes on where it was: a quarter of a gigabyte
// of zeros, and then a line.
func TestFollowHole(t *testing.T) {
	follow(t, func(f *tail) {
		w := f.open("log")
		f.start()
		f.must(w.Truncate(256 << 20))
		f.write(w, "lost\n1\n")
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f.want("1")
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
			t.Errorf("took %d KiB", used>>10)
		}
	})
}

func TestSplitterInPieces(t *testing.T) {
	const text = "a\r\nbc\n\ntoolong\nlast\nrest"
	for size := 1; size <= len(text); size++ {
		var s splitter
		var got []string
		for piece := range slices.Chunk([]byte(text), size) {
			s.feed(piece, 4, func(line string) { got = append(got, line) })
		}
		if want := []string{"a", "bc", "", "last"}; !slices.Equal(got, want) {
			t.Errorf("in pieces of %d: %q", size, got)
		}
	}
}
