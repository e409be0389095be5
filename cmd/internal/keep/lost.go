package keep

import (
	"context"
	"iter"
	"slices"
	"strings"

	"moggy/greylist"
	"moggy/whitelist"
)

// catchUp gives Redis what it has lost since this door last followed it: all doors may
// have been down then, and none could say so. A Redis that no door has used yet is
// given what the file of this machine has. It does so once.
func (s *shared) catchUp(ctx context.Context) error {
	if s.copy == nil || s.caughtUp.Load() {
		return nil
	}
	lost, err := s.Lost(ctx, s.mark())
	if err == nil && lost {
		err = s.giveBack(ctx)
	}
	s.caughtUp.Store(err == nil)
	return err
}

// mark is how far the copy goes; "": it does not say, or it is one of another memory.
func (s *shared) mark() string {
	word, err := s.copy.Mark()
	place, where, _ := strings.Cut(word, "\n")
	if err != nil || where != s.Where() {
		return ""
	}
	return place
}

// setMark says in the copy that it goes as far as a place; "": that is not known.
func (s *shared) setMark(place string) {
	if place != "" {
		s.copy.SetMark(place + "\n" + s.Where())
	}
}

// giveBack gives Redis what the copy has. A copy that cannot be read has nothing.
func (s *shared) giveBack(ctx context.Context) error {
	entries, err := collect(s.copy.Entries(ctx))
	s.copied(err)
	traps, err := collect(s.copy.Traps(ctx))
	s.copied(err)
	return s.restore(ctx, slices.Values(entries), slices.Values(traps))
}

func (s *shared) restore(ctx context.Context, entries iter.Seq[whitelist.Entry], traps iter.Seq[greylist.Trap]) error {
	n, err := s.Restore(ctx, entries, traps)
	if n > 0 {
		s.log.Warn("Redis had lost entries, or was new; those of this machine were given to it", "entries", n)
	}
	return err
}
