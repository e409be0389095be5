package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"moggy/greylist"
)

// fill keeps n triplets, the first half of them settled.
func fill(t *testing.T, s Subject, n int) {
	t.Helper()
	for i := range n {
		x := example(epoch())
		x.Recipient = fmt.Sprintf("r%d@example.net", i)
		try(t, s, x)
		if i == n/2 {
			settle(t, s)
		}
	}
}

func iterationEnds(t *testing.T, s Subject) {
	fill(t, s, 20)
	put(t, s, said("192.0.2.0/24"))
	n := 0
	for _, err := range s.Triplets(context.Background(), epoch()) {
		must(t, err)
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d rows", n)
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for _, err := range s.Entries(gone) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		return
	}
	t.Error("cancelled: no error")
}

// iterationMayWrite: whoever iterates may change what it sees, and nobody waits
// for it.
func iterationMayWrite(t *testing.T, s Subject) {
	fill(t, s, 3000)
	seen := make(map[string]bool)
	for row, err := range s.Triplets(context.Background(), epoch()) {
		must(t, err)
		if seen[row.Recipient] {
			t.Fatalf("%s twice", row.Recipient)
		}
		seen[row.Recipient] = true
		x := example(epoch())
		x.Recipient = row.Recipient
		if r := try(t, s, x); r.Tries != 2 {
			t.Fatalf("%s: %+v", row.Recipient, r)
		}
		if len(seen)%700 == 1 {
			settle(t, s)
			put(t, s, said("192.0.2.0/24"))
		}
	}
	if len(seen) != 3000 {
		t.Errorf("%d rows", len(seen))
	}
}

func traps(t *testing.T, s Subject) {
	ctx := context.Background()
	all := map[string]greylist.Trap{}
	for _, a := range []string{"trap@example.org", "a@b", "\"odd \x00\n/\"@example.org", strings.Repeat("x", 250) + "@x.y"} {
		all[a] = greylist.Trap{Address: a, Note: "note of " + a, Added: epoch()}
		must(t, s.PutTrap(ctx, all[a]))
	}
	changed := greylist.Trap{Address: "a@b", Added: epoch()}
	all["a@b"] = changed
	must(t, s.PutTrap(ctx, changed))
	check := func() {
		t.Helper()
		got := collect(t, s.Traps(ctx))
		for _, trap := range got {
			if w := all[trap.Address]; w.Note != trap.Note || !w.Added.Equal(trap.Added) {
				t.Errorf("got %+v, want %+v", trap, w)
			}
		}
		if len(got) != len(all) {
			t.Errorf("%d traps, not %d", len(got), len(all))
		}
	}
	check()
	for _, there := range []bool{true, false} {
		had, err := s.DeleteTrap(ctx, "a@b")
		must(t, err)
		if had != there {
			t.Errorf("deleted: %v", had)
		}
	}
	delete(all, "a@b")
	check()
}
