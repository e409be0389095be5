package redis

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"moggy/greylist"
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
	for _, do := range []func(context.Context) error{s.tell, s.flush, s.appendAll, s.sweep, func(ctx context.Context) error { return s.estimate(ctx, all) }} {
		if err == nil {
			err = do(ctx)
		}
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

// probe finds out whether Redis takes what it is given, and closes the breaker.
func (s *Store) probe(ctx context.Context) error {
	_, err := s.call(ctx, s.scripts.probe, []string{s.key("probe")})
	s.report(ctx, err)
	if err == nil {
		s.breaker.close()
	}
	return err
}

// How tell works: so many rows at a time, from so many goroutines.
const (
	tellRows    = 1000
	tellWorkers = 8
)

// tell gives Redis what happened while it was away: origins first, which let
// more in. What changes meanwhile is left for the next pass.
func (s *Store) tell(ctx context.Context) error {
	for range s.memory.dirty()/tellRows + 1 {
		s.memory.mu.Lock()
		origins, triplets := s.memory.origins.some(tellRows), s.memory.triplets.some(tellRows)
		s.memory.mu.Unlock()
		if len(origins)+len(triplets) == 0 {
			return nil
		}
		if err := each(origins, func(k greylist.Key) error { return s.tellOrigin(ctx, k) }); err != nil {
			return err
		}
		if err := each(triplets, func(k greylist.Key) error { return s.tellTriplet(ctx, k) }); err != nil {
			return err
		}
	}
	return nil
}

// each calls f for all of them, from several goroutines, until one fails.
func each[T any](all []T, f func(T) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	for range min(tellWorkers, len(all)) {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(len(all)) && failed.Load() == nil; i = next.Add(1) {
				if err := f(all[i-1]); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *Store) tellTriplet(ctx context.Context, k greylist.Key) error {
	m := s.memory
	m.mu.Lock()
	t, turn := m.triplets.told(k)
	m.mu.Unlock()
	if turn == 0 {
		return nil
	}
	r, err := s.keepTriplet(ctx, t)
	if err != nil {
		return fmt.Errorf("telling of a triplet: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.state.Tries == 0 { // out of its window
		m.triplets.drop(k, turn)
		return nil
	}
	m.triplets.settle(k, tripletMemory{state: r.state}, turn)
	return nil
}

func (s *Store) keepTriplet(ctx context.Context, t tripletMemory) (reply, error) {
	h := hints{state: t.state, tripletTurn: 1}
	args := []any{s.clock.Load(), s.wall(), t.window.Milliseconds(), t.who, t.about}
	return s.grey(s.call(ctx, s.scripts.mergeTriplet, []string{t.key}, h.append(args)...))
}

func (s *Store) tellOrigin(ctx context.Context, k greylist.Key) error {
	m := s.memory
	m.mu.Lock()
	o, turn := m.origins.told(k)
	m.mu.Unlock()
	if turn == 0 {
		return nil
	}
	r, err := s.keepOrigin(ctx, o)
	if err != nil {
		return fmt.Errorf("telling of an origin: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.known.Since.IsZero() { // forgotten by now
		m.origins.drop(k, turn)
		return nil
	}
	o.known = r.known
	m.origins.settle(k, o, turn)
	return nil
}

func (s *Store) keepOrigin(ctx context.Context, o originMemory) (reply, error) {
	h := hints{known: o.known, originTurn: 1}
	args := []any{s.clock.Load(), s.wall(), up(o.remember), kindWord(o.kind), o.about}
	return s.grey(s.call(ctx, s.scripts.mergeOrigin, []string{o.key}, h.append(args)...))
}
