package foreign

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"moggy/whitelist"
)

// fake is a reader that says what it is told to.
type fake struct {
	name   string
	hang   chan struct{} // nil: it answers; else it deafly waits until this is closed
	mu     sync.Mutex
	blocks []Block
	err    error
	asked  int
}

// say has it say something else from now on.
func (f *fake) say(err error, nets ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocks, f.err = block(nets...), err
}

func (f *fake) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *fake) Name() string { return f.name }

func (f *fake) Read(ctx context.Context) ([]Block, error) {
	f.mu.Lock()
	f.asked++
	f.mu.Unlock()
	if f.hang != nil {
		<-f.hang
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.blocks, f.err
}

func block(nets ...string) (blocks []Block) {
	for _, n := range nets {
		blocks = append(blocks, Block{Net: prefix(n), By: "nft", Where: "set inet guard abusers"})
	}
	return blocks
}

func prefix(text string) netip.Prefix {
	p, err := whitelist.ParseNet(text)
	if err != nil {
		panic(err)
	}
	return p
}

func good(net string, class whitelist.Class, source whitelist.Source) whitelist.Entry {
	return whitelist.Entry{Net: prefix(net), Class: class, Source: source}
}

func list(entries ...whitelist.Entry) func() *whitelist.List {
	l := whitelist.NewList(slices.Values(entries))
	return func() *whitelist.List { return l }
}

// say is a report in one line.
func say(r Report) string {
	var words []string
	for _, h := range r.Hits {
		words = append(words, fmt.Sprintf("%s in %s by %s", h.Addr, h.Net, h.Standing.Evidence))
	}
	return strings.Join(words, ", ")
}

var family = []whitelist.Entry{
	good("198.51.100.7", whitelist.User, whitelist.Login),
	good("198.51.100.0/24", whitelist.Peer, whitelist.Passed),
	good("192.0.2.0/24", whitelist.Peer, whitelist.Operator),
	{Net: prefix("192.0.2.66"), Deny: true, Source: whitelist.Operator},
	good("10.0.0.0/8", whitelist.Own, whitelist.Local),
	good("2001:db8:1:2::/64", whitelist.Own, whitelist.Session),
	good("203.0.113.9", whitelist.Listed, whitelist.Trapped),
}

func TestLook(t *testing.T) {
	for _, c := range []struct{ blocked, want string }{
		{"198.51.100.7", "198.51.100.7/32 in 198.51.100.7/32 by login"},
		{"198.51.100.8", "198.51.100.0/24 in 198.51.100.8/32 by passed"},
		{"192.0.2.9", "192.0.2.0/24 in 192.0.2.9/32 by operator"},
		{"192.0.2.66", ""}, // a person said no
		{"10.1.2.3", ""},   // evidence that says nothing of the other end
		{"203.0.113.9", ""},
		{"203.0.113.10", ""},
		{"2001:db8:1:2::3", "2001:db8:1:2::/64 in 2001:db8:1:2::3/128 by ssh"},
		{"2001:db8:1:2::/64", "2001:db8:1:2::/64 in 2001:db8:1:2::/64 by ssh"},
		{"2001:db8::/32", "2001:db8:1:2::/64 in 2001:db8::/32 by ssh"},
		{"198.51.100.0/25", "198.51.100.7/32 in 198.51.100.0/25 by login, 198.51.100.0/24 in 198.51.100.0/25 by passed"},
		{"0.0.0.0/0", "192.0.2.0/24 in 0.0.0.0/0 by operator, 198.51.100.7/32 in 0.0.0.0/0 by login, 198.51.100.0/24 in 0.0.0.0/0 by passed"},
		{"::/0", "2001:db8:1:2::/64 in ::/0 by ssh"},
	} {
		w := NewWatch(Options{Readers: []Reader{&fake{name: "nft", blocks: block(c.blocked)}}, List: list(family...)})
		if got := say(w.Look(t.Context())); got != c.want {
			t.Errorf("%s blocked: got %q, want %q", c.blocked, got, c.want)
		}
	}
}

func TestExpiredIsNotGood(t *testing.T) {
	e := good("198.51.100.7", whitelist.User, whitelist.Login)
	e.Expires = time.Now().Add(-time.Minute)
	for _, blocked := range []string{"198.51.100.7", "198.51.100.0/24"} {
		w := NewWatch(Options{Readers: []Reader{&fake{name: "nft", blocks: block(blocked)}}, List: list(e)})
		if got := w.Look(t.Context()); len(got.Hits) != 0 {
			t.Errorf("%s: %+v", blocked, got.Hits)
		}
	}
}

func TestNoListAndBadBlocks(t *testing.T) {
	w := NewWatch(Options{Readers: []Reader{&fake{name: "nft", blocks: append(block("0.0.0.0/0"), Block{By: "nft"})}}})
	if r := w.Look(t.Context()); len(r.Hits) != 0 || len(r.Read) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestBounds(t *testing.T) {
	var entries []whitelist.Entry
	var blocks []Block
	for i := range 40 * 256 {
		net := fmt.Sprintf("10.1.%d.%d", i/256, i%256)
		entries = append(entries, good(net, whitelist.Peer, whitelist.Passed))
		if i < 2000 {
			blocks = append(blocks, block(net)...)
		}
	}
	for _, c := range []struct {
		blocks     []Block
		hits, more int
	}{{blocks, MaxHits, 1000}, {block("10.0.0.0/8"), MaxInBlock, 0}} {
		w := NewWatch(Options{Readers: []Reader{&fake{name: "nft", blocks: c.blocks}}, List: list(entries...)})
		if r := w.Look(t.Context()); len(r.Hits) != c.hits || r.More != c.more {
			t.Errorf("%d hits and %d more", len(r.Hits), r.More)
		}
	}
}

func TestAbout(t *testing.T) {
	nft := &fake{name: "nft", blocks: block("198.51.100.7", "203.0.113.0/24")}
	f2b := &fake{name: "fail2ban", err: errors.New("permission denied")}
	w := NewWatch(Options{Readers: []Reader{nft, f2b, &fake{name: "pf", err: fmt.Errorf("pfctl: %w", ErrAbsent)}}, List: list(family...)})
	got, r := w.About(t.Context(), netip.MustParseAddr("::ffff:203.0.113.5"))
	if len(got) != 1 || got[0].Net != prefix("203.0.113.0/24") {
		t.Errorf("about a stranger: %+v", got)
	}
	if say(r) == "" || r.Unread["fail2ban"] != "permission denied" || len(r.Unread) != 1 || !slices.Equal(r.Read, []string{"nft"}) {
		t.Errorf("report %+v", r)
	}
}

// ear hears what a watch tells.
type ear struct {
	mu   sync.Mutex
	told []string
}

func (e *ear) hear(word string) func(Hit) {
	return func(h Hit) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.told = append(e.told, word+" "+h.Addr.String())
	}
}

func (e *ear) heard() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.told)
}

// heard is a watch and who hears what it tells.
func heard(o Options) (*Watch, *ear) {
	e := new(ear)
	o.Appeared, o.Gone = e.hear("appeared"), e.hear("gone")
	return NewWatch(o), e
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nft := &fake{name: "nft", blocks: block("198.51.100.7")}
		w, ear := heard(Options{Readers: []Reader{nft}, List: list(family...), Every: time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { w.Run(ctx); close(done) }()
		start := time.Now()
		at := func(d time.Duration, want ...string) {
			t.Helper()
			time.Sleep(time.Until(start.Add(d)))
			synctest.Wait()
			if told := ear.heard(); !slices.Equal(told, want) {
				t.Errorf("after %s: told %q, want %q", d, told, want)
			}
		}
		a, g := "appeared 198.51.100.7/32", "gone 198.51.100.7/32"
		at(time.Second, a)
		at(3*time.Minute+time.Second, a)
		if first := w.Last().Hits[0].First; !first.Equal(start) {
			t.Errorf("first seen %s, not %s", first, start)
		}
		nft.say(errors.New("no luck"))
		at(5*time.Minute+time.Second, a) // not to be seen is not to be gone
		if r := w.Last(); len(r.Hits) != 1 || r.Unread["nft"] != "no luck" {
			t.Errorf("while it cannot be read: %+v", r)
		}
		nft.say(nil)
		at(7*time.Minute+time.Second, a, g)
		nft.say(nil, "198.51.100.7")
		at(8*time.Minute+time.Second, a, g, a)
		nft.say(ErrAbsent)
		at(9*time.Minute+time.Second, a, g, a, g)
		cancel()
		<-done
	})
}

func TestReaderHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := &fake{name: "fail2ban", hang: make(chan struct{})}
		w, ear := heard(Options{Readers: []Reader{stuck, &fake{name: "nft", blocks: block("198.51.100.7")}}, List: list(family...)})
		start := time.Now()
		for i, took := range []time.Duration{Patience, Patience + grace, Patience + 2*grace} {
			r := w.Look(t.Context())
			if time.Since(start) != took || len(r.Hits) != 1 || !strings.Contains(r.Unread["fail2ban"], "no answer since") {
				t.Errorf("look %d until %s: %+v", i, time.Since(start), r)
			}
		}
		if stuck.times() != 1 {
			t.Errorf("asked %d times while it hangs", stuck.times())
		}
		close(stuck.hang)
		if r := w.Look(t.Context()); len(r.Unread) != 0 || stuck.times() != 2 {
			t.Errorf("after it woke up: %+v", r)
		}
		if told := ear.heard(); len(told) != 1 {
			t.Errorf("told %q", told)
		}
	})
}

func TestLooksTakeTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &fake{name: "nft", hang: make(chan struct{})}
		w := NewWatch(Options{Readers: []Reader{slow}, List: list()})
		first := make(chan Report)
		go func() { first <- w.Look(t.Context()) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if r := w.Look(ctx); !r.Time.IsZero() || slow.times() != 1 {
			t.Errorf("an impatient second look: %+v, asked %d", r, slow.times())
		}
		close(slow.hang)
		if r := <-first; len(r.Read) != 1 {
			t.Errorf("%+v", r)
		}
	})
}

func TestRunOnlyWhenAsked(t *testing.T) {
	w := NewWatch(Options{})
	w.Run(t.Context()) // returns
	if !w.Last().Time.IsZero() {
		t.Error("looked")
	}
}

func BenchmarkLook(b *testing.B) {
	var entries []whitelist.Entry
	for i := range 1_000_000 {
		entries = append(entries, whitelist.Entry{Net: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(1 + i>>18), byte(i >> 10), byte(i >> 2), byte(i << 6)}), 32), Class: whitelist.Peer, Source: whitelist.Passed})
	}
	var blocks []Block
	for i := range 100_000 {
		blocks = append(blocks, Block{Net: netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(101 + i>>16), byte(i >> 8), byte(i), 1}), 32), By: "nft"})
	}
	for name, blocks := range map[string][]Block{"single": blocks, "wide": append(block("0.0.0.0/1", "203.0.113.0/24", "::/0"), blocks...)} {
		w := NewWatch(Options{Readers: []Reader{&fake{name: "nft", blocks: blocks}}, List: list(entries...)})
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				w.Look(b.Context())
			}
		})
	}
}

// Part of a firewall may never be readable. What was lifted in the rest of it is gone
// after a few looks, and who is no longer good at once.
func TestKeptHitsComeToAnEnd(t *testing.T) {
	f := &fake{name: "iptables"}
	f.say(nil, "198.51.100.7", "203.0.113.8")
	now := list(append(family, good("203.0.113.8", whitelist.User, whitelist.Login))...)
	w := NewWatch(Options{Readers: []Reader{f}, List: func() *whitelist.List { return now() }})
	w.Look(t.Context())
	f.say(errors.New("ip6tables: permission denied"))
	now = list(family...)
	for i := range maxKept + 1 {
		want := "198.51.100.7/32 in 198.51.100.7/32 by login"
		if i == maxKept {
			want = ""
		}
		if got := say(w.Look(t.Context())); got != want {
			t.Errorf("look %d: %q, want %q", i+1, got, want)
		}
	}
}
