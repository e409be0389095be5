package firewall

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/whitelist"
)

func entry(net string, class whitelist.Class, source whitelist.Source) whitelist.Entry {
	return whitelist.Entry{Net: netip.MustParsePrefix(net), Class: class, Source: source}
}

func deny(net string) whitelist.Entry {
	return whitelist.Entry{Net: netip.MustParsePrefix(net), Deny: true, Source: whitelist.Operator}
}

func listOf(entries ...whitelist.Entry) *whitelist.List {
	return whitelist.NewList(slices.Values(entries))
}

func joined(nets []netip.Prefix) string {
	var words []string
	for _, p := range nets {
		words = append(words, p.String())
	}
	return strings.Join(words, " ")
}

func TestGood(t *testing.T) {
	expired := entry("198.51.100.99/32", whitelist.User, whitelist.Login)
	expired.Expires = now.Add(-time.Hour)
	renewed := entry("198.51.100.98/32", whitelist.Peer, whitelist.Passed)
	renewed.Expires, renewed.Used, renewed.Renew = now.Add(-time.Hour), now.Add(-2*time.Hour), 3*time.Hour
	for want, l := range map[string]*whitelist.List{
		"": listOf(deny("192.0.2.0/24"), entry("198.51.100.7/32", whitelist.Listed, whitelist.Trapped), expired),
		"10.0.0.0/8 198.51.100.1/32 198.51.100.2/32 198.51.100.3/32 198.51.100.4/32 198.51.100.5/32 198.51.100.98/32 2001:db8:1:2::/64": listOf(
			entry("10.0.0.0/8", whitelist.Own, whitelist.Local), entry("198.51.100.1/32", whitelist.Own, whitelist.Session),
			entry("198.51.100.2/32", whitelist.User, whitelist.Login), entry("198.51.100.3/32", whitelist.Crawler, whitelist.Crawling),
			entry("198.51.100.4/32", whitelist.Peer, whitelist.Passed), entry("198.51.100.5/32", whitelist.Correspondent, whitelist.Wrote),
			entry("198.51.100.6/32", whitelist.Guesser, whitelist.Guessing), renewed, entry("2001:db8:1:2::/64", whitelist.User, whitelist.Login)),
		"192.0.2.0/26 192.0.2.64/32 192.0.2.66/31 192.0.2.68/30 192.0.2.72/29 192.0.2.80/28 192.0.2.96/27 192.0.2.128/25": listOf(
			entry("192.0.2.0/24", whitelist.Peer, whitelist.Operator), deny("192.0.2.65/32")),
		"192.0.2.128/25": listOf(entry("192.0.2.0/24", whitelist.Peer, whitelist.Passed), deny("192.0.2.0/25")),
		"192.0.2.7/32":   listOf(deny("192.0.2.0/24"), entry("192.0.2.7/32", whitelist.Peer, whitelist.Operator), entry("192.0.2.8/32", whitelist.User, whitelist.Login)),
	} {
		if got := joined(distinct(Good(l, now))); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// TestGoodIsWhatTheListSays: on lists made up at random, the networks hold those
// addresses that Look calls known.
func TestGoodIsWhatTheListSays(t *testing.T) {
	sources := whitelist.Sources()
	classes := []whitelist.Class{whitelist.Peer, whitelist.User, whitelist.Stranger, whitelist.Listed}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var entries []whitelist.Entry
		for range r.IntN(20) {
			addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(r.IntN(64))})
			e := whitelist.Entry{Net: netip.PrefixFrom(addr, 26+r.IntN(7)).Masked(), Source: sources[r.IntN(len(sources))], Class: whitelist.Peer}
			switch e.Source {
			case whitelist.Operator, whitelist.Local:
				e.Class = classes[r.IntN(len(classes))]
			case whitelist.Trapped, whitelist.Guessing:
				e.Class = whitelist.Listed
			}
			if e.Source == whitelist.Operator && r.IntN(2) == 0 {
				e.Deny, e.Class = true, ""
			}
			if r.IntN(5) == 0 {
				e.Expires = now.Add(time.Duration(r.IntN(3)-1) * time.Second)
			}
			entries = append(entries, e)
		}
		list := listOf(entries...)
		c := newCover()
		for p := range Good(list, now) {
			c.add(p)
		}
		for i := range 64 {
			addr := netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})
			if known, held := list.Look(addr, whitelist.Anywhere, now).Known(), c.holds(netip.PrefixFrom(addr, 32)); known != held {
				t.Fatalf("seed %d, %s: known %v, good %v\n%v", seed, addr, known, held, entries)
			}
		}
	}
}

func TestGoodStops(t *testing.T) {
	list := listOf(entry("192.0.2.0/24", whitelist.Peer, whitelist.Operator), entry("198.51.100.0/24", whitelist.Peer, whitelist.Operator), deny("192.0.2.65/32"))
	n := 0
	for range Good(list, now) {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d", n)
	}
}

// manyGood is a list of n learned addresses, no two of which touch.
func manyGood(n int) *whitelist.List {
	return whitelist.NewList(func(yield func(whitelist.Entry) bool) {
		for i := range n {
			addr := netip.AddrFrom4([4]byte{byte(1 + i>>20), byte(i >> 12), byte(i >> 4), byte(i<<4 + 1)})
			if !yield(whitelist.Entry{Net: netip.PrefixFrom(addr, 32), Class: whitelist.Peer, Source: whitelist.Passed}) {
				return
			}
		}
	})
}

func BenchmarkGood(b *testing.B) {
	for name, n := range map[string]int{"100k": 100_000, "1M": 1_000_000} {
		list := manyGood(n)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				goodSpans(list, now)
			}
		})
	}
}
