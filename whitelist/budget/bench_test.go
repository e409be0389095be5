package budget

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"moggy/whitelist"
)

// start is when the tests begin.
var start = time.Date(2026, 11, 22, 21, 0, 0, 0, time.UTC)

// userKey is a peer like any other.
var userKey = KeyOf(whitelist.User, netip.MustParseAddr("192.0.2.7"))

// manyNets are keys of n neighbouring /64s.
func manyNets(c whitelist.Class, n int) []Key {
	keys := make([]Key, n)
	for i := range keys {
		a := [16]byte{0x20, 0x01, 0x0d, 0xb8}
		binary.BigEndian.PutUint32(a[4:], uint32(i))
		keys[i] = KeyOf(c, netip.AddrFrom16(a))
	}
	return keys
}

// meters are that of one door, and that of one of several.
func meters() map[string]Meter {
	return map[string]Meter{"local": NewLocal(), "fleet": NewFleet(oracle{})}
}

// BenchmarkKnown is a connection of a peer that is there already.
func BenchmarkKnown(b *testing.B) {
	l, k := For(Defaults(), whitelist.User), userKey
	for name, m := range meters() {
		b.Run(name, func(b *testing.B) {
			m.Take(k, l, start)
			b.ReportAllocs()
			now := start
			for b.Loop() {
				now = now.Add(time.Second)
				m.Take(k, l, now)
				m.Done(k, now)
			}
		})
	}
}

// BenchmarkTell is one exchange of a door with so many keys, all of them used since.
func BenchmarkTell(b *testing.B) {
	for _, n := range []int{100, 2000, 60_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			f, l := NewFleet(oracle{}), Limit{Rate: maxTokens, Burst: maxTokens}
			keys := manyNets(whitelist.User, n)
			for b.Loop() {
				b.StopTimer()
				now := time.Now()
				for _, k := range keys {
					f.Take(k, l, now)
					f.Done(k, now)
				}
				b.StartTimer()
				f.exchange(b.Context(), patience)
			}
		})
	}
}

func BenchmarkKnownParallel(b *testing.B) {
	l, keys := For(Defaults(), whitelist.User), manyNets(whitelist.User, 1000)
	for name, m := range meters() {
		b.Run(name, func(b *testing.B) {
			takeAll(m, keys, l)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				now := start
				for i := 0; pb.Next(); i++ {
					now = now.Add(time.Millisecond)
					k := keys[i%len(keys)]
					m.Take(k, l, now)
					m.Done(k, now)
				}
			})
		})
	}
}

// BenchmarkSameParallel is all processors on one key: the worst case of its lock.
func BenchmarkSameParallel(b *testing.B) {
	m, l := NewLocal(), For(Defaults(), whitelist.User)
	k := KeyOf(whitelist.User, netip.MustParseAddr("192.0.2.7"))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		now := start
		for pb.Next() {
			now = now.Add(time.Second)
			m.Take(k, l, now)
			m.Done(k, now)
		}
	})
}

// BenchmarkFlood is new strangers only, the table full.
func BenchmarkFlood(b *testing.B) {
	m, l := NewLocal(), For(Defaults(), whitelist.Stranger)
	keys := manyNets(whitelist.Stranger, 1<<20)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := keys[i%len(keys)]
		m.Take(k, l, start)
		m.Done(k, start)
	}
}
