package bolt

import (
	"context"
	"time"

	"moggy/greylist"
)

// Keep takes in a triplet as another store has it, for `moggy store copy`: of two
// memories of one the earliest first try and the most tries count. It waits for no
// disk; call Sync now and then.
func (s *Store) Keep(_ context.Context, r greylist.Row, t greylist.Timers, now time.Time) error {
	try := greylist.Try{Triplet: r.Triplet, Peer: r.Peer, Now: round(now), Timers: t}
	key := try.Key()
	l := s.triplets.of(key)
	l.Lock()
	defer l.Unlock()
	f, err := s.look(&try, try.Origin.Key(), key)
	if err != nil {
		return err
	}
	state := r.State
	if f.state.Tries > 0 {
		state = greylist.State{First: earlier(f.state.First, state.First), Last: latest(f.state.Last, state.Last), Tries: max(f.state.Tries, state.Tries)}
	}
	s.keep(triplets, string(key[:]), encodeTriplet(&try, state), f.state.Tries == 0)
	return nil
}

// KeepOrigin takes in an origin, in the same manner.
func (s *Store) KeepOrigin(_ context.Context, o greylist.OriginRow, t greylist.Timers, now time.Time) error {
	key := o.Origin.Key()
	l := s.origins.of(key)
	l.Lock()
	defer l.Unlock()
	f, err := s.look(&greylist.Try{Triplet: greylist.Triplet{Origin: o.Origin}, Now: round(now), Timers: t}, key, greylist.Key{})
	if err != nil {
		return err
	}
	k, fresh := o.Known, f.known.Since.IsZero()
	if !fresh {
		k = greylist.Known{Since: earlier(f.known.Since, k.Since), Used: latest(f.known.Used, k.Used)}
	}
	s.keep(origins, string(key[:]), encodeOrigin(o.Origin, k, t.Remember), fresh)
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
