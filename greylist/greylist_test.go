package greylist

import (
	"math/rand/v2"
	"testing"
	"time"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var timers = Timers{Pass: 4 * time.Minute, PassUnnamed: 25 * time.Minute, Window: 48 * time.Hour, Remember: 36 * 24 * time.Hour}

func TestNext(t *testing.T) {
	const tick = time.Nanosecond
	started := State{First: epoch, Last: epoch, Tries: 1}
	for name, c := range map[string]struct {
		s     State
		at    time.Duration
		pass  time.Duration
		want  Result
		last  time.Duration
		again bool // a new attempt begins
	}{
		"never seen":       {State{}, 0, timers.Pass, Result{Outcome: FirstSeen, Tries: 1, Wait: timers.Pass}, 0, true},
		"never seen, late": {State{}, 99 * time.Hour, timers.Pass, Result{Outcome: FirstSeen, Tries: 1, Wait: timers.Pass}, 99 * time.Hour, true},
		"at once":          {started, 0, timers.Pass, Result{Outcome: TooEarly, Tries: 2, Wait: timers.Pass}, 0, false},
		"before the first": {started, -time.Hour, timers.Pass, Result{Outcome: TooEarly, Tries: 2, Wait: timers.Pass}, 0, false},
		"just too early":   {started, timers.Pass - tick, timers.Pass, Result{Outcome: TooEarly, Tries: 2, Wait: tick}, timers.Pass - tick, false},
		"exactly pass":     {started, timers.Pass, timers.Pass, Result{Outcome: Returned, Tries: 2}, timers.Pass, false},
		"unnamed":          {started, timers.Pass, timers.PassUnnamed, Result{Outcome: TooEarly, Tries: 2, Wait: 21 * time.Minute}, timers.Pass, false},
		"exactly window":   {started, timers.Window, timers.Pass, Result{Outcome: Returned, Tries: 2}, timers.Window, false},
		"just too late":    {started, timers.Window + tick, timers.Pass, Result{Outcome: TooLate, Tries: 1, Wait: timers.Pass}, timers.Window + tick, true},
		"no wait":          {started, 0, 0, Result{Outcome: Returned, Tries: 2}, 0, false},
		"last is kept":     {State{First: epoch, Last: epoch.Add(time.Hour), Tries: 7}, time.Minute, 0, Result{Outcome: Returned, Tries: 8}, time.Hour, false},
		"tries stop":       {State{First: epoch, Last: epoch, Tries: maxTries}, time.Hour, timers.Pass, Result{Outcome: Returned, Tries: maxTries}, time.Hour, false},
	} {
		now := epoch.Add(c.at)
		c.want.First = epoch
		if c.again {
			c.want.First = now
		}
		s, r := Next(c.s, now, c.pass, timers)
		if r != c.want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, r, c.want)
		}
		if want := (State{First: c.want.First, Last: epoch.Add(c.last), Tries: c.want.Tries}); s != want {
			t.Errorf("%s: state\n got %+v\nwant %+v", name, s, want)
		}
		if r.Passes() != (r.Outcome == Returned) || r.Passes() != (r.Wait == 0) {
			t.Errorf("%s: passes %v, wait %v", name, r.Passes(), r.Wait)
		}
	}
}

// TestNextProperties: whatever a peer does, trying early costs it nothing, and
// what returned stays so for the window.
func TestNextProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		now := epoch
		s, first := Next(State{}, now, timers.Pass, timers)
		for range 50 {
			now = now.Add(time.Duration(r.Int64N(int64(2*time.Hour))) - 5*time.Minute)
			age := now.Sub(first.First)
			next, got := Next(s, now, timers.Pass, timers)
			switch {
			case age > timers.Window:
				if got.Outcome != TooLate || !got.First.Equal(now) {
					t.Fatalf("after %v: %+v", age, got)
				}
				first = got
			case !got.First.Equal(first.First) || got.Tries != s.Tries+1:
				t.Fatalf("after %v: the attempt moved: %+v, was %+v", age, got, s)
			case (got.Outcome == Returned) != (age >= timers.Pass):
				t.Fatalf("after %v: %+v", age, got)
			case got.Outcome == TooEarly && age >= 0:
				if _, later := Next(s, now.Add(got.Wait), timers.Pass, timers); later.Outcome != Returned {
					t.Fatalf("waited as told, and: %+v", later)
				}
			}
			s = next
		}
	}
}

func TestKnown(t *testing.T) {
	var k Known
	if k.Fresh(epoch, timers) {
		t.Error("never passed, and known")
	}
	k = k.Renew(epoch, timers)
	for at, want := range map[time.Duration]bool{0: true, -time.Hour: true, timers.Remember - 1: true, timers.Remember: false} {
		if k.Fresh(epoch.Add(at), timers) != want {
			t.Errorf("after %v: known %v", at, !want)
		}
	}
	used := k.Renew(epoch.Add(30*24*time.Hour), timers)
	if !used.Since.Equal(epoch) || !used.Fresh(epoch.Add(60*24*time.Hour), timers) {
		t.Errorf("used: %+v", used)
	}
	if back := used.Renew(epoch, timers); back != used {
		t.Errorf("time ran backwards: %+v", back)
	}
	if again := k.Renew(epoch.Add(37*24*time.Hour), timers); !again.Since.Equal(epoch.Add(37 * 24 * time.Hour)) {
		t.Errorf("forgotten and passed again: %+v", again)
	}
}

func TestExpires(t *testing.T) {
	s, _ := Next(State{}, epoch, timers.Pass, timers)
	if _, r := Next(s, s.Expires(timers), timers.Pass, timers); r.Outcome != Returned {
		t.Errorf("at its end: %+v", r)
	}
	if _, r := Next(s, s.Expires(timers).Add(1), timers.Pass, timers); r.Outcome != TooLate {
		t.Errorf("after its end: %+v", r)
	}
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		o    Origin
		say  string
		pass time.Duration
	}{
		{Origin{Domain, "example.org"}, "example.org (spf)", timers.Pass},
		{Origin{Name, "example.org"}, "example.org (name)", timers.Pass},
		{Origin{Network, "192.0.2.0/24"}, "192.0.2.0/24", timers.PassUnnamed},
		{Origin{}, "", timers.PassUnnamed},
	} {
		if c.o.String() != c.say || timers.PassFor(c.o) != c.pass {
			t.Errorf("%q waits %v", c.o, timers.PassFor(c.o))
		}
	}
}

func triplet(origin, sender, recipient string) Triplet {
	return Triplet{Origin{Network, origin}, sender, recipient}
}

// TestKeysDiffer where the parts, put together, are the same.
func TestKeysDiffer(t *testing.T) {
	all := []Triplet{
		triplet("a", "b", "c"), triplet("ab", "", "c"), triplet("", "ab", "c"), triplet("a", "", "bc"), triplet("", "", "abc"),
		triplet("abc", "", ""), triplet("a", "bc", ""), triplet("", "a", "bc"), triplet("a\x01b", "", "c"), triplet("a", "\x01b", "c"),
		triplet("a", "B@c", ""), triplet("a", "b@c", ""), triplet("a", "b@c@d", ""), triplet("a", "b@C@d", ""),
		triplet("a", "b@\xff", ""), triplet("a", "b@\xfe", ""), triplet("a", "b@\ufffd", ""), triplet("a", "b@\u212a", ""), triplet("a", "b@k", ""),
	}
	seen := make(map[Key]Triplet)
	for _, x := range all {
		if other, twice := seen[x.Key()]; twice {
			t.Errorf("%q and %q", x, other)
		}
		seen[x.Key()] = x
		seen[x.Origin.Key()] = x
	}
}

func TestKeysAgree(t *testing.T) {
	a := Triplet{Origin{Domain, "example.org"}, "Alice@EXAMPLE.org", "\"b@b\"@Example.NET"}
	b := Triplet{Origin{Name, "example.org"}, "Alice@example.org", "\"b@b\"@example.net"}
	if a.Key() != b.Key() || a.Origin.Key() != b.Origin.Key() {
		t.Error("the letters of a domain, and how an origin was found, make no difference")
	}
}

func FuzzKey(f *testing.F) {
	f.Add("a", "b", "c", "ab", "", "c")
	f.Add("a", "b@\xff", "c", "a", "b@\xfe", "c")
	f.Fuzz(func(t *testing.T, a, b, c, x, y, z string) {
		same := a == x && foldDomain(b) == foldDomain(y) && foldDomain(c) == foldDomain(z)
		if (triplet(a, b, c).Key() == triplet(x, y, z).Key()) != same {
			t.Errorf("%q %q %q and %q %q %q", a, b, c, x, y, z)
		}
		if len(foldDomain(b)) != len(b) {
			t.Errorf("%q became %q", b, foldDomain(b))
		}
	})
}

// BenchmarkNext is a try of a triplet that was seen before.
func BenchmarkNext(b *testing.B) {
	first := time.Unix(1_700_000_000, 0)
	s := State{First: first, Last: first, Tries: 1}
	now, t := first.Add(10*time.Minute), Timers{Pass: 4 * time.Minute, Window: 48 * time.Hour}
	b.ReportAllocs()
	for b.Loop() {
		Next(s, now, t.Pass, t)
	}
}
