package redis

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	goredis "github.com/redis/go-redis/v9"

	"moggy/greylist"
)

// How tell works: so many rows at a time, from so many goroutines, until so many of a
// kind have failed.
const (
	tellRows     = 1000
	tellWorkers  = 8
	tellFailures = 100
)

// tell gives Redis what happened while it was away: origins first, which let
// more in. What changes meanwhile is left for the next pass, and so is what fails.
func (s *Store) tell(ctx context.Context) error {
	t := telling{Store: s, away: make(map[string]bool)}
	for range s.memory.dirty()/tellRows + 1 {
		s.memory.mu.Lock()
		origins, triplets := s.memory.origins.some(tellRows), s.memory.triplets.some(tellRows)
		s.memory.mu.Unlock()
		if len(origins)+len(triplets) == 0 {
			break
		}
		err := each(origins, func(k greylist.Key) error { return t.origin(ctx, k) })
		t.failures = 0
		if cmp.Or(err, each(triplets, func(k greylist.Key) error { return t.triplet(ctx, k) })) != nil {
			break
		}
	}
	return t.first
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

// A telling is one turn of tell. What one server of a Cluster does not take holds
// back nothing that another would; who did not answer once is not waited for again.
type telling struct {
	*Store

	mu       sync.Mutex
	away     map[string]bool // servers, as masterOf names them
	first    error
	failures int
}

// skips reports whether a row is left for the next turn.
func (t *telling) skips(ctx context.Context, key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.away) > 0 && t.away[t.client.Load().masterOf(ctx, key)]
}

// failed takes note of a row that failed, and returns an error if no more is to be
// tried. An answer, if it is a refusal, is about that row alone.
func (t *telling) failed(ctx context.Context, key string, err error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.first = cmp.Or(t.first, err)
	t.failures++
	if !is[goredis.Error](err) {
		t.away[t.client.Load().masterOf(ctx, key)] = true
	}
	if ctx.Err() != nil || t.failures >= tellFailures {
		return err
	}
	return nil
}

func (t *telling) triplet(ctx context.Context, k greylist.Key) error {
	m := t.memory
	m.mu.Lock()
	row, turn := m.triplets.told(k)
	m.mu.Unlock()
	if turn == 0 || t.skips(ctx, row.key) {
		return nil
	}
	r, err := t.keepTriplet(ctx, row)
	if err != nil {
		return t.failed(ctx, row.key, fmt.Errorf("telling of a triplet: %w", err))
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

func (t *telling) origin(ctx context.Context, k greylist.Key) error {
	m := t.memory
	m.mu.Lock()
	row, turn := m.origins.told(k)
	m.mu.Unlock()
	if turn == 0 || t.skips(ctx, row.key) {
		return nil
	}
	r, err := t.keepOrigin(ctx, row)
	if err != nil {
		return t.failed(ctx, row.key, fmt.Errorf("telling of an origin: %w", err))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.known.Since.IsZero() { // forgotten by now
		m.origins.drop(k, turn)
		return nil
	}
	row.known = r.known
	m.origins.settle(k, row, turn)
	return nil
}

func (s *Store) keepOrigin(ctx context.Context, o originMemory) (reply, error) {
	h := hints{known: o.known, originTurn: 1}
	args := []any{s.clock.Load(), s.wall(), up(o.remember), kindWord(o.kind), o.about}
	return s.grey(s.call(ctx, s.scripts.mergeOrigin, []string{o.key}, h.append(args)...))
}

// masterOf names the server of a Cluster that has a key; "" where there is one alone.
func (c *client) masterOf(ctx context.Context, key string) string {
	cluster, ok := c.UniversalClient.(*goredis.ClusterClient)
	if !ok {
		return ""
	}
	m, err := cluster.MasterForKey(ctx, key)
	if err != nil {
		return ""
	}
	return m.Options().Addr
}
