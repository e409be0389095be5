package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"gopkg.in/natefinch/lumberjack.v2"
)

// The files of a journal: the current one, and older ones with the time of
// their rotation in their names, which sort as they were written.
const (
	current   = "journal.jsonl"
	oldPrefix = "journal-"
	oldSuffix = ".jsonl"
)

// The bounds that Options leave open.
const (
	DefaultSize  = 256 << 20 // bytes
	MinSize      = 3 << 20   // bytes: the current file, one before it, one about to be removed
	DefaultQueue = 4096      // records; a pointer each while it is empty
)

// Options are what Open needs.
type Options struct {
	Dir   string       // made with mode 0700 if it is not there
	Size  int64        // of all files together, bytes; 0: DefaultSize
	Queue int          // records that may wait for the disk; 0: DefaultQueue
	Log   *slog.Logger // told when writing fails, at most once a minute; nil: nobody

	// Told is given each record that the queue has taken, in their order, whether the
	// disk takes it or not; nil: nobody is. The writer calls it, one at a time, so who
	// decides has nothing to do with what it costs. It must not wait.
	Told func(Record)
}

// A Journal takes records and writes them down in the order in which they came.
// Its methods may be called from many goroutines.
type Journal struct {
	queue   chan *Record
	told    func(Record)
	sink    io.WriteCloser
	dir     string
	log     *slog.Logger
	dropped atomic.Int64
	written chan struct{} // closed when the writer has ended

	mu     sync.RWMutex // Append holds it for reading, so that Close ends a queue nobody sends to
	closed bool
}

// Open begins to write in Dir, behind what is there. The writer sleeps while
// there is nothing to write: it has no timer.
//
// lumberjack removes old files in a goroutine of its own, one a Journal, which
// it never ends; it sleeps until the next rotation.
func Open(o Options) (*Journal, error) {
	o.Size = cmp.Or(o.Size, DefaultSize)
	if o.Size < MinSize {
		return nil, fmt.Errorf(`journal: %d bytes are too few; give at least size = "4MB"`, o.Size)
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	path := filepath.Join(o.Dir, current)
	torn, err := prepare(path)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	megabytes, backups := layout(o.Size)
	return start(&lumberjack.Logger{Filename: path, MaxSize: megabytes, MaxBackups: backups}, o, torn), nil
}

// layout divides size bytes into files: the megabytes of each, and how many
// beside the current one are kept. One more has its room, because an old file
// is removed a moment after a new one is begun.
func layout(size int64) (megabytes, backups int) {
	total := int(size >> 20)
	megabytes = max(1, total/16)
	return megabytes, total/megabytes - 2
}

// prepare makes the file if need be, so that a directory that cannot be written
// to is found out now, and reports whether its last line is torn.
func prepare(path string) (torn bool, err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil || size == 0 {
		return false, err
	}
	var last [1]byte
	_, err = f.ReadAt(last[:], size-1)
	return last[0] != '\n', err
}

// start begins the writer, which closes sink in the end.
func start(sink io.WriteCloser, o Options, torn bool) *Journal {
	j := &Journal{sink: sink, dir: o.Dir, log: o.Log, told: o.Told,
		queue:   make(chan *Record, cmp.Or(o.Queue, DefaultQueue)),
		written: make(chan struct{})}
	if j.log == nil {
		j.log = slog.New(slog.DiscardHandler)
	}
	if j.told == nil {
		j.told = func(Record) {}
	}
	go j.write(torn)
	return j
}

// Append hands a record to the writer. It never waits: when the queue is full,
// or the journal closed, the record is dropped and counted.
func (j *Journal) Append(r Record) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		j.dropped.Add(1)
		return
	}
	select {
	case j.queue <- &r:
	default:
		j.dropped.Add(1)
	}
}

// Dropped is the number of records that were not written, because the queue was
// full or writing failed.
func (j *Journal) Dropped() int64 { return j.dropped.Load() }

// Close writes what waits, and returns when it is written, and all of it told.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return errors.New("journal: closed already")
	}
	j.closed = true
	close(j.queue)
	j.mu.Unlock()
	<-j.written
	if err := j.sink.Close(); err != nil {
		return fmt.Errorf("journal: closing: %w", err)
	}
	return nil
}
