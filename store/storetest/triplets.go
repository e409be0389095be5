package storetest

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"moggy/greylist"
)

func tripletLife(t *testing.T, s Subject) {
	for _, step := range []struct {
		at      time.Duration
		outcome greylist.Outcome
		first   time.Duration
		tries   uint32
		wait    time.Duration
	}{
		{0, greylist.FirstSeen, 0, 1, 4 * time.Minute},
		{time.Second, greylist.TooEarly, 0, 2, 4*time.Minute - time.Second},
		{-time.Minute, greylist.TooEarly, 0, 3, 4 * time.Minute},
		{4*time.Minute - time.Millisecond, greylist.TooEarly, 0, 4, time.Millisecond},
		{4 * time.Minute, greylist.Returned, 0, 5, 0},
		{48 * time.Hour, greylist.Returned, 0, 6, 0},
		{48*time.Hour + time.Millisecond, greylist.TooLate, 48*time.Hour + time.Millisecond, 1, 4 * time.Minute},
		{48*time.Hour + time.Minute, greylist.TooEarly, 48*time.Hour + time.Millisecond, 2, 3*time.Minute + time.Millisecond},
	} {
		expect := greylist.Result{Outcome: step.outcome, First: epoch().Add(step.first), Tries: step.tries, Wait: step.wait}
		x := example(epoch().Add(step.at))
		if r := peek(t, s, x); !agree(r, expect) {
			t.Errorf("at %v: peek %+v, want %+v", step.at, r, expect)
		}
		if r := try(t, s, x); !agree(r, expect) {
			t.Errorf("at %v: try %+v, want %+v", step.at, r, expect)
		}
		settle(t, s)
	}
}

// agree compares results; a store that has forgotten an expired triplet says
// FirstSeen for TooLate.
func agree(got, want greylist.Result) bool {
	if want.Outcome == greylist.TooLate && got.Outcome == greylist.FirstSeen {
		want.Outcome = greylist.FirstSeen
	}
	return same(got, want)
}

func peekChangesNothing(t *testing.T, s Subject) {
	for range 3 {
		if r := peek(t, s, example(epoch())); r.Outcome != greylist.FirstSeen {
			t.Errorf("%+v", r)
		}
	}
	try(t, s, example(epoch()))
	for range 3 {
		if r := peek(t, s, example(epoch().Add(time.Minute))); r.Outcome != greylist.TooEarly || r.Tries != 2 {
			t.Errorf("%+v", r)
		}
	}
	must(t, s.Pass(context.Background(), example(epoch()).Origin, epoch()))
	peek(t, s, example(epoch().Add(35*24*time.Hour)))
	late := example(epoch().Add(37 * 24 * time.Hour))
	if r := peek(t, s, late); r.Outcome == greylist.OriginKnown {
		t.Error("a peek renewed the origin")
	}
	if n := len(collect(t, s.Triplets(context.Background(), epoch()))); n != 1 {
		t.Errorf("%d triplets", n)
	}
}

func originLife(t *testing.T, s Subject) {
	ctx, x := context.Background(), example(epoch())
	try(t, s, x)
	must(t, s.Pass(ctx, x.Origin, epoch()))
	known := greylist.Result{Outcome: greylist.OriginKnown, First: epoch(), Tries: 1}
	x.Sender = "somebody@else.example"
	if r := try(t, s, x); !same(r, known) {
		t.Errorf("got %+v, want %+v: First is now, and one try", r, known)
	}
	if n := len(collect(t, s.Triplets(ctx, epoch()))); n != 1 {
		t.Errorf("%d triplets: a known origin's triplet is left alone", n)
	}
	at := epoch()
	for range 4 { // each use renews it
		at = at.Add(30 * 24 * time.Hour)
		x.Now = at
		if r := try(t, s, x); r.Outcome != greylist.OriginKnown || !r.First.Equal(at) {
			t.Errorf("at %v: %+v", at, r)
		}
		settle(t, s)
	}
	if rows := collect(t, s.Origins(ctx, at)); len(rows) != 1 || rows[0].Origin != x.Origin ||
		!rows[0].Since.Equal(epoch()) || !rows[0].Used.Equal(at) {
		t.Errorf("origins: %+v", rows)
	}
	x.Now = at.Add(36 * 24 * time.Hour)
	if r := try(t, s, x); r.Outcome != greylist.FirstSeen {
		t.Errorf("not used for 36 days: %+v", r)
	}
	if rows := collect(t, s.Origins(ctx, x.Now)); len(rows) != 0 {
		t.Errorf("not used for 36 days: %+v", rows)
	}
	must(t, s.Pass(ctx, x.Origin, x.Now))
	if rows := collect(t, s.Origins(ctx, x.Now)); len(rows) != 1 || !rows[0].Since.Equal(x.Now) {
		t.Errorf("passed again: %+v", rows)
	}
}

// fractions of a millisecond may be lost, and no more.
func fractions(t *testing.T, s Subject) {
	x := example(epoch().Add(123456789 * time.Nanosecond))
	r := try(t, s, x)
	for _, d := range []time.Duration{r.First.Sub(x.Now), r.Wait - 4*time.Minute} {
		if d.Abs() >= time.Millisecond {
			t.Errorf("off by %v: %+v", d, r)
		}
	}
	x.Now = x.Now.Add(4*time.Minute + time.Millisecond)
	if again := try(t, s, x); again.Outcome != greylist.Returned || !again.First.Equal(r.First) {
		t.Errorf("%+v, first %v", again, r.First)
	}
}

func forget(t *testing.T, s Subject) {
	ctx := context.Background()
	for i := range 30 {
		x := example(epoch())
		x.Sender = fmt.Sprintf("s%d@example.org", i%3)
		x.Recipient = fmt.Sprintf("r%d@example.net", i)
		try(t, s, x)
		must(t, s.Pass(ctx, greylist.Origin{Kind: greylist.Network, Name: fmt.Sprintf("192.0.%d.0/24", i)}, epoch()))
		if i == 15 {
			settle(t, s)
		}
	}
	bySender := func(r greylist.Row) bool { return r.Sender == "s1@example.org" }
	byName := func(r greylist.OriginRow) bool { return strings.HasPrefix(r.Name, "192.0.1") }
	check := func(wantT, wantO, leftT, leftO int, f func(greylist.Row) bool, g func(greylist.OriginRow) bool) {
		t.Helper()
		nt, no, err := s.Forget(ctx, f, g)
		must(t, err)
		lt, lo := len(collect(t, s.Triplets(ctx, epoch()))), len(collect(t, s.Origins(ctx, epoch())))
		if nt != wantT || no != wantO || lt != leftT || lo != leftO {
			t.Errorf("forgot %d and %d, left %d and %d; want %d, %d, %d, %d", nt, no, lt, lo, wantT, wantO, leftT, leftO)
		}
	}
	check(0, 0, 30, 30, nil, nil)
	check(10, 0, 20, 30, bySender, nil)
	check(0, 11, 20, 19, bySender, byName)
	check(20, 19, 0, 0, func(greylist.Row) bool { return true }, func(greylist.OriginRow) bool { return true })
	x := example(epoch())
	x.Sender, x.Recipient = "s1@example.org", "r1@example.net"
	if r := try(t, s, x); r.Outcome != greylist.FirstSeen {
		t.Errorf("after it was forgotten: %+v", r)
	}
}

func rows(t *testing.T, s Subject) {
	x := example(epoch())
	x.Peer = netip.MustParseAddr("192.0.2.7")
	try(t, s, x)
	x.Now, x.Peer = epoch().Add(time.Minute), netip.MustParseAddr("2001:db8::7")
	try(t, s, x)
	for range 2 { // from memory, and kept
		all := collect(t, s.Triplets(context.Background(), epoch().Add(48*time.Hour)))
		if len(all) != 1 {
			t.Fatalf("%d rows", len(all))
		}
		r := all[0]
		if r.Triplet != x.Triplet || r.Peer != x.Peer || !r.First.Equal(epoch()) || !r.Last.Equal(x.Now) || r.Tries != 2 {
			t.Errorf("%+v", r)
		}
		settle(t, s)
	}
	if all := collect(t, s.Triplets(context.Background(), epoch().Add(48*time.Hour+time.Second))); len(all) != 0 {
		t.Errorf("expired: %+v", all)
	}
}

func letterCase(t *testing.T, s Subject) {
	x := example(epoch())
	x.Sender, x.Recipient = "Alice@EXAMPLE.org", "Bob@Example.NET"
	try(t, s, x)
	settle(t, s)
	x.Sender, x.Recipient = "Alice@example.org", "Bob@example.net"
	if r := try(t, s, x); r.Outcome != greylist.TooEarly {
		t.Errorf("a domain in other letters: %+v", r)
	}
	x.Sender = "alice@example.org"
	if r := try(t, s, x); r.Outcome != greylist.FirstSeen {
		t.Errorf("a local part in other letters: %+v", r)
	}
	x.Sender = ""
	if r := try(t, s, x); r.Outcome != greylist.FirstSeen {
		t.Errorf("the null sender: %+v", r)
	}
	x.Origin.Kind = greylist.Name
	if r := try(t, s, x); r.Outcome != greylist.TooEarly {
		t.Errorf("an origin found in another way: %+v", r)
	}
}

// hostile tries strings that a careless key would confuse.
func hostile(t *testing.T, s Subject) {
	long := strings.Repeat("x", 1024)
	parts := []string{"", "a", "a\x00", "\x00a", "a/b", "a\nb", "a:b", "a|b@", "\xff@x", "a@\xff", "a@\xfe", "a@\ufffd",
		"a@\u0130", "a@i", "\"a@b\"@c", long, long + "x", long[:1023] + "y", "*", "{a}", "a b", "%s%n", "1", "-1"}
	origins := []string{"x", "x\x00", "a", "a/b", "\xff", "\xfe", long, long + "y"}
	each := func(now time.Time, f func(name string, r greylist.Result)) {
		for _, o := range origins {
			for _, from := range parts {
				for _, to := range parts {
					x := greylist.Try{Now: now, Timers: timers(), Triplet: greylist.Triplet{
						Origin: greylist.Origin{Kind: greylist.Network, Name: o}, Sender: from, Recipient: to}}
					f(fmt.Sprintf("%.20q %.20q %.20q", o, from, to), try(t, s, x))
				}
			}
		}
	}
	each(epoch(), func(name string, r greylist.Result) {
		if r.Outcome != greylist.FirstSeen {
			t.Fatalf("%s was taken for another: %+v", name, r)
		}
	})
	settle(t, s)
	each(epoch().Add(time.Minute), func(name string, r greylist.Result) {
		if r.Outcome != greylist.TooEarly || r.Tries != 2 {
			t.Fatalf("%s was not found again: %+v", name, r)
		}
	})
	n, _, err := s.Forget(context.Background(), func(greylist.Row) bool { return true }, nil)
	must(t, err)
	if all := len(origins) * len(parts) * len(parts); n != all {
		t.Errorf("forgot %d of %d", n, all)
	}
	if all := collect(t, s.Triplets(context.Background(), epoch())); len(all) != 0 {
		t.Errorf("%d left", len(all))
	}
}

// oneFirstSeen is one triplet from many sessions at once.
func oneFirstSeen(t *testing.T, s Subject) {
	const sessions = 64
	var wg sync.WaitGroup
	results := make([]greylist.Result, sessions)
	for i := range sessions {
		wg.Go(func() { results[i], _ = s.Try(context.Background(), example(epoch())) })
	}
	wg.Wait()
	first, tries := 0, make(map[uint32]bool)
	for _, r := range results {
		if r.Outcome == greylist.FirstSeen {
			first++
		}
		tries[r.Tries] = true
	}
	if first != 1 || len(tries) != sessions || !tries[sessions] {
		t.Errorf("%d first seen, %d different counts of tries", first, len(tries))
	}
}

// manyAtOnce uses every method from many goroutines; the race detector judges,
// and the count of tries.
func manyAtOnce(t *testing.T, s Subject) {
	const workers, turns = 8, 50
	ctx := context.Background()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range turns {
				x := example(epoch().Add(time.Duration(i) * time.Second))
				x.Recipient = fmt.Sprintf("r%d@example.net", i%5)
				if _, err := s.Try(ctx, x); err != nil {
					t.Error(err)
				}
				turn(t, s, w, i)
			}
		})
	}
	wg.Wait()
	tries := 0
	for _, r := range collect(t, s.Triplets(ctx, epoch())) {
		tries += int(r.Tries)
	}
	if tries != workers*turns {
		t.Errorf("%d tries counted, not %d", tries, workers*turns)
	}
}

// turn is one of the things that happen meanwhile.
func turn(t *testing.T, s Subject, w, i int) {
	ctx := context.Background()
	other := greylist.Origin{Kind: greylist.Network, Name: fmt.Sprintf("192.0.%d.0/24", i)}
	var err error
	switch (w + i) % 8 {
	case 0:
		_, err = s.Peek(ctx, example(epoch()))
	case 1:
		err = s.Pass(ctx, other, epoch())
	case 2:
		s.LearnEntries(learned("192.0.2.7/32"))
	case 3:
		err = s.PutEntry(ctx, said("192.0.2.0/24"))
	case 4:
		_, _, err = s.Forget(ctx, nil, func(r greylist.OriginRow) bool { return r.Origin == other })
	case 5:
		for range s.Entries(ctx) {
			break
		}
	case 6:
		err = s.PutTrap(ctx, greylist.Trap{Address: "trap@example.org"})
	case 7:
		s.ForgetEntries(learned("192.0.2.7/32").Key())
	}
	if err != nil {
		t.Error(err)
	}
}
