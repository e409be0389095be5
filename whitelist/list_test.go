package whitelist

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"
	"unsafe"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func net(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func entry(s string, c Class, from Source) Entry {
	return Entry{Net: net(s), Class: c, Source: from, Added: epoch}
}

func deny(s string) Entry { return Entry{Net: net(s), Deny: true, Source: Operator, Added: epoch} }

func until(e Entry, d time.Duration) Entry {
	e.Expires = epoch.Add(d)
	return e
}

func list(entries ...Entry) *List { return NewList(slices.Values(entries)) }

// say is a standing in short.
func say(s Standing) string {
	switch {
	case s.Evidence == Nothing:
		return string(s.Class)
	case s.Deny:
		return fmt.Sprintf("deny %s by %s", s.Entry.Net, s.Evidence)
	}
	return fmt.Sprintf("%s %s by %s", s.Class, s.Entry.Net, s.Evidence)
}

func TestClassify(t *testing.T) {
	l := list(
		entry("192.0.2.0/24", Peer, Operator),
		deny("192.0.2.64/26"),
		entry("192.0.2.65/32", User, Operator),
		until(entry("192.0.2.128/25", Crawler, Operator), time.Hour),
		until(deny("192.0.2.200/32"), time.Hour),
		entry("192.0.2.0/32", Listed, Trapped),

		entry("10.0.0.0/8", Own, Local),
		deny("10.6.6.0/24"),
		entry("10.1.1.1/32", Listed, Trapped),

		until(entry("198.51.100.7/32", Peer, Passed), time.Hour),
		until(entry("198.51.100.0/24", Pool, Passed), 2*time.Hour),
		until(entry("198.51.0.0/16", Correspondent, Passed), 3*time.Hour),

		entry("2001:db8::/64", Peer, Passed),
		entry("2001:db8:1::/48", Peer, Operator),
		entry("0.0.0.0/0", MUA, Passed),
	)
	for _, c := range []struct {
		addr string
		at   time.Duration
		want string
	}{
		{"192.0.2.7", 0, "peer 192.0.2.0/24 by operator"},
		{"192.0.2.0", 0, "peer 192.0.2.0/24 by operator"}, // a person beats a longer learned prefix
		{"192.0.2.64", 0, "deny 192.0.2.64/26 by operator"},
		{"192.0.2.65", 0, "user 192.0.2.65/32 by operator"},
		{"192.0.2.130", 59 * time.Minute, "crawler 192.0.2.128/25 by operator"},
		{"192.0.2.130", time.Hour, "peer 192.0.2.0/24 by operator"},
		{"192.0.2.200", 59 * time.Minute, "deny 192.0.2.200/32 by operator"},
		{"192.0.2.200", time.Hour, "peer 192.0.2.0/24 by operator"},

		{"10.1.1.1", 0, "own 10.0.0.0/8 by local"}, // a local network beats what was learned
		{"10.6.6.6", 0, "deny 10.6.6.0/24 by operator"},

		{"198.51.100.7", 0, "peer 198.51.100.7/32 by passed"},
		{"198.51.100.7", time.Hour, "pool 198.51.100.0/24 by passed"},
		{"198.51.100.7", 2 * time.Hour, "correspondent 198.51.0.0/16 by passed"},
		{"198.51.100.7", 3 * time.Hour, "mua 0.0.0.0/0 by passed"},

		{"::ffff:192.0.2.7", 0, "peer 192.0.2.0/24 by operator"},
		{"2001:db8::dead:beef", 0, "peer 2001:db8::/64 by passed"},
		{"2001:db8::1%eth0", 0, "peer 2001:db8::/64 by passed"},
		{"2001:db8:1:2::1", 0, "peer 2001:db8:1::/48 by operator"},
		{"2001:db8:0:1::1", 0, "stranger"}, // the IPv4 default is not for IPv6
		{"::", 0, "stranger"},
	} {
		at := epoch.Add(c.at)
		if got := say(l.Look(addr(c.addr), Anywhere, at)); got != c.want {
			t.Errorf("%s after %v: %s, want %s", c.addr, c.at, got, c.want)
		}
	}
	if got := say(l.Classify(netip.Addr{}, Anywhere, epoch)); got != "stranger" {
		t.Errorf("no address: %s", got)
	}
}

func TestUseRenews(t *testing.T) {
	e := until(entry("192.0.2.7/32", Peer, Passed), time.Hour)
	e.Renew = 10 * time.Hour
	l := list(e)
	look := func(at time.Duration) Class { return l.Look(e.Net.Addr(), Anywhere, epoch.Add(at)).Class }
	if look(time.Hour) != Stranger {
		t.Error("never used, it expires")
	}
	l.Classify(e.Net.Addr(), Anywhere, epoch.Add(59*time.Minute))
	if look(10*time.Hour) != Peer {
		t.Error("used, it lives on")
	}
	if look(11*time.Hour) != Stranger {
		t.Error("not for ever")
	}
	l.Classify(e.Net.Addr(), Anywhere, epoch.Add(10*time.Hour))
	got, _ := l.Get(e.Net, Passed)
	if want := epoch.Add(20 * time.Hour); !got.End().Equal(want) || !got.Used.Equal(epoch.Add(10*time.Hour)) {
		t.Errorf("ends %v, want %v", got.End(), want)
	}
	l.Classify(e.Net.Addr(), Anywhere, epoch.Add(20*time.Hour)) // too late
	if look(20*time.Hour) != Stranger {
		t.Error("an expired entry was renewed")
	}
	l.Look(e.Net.Addr(), Anywhere, epoch.Add(15*time.Hour))
	if got, _ := l.Get(e.Net, Passed); !got.Used.Equal(epoch.Add(10 * time.Hour)) {
		t.Error("Look left a trace")
	}
}

// TestUseAloneDoesNotRenew: without a Renew, as of a login, only learning it
// again keeps an entry.
func TestUseAloneDoesNotRenew(t *testing.T) {
	l := list(until(entry("192.0.2.7/32", User, Login), time.Hour))
	l.Classify(addr("192.0.2.7"), Client, epoch.Add(59*time.Minute))
	if got := say(l.Look(addr("192.0.2.7"), Client, epoch.Add(time.Hour))); got != "mua" {
		t.Errorf("used: %s", got)
	}
	l = l.With(until(entry("192.0.2.7/32", User, Login), 2*time.Hour))
	if got := say(l.Look(addr("192.0.2.7"), Client, epoch.Add(time.Hour))); got != "user 192.0.2.7/32 by login" {
		t.Errorf("logged in again: %s", got)
	}
}

func TestNewListTakesTheLater(t *testing.T) {
	pass, trap := entry("192.0.2.7/32", Peer, Passed), entry("192.0.2.7/32", Listed, Trapped)
	for _, l := range []*List{list(pass, trap), list(trap, pass)} {
		if got := say(l.Look(addr("192.0.2.7"), Mail, epoch)); got != "peer 192.0.2.7/32 by passed" || l.Len() != 2 {
			t.Errorf("%s, %d entries", got, l.Len())
		}
	}
	if got := list(pass, entry("192.0.2.7/32", Pool, Passed)).Look(addr("192.0.2.7"), Mail, epoch).Class; got != Pool {
		t.Errorf("of two with one key: %s", got)
	}
}

func TestWithAndWithout(t *testing.T) {
	zero := list()
	one := zero.With(entry("192.0.2.0/24", Peer, Operator))
	two := one.With(entry("192.0.2.7/32", User, Operator))
	changed := two.With(deny("192.0.2.0/24"))
	less := changed.Without(net("192.0.2.7/32"), Operator)
	for i, c := range []struct {
		l    *List
		n    int
		want string
	}{
		{zero, 0, "stranger"},
		{one, 1, "peer 192.0.2.0/24 by operator"},
		{two, 2, "user 192.0.2.7/32 by operator"},
		{changed, 2, "user 192.0.2.7/32 by operator"},
		{less, 1, "deny 192.0.2.0/24 by operator"},
		{less.Without(net("203.0.113.0/24"), Operator), 1, "deny 192.0.2.0/24 by operator"},
		{less.Without(net("192.0.2.0/24"), Passed), 1, "deny 192.0.2.0/24 by operator"},
	} {
		if got := say(c.l.Look(addr("192.0.2.7"), Anywhere, epoch)); got != c.want || c.l.Len() != c.n {
			t.Errorf("list %d: %s, %d entries; want %s, %d", i, got, c.l.Len(), c.want, c.n)
		}
	}
	if e, ok := one.Get(net("192.0.2.0/24"), Operator); !ok || e.Deny {
		t.Errorf("the old list changed: %+v", e)
	}
	two.Classify(addr("192.0.2.7"), Anywhere, epoch.Add(time.Hour))
	if e, _ := changed.Get(net("192.0.2.7/32"), Operator); !e.Used.Equal(epoch.Add(time.Hour)) {
		t.Error("a time of use is shared, or the list in force would not hear of it")
	}
}

// TestStrength: every source beats those behind it, whatever the prefixes and
// whichever came first, and gives way to them when it has expired. Where no service
// is meant, what speaks against an address beats what speaks for a machine.
func TestStrength(t *testing.T) {
	order := []Source{Operator, Session, Local, Login, Trapped, Guessing, Crawling, Passed, Wrote}
	if len(order) != len(sources) {
		t.Fatal("a source is missing")
	}
	var all []Entry
	for rank, source := range order {
		e := entry("192.0.0.0/16", Class("c"+source), source)
		e.Net = netip.PrefixFrom(addr("192.0.2.7"), 16+rank).Masked()
		all = append(all, until(e, time.Duration(rank+1)*time.Hour))
	}
	backwards := slices.Clone(all)
	slices.Reverse(backwards)
	for _, l := range []*List{list(all...), list(backwards...)} {
		for rank, source := range order {
			s := l.Look(addr("192.0.2.7"), Anywhere, epoch.Add(time.Duration(rank)*time.Hour))
			if s.Evidence != source || s.Class != Class("c"+source) || s.Entry != all[rank] {
				t.Errorf("%s: %+v", source, s)
			}
		}
		if s := l.Look(addr("192.0.2.7"), Anywhere, epoch.Add(9*time.Hour)); s.Evidence != Nothing {
			t.Errorf("all expired: %+v", s)
		}
	}
}

// TestTwoFacts: a login and a pass of one address do not displace each other.
func TestTwoFacts(t *testing.T) {
	login, pass, trap := entry("192.0.2.7/32", User, Login), entry("192.0.2.7/32", Peer, Passed), entry("192.0.2.7/32", Listed, Trapped)
	both := list(trap).With(pass).With(login)
	for i, c := range []struct {
		l    *List
		at   Service
		want string
	}{
		{both, Mail, "user 192.0.2.7/32 by login"},
		{both.Without(login.Net, Login), Mail, "peer 192.0.2.7/32 by passed"},
		{both.Without(login.Net, Login), Client, "mua"},
		{both.Without(login.Net, Login).Without(pass.Net, Passed), Mail, "listed 192.0.2.7/32 by trap"},
		{both.Without(login.Net, Login).Without(pass.Net, Passed), Client, "mua"},
		{both.Without(trap.Net, Trapped), Client, "user 192.0.2.7/32 by login"},
		{both.With(entry("192.0.2.7/32", "x", "of a later version")).Without(pass.Net, Nothing), Mail, "user 192.0.2.7/32 by login"},
	} {
		if got := say(c.l.Look(addr("192.0.2.7"), c.at, epoch)); got != c.want {
			t.Errorf("%d: %s, want %s", i, got, c.want)
		}
	}
	if _, there := both.Get(pass.Net, "of a later version"); there || both.Len() != 3 {
		t.Errorf("%d entries", both.Len())
	}
}

func TestAllGivesBackWhatWasPut(t *testing.T) {
	a := entry("192.0.2.0/24", "customers", Operator)
	a.Note, a.Expires, a.Used, a.Renew = "ticket 12", epoch.Add(time.Hour), epoch.Add(time.Minute), 36*24*time.Hour
	old := entry("192.0.2.0/24", Peer, Wrote)
	old.Expires, old.Added = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), time.Time{}
	want := []Entry{a, deny("2001:db8::/32"), entry("10.0.0.0/8", Own, Local), entry("192.0.2.0/24", User, Login), entry("192.0.2.0/24", Peer, Passed), old}
	if got := slices.Collect(list(want[5], want[3], want[1], want[4], want[2], want[0]).All()); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for e := range list(want...).All() {
		if e != a {
			t.Errorf("%+v", e)
		}
		break
	}
}

func TestRowIsOneCacheLine(t *testing.T) {
	if n := unsafe.Sizeof(row{}); n > 64 {
		t.Errorf("%d bytes", n)
	}
}

func TestNoAllocations(t *testing.T) {
	l := list(entry("192.0.2.0/24", Peer, Passed), entry("2001:db8::/32", Peer, Operator))
	for _, a := range []netip.Addr{addr("192.0.2.7"), addr("2001:db8::1"), addr("203.0.113.1"), addr("::ffff:192.0.2.1")} {
		if n := testing.AllocsPerRun(100, func() { l.Classify(a, Mail, epoch) }); n != 0 {
			t.Errorf("%s: %v allocations", a, n)
		}
	}
}
