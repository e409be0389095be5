package keep

import (
	"context"

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
