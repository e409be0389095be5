package journal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
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

// a sink takes writes when it is let, and fails while err is set.
type sink struct {
	mu     sync.Mutex
	gate   chan struct{} // nil: open
	err    error
	short  int // bytes taken before err
	writes []string
	closed bool
}

func (s *sink) Write(p []byte) (int, error) {
	if s.gate != nil {
		<-s.gate
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		s.writes = append(s.writes, string(p[:s.short]))
		return s.short, s.err
	}
	s.writes = append(s.writes, string(p))
	return len(p), nil
}

func (s *sink) Close() error {
	s.closed = true
	return nil
}

func (s *sink) fail(err error, short int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.short = err, short
}

// numbered is a record that can be told from others.
func numbered(i int) Record {
	return Record{Time: stamp(now.Add(time.Duration(i) * time.Second)), Event: EventDecided, Ref: fmt.Sprintf("%06d", i)}
}

// refs are the refs of the records in text, in their order.
func refs(t *testing.T, text string) (refs []string) {
	t.Helper()
	for line := range bytes.Lines([]byte(text)) {
		r, err := decode(line)
		if errors.Is(err, errNothing) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, r.Ref)
	}
	return refs
}

func TestAppendNeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{gate: make(chan struct{})}
		j := start(s, Options{Queue: 10}, false)
		j.Append(numbered(0))
		synctest.Wait() // the writer is stuck with the first
		for i := range 25 {
			j.Append(numbered(1 + i))
		}
		if j.Dropped() != 15 {
			t.Errorf("%d dropped, want 15", j.Dropped())
		}
		close(s.gate)
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		got := refs(t, strings.Join(s.writes, ""))
		if len(got) != 11 || !slices.IsSorted(got) || !s.closed {
			t.Errorf("written %v", got)
		}
		if len(s.writes) != 2 {
			t.Errorf("%d writes, want one for the first and one for all that waited", len(s.writes))
		}
	})
}

func TestWrittenAtOnceAndThenAsleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		j := start(s, Options{}, false)
		for i := range 3 {
			begin := time.Now()
			j.Append(numbered(i))
			synctest.Wait()
			if len(s.writes) != i+1 || time.Since(begin) != 0 {
				t.Fatalf("%d writes after %v: a timer was waited for", len(s.writes), time.Since(begin))
			}
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestBatchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{gate: make(chan struct{})}
		j := start(s, Options{}, false)
		r := decided(stranger())
		for range 1_000 {
			j.Append(r)
		}
		close(s.gate)
		_ = j.Close()
		for _, w := range s.writes {
			if len(w) > maxBatch+16<<10 || !strings.HasSuffix(w, "\n") {
				t.Errorf("a write of %d bytes", len(w))
			}
		}
		if n := strings.Count(strings.Join(s.writes, ""), "\n"); n != 1_000 {
			t.Errorf("%d lines", n)
		}
	})
}

func TestDiskFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s := &sink{}
		j := start(s, Options{Dir: "/var/lib/moggy", Log: slog.New(slog.NewTextHandler(&log, nil))}, false)
		put := func(i int) { j.Append(numbered(i)); synctest.Wait() }
		put(1)
		s.fail(errors.New("no space left on device"), 9)
		for i := range 100 {
			put(2 + i)
		}
		s.fail(nil, 0)
		put(102)
		_ = j.Close()
		if j.Dropped() != 100 {
			t.Errorf("%d dropped", j.Dropped())
		}
		if n := strings.Count(log.String(), "no space left"); n != 1 {
			t.Errorf("told %d times: %s", n, log.String())
		}
		good := strings.SplitAfter(strings.Join(s.writes, ""), "\n")
		if r, err := decode([]byte(good[len(good)-2])); err != nil || r.Ref != "000102" {
			t.Errorf("what came after the outage is lost: %v", err)
		}
	})
}

func TestUnwritableRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{}
		j := start(s, Options{}, false)
		bad := numbered(1)
		bad.Time = time.Date(12026, 1, 1, 0, 0, 0, 0, time.UTC)
		j.Append(bad)
		synctest.Wait()
		j.Append(numbered(2))
		_ = j.Close()
		if got := refs(t, strings.Join(s.writes, "")); !slices.Equal(got, []string{"000002"}) || j.Dropped() != 1 {
			t.Errorf("got %v, %d dropped", got, j.Dropped())
		}
	})
}

func TestAppendAndCloseTogether(t *testing.T) {
	s := &sink{}
	j := start(s, Options{Queue: 8}, false)
	const each = 2_000
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := range each {
				j.Append(numbered(i))
			}
		})
	}
	runtime.Gosched()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	written := strings.Count(strings.Join(s.writes, ""), "\n")
	if int64(written)+j.Dropped() != 4*each {
		t.Errorf("%d written, %d dropped of %d", written, j.Dropped(), 4*each)
	}
	if j.Close() == nil {
		t.Error("closed twice without a word")
	}
}

func TestOpenAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	for run := range 2 {
		j := mustOpen(t, Options{Dir: dir})
		j.Append(numbered(2 * run))
		j.Append(numbered(2*run + 1))
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := readRefs(t, dir); !slices.Equal(got, []string{"000000", "000001", "000002", "000003"}) {
		t.Errorf("got %v", got)
	}
	if info, err := os.Stat(filepath.Join(dir, current)); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOpenBehindATornLine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, current, `{"time":"2026-11-22T21:02:11Z","event":"decided","ref":"000001"}`+"\n"+`{"time":"2026-1`)
	j := mustOpen(t, Options{Dir: dir})
	j.Append(numbered(2))
	_ = j.Close()
	var got []string
	torn := 0
	for r, err := range Read(dir) {
		if errors.Is(err, ErrCorrupt) {
			torn++
			continue
		}
		got = append(got, r.Ref)
	}
	if !slices.Equal(got, []string{"000001", "000002"}) || torn != 1 {
		t.Errorf("got %v, %d torn", got, torn)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", "")
	for _, o := range []Options{{Dir: dir, Size: MinSize - 1}, {Dir: filepath.Join(dir, "file")}, {Dir: filepath.Join(dir, "file", "below")}} {
		if j, err := Open(o); err == nil || j != nil || !strings.HasPrefix(err.Error(), "journal: ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestRotationKeepsTheBound(t *testing.T) {
	dir := t.TempDir()
	const size = 4 << 20
	j := mustOpen(t, Options{Dir: dir, Size: size, Queue: 1 << 16})
	r := decided(stranger())
	n := 12 << 20 / 800
	for i := range n {
		r.Ref = fmt.Sprintf("%06d", i)
		j.Append(r)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j.Dropped() != 0 {
		t.Fatalf("%d dropped", j.Dropped())
	}
	for total(t, dir) > size { // old files go a moment later; the test's own timeout ends this
		runtime.Gosched()
	}
	got := readRefs(t, dir)
	if want := fmt.Sprintf("%06d", n-1); got[len(got)-1] != want || !slices.IsSorted(got) || len(got) < size/2/1000 {
		t.Errorf("%d records of %d, the last %s", len(got), n, got[len(got)-1])
	}
}

func TestLayout(t *testing.T) {
	for _, c := range []struct {
		size               int64
		megabytes, backups int
	}{{MinSize, 1, 1}, {4_000_000, 1, 1}, {16 << 20, 1, 14}, {256_000_000, 15, 14}, {DefaultSize, 16, 14}, {10 << 30, 640, 14}} {
		mb, n := layout(c.size)
		if mb != c.megabytes || n != c.backups {
			t.Errorf("%d: %d MB, %d backups", c.size, mb, n)
		}
		if int64(mb)<<20*int64(n+2) > c.size {
			t.Errorf("%d: too much with a file about to be removed", c.size)
		}
	}
}

func mustOpen(t testing.TB, o Options) *Journal {
	t.Helper()
	j, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readRefs(t *testing.T, dir string) (refs []string) {
	t.Helper()
	for r, err := range Read(dir) {
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, r.Ref)
	}
	return refs
}

func total(t *testing.T, dir string) (n int64) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if info, err := os.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
}

// discard is a disk that takes everything at once.
type discard struct{ io.Writer }

func (discard) Close() error { return nil }

func BenchmarkAppend(b *testing.B) {
	r := decided(stranger())
	for name, open := range map[string]func() *Journal{
		"memory": func() *Journal { return start(discard{io.Discard}, Options{}, false) },
		"disk":   func() *Journal { return mustOpen(b, Options{Dir: b.TempDir()}) },
	} {
		b.Run(name, func(b *testing.B) {
			j := open()
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				j.Append(r)
				n++
			}
			_ = j.Close()
			b.ReportMetric(100*float64(j.Dropped())/float64(n), "%dropped")
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	batch, r := newBatch(false), decided(stranger())
	b.ReportAllocs()
	for b.Loop() {
		batch.add(&r)
		_, _ = batch.flush(io.Discard)
	}
}
