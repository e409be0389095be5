package bolt

import (
	"context"
	"time"

	"go.etcd.io/bbolt"

	"moggy/greylist"
)

// Try does as greylist.Next does, with times in whole milliseconds. It reads the
// file at most once, waits for no write, and its error is that of reading: a
// disk that cannot be written to makes no Try fail.
//
// The time of use of a known origin is renewed when the one kept is an hour old,
// or Remember/32 if that is less: an origin may be forgotten so much early.
//
// An expired triplet is swept sooner or later; then a retry is FirstSeen where
// it would have been TooLate.
func (s *Store) Try(_ context.Context, t greylist.Try) (greylist.Result, error) {
	t.Now = round(t.Now)
	s.note(&t)
	ok, tk := t.Origin.Key(), t.Key()
	origin, triplet := s.origins.of(ok), s.triplets.of(tk)
	origin.Lock()
	defer origin.Unlock()
	triplet.Lock()
	defer triplet.Unlock()
	f, err := s.look(&t, ok, tk)
	if err != nil {
		return greylist.Result{}, err
	}
	if f.known.Fresh(t.Now, t.Timers) {
		s.renew(&t, ok, f.known)
		return originKnown(t.Now), nil
	}
	next, r := greylist.Next(f.state, t.Now, t.Timers.PassFor(t.Origin), t.Timers)
	s.keep(triplets, string(tk[:]), encodeTriplet(&t, next), f.state.Tries == 0)
	return r, nil
}

// Peek is what Try would return. It takes no lock that a Try holds while it
// reads the file.
func (s *Store) Peek(_ context.Context, t greylist.Try) (greylist.Result, error) {
	t.Now = round(t.Now)
	f, err := s.look(&t, t.Origin.Key(), t.Key())
	if err != nil {
		return greylist.Result{}, err
	}
	if f.known.Fresh(t.Now, t.Timers) {
		return originKnown(t.Now), nil
	}
	_, r := greylist.Next(f.state, t.Now, t.Timers.PassFor(t.Origin), t.Timers)
	return r, nil
}

// originKnown is the result for a known origin: its triplet is not looked at.
func originKnown(now time.Time) greylist.Result {
	return greylist.Result{Outcome: greylist.OriginKnown, First: now, Tries: 1}
}

// Pass makes an origin known, in memory until the next group commit.
func (s *Store) Pass(_ context.Context, o greylist.Origin, now time.Time) error {
	now = round(now)
	key := o.Key()
	l := s.origins.of(key)
	l.Lock()
	defer l.Unlock()
	f, err := s.look(&greylist.Try{Triplet: greylist.Triplet{Origin: o}}, key, greylist.Key{})
	if err != nil {
		return err
	}
	remember := time.Duration(s.remember.Load()) * time.Millisecond
	k := f.known.Renew(now, greylist.Timers{Remember: remember})
	s.keep(origins, string(key[:]), encodeOrigin(o, k, remember), f.known.Since.IsZero())
	return nil
}

// note learns the clock and Remember from the caller.
func (s *Store) note(t *greylist.Try) {
	s.clock.Store(t.Now.UnixMilli())
	if ms := t.Timers.Remember.Milliseconds(); ms != s.remember.Load() {
		s.remember.Store(ms)
	}
}

func (s *Store) renew(t *greylist.Try, key greylist.Key, k greylist.Known) {
	if t.Now.Sub(k.Used) < min(time.Hour, t.Timers.Remember/32) {
		return
	}
	row := encodeOrigin(t.Origin, k.Renew(t.Now, t.Timers), t.Timers.Remember)
	s.keep(origins, string(key[:]), row, false)
}

// found is what is kept of a try's origin and triplet; zero where nothing is.
type found struct {
	known greylist.Known
	state greylist.State
}

// look asks memory first, and the file for the rest. What memory lacks now is in
// the file from now on: a commit leaves memory when it is done.
func (s *Store) look(t *greylist.Try, ok, tk greylist.Key) (f found, err error) {
	s.mu.Lock()
	origin, haveOrigin := s.recall(origins, ok[:])
	triplet, haveTriplet := s.recall(triplets, tk[:])
	s.mu.Unlock()
	if haveOrigin && haveTriplet {
		return s.parse(t, origin, triplet), nil
	}
	err = s.view(func(tx *bbolt.Tx) error {
		if !haveOrigin {
			origin = tx.Bucket(origins.name()).Get(ok[:])
		}
		if !haveTriplet {
			triplet = tx.Bucket(triplets.name()).Get(tk[:])
		}
		f = s.parse(t, origin, triplet)
		return nil
	})
	return f, err
}

// parse takes rows for what they say, if they are about the try.
func (s *Store) parse(t *greylist.Try, origin, triplet []byte) (f found) {
	if origin != nil {
		row, ok := decodeOrigin(origin)
		s.tally(ok)
		if ok && row.name.is(t.Origin.Name) {
			f.known = row.known
		}
	}
	if triplet != nil {
		row, ok := decodeTriplet(triplet)
		s.tally(ok)
		if ok && row.is(t.Triplet) {
			f.state = row.state
		}
	}
	return f
}

// tally counts rows that make no sense.
func (s *Store) tally(ok bool) {
	if !ok {
		s.damaged.Add(1)
	}
}
