package redis

import (
	"context"
	"time"

	"moggy/greylist"
)

// Keep takes in a triplet as another store has it, for `moggy store copy`: of two
// memories of one the earliest first try and the most tries count. One that is out
// of its window changes nothing. Many goroutines may call it, which is faster.
func (s *Store) Keep(ctx context.Context, r greylist.Row, t greylist.Timers, now time.Time) error {
	q := s.question(greylist.Try{Triplet: r.Triplet, Peer: r.Peer, Now: now, Timers: t})
	_, err := s.keepTriplet(ctx, q.triplet(r.State))
	return s.explain(err)
}

// KeepOrigin takes in an origin, in the same manner.
func (s *Store) KeepOrigin(ctx context.Context, o greylist.OriginRow, t greylist.Timers, now time.Time) error {
	q := s.question(greylist.Try{Triplet: greylist.Triplet{Origin: o.Origin}, Now: now, Timers: t})
	_, err := s.keepOrigin(ctx, q.origin(o.Known))
	return s.explain(err)
}
