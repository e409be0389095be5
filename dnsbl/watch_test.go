package dnsbl

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// state checks the state of the first list.
func (l *lab) state(t *testing.T, want State, reason Reason) Status {
	t.Helper()
	synctest.Wait()
	s := l.Lists()[0]
	if s.State != want || s.Reason != reason {
		t.Fatalf("it is %s because of %q (%s); want %s, %q", s.State, s.Reason, s.Why, want, reason)
	}
	return s
}

// TestBroken: what postscreen turns mail away for, or lets strangers in for,
// counts for nothing here.
func TestBroken(t *testing.T) {
	for name, c := range map[string]struct {
		zone   *zone
		weight int
		reason Reason
		why    string
	}{
		"world":   {&zone{world: ips("127.0.0.2")}, 3, ListsEverybody, "127.0.0.1"},
		"empty":   {&zone{}, 3, ListsNobody, "127.0.0.2"},
		"parked":  {&zone{world: ips("192.0.2.80")}, 3, Astray, "192.0.2.80"},
		"typo":    {&zone{world: ips("127.255.255.252")}, 3, Refuses, "typing error"},
		"public":  {&zone{world: ips("127.255.255.254")}, 3, Refuses, "public"},
		"excess":  {&zone{world: ips("127.255.255.255")}, 3, Refuses, "too often"},
		"quota":   {&zone{world: ips("127.0.10.3")}, -3, ListsEverybody, "vouches for everybody"},
		"IPv6":    {healthy("::ffff:127.0.0.1", "::ffff:127.0.0.2"), 3, ListsEverybody, "::ffff:127.0.0.1"},
		"no code": {&zone{world: ips("127.0.99.99")}, 3, ListsEverybody, "127.0.99.99"},
	} {
		t.Run(name, func(t *testing.T) {
			lists := []List{{Zone: "a.example", Weight: c.weight}}
			if c.weight < 0 {
				lists[0].Codes = codes("127.0.2.0", "127.0.20.3")
			}
			inLab(t, map[string]*zone{"a.example": c.zone}, Options{Lists: lists}, func(t *testing.T, l *lab) {
				s := l.state(t, Suspended, c.reason)
				asked := l.count("a.example")
				score := l.check(t, bad, "0 of 3; not counted: a.example (suspended)")
				if score.Listed() || score.Allowed() || l.count("a.example") != asked {
					t.Errorf("%s, and it was asked", score)
				}
				change := l.last(t, Suspended)
				if !strings.Contains(s.Why, c.why) || change.Why != s.Why || !change.Alarm() || !strings.Contains(l.log.String(), "suspended") {
					t.Errorf("%q; %+v; %s", s.Why, change, &l.log)
				}
			})
		})
	}
}

// TestListsTheWorld: a list begins to list everybody between two probes.
func TestListsTheWorld(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy()}
	inLab(t, zones, Options{Lists: block("a.example"), Every: time.Minute}, func(t *testing.T, l *lab) {
		next := crowd()
		for range 100 { // one in five is on it; a minute ago it was right
			p := next()
			l.change("a.example", func(z *zone) {
				if p.As4()[3]%5 == 0 {
					z.list("127.0.0.2", p.String())
				}
			})
			l.Check(t.Context(), p)
			time.Sleep(time.Second)
		}
		l.state(t, Working, "")
		began := time.Now()
		l.change("a.example", func(z *zone) { z.world = ips("127.0.0.2") })
		listed := 0
		for range 50 {
			if s := l.Check(t.Context(), next()); s.Listed() {
				listed++
			}
			synctest.Wait()
		}
		s := l.state(t, Suspended, ListsEverybody)
		if s.Since != began || listed > 10 {
			t.Errorf("%d were listed, and it is suspended since %s after it began", listed, s.Since.Sub(began))
		}
		doubtful := l.last(t, Suspended).Doubtful
		if len(doubtful) != listed+8 || !slices.Equal(doubtful, s.Doubtful) || doubtful[7].Time.Equal(began) || !doubtful[8].Time.Equal(began) {
			t.Errorf("%d decisions are in doubt, %d of them wrong: %v", len(doubtful), listed, doubtful)
		}
		l.change("a.example", func(z *zone) { z.world = nil })
		time.Sleep(30 * time.Second)
		l.state(t, Suspended, ListsEverybody)
		time.Sleep(30 * time.Second)
		if s := l.state(t, Working, ""); len(s.Doubtful) != len(doubtful) {
			t.Error("what is in doubt is forgotten")
		}
		l.check(t, ip("10.0.0.5"), "3 of 3: a.example 127.0.0.2 (+3)")
		if want := []State{Working, Suspected, Suspended, Working}; !slices.Equal(l.states(), want) {
			t.Errorf("%v", l.states())
		}
	})
}

// TestSpamRun: that one listed peer after the other comes is no fault of the
// list: a check waits for the test points, and nobody slips through meanwhile.
func TestSpamRun(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy()}
	inLab(t, zones, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		next, withheld := crowd(), 0
		for range 600 { // a minute
			p := next()
			l.change("a.example", func(z *zone) { z.delay = 10 * time.Millisecond; z.list("127.0.0.2", p.String()) })
			if s := l.Check(t.Context(), p); !s.Listed() {
				withheld++
			}
			time.Sleep(90 * time.Millisecond)
		}
		l.state(t, Working, "")
		if withheld != 0 || !slices.Contains(l.states(), Suspected) {
			t.Errorf("%d of 600 did not count, states %v", withheld, l.states())
		}
		if slices.Contains(l.states(), Suspended) || strings.Contains(l.log.String(), "level=WARN") {
			t.Errorf("%v: %s", l.states(), &l.log)
		}
	})
}

// TestSuspectedWithoutAnswer: what is in doubt does not count while its test
// points are not answered.
func TestSuspectedWithoutAnswer(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy("198.51.100.66")}
	inLab(t, zones, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		l.turn(func(h *health) { h.suspect(Surge, "", time.Now()) })
		l.change("a.example", func(z *zone) { z.delay = 5 * time.Second })
		time.Sleep(time.Second)
		l.state(t, Suspected, Surge)
		l.change("a.example", func(z *zone) { z.delay = 0 })
		l.check(t, bad, "0 of 3; not counted: a.example (suspected)")
		time.Sleep(10 * time.Second)
		l.state(t, Working, "")
		l.check(t, bad, "3 of 3: a.example 127.0.0.2 (+3)")
	})
}

// turn moves the health of the first list.
func (l *lab) turn(move func(*health)) { l.lists[0].turn(time.Now(), move) }

// TestRefuses: the first answer with an error has the test points asked.
func TestRefuses(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy(), "b.example": healthy("198.51.100.66")}
	inLab(t, zones, Options{Lists: block("a.example", "b.example")}, func(t *testing.T, l *lab) {
		l.change("a.example", func(z *zone) { z.world, z.delay = ips("127.255.255.254"), 10*time.Millisecond })
		s := l.check(t, bad, "3 of 3: b.example 127.0.0.2 (+3); not counted: a.example (suspected); no listing: a.example answered 127.255.255.254")
		if len(s.Errors) != 1 || !strings.Contains(s.Errors[0].Meaning, "public resolvers") {
			t.Errorf("%+v", s.Errors)
		}
		time.Sleep(20 * time.Millisecond)
		status := l.state(t, Suspended, Refuses)
		if status.LastError != status.Why || status.Answers[Refused] != 1 {
			t.Errorf("%+v", status)
		}
		l.change("a.example", func(z *zone) { z.world = ips("127.255.255.255") })
		time.Sleep(time.Minute)
		if s := l.state(t, Suspended, Refuses); !strings.Contains(s.Why, "too often") {
			t.Errorf("it is still %q", s.Why)
		}
	})
}

// TestRefusesSometimes: an error that the test points do not show is told once,
// and does not count.
func TestRefusesSometimes(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy().list("127.255.255.254", "198.51.100.66")}
	inLab(t, zones, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		for range 100 {
			if s := l.Check(t.Context(), bad); s.Total != 0 || len(s.Errors) != 1 {
				t.Errorf("%+v", s)
			}
			time.Sleep(10 * time.Second)
		}
		l.state(t, Working, "")
		if n := strings.Count(l.log.String(), "level=WARN"); n != 1 {
			t.Errorf("it is told %d times: %s", n, &l.log)
		}
	})
}

// nth is one peer of many.
func nth(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) }

// TestSilent: a dead list costs five peers their time, and no more.
func TestSilent(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy("198.51.100.66")}
	inLab(t, zones, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		l.change("a.example", func(z *zone) { z.delay = time.Hour })
		began := time.Now()
		for i := range 20 {
			l.check(t, nth(i), "0 of 3; silent: a.example")
			synctest.Wait()
		}
		if took := time.Since(began); took != 5*2*time.Second {
			t.Errorf("20 checks took %s", took)
		}
		if s := l.state(t, Silent, NoAnswer); s.Answers[Late] != 5 || l.answers[Late] != 5 {
			t.Errorf("%+v", s)
		}
		before := l.count("a.example")
		time.Sleep(time.Hour)
		if n := l.count("a.example") - before; n < 4*11 || n > 4*16 {
			t.Errorf("%d questions in an hour", n)
		}
		l.change("a.example", func(z *zone) { z.delay = 0 })
		time.Sleep(5*time.Minute + 2*time.Second)
		l.check(t, bad, "3 of 3: a.example 127.0.0.2 (+3)")
		if n := strings.Count(l.log.String(), "level=WARN"); n != 1 || strings.Count(l.log.String(), "works again") != 1 {
			t.Error(&l.log)
		}
	})
}

// TestNotSilent: only what is not answered many times in a row makes it silent.
func TestNotSilent(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy()}
	inLab(t, zones, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		for range 5 {
			for _, err := range []error{errServer, errServer, errServer, errServer, nil} {
				l.change("a.example", func(z *zone) { z.err = err })
				l.Check(t.Context(), stranger)
			}
		}
		if s := l.state(t, Working, ""); s.Answers[Failed] != 20 || s.Answers[Clean] != 5 {
			t.Errorf("%+v", s)
		}
	})
}

// TestOneUnanswered: one peer about which a list cannot be asked does not make it
// silent for all, however often it comes.
func TestOneUnanswered(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy("198.51.100.66")}
	inLab(t, zones, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		l.change("a.example", func(z *zone) { z.err = errServer })
		for range 50 {
			l.check(t, stranger, "0 of 3; silent: a.example")
		}
		l.state(t, Working, "")
		l.change("a.example", func(z *zone) { z.err = nil })
		l.check(t, bad, "3 of 3: a.example 127.0.0.2 (+3)")
		l.change("a.example", func(z *zone) { z.err = errServer })
		for i := range silentAfter {
			l.state(t, Working, "")
			l.Check(t.Context(), nth(i))
		}
		l.state(t, Silent, NoAnswer)
	})
}

// TestHiccup: a moment without DNS makes a list silent, and the probe that
// follows at once brings it back.
func TestHiccup(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy("198.51.100.66")}
	inLab(t, zones, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		l.change("a.example", func(z *zone) { z.delay = time.Hour })
		for i := range 10 {
			go l.Check(t.Context(), nth(i))
		}
		synctest.Wait()
		l.change("a.example", func(z *zone) { z.delay = time.Millisecond })
		time.Sleep(2*time.Second + 2*time.Millisecond)
		l.check(t, bad, "3 of 3: a.example 127.0.0.2 (+3)")
		if want := []State{Working, Silent, Working}; !slices.Equal(l.states(), want) {
			t.Errorf("%v", l.states())
		}
	})
}

// TestServerFailure: an error is an answer that is not there.
func TestServerFailure(t *testing.T) {
	zones := map[string]*zone{"a.example": {err: errServer}}
	inLab(t, zones, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		l.check(t, bad, "0 of 3; not counted: a.example (untested)")
		time.Sleep(time.Minute)
		l.state(t, Silent, NoAnswer)
		l.check(t, bad, "0 of 3; silent: a.example")
	})
}

// TestGood: a block list that names many of the peers that are known to be good
// is suspended, an allow list is not.
func TestGood(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy(), "w.example": healthy()}
	lists := []List{{Zone: "a.example", Weight: 3}, {Zone: "w.example", Weight: -3}}
	inLab(t, zones, Options{Lists: lists}, func(t *testing.T, l *lab) {
		for i := range 20 {
			good := netip.AddrFrom4([4]byte{203, 0, byte(i), 1})
			l.Good(good)
			l.change("w.example", func(z *zone) { z.list("127.0.0.2", good.String()) })
			l.change("a.example", func(z *zone) {
				if i < 4 {
					z.list("127.0.0.2", good.String())
				}
			})
		}
		l.Good(ip("2001:db8::1"))
		time.Sleep(5 * time.Minute)
		if s := l.state(t, Working, ""); s.Good != 20 || s.GoodListed != 4 {
			t.Errorf("it lists %d of %d", s.GoodListed, s.Good)
		}
		l.change("a.example", func(z *zone) { z.list("127.0.0.2", "203.0.9.1") })
		time.Sleep(5 * time.Minute)
		if s := l.state(t, Suspended, ListsGood); !strings.Contains(s.Why, "5 of 20") {
			t.Error(s.Why)
		}
		if s := l.Lists()[1]; s.State != Working || s.Good != 0 {
			t.Errorf("%+v", s)
		}
		l.change("a.example", func(z *zone) { z.names = healthy().names })
		time.Sleep(time.Minute)
		l.state(t, Working, "")
	})
}

// TestGoodAtFirst: known IPv6 peers are asked about from the first probe on.
func TestGoodAtFirst(t *testing.T) {
	for name, z := range map[string]*zone{"IPv6": healthy("::ffff:127.0.0.2"), "none": healthy()} {
		c := New(Options{Resolver: newResolver(map[string]*zone{"a.example": z}), Lists: block("a.example")})
		c.Good(ip("2001:db8::1"))
		c.Probe(t.Context())
		if s := c.Lists()[0]; s.State != Working || s.IPv6 != (name == "IPv6") || s.IPv6 != (s.Good == 1) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestOneNetwork: the hosts of one /64 are one peer.
func TestOneNetwork(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy("::ffff:127.0.0.2")}
	inLab(t, zones, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		for i := range 200 {
			peer := netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i + 1)})
			l.change("a.example", func(z *zone) { z.list("127.0.0.2", peer.String()) })
			l.check(t, peer, "3 of 3: a.example 127.0.0.2 (+3)")
		}
		l.Passed(ip("2001:db8::ffff"))
		if s := l.state(t, Working, ""); s.Passed != 1 || len(l.states()) != 1 {
			t.Errorf("%v, %+v", l.states(), s)
		}
	})
}

// TestGoodWithoutAnswer: known peers about whom nothing is known do not count.
func TestGoodWithoutAnswer(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy("::ffff:127.0.0.2", "2001:db8::1")}
	inLab(t, zones, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		l.Good(ip("2001:db8::1"))
		l.Good(ip("192.0.2.1"))
		l.change("a.example", func(z *zone) { z.list("127.255.255.254", "192.0.2.1") })
		time.Sleep(5 * time.Minute)
		if s := l.state(t, Working, ""); s.Good != 1 || s.GoodListed != 1 {
			t.Errorf("it lists %d of %d", s.GoodListed, s.Good)
		}
	})
}

// TestFlapping: a list that falls again and again stays away for longer, and in
// the end for as long as it goes on.
func TestFlapping(t *testing.T) {
	zones := map[string]*zone{"a.example": healthy()}
	inLab(t, zones, Options{Lists: block("a.example"), Every: 30 * time.Second}, func(t *testing.T, l *lab) {
		time.Sleep(15 * time.Second)
		for i := range 60 {
			l.change("a.example", func(z *zone) {
				if z.world = nil; i%2 == 0 {
					z.world = ips("127.0.0.2")
				}
			})
			time.Sleep(150 * time.Second)
		}
		want := []State{Working, Suspended, Working, Suspended, Working, Suspended}
		if !slices.Equal(l.states(), want) {
			t.Errorf("%v", l.states())
		}
	})
}

// TestFresh: test points are asked of the resolver that has no memory.
func TestFresh(t *testing.T) {
	points := newResolver(map[string]*zone{"a.example": {world: ips("127.0.0.2")}})
	inLab(t, map[string]*zone{"a.example": healthy()}, Options{Lists: block("a.example"), Fresh: points}, func(t *testing.T, l *lab) {
		l.state(t, Suspended, ListsEverybody)
		if l.count("a.example") != 0 || points.count("a.example") != 4 {
			t.Errorf("%d and %d questions", l.count("a.example"), points.count("a.example"))
		}
	})
}

// TestOwnTestPoints: a list of one's own may have other ones.
func TestOwnTestPoints(t *testing.T) {
	lists := []List{{Zone: "a.example", Weight: 3, TestListed: ip("192.0.2.1"), TestUnlisted: ip("192.0.2.2")}}
	zones := map[string]*zone{"a.example": (&zone{names: map[string][]netip.Addr{}}).list("127.0.0.2", "192.0.2.1")}
	inLab(t, zones, Options{Lists: lists}, func(t *testing.T, l *lab) {
		s := l.state(t, Working, "")
		if s.IPv6 || s.Probed.IsZero() || s.Next != s.Probed.Add(5*time.Minute) {
			t.Errorf("%+v", s)
		}
	})
}

// TestWatchEnds: a probe that is cut off says nothing about the list.
func TestWatchEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := healthy()
		z.delay = time.Second
		c := New(Options{Resolver: newResolver(map[string]*zone{"a.example": z}), Lists: block("a.example")})
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		c.Watch(ctx)
		if s := c.Lists()[0]; time.Since(began) != 100*time.Millisecond || s.State != Untested || !s.Probed.IsZero() {
			t.Errorf("%+v after %s", s, time.Since(began))
		}
	})
}
