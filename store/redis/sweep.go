package redis

import (
	"context"
	"math/rand/v2"
	"time"
)

// How what was learned is swept: a page in so many seconds, of about so many rows,
// of which at most so many are taken away; where there are more, again at the next
// pass. So a fifth of the rows at most have ended long ago, however fast they come.
const (
	sweepEvery = 30 * time.Second
	sweepRows  = 500
	sweepMost  = 100
)

// sweepAfter is how long a row stays that has ended. A door gives times of use to
// Redis minutes after the use: what has ended as far as Redis knows may have been
// renewed. A door that had lost its way to Redis gives it the uses that wait, which put
// back what has only ended, and not what was taken away.
const sweepAfter = time.Hour

// sweepGone is how long it is remembered that something was taken away.
const sweepGone = 30 * 24 * time.Hour

// A lap is how far this door has gone in its walk over the tables of what was
// learned, and that of what was taken away. All doors walk, each on its own.
type lap struct {
	last   time.Time // when the last page was swept
	table  int       // buckets: what was taken away
	cursor string
}

// newLap begins anywhere: of doors that are often started anew, too, each table
// has its turn.
func newLap() lap { return lap{last: time.Now(), table: rand.IntN(buckets + 1), cursor: "0"} }

// Sweeps implements whitelist.Sweeper: what was learned and has ended is taken away
// by the clock of Redis, an hour later or more.
func (s *Store) Sweeps() {}

// sweep sweeps a page if it is time. Callers hold mending.
func (s *Store) sweep(ctx context.Context) error {
	if time.Since(s.lap.last) < s.o.sweep {
		return nil
	}
	gone, err := s.sweepPage(ctx)
	if s.lap.last = time.Now(); gone == sweepMost {
		s.lap.last = time.Time{}
		s.arm()
	}
	return err
}

// sweepPage sweeps a page, and returns how many rows it took away. If there may be
// more of them the same page is next.
func (s *Store) sweepPage(ctx context.Context) (gone int, err error) {
	l, table := &s.lap, s.key("gone")
	if l.table < buckets {
		table = s.bucket(l.table)
	}
	a := answer{}
	a.values, err = s.call(ctx, s.scripts.sweep, []string{s.key("log"), table},
		l.cursor, sweepRows, sweepAfter.Milliseconds(), logLength, sweepMost, sweepGone.Milliseconds())
	if err != nil {
		return 0, err
	}
	cursor := a.text()
	n, _ := a.number()
	switch {
	case a.bad || n == sweepMost:
		return int(n), a.err()
	case cursor == "0":
		l.table = (l.table + 1) % (buckets + 1)
	}
	l.cursor = cursor
	return int(n), nil
}
