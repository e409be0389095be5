package origin

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"moggy/greylist"
)

func TestNew(t *testing.T) {
	for name, o := range map[string]Options{
		"no resolver": {},
		"backwards":   {Resolver: &zones{}, Timeout: -1},
		"too long":    {Resolver: &zones{}, Timeout: 16 * time.Second},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if d, err := New(Options{Resolver: &zones{}}); err != nil || d.timeout != DefaultTimeout {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestOrder: SPF before the reverse name before the network.
func TestOrder(t *testing.T) {
	record := "v=spf1 ip4:192.0.2.7 ip6:2001:db8::7 -all"
	spf := func() *zones { return spfZones("mail.sender.example", record) }
	q := from("192.0.2.7", "a@mail.sender.example")
	for name, c := range map[string]struct {
		z    *zones
		q    Question
		want greylist.Origin
		f    Found
	}{
		"both":            {spf().host("192.0.2.7", "mx.host.example"), q, domain("sender.example"), Found{SPF: Pass, Reverse: ReverseUnasked}},
		"spf":             {spf(), q, domain("sender.example"), Found{SPF: Pass, Reverse: ReverseUnasked}},
		"reverse":         {(&zones{}).host("192.0.2.7", "mx.host.example"), q, named("host.example"), Found{SPF: None, Reverse: ReverseConfirmed}},
		"neither":         {&zones{}, q, network("192.0.2.0/24"), Found{SPF: None, Reverse: ReverseNone}},
		"fails":           {spf().host("192.0.2.8", "mx.host.example"), from("192.0.2.8", "a@mail.sender.example"), named("host.example"), Found{SPF: Fail, Reverse: ReverseConfirmed}},
		"ipv6":            {spf(), from("2001:db8::7", "a@mail.sender.example"), domain("sender.example"), Found{SPF: Pass, Reverse: ReverseUnasked}},
		"ipv6 network":    {spf(), from("2001:db8::8", "a@mail.sender.example"), network("2001:db8::/64"), Found{SPF: Fail, Reverse: ReverseNone}},
		"ipv4 in ipv6":    {spf(), from("::ffff:192.0.2.7", "a@mail.sender.example"), domain("sender.example"), Found{SPF: Pass, Reverse: ReverseUnasked}},
		"case and dot":    {spf(), from("192.0.2.7", "a@Mail.SENDER.example."), domain("sender.example"), Found{SPF: Pass, Reverse: ReverseUnasked}},
		"no domain":       {spf(), from("192.0.2.7", "postmaster"), network("192.0.2.0/24"), Found{SPF: Unasked, Reverse: ReverseNone}},
		"address":         {spf(), from("192.0.2.7", "a@[192.0.2.7]"), network("192.0.2.0/24"), Found{SPF: Unasked, Reverse: ReverseNone}},
		"one label":       {spfZones("localhost", "v=spf1 a:x.example"), from("192.0.2.7", "a@localhost"), network("192.0.2.0/24"), Found{SPF: Unasked, Reverse: ReverseNone}},
		"long local part": {spf(), from("192.0.2.7", strings.Repeat("a", 1000)+"@mail.sender.example"), domain("sender.example"), Found{SPF: Pass, Reverse: ReverseUnasked}},
		"odd helo":        {spf(), Question{Peer: q.Peer, Helo: "a b", Sender: q.Sender}, domain("sender.example"), Found{SPF: Pass, Reverse: ReverseUnasked}},
		"quoted at":       {spf(), from("192.0.2.7", `"a@evil.example"@mail.sender.example`), domain("sender.example"), Found{SPF: Pass, Reverse: ReverseUnasked}},
		"null, by helo":   {spfZones("mx1.sender.example", record), Question{Peer: q.Peer, Helo: "MX1.sender.example"}, domain("sender.example"), Found{SPF: Pass, Reverse: ReverseUnasked}},
		"null, bad helo":  {spf(), Question{Peer: q.Peer, Helo: "[192.0.2.7]"}, network("192.0.2.0/24"), Found{SPF: Unasked, Reverse: ReverseNone}},
		"null, no helo":   {spf(), Question{Peer: q.Peer}, network("192.0.2.0/24"), Found{SPF: Unasked, Reverse: ReverseNone}},
	} {
		o, f := find(t, c.z, c.q)
		c.f.Kind, c.f.Took = c.want.Kind, f.Took
		if o != c.want || f != c.f {
			t.Errorf("%s:\n got %v %+v\nwant %v %+v", name, o, f, c.want, c.f)
		}
	}
	if _, degraded := mustNew(t, spf()).Find(t.Context(), Question{}); degraded {
		t.Error("a question about nobody is degraded")
	}
}

func mustNew(t testing.TB, r Resolver) *DNS {
	t.Helper()
	d, err := New(Options{Resolver: r})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestPool: any address of a sender with many networks has one origin, whatever
// the envelope sender looks like this time.
func TestPool(t *testing.T) {
	z := spfZones(
		"contoso.example", "v=spf1 include:spf.protection.example include:other.example -all",
		"bounces.em123.contoso.example", "v=spf1 redirect=contoso.example",
		"spf.protection.example", "v=spf1 include:spfd.protection.example ip4:40.92.0.0/15 ip4:40.107.0.0/16 ip4:52.100.0.0/15 ip6:2a01:111:f403::/49 -all",
		"spfd.protection.example", "v=spf1 ip4:51.4.72.0/24 ip4:104.47.0.0/17 ip6:2a01:4180:4050:0400::/64 -all",
		"other.example", "v=spf1 ip4:198.51.100.0/27 -all",
	)
	for _, peer := range []string{"40.92.1.2", "40.93.200.3", "40.107.129.34", "52.101.0.9", "51.4.72.1", "104.47.2.36", "2a01:111:f403:7010::1", "2a01:4180:4050:400::77", "198.51.100.5"} {
		for _, sender := range []string{"a@contoso.example", "bounce-7f3a-b=c.example@bounces.em123.contoso.example", "SRS0=x1Yz=AB=elsewhere.example=user@contoso.example", "prvs=0123=a@contoso.example"} {
			if o, f := find(t, z, from(peer, sender)); o != domain("contoso.example") || f.Degraded {
				t.Errorf("%s %s: %v %+v", peer, sender, o, f)
			}
		}
	}
}

// TestDegraded: what failed is said where the answer is poorer for it, and not
// where it is not.
func TestDegraded(t *testing.T) {
	const peer = "192.0.2.7"
	zone := func(broken ...string) *zones {
		z := spfZones("sender.example", "v=spf1 include:a.example ip4:192.0.2.7 -all", "a.example", "v=spf1 -all").host(peer, "mx.host.example")
		z.broken = map[string]bool{}
		for _, b := range broken {
			z.broken[b] = true
		}
		return z
	}
	for name, c := range map[string]struct {
		z        *zones
		want     greylist.Origin
		degraded bool
	}{
		"nothing":           {zone(), domain("sender.example"), false},
		"record":            {zone("sender.example"), named("host.example"), true},
		"include":           {zone("a.example"), named("host.example"), true},
		"reverse, not used": {zone(peer), domain("sender.example"), false},
		"both":              {zone("sender.example", peer), network("192.0.2.0/24"), true},
		"forward":           {zone("sender.example", "mx.host.example"), network("192.0.2.0/24"), true},
		"all":               {zone("*"), network("192.0.2.0/24"), true},
	} {
		if o, f := find(t, c.z, from(peer, "a@sender.example")); o != c.want || f.Degraded != c.degraded {
			t.Errorf("%s: %v %+v, want %v", name, o, f, c.want)
		}
	}
	z := zone(peer)
	z.txt = nil
	if o, f := find(t, z, from(peer, "a@sender.example")); o != network("192.0.2.0/24") || !f.Degraded {
		t.Errorf("no SPF, reverse failed: %v %+v", o, f)
	}
	z = zone(peer)
	z.txt["sender.example"] = []string{"v=spf1 ptr -all"}
	if _, f := find(t, z, from(peer, "a@sender.example")); f.SPF != Fail || !f.Degraded {
		t.Errorf("a failure that SPF passes over is not told: %+v", f)
	}
}

// TestDeadline: however slow DNS is, there is an answer in time.
func TestDeadline(t *testing.T) {
	zone := func(slow map[string]time.Duration) *zones {
		z := spfZones("sender.example", "v=spf1 include:a.example ip4:192.0.2.7 -all", "a.example", "v=spf1 -all").host("192.0.2.7", "mx.host.example")
		z.slow = slow
		return z
	}
	const second = time.Second
	for name, c := range map[string]struct {
		slow     map[string]time.Duration
		want     greylist.Origin
		degraded bool
		took     time.Duration
	}{
		"all dead":      {map[string]time.Duration{"*": time.Hour}, network("192.0.2.0/24"), true, 5 * second},
		"spf too slow":  {map[string]time.Duration{"*": 2 * second, "sender.example": 4 * second}, named("host.example"), true, 5 * second},
		"slow, in time": {map[string]time.Duration{"*": second}, domain("sender.example"), false, 2 * second},
		"spf dead":      {map[string]time.Duration{"a.example": time.Hour}, named("host.example"), true, 5 * second},
		"reverse dead":  {map[string]time.Duration{"192.0.2.7": time.Hour, "sender.example": second}, domain("sender.example"), false, second},
		"in parallel":   {map[string]time.Duration{"mx.host.example": 3 * second, "sender.example": 3 * second}, domain("sender.example"), false, 3 * second},
	} {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			o, f := find(t, zone(c.slow), from("192.0.2.7", "a@sender.example"))
			took := time.Since(began)
			if o != c.want || f.Degraded != c.degraded || took != c.took || f.Took > DefaultTimeout {
				t.Errorf("%s: %v %+v after %v, want %v, degraded %v, after %v", name, o, f, took, c.want, c.degraded, c.took)
			}
		})
	}
}

// TestCancelled: a caller that goes away is answered at once.
func TestCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		z := &zones{slow: map[string]time.Duration{"*": time.Hour}}
		o, degraded := mustNew(t, z).Find(ctx, from("192.0.2.7", "a@sender.example"))
		if took := time.Since(began); o != network("192.0.2.0/24") || !degraded || took != time.Second {
			t.Errorf("%v, degraded %v, after %v", o, degraded, took)
		}
	})
}

// TestQuestions: a pass costs no more than SPF itself and the control of it, and
// nothing is asked twice.
func TestQuestions(t *testing.T) {
	z := spfZones("sender.example", "v=spf1 a:x.example mx include:i.example -all", "i.example", "v=spf1 ip4:192.0.2.0/24 -all")
	z.ip = map[string][]string{"x.example": {"198.51.100.1"}, "m1.example": {"198.51.100.2"}, "m2.example": {"198.51.100.3"}}
	z.mx = map[string][]string{"sender.example": {"m1.example.", "m2.example."}}
	if o, _ := find(t, z, from("192.0.2.7", "a@sender.example")); o != domain("sender.example") {
		t.Error(o)
	}
	if z.count("TXT") != 2 || z.count("MX") != 1 || z.count("IP") != 3 {
		t.Errorf("asked %v", z.asked)
	}
}

func TestConfirmed(t *testing.T) {
	z := (&zones{}).host("192.0.2.1", "crawl-192-0-2-1.bot.example").host("2001:db8::1", "mx6.example.org")
	z.ptr["192.0.2.2"], z.ip["forged.example"] = []string{"forged.example."}, []string{"198.51.100.9"}
	z.ptr["192.0.2.3"] = []string{"evil\x1b[2J.example", `a\.b.example`, "localhost", "a b.example", "ü.example", "-a.example", "x." + strings.Repeat("a", 64) + ".example", "1.2.3.4"}
	z.ptr["192.0.2.4"] = []string{"b.example.", "C.example.", "a.example."}
	z.ip["b.example"], z.ip["c.example"] = []string{"198.51.100.9", "192.0.2.4"}, []string{"::ffff:192.0.2.4"}
	z.ptr["192.0.2.6"] = []string{"gone.example.", "mx6.example.org."}
	z.broken = map[string]bool{"192.0.2.5": true, "gone.example": true}
	for addr, want := range map[string]struct {
		name         string
		ok, degraded bool
	}{
		"192.0.2.1":        {"crawl-192-0-2-1.bot.example", true, false},
		"::ffff:192.0.2.1": {"crawl-192-0-2-1.bot.example", true, false},
		"2001:db8::1":      {"mx6.example.org", true, false},
		"192.0.2.2":        {"", false, false},
		"192.0.2.3":        {"", false, false},
		"192.0.2.4":        {"b.example", true, false},
		"192.0.2.5":        {"", false, true},
		"192.0.2.6":        {"", false, true},
		"192.0.2.99":       {"", false, false},
	} {
		name, ok, degraded := mustNew(t, z).Confirmed(t.Context(), netip.MustParseAddr(addr))
		if name != want.name || ok != want.ok || degraded != want.degraded {
			t.Errorf("%s: %q %v %v, want %+v", addr, name, ok, degraded, want)
		}
	}
	if _, ok, degraded := mustNew(t, z).Confirmed(t.Context(), netip.Addr{}); ok || degraded {
		t.Error("no address has a name")
	}
}
