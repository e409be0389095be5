package redis

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of the records that nodes share.
const (
	recordLine    = 8 << 10             // bytes of a line; longer ones are dropped
	recordsHeld   = 10_000              // lines that wait to be written; beyond, new ones are dropped
	recordsLive   = 30 * 24 * time.Hour // after the last one
	recordsPage   = 1000                // lines that one script looks at
	recordsAtOnce = 100                 // lines that one script writes
)

// Records are lines that all nodes write and any node reads: what was decided,
// for `moggy why`. The newest are kept, Options.Records of them, by all nodes
// together, some 600 bytes each.
type records struct {
	mu    sync.Mutex
	lines [][]byte
	lost  atomic.Int64
}

// Append gives a line, which the caller no longer changes, to all nodes, within
// about half a second. It never waits: a line that does not fit is dropped and
// counted in Stats.RecordsDropped, and while Redis is away so are all that come
// after the first 10,000. It reports whether the line was taken.
func (s *Store) Append(line []byte) bool {
	r := &s.records
	r.mu.Lock()
	taken := len(line) <= recordLine && len(r.lines) < recordsHeld
	if taken {
		r.lines = append(r.lines, line)
	}
	r.mu.Unlock()
	if !taken {
		r.lost.Add(1)
		return false
	}
	s.arm()
	return true
}

func (r *records) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.lines)
}

// some are the oldest lines.
func (r *records) some() []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(len(r.lines), recordsAtOnce)
	args := make([]any, 0, n)
	for _, line := range r.lines[:n] {
		args = append(args, line)
	}
	return args
}

// written takes out the oldest lines.
func (r *records) written(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines[:0:0], r.lines[n:]...)
}

// appendAll writes the lines that wait. One that was written and not confirmed is
// written again.
func (s *Store) appendAll(ctx context.Context) error {
	for range s.records.len()/recordsAtOnce + 1 {
		lines := s.records.some()
		if len(lines) == 0 {
			return nil
		}
		args := append([]any{s.o.Records, recordsLive.Milliseconds()}, lines...)
		if _, err := s.call(ctx, s.scripts.append, []string{s.recordsKey()}, args...); err != nil {
			return err
		}
		s.records.written(len(lines))
	}
	return nil
}

func (s *Store) recordsKey() string { return s.at.prefix + ":{r}:records" }

// Records yields the lines of all nodes that were appended since a time and hold
// a text, the newest first: look for what is in every line that can match, a ref
// or an address, and judge the line yourself. It asks Redis for page after page,
// and fails where Redis is away.
func (s *Store) Records(ctx context.Context, since time.Time, holds string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for place := "+"; place != ""; {
			next, lines, err := s.recordPage(ctx, place, since, holds)
			if err != nil {
				yield(nil, s.explain(err))
				return
			}
			for len(lines.values) > 0 {
				if !yield([]byte(lines.text()), nil) {
					return
				}
			}
			place = next
		}
	}
}

func (s *Store) recordPage(ctx context.Context, place string, since time.Time, holds string) (next string, lines answer, err error) {
	if err := ctx.Err(); err != nil {
		return "", lines, err
	}
	a := answer{}
	a.values, err = s.call(ctx, s.scripts.records, []string{s.recordsKey()}, place, s.wall(), since.UnixMilli(), recordsPage, holds)
	if err != nil {
		return "", lines, err
	}
	next, lines.values = a.text(), a.list()
	return next, lines, a.err()
}
