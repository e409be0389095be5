package bolt

import (
	"context"
	"fmt"
	"iter"

	"moggy/greylist"
)

// Traps yields the trap addresses that persons added, in the order of bytes.
func (s *Store) Traps(ctx context.Context) iter.Seq2[greylist.Trap, error] {
	return walk(ctx, s, traps, decodeTrap)
}

// PutTrap keeps a trap address of 1 to 320 bytes; it is on the disk when PutTrap
// returns nil, and nothing has changed when it returns an error.
func (s *Store) PutTrap(ctx context.Context, t greylist.Trap) error {
	if t.Address == "" || len(t.Address) > maxText {
		return fmt.Errorf("a trap address of %d bytes; give trap@example.org", len(t.Address))
	}
	_, err := s.commitRow(ctx, traps, t.Address, encodeTrap(t))
	return err
}

// DeleteTrap forgets a trap address, as durably, and reports whether it was there.
func (s *Store) DeleteTrap(ctx context.Context, address string) (bool, error) {
	return s.commitRow(ctx, traps, address, nil)
}
