package redis

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"
)

// A breaker keeps calls away from a Redis that does not answer, so that each does
// not wait in vain. Only the mender closes it again: no stranger's call is spent
// on finding out.
type breaker struct {
	failures atomic.Int32 // one after the other
	open     atomic.Bool
}

// trips is after how many failures a breaker opens.
const trips = 3

func (b *breaker) isOpen() bool { return b.open.Load() }

// failed reports whether the breaker has opened just now.
func (b *breaker) failed() bool { return b.failures.Add(1) >= trips && !b.open.Swap(true) }

func (b *breaker) worked() {
	if b.failures.Load() != 0 {
		b.failures.Store(0)
	}
}

func (b *breaker) close() {
	b.failures.Store(0)
	b.open.Store(false)
}

// report takes note of how a call went. That the caller gave up says nothing
// about Redis.
func (s *Store) report(ctx context.Context, err error) {
	switch {
	case err == nil:
		s.breaker.worked()
	case ctx.Err() != nil:
	default:
		err = s.explain(err)
		s.failure.Store(&err)
		if s.breaker.failed() {
			s.setFault(err)
		}
		s.arm()
	}
}

// setFault says that Redis fails, or with nil that it works.
func (s *Store) setFault(err error) {
	if err == nil {
		s.failure.Store(nil)
		if s.fault.Swap(nil) != nil {
			s.o.Log.Info("Redis works again")
		}
		return
	}
	if s.fault.Swap(&err) == nil {
		s.o.Log.Error("Redis fails; going on from memory", "error", err)
	}
}

// arm lets the next pass of the mender happen.
func (s *Store) arm() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// How the mender waits.
const (
	heartbeat    = 5 * time.Second        // between two passes when nothing happens
	firstPause   = 100 * time.Millisecond // after a pass that failed
	longestPause = time.Second
)

// mend gives Redis what it has not been told, and finds out when it is back.
func (s *Store) mend(ctx context.Context) {
	failing := firstPause
	for wait := time.Duration(0); s.idle(ctx, wait); {
		if s.pass(ctx, false) == nil {
			wait, failing = s.o.Flush, firstPause
			continue
		}
		wait, failing = failing, min(2*failing, longestPause)
	}
}

// idle waits for a while, and then until there is something to do. It reports
// false when the store is being closed.
func (s *Store) idle(ctx context.Context, least time.Duration) bool {
	if !sleep(ctx, least) {
		return false
	}
	if s.fault.Load() != nil {
		return true
	}
	t := time.NewTimer(heartbeat)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-s.wake:
	case <-t.C:
	}
	return true
}

// sleep reports false when ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Sync gives Redis what it has not been told, now. Whoever wants to be sure of
// more than the last half second calls it; nobody has to.
func (s *Store) Sync() error { return s.pass(context.Background(), true) }

// pass is one turn of the mender.
func (s *Store) pass(ctx context.Context, all bool) error {
	s.mending.Lock()
	defer s.mending.Unlock()
	err := s.probe(ctx)
	if err == nil {
		err = s.give(ctx, s.tell, s.flush, s.appendAll, s.sweep, func(ctx context.Context) error { return s.estimate(ctx, all) })
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		err = s.explain(err)
	}
	s.setFault(err)
	return err
}

// give does one thing after the other, and returns the first error. When one fails it
// probes again: where a part of a Cluster is away the rest goes on, and where all is
// away it does not wait for each thing in vain.
func (s *Store) give(ctx context.Context, things ...func(context.Context) error) (first error) {
	for _, do := range things {
		err := do(ctx)
		if err == nil {
			continue
		}
		first = cmp.Or(first, err)
		if s.probe(ctx) != nil {
			break
		}
	}
	return first
}

// probe finds out whether Redis takes what it is given, and closes the breaker.
func (s *Store) probe(ctx context.Context) error {
	_, err := s.ping(ctx, s.o.Name)
	s.report(ctx, err)
	if err == nil {
		s.breaker.close()
	}
	return err
}
