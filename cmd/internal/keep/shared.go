package keep

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"moggy/greylist"
	"moggy/store/bolt"
	"moggy/store/redis"
	"moggy/whitelist"
)

// shared is the store of several doors, with a copy of its entries and traps on
// this machine. Only the first reading falls back to the copy: what is read later
// has to be what Redis says. A Redis that has lost what it had since the copy was
// made is given that before anything is read from it.
type shared struct {
	*redis.Store
	copy *bolt.Store // nil: none
	log  *slog.Logger

	entriesRead, trapsRead atomic.Bool
	caughtUp               atomic.Bool // Redis has what the copy had
	fellBack               atomic.Bool // the copy was read
}

var _ whitelist.Sweeper = (*shared)(nil)

// Entries implements whitelist.Store.
func (s *shared) Entries(ctx context.Context) iter.Seq2[whitelist.Entry, error] {
	if s.copy == nil || s.entriesRead.Swap(true) {
		return s.Store.Entries(ctx)
	}
	return firstOf(ctx, s, s.Store.Entries(ctx), s.copy.Entries(ctx))
}

// Traps implements greylist.Store.
func (s *shared) Traps(ctx context.Context) iter.Seq2[greylist.Trap, error] {
	if s.copy == nil || s.trapsRead.Swap(true) {
		return s.Store.Traps(ctx)
	}
	return firstOf(ctx, s, s.Store.Traps(ctx), s.copy.Traps(ctx))
}

// firstOf is rows, as they are when Redis has been given what it had lost, or those of
// the copy where it does not answer.
func firstOf[T any](ctx context.Context, s *shared, rows, copied iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var all []T
		err := s.catchUp(ctx)
		if err == nil {
			all, err = collect(rows)
		}
		if err != nil {
			s.log.Error("Redis cannot be read; this machine's copy of the allow list is in force until it can", "error", err)
			s.fellBack.Store(true)
			all, err = collect(copied)
		}
		for _, row := range all {
			if !yield(row, nil) {
				return
			}
		}
		if err != nil {
			var none T
			yield(none, err)
		}
	}
}

func collect[T any](rows iter.Seq2[T, error]) (all []T, err error) {
	for row, err := range rows {
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, nil
}

// PutEntry implements whitelist.Store.
func (s *shared) PutEntry(ctx context.Context, e whitelist.Entry) error {
	if err := s.Store.PutEntry(ctx, e); err != nil {
		return err
	}
	s.copied(s.copyEntry(ctx, e))
	return nil
}

// DeleteEntry implements whitelist.Store.
func (s *shared) DeleteEntry(ctx context.Context, net netip.Prefix, source whitelist.Source) error {
	if err := s.Store.DeleteEntry(ctx, net, source); err != nil {
		return err
	}
	s.copied(s.uncopyEntry(ctx, whitelist.EntryKey{Net: net, Source: source}))
	return nil
}

// LearnEntries implements whitelist.Store.
func (s *shared) LearnEntries(entries ...whitelist.Entry) {
	s.Store.LearnEntries(entries...)
	if s.copy != nil {
		s.copy.LearnEntries(entries...)
	}
}

// ForgetEntries implements whitelist.Store.
func (s *shared) ForgetEntries(keys ...whitelist.EntryKey) {
	s.Store.ForgetEntries(keys...)
	if s.copy != nil {
		s.copy.ForgetEntries(keys...)
	}
}

// PutTrap implements greylist.Store.
func (s *shared) PutTrap(ctx context.Context, t greylist.Trap) error {
	if err := s.Store.PutTrap(ctx, t); err != nil {
		return err
	}
	s.copied(s.copyTrap(ctx, t))
	return nil
}

// DeleteTrap implements greylist.Store.
func (s *shared) DeleteTrap(ctx context.Context, address string) (bool, error) {
	had, err := s.Store.DeleteTrap(ctx, address)
	if err == nil {
		s.copied(s.uncopyTrap(ctx, address))
	}
	return had, err
}

// Tell implements Store.
func (s *shared) Tell(line []byte) { s.Append(line) }

// Told implements Store.
func (s *shared) Told(ctx context.Context, since time.Time, holds string) iter.Seq2[[]byte, error] {
	return s.Records(ctx, since, holds)
}

// Figures implements Store.
func (s *shared) Figures() Figures {
	f := s.Stats()
	return Figures{Triplets: f.Triplets, Origins: f.Origins, Pending: f.Pending, Dropped: f.Dropped, Damaged: f.Damaged}
}

// Close implements Store.
func (s *shared) Close() error {
	err := s.Store.Close()
	if s.copy != nil {
		err = errors.Join(err, s.copy.Close())
	}
	return err
}
