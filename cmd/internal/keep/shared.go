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
// has to be what Redis says. A Redis that then turns out to have neither entries nor
// traps is given those of the copy.
type shared struct {
	*redis.Store
	copy *bolt.Store // nil: none
	log  *slog.Logger

	entriesRead, trapsRead atomic.Bool
	fellBack               atomic.Bool // the copy was read
}

// Entries implements whitelist.Store.
func (s *shared) Entries(ctx context.Context) iter.Seq2[whitelist.Entry, error] {
	return firstOr(s, &s.entriesRead, s.Store.Entries(ctx), func(b *bolt.Store) iter.Seq2[whitelist.Entry, error] { return b.Entries(ctx) })
}

// Traps implements greylist.Store.
func (s *shared) Traps(ctx context.Context) iter.Seq2[greylist.Trap, error] {
	return firstOr(s, &s.trapsRead, s.Store.Traps(ctx), func(b *bolt.Store) iter.Seq2[greylist.Trap, error] { return b.Traps(ctx) })
}

// firstOr is rows, or those of the copy where they are asked for the first time and
// Redis does not answer, or has none: it may have lost them.
func firstOr[T any](s *shared, read *atomic.Bool, rows iter.Seq2[T, error], copied func(*bolt.Store) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		all, err := collect(rows)
		if first := !read.Swap(true); first && s.copy != nil && len(all) == 0 {
			all, err = fallBack(s, err, copied(s.copy))
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

// fallBack is what the copy has. fault is why Redis has not; nil: it is empty.
func fallBack[T any](s *shared, fault error, copied iter.Seq2[T, error]) ([]T, error) {
	all, err := collect(copied)
	switch {
	case fault != nil:
		s.log.Error("Redis cannot be read; this machine's copy of the allow list is in force until it can", "error", fault)
	case len(all) == 0:
		return nil, nil // as it should be; a copy that cannot be read is no worse
	}
	s.fellBack.Store(true)
	return all, err
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
