package dnsbl

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	bad      = ip("198.51.100.66") // on the lists of these tests
	stranger = ip("198.51.100.7")  // on none
)

// lab is a Checker in virtual time with the resolver behind it.
type lab struct {
	*Checker
	*resolver
	*ear
	log bytes.Buffer
}

// inLab runs a test with a Checker that is watched, and sees that nothing of it
// is left.
func inLab(t *testing.T, zones map[string]*zone, o Options, test func(*testing.T, *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{resolver: newResolver(zones), ear: new(ear)}
		o.Resolver, o.Events = l.resolver, l.ear
		o.Log = slog.New(slog.NewTextHandler(&l.log, nil))
		o.Threshold = 3
		l.Checker = New(o)
		ctx, cancel := context.WithCancel(t.Context())
		watch := make(chan struct{})
		go func() { defer close(watch); l.Watch(ctx) }()
		synctest.Wait()
		test(t, l)
		cancel()
		<-watch
		close(l.free)
		l.Close()
	})
}

// check checks a peer and compares the score in words.
func (l *lab) check(t *testing.T, peer netip.Addr, want string) Score {
	t.Helper()
	s := l.Check(t.Context(), peer)
	if s.String() != want {
		t.Errorf("%s scores %s; want %s", peer, s, want)
	}
	return s
}

func block(zones ...string) (all []List) {
	for _, z := range zones {
		all = append(all, List{Zone: z, Weight: 3})
	}
	return all
}

func TestCheck(t *testing.T) {
	lists := []List{{Zone: "a.example", Weight: 3}, {Zone: "b.example", Weight: 1},
		{Zone: "w.example", Weight: -3, Codes: codes("127.0.1.0", "127.0.20.3")}}
	zones := map[string]*zone{
		"a.example": healthy("198.51.100.66", "2001:db8::66", "::ffff:127.0.0.2"),
		"b.example": healthy("198.51.100.66", "198.51.100.67", "2001:db8::66"),
		"w.example": healthy().list("127.0.5.2", "192.0.2.1"),
	}
	inLab(t, zones, Options{Lists: lists}, func(t *testing.T, l *lab) {
		s := l.check(t, bad, "4 of 3: a.example 127.0.0.2 (+3), b.example 127.0.0.2 (+1)")
		if !s.Listed() || s.Allowed() {
			t.Error("it is listed")
		}
		l.check(t, ip("::ffff:198.51.100.67"), "1 of 3: b.example 127.0.0.2 (+1)")
		l.check(t, stranger, "0 of 3")
		l.check(t, ip("2001:db8::66"), "3 of 3: a.example 127.0.0.2 (+3)") // b does not know IPv6
		if s := l.check(t, ip("192.0.2.1"), "-3 of 3: w.example 127.0.5.2 (-3)"); !s.Allowed() {
			t.Error("it is allowed")
		}
		l.check(t, netip.Addr{}, "0 of 3")
		if got := l.states(); !reflect.DeepEqual(got, []State{Working, Working, Working}) {
			t.Errorf("%v", got)
		}
	})
}

// TestCheckTime: no list delays a check beyond its time.
func TestCheckTime(t *testing.T) {
	zones := map[string]*zone{"fast.example": healthy("198.51.100.66"), "slow.example": healthy(), "deaf.example": healthy()}
	o := Options{Lists: block("fast.example", "slow.example", "deaf.example"), Timeout: 2 * time.Second}
	inLab(t, zones, o, func(t *testing.T, l *lab) {
		l.change("slow.example", func(z *zone) { z.delay = 3 * time.Second })
		l.change("deaf.example", func(z *zone) { z.deaf = true })
		began := time.Now()
		s := l.check(t, bad, "3 of 3: fast.example 127.0.0.2 (+3); silent: slow.example, deaf.example")
		if took := time.Since(began); took != 2*time.Second || !s.Listed() || !s.Degraded() {
			t.Errorf("it took %s", took)
		}
		l.change("slow.example", func(z *zone) { z.delay = time.Second })
		l.change("deaf.example", func(z *zone) { z.deaf = false })
		began = time.Now()
		l.check(t, stranger, "0 of 3")
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %s, the slowest list takes 1 s", took)
		}
	})
}

// TestCheckListTimeout: a list with less time of its own is not waited for.
func TestCheckListTimeout(t *testing.T) {
	lists := []List{{Zone: "a.example", Weight: 3, Timeout: 300 * time.Millisecond}}
	inLab(t, map[string]*zone{"a.example": healthy()}, Options{Lists: lists}, func(t *testing.T, l *lab) {
		l.change("a.example", func(z *zone) { z.delay = time.Second })
		began := time.Now()
		l.check(t, bad, "0 of 3; silent: a.example")
		if took := time.Since(began); took != 300*time.Millisecond {
			t.Errorf("it took %s", took)
		}
		if s := l.Lists()[0]; s.Answers[Late] != 1 || l.answers[Late] != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// TestCheckCancelled: a peer that leaves ends its check, and no list is blamed.
func TestCheckCancelled(t *testing.T) {
	inLab(t, map[string]*zone{"a.example": healthy()}, Options{Lists: block("a.example")}, func(t *testing.T, l *lab) {
		l.change("a.example", func(z *zone) { z.delay = time.Second })
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			began := time.Now()
			if s := l.Check(ctx, bad); s.Listed() || time.Since(began) != 100*time.Millisecond {
				t.Errorf("%s after %s", s, time.Since(began))
			}
			cancel()
			l.Check(ctx, bad)
		}
		synctest.Wait()
		if s := l.Lists()[0]; s.State != Working || s.Asked != 0 {
			t.Errorf("%+v", s)
		}
	})
}

// TestCheckBounded: no more questions are under way than may be, and who does
// not get to ask learns that in its time.
func TestCheckBounded(t *testing.T) {
	o := Options{Lists: block("a.example", "b.example"), Questions: 3}
	zones := map[string]*zone{"a.example": healthy(), "b.example": healthy()}
	inLab(t, zones, o, func(t *testing.T, l *lab) {
		for z := range zones {
			l.change(z, func(z *zone) { z.deaf = true })
		}
		before := l.count("a.example") + l.count("b.example")
		for range 5 {
			go l.Check(t.Context(), bad)
		}
		time.Sleep(time.Second)
		if n := l.count("a.example") + l.count("b.example") - before; n != 3 {
			t.Errorf("%d questions are under way", n)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		l.check(t, bad, "0 of 3; silent: a.example, b.example")
	})
}

// TestCheckGivesBack: the end of a question makes room for another.
func TestCheckGivesBack(t *testing.T) {
	o := Options{Lists: block("a.example", "b.example"), Questions: 2}
	inLab(t, map[string]*zone{"a.example": healthy(), "b.example": healthy()}, o, func(t *testing.T, l *lab) {
		for range 20 {
			l.check(t, stranger, "0 of 3")
		}
	})
}

// TestDrain: what is there when time is over counts.
func TestDrain(t *testing.T) {
	all, answers := make([]said, 3), make(chan answer, 3)
	for i, a := range []Answer{Listed, Clean} {
		answers <- answer{i, reading{answer: a}}
	}
	if drain(answers, all); all[0].answer != Listed || all[1].answer != Clean || all[2].answer != "" {
		t.Errorf("%+v", all)
	}
}

func TestCheckWithoutLists(t *testing.T) {
	c := New(Options{})
	c.Watch(t.Context())
	c.Good(bad)
	c.Passed(bad)
	if s := c.Check(t.Context(), bad); s.Listed() || s.Degraded() || len(c.Lists()) != 0 {
		t.Errorf("%+v", s)
	}
	c.Close()
}

// TestUntested: before the test points were right no list counts, and Probe is
// enough.
func TestUntested(t *testing.T) {
	r := newResolver(map[string]*zone{"a.example": healthy("198.51.100.66", "::ffff:127.0.0.2", "2001:db8::1")})
	c := New(Options{Resolver: r, Threshold: 3, Lists: block("a.example")})
	for _, want := range []string{"0 of 3; not counted: a.example (untested)", "3 of 3: a.example 127.0.0.2 (+3)"} {
		for _, peer := range []netip.Addr{bad, ip("2001:db8::1")} {
			if s := c.Check(t.Context(), peer); s.String() != want {
				t.Errorf("%s scores %s; want %s", peer, s, want)
			}
		}
		c.Probe(t.Context())
	}
	if s := c.Lists()[0]; s.State != Working || !s.IPv6 || s.Hits != 2 || s.Asked != 4 {
		t.Errorf("%+v", s)
	}
}

// TestValue: what a list is worth.
func TestValue(t *testing.T) {
	lists := []List{{Zone: "a.example", Weight: 3}, {Zone: "b.example", Weight: 1}, {Zone: "w.example", Weight: -3}}
	zones := map[string]*zone{
		"a.example": healthy("192.0.2.1", "192.0.2.2", "192.0.2.4"),
		"b.example": healthy("192.0.2.1", "192.0.2.3"),
		"w.example": healthy("192.0.2.4").list("127.1.1.1", "192.0.2.3"),
	}
	inLab(t, zones, Options{Lists: lists}, func(t *testing.T, l *lab) {
		l.change("b.example", func(z *zone) { z.delay = 90 * time.Millisecond })
		for i := range 6 {
			l.Check(t.Context(), netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}))
		}
		l.Passed(ip("192.0.2.1"))
		l.Passed(ip("192.0.2.1"))
		l.Good(ip("192.0.2.2"))
		l.Passed(ip("192.0.2.77"))
		for i, want := range []Status{
			{Hits: 3, Alone: 2, Decisive: 3, Passed: 2, Answers: map[Answer]uint64{Listed: 3, Clean: 3}, P95: time.Millisecond},
			{Hits: 2, Alone: 1, Passed: 1, Answers: map[Answer]uint64{Listed: 2, Clean: 4}, Mean: 90 * time.Millisecond, P95: 100 * time.Millisecond},
			{Hits: 1, Alone: 1, Decisive: 1, Answers: map[Answer]uint64{Listed: 1, Clean: 4, Other: 1}, P95: time.Millisecond},
		} {
			got := l.Lists()[i]
			got = Status{Hits: got.Hits, Alone: got.Alone, Decisive: got.Decisive, Passed: got.Passed, Mean: got.Mean, P95: got.P95, Answers: got.Answers}
			for a, n := range got.Answers {
				if n == 0 {
					delete(got.Answers, a)
				}
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\n got %+v\nwant %+v", lists[i].Zone, got, want)
			}
		}
	})
}

// TestSecret: the key in a zone is seen nowhere.
func TestSecret(t *testing.T) {
	const key = "abcdefghij0123456789abcdef"
	zones := map[string]*zone{key + ".zen.example": healthy("198.51.100.66")}
	inLab(t, zones, Options{Lists: block(key + ".zen.example")}, func(t *testing.T, l *lab) {
		var seen strings.Builder
		l.check(t, bad, "3 of 3: ***.zen.example 127.0.0.2 (+3)")
		for _, how := range []func(*zone){
			func(z *zone) { z.err = fmt.Errorf("%s: %w", key, errServer) },
			func(z *zone) { z.err, z.world = nil, ips("127.255.255.254") },
			func(z *zone) { z.world = ips("192.0.2.80") },
		} {
			l.change(key+".zen.example", how)
			for range 10 {
				s := l.Check(t.Context(), bad)
				fmt.Fprintf(&seen, "%+v %s", s, s)
				time.Sleep(time.Minute)
			}
			fmt.Fprintf(&seen, "%+v", l.Lists())
		}
		fmt.Fprintf(&seen, "%+v %s", l.changes, &l.log)
		if text := seen.String(); strings.Contains(text, key) || !strings.Contains(text, "***.zen.example") || l.log.Len() == 0 {
			t.Errorf("the key is seen: %s", text)
		}
	})
}
