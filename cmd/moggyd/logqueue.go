package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
)

// A logQueue writes whole lines to w from a goroutine of its own, so that
// nobody who logs ever waits for a terminal or a pipe. It holds at most
// logLines lines; beyond, lines are dropped and counted, and the count is
// logged as soon as there is room again.
type logQueue struct {
	w       io.Writer
	lines   chan []byte
	dropped atomic.Int64
	once    sync.Once
	done    chan struct{}
}

const logLines = 4096

func newLogQueue(w io.Writer) *logQueue {
	q := &logQueue{w: w, lines: make(chan []byte, logLines), done: make(chan struct{})}
	go q.run()
	return q
}

// Write implements io.Writer for a slog.Handler, which writes a line at a time.
// It never fails. It must not be called after Close.
func (q *logQueue) Write(line []byte) (int, error) {
	select {
	case q.lines <- append([]byte(nil), line...):
	default:
		q.dropped.Add(1)
	}
	return len(line), nil
}

// Close writes what is waiting.
func (q *logQueue) Close() error {
	q.once.Do(func() { close(q.lines) })
	<-q.done
	return nil
}

func (q *logQueue) run() {
	defer close(q.done)
	for line := range q.lines {
		q.w.Write(line)
		if n := q.dropped.Swap(0); n > 0 {
			fmt.Fprintf(q.w, "level=WARN msg=\"log lines were dropped\" lines=%d\n", n)
		}
	}
}
