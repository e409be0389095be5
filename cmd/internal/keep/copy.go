package keep

import (
	"context"
	"errors"

	"moggy/greylist"
	"moggy/whitelist"
)

// copied notes that the copy could not be kept. It is there for a bad day, and its
// own bad day does no harm.
func (s *shared) copied(err error) {
	if err != nil {
		s.log.Warn("the copy of the allow list on this machine is not kept", "error", err)
	}
}

func (s *shared) copyEntry(ctx context.Context, e whitelist.Entry) error {
	switch {
	case s.copy == nil:
		return nil
	case e.Source.Said():
		return s.copy.PutEntry(ctx, e)
	}
	s.copy.LearnEntries(e)
	return nil
}

func (s *shared) uncopyEntry(ctx context.Context, k whitelist.EntryKey) error {
	switch {
	case s.copy == nil:
		return nil
	case k.Source.Said():
		return s.copy.DeleteEntry(ctx, k.Net, k.Source)
	}
	s.copy.ForgetEntries(k)
	return nil
}

func (s *shared) copyTrap(ctx context.Context, t greylist.Trap) error {
	if s.copy == nil {
		return nil
	}
	return s.copy.PutTrap(ctx, t)
}

func (s *shared) uncopyTrap(ctx context.Context, address string) error {
	if s.copy == nil {
		return nil
	}
	_, err := s.copy.DeleteTrap(ctx, address)
	return err
}

// copyAll makes the copy what is in force.
func (s *shared) copyAll(ctx context.Context, list *whitelist.List, traps map[string]greylist.Trap) error {
	if s.copy == nil {
		return nil
	}
	return errors.Join(s.copyEntries(ctx, list), s.copyTraps(ctx, traps))
}

// copyEntries leaves alone what is in the copy as it is in force: a person's entry
// costs a write to the disk.
func (s *shared) copyEntries(ctx context.Context, list *whitelist.List) error {
	same := make(map[whitelist.EntryKey]bool)
	var gone []whitelist.EntryKey
	for e, err := range s.copy.Entries(ctx) {
		if err != nil {
			return err
		}
		now, ok := list.Get(e.Net, e.Source)
		if now.Used = e.Used; ok && now == e {
			same[e.Key()] = true
		} else if !ok {
			gone = append(gone, e.Key())
		}
	}
	for _, k := range gone {
		if err := s.uncopyEntry(ctx, k); err != nil {
			return err
		}
	}
	for e := range list.All() {
		if e.Source == whitelist.Local || same[e.Key()] {
			continue
		}
		if err := s.copyEntry(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (s *shared) copyTraps(ctx context.Context, traps map[string]greylist.Trap) error {
	had, err := collect(s.copy.Traps(ctx))
	if err != nil {
		return err
	}
	for _, t := range had {
		if now, ok := traps[t.Address]; !ok || now.Configured {
			if err := s.uncopyTrap(ctx, t.Address); err != nil {
				return err
			}
		}
	}
	for t := range typed(traps) {
		if err := s.copyTrap(ctx, t); err != nil {
			return err
		}
	}
	return nil
}
