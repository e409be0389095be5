package redis

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"

	"moggy/greylist"
)

// Traps yields the trap addresses that persons added.
func (s *Store) Traps(ctx context.Context) iter.Seq2[greylist.Trap, error] {
	return func(yield func(greylist.Trap, error) bool) {
		begun, err := s.place(ctx)
		if err != nil {
			yield(greylist.Trap{}, s.explain(err))
			return
		}
		for address, row := range s.table(ctx, s.key("traps"), &err) {
			t, ok := decodeTrap(address, row)
			if !ok {
				s.damaged.Add(1)
				continue
			}
			if !yield(t, nil) {
				return
			}
		}
		if err == nil {
			err = s.haveRead(ctx, begun)
		}
		if err != nil {
			yield(greylist.Trap{}, s.explain(err))
		}
	}
}

// PutTrap keeps a trap address of 1 to 320 bytes, with the promise of PutEntry.
func (s *Store) PutTrap(ctx context.Context, t greylist.Trap) error {
	if t.Address == "" || len(t.Address) > maxText {
		return fmt.Errorf("a trap address of %d bytes; give trap@example.org", len(t.Address))
	}
	_, err := s.now(ctx, change{op: opPut, key: s.key("traps"), name: nameTrap + t.Address, row: encodeTrap(t)})
	return err
}

// DeleteTrap forgets a trap address, with the same promise, and reports whether it
// was there.
func (s *Store) DeleteTrap(ctx context.Context, address string) (bool, error) {
	if address == "" {
		return false, nil
	}
	n, err := s.now(ctx, change{op: opDel, key: s.key("traps"), name: nameTrap + address})
	return n > 0, err
}

// encodeTrap writes "1 added\n" and the note; added is in unix milliseconds.
func encodeTrap(t greylist.Trap) string { return "1 " + milli(t.Added) + "\n" + t.Note }

func decodeTrap(address, row string) (t greylist.Trap, ok bool) {
	head, note, _ := strings.Cut(row, "\n")
	version, added, _ := strings.Cut(head, " ")
	ms, err := strconv.ParseInt(added, 10, 64)
	return greylist.Trap{Address: address, Note: note, Added: atMilli(ms)}, version == "1" && err == nil
}
