package whitelist

import (
	"iter"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
)

const million = 1_000_000

// randomAddr is an address of 1.0.0.0/8 or 2001:db8::/32: at random beyond that.
func randomAddr(r *rand.Rand, v6 bool) netip.Addr {
	if !v6 {
		return netip.AddrFrom4([4]byte{1, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
	}
	a := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	for i := 4; i < 16; i++ {
		a[i] = byte(r.Uint32())
	}
	return netip.AddrFrom16(a)
}

// randomEntries are n of them, every other one IPv6: mostly single peers, some networks.
func randomEntries(n int) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		r := rand.New(rand.NewPCG(1, 2))
		for i := range n {
			p := Net(randomAddr(r, i%2 == 1))
			if i%10 == 0 {
				p = netip.PrefixFrom(p.Addr(), p.Bits()-8).Masked()
			}
			if !yield(Entry{Net: p, Class: Peer, Source: Passed, Added: epoch}) {
				return
			}
		}
	}
}

var millionList = sync.OnceValue(func() *List { return NewList(randomEntries(million)) })

func BenchmarkNewList1M(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		NewList(randomEntries(million))
	}
}

func BenchmarkClassify1M(b *testing.B) {
	l := millionList()
	hits := map[bool][]netip.Addr{}
	for e := range randomEntries(100_000) {
		hits[e.Net.Addr().Is6()] = append(hits[e.Net.Addr().Is6()], e.Net.Addr())
	}
	r := rand.New(rand.NewPCG(3, 4))
	misses := map[bool][]netip.Addr{}
	for i := range 1 << 16 {
		a := randomAddr(r, i%2 == 1)
		if a.Is4() {
			a = netip.AddrFrom4([4]byte{2, byte(i), byte(i >> 8), 1})
		}
		if l.Look(a, Mail, epoch).Evidence == Nothing {
			misses[a.Is6()] = append(misses[a.Is6()], a)
		}
	}
	for name, addrs := range map[string][]netip.Addr{"hit v4": hits[false], "hit v6": hits[true], "miss v4": misses[false], "miss v6": misses[true]} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				l.Classify(addrs[i%len(addrs)], Mail, epoch)
				i++
			}
		})
	}
}

// BenchmarkClassifyEverySource asks when beside the million that passed there
// are 200 entries of every other source.
func BenchmarkClassifyEverySource(b *testing.B) {
	l := millionList()
	var addrs []netip.Addr
	for e := range randomEntries(50_000) {
		addrs = append(addrs, e.Net.Addr())
		e.Source = sources[len(addrs)%len(sources)]
		if len(addrs) < 200*len(sources) && e.Source != Passed {
			l = l.With(e)
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Classify(addrs[i%len(addrs)], Mail, epoch)
		i++
	}
}

func BenchmarkWith1M(b *testing.B) {
	l := millionList()
	r := rand.New(rand.NewPCG(5, 6))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		l.With(Entry{Net: Net(randomAddr(r, i%2 == 1)), Class: Peer, Source: Passed})
	}
}
