package resolver

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkFlood asks a million names once each, as a flood of strangers does, and says what that leaves behind.
func BenchmarkFlood(b *testing.B) {
	const names = 1_000_000
	for b.Loop() {
		before := heap()
		r := instant(b)
		for i := range names {
			r.A(b.Context(), fmt.Sprintf("%d.%d.2.0.192.list.example.test", i%251, i))
		}
		grown := heap() - before
		entries := r.Stats().Entries
		b.ReportMetric(float64(grown)/float64(entries), "B/entry")
		b.ReportMetric(float64(entries), "entries")
		b.ReportMetric(float64(grown)/(1<<20), "MiB")
		r.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/names, "ns/name")
}

// instant returns a Resolver whose server answers at once, and is not taken down.
func instant(b *testing.B) *Resolver {
	r, _ := play(b, Options{}, none)
	r.exchange = none
	return r
}

// none answers at once that there is nothing, for an hour.
func none(context.Context, *server, question) (answer, error) {
	return answer{ttl: time.Hour}, nil
}

// heap is the memory in use, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkCold asks a server in this process over the loopback for a new name every time.
func BenchmarkCold(b *testing.B) {
	h := newHostile(b)
	r := connect(b, Options{}, h.addr)
	var n atomic.Int64
	b.ReportAllocs()
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := r.A(b.Context(), fmt.Sprintf("%d.cold.test", n.Add(1))); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
}

// BenchmarkMiss is everything but the wire.
func BenchmarkMiss(b *testing.B) {
	r := instant(b)
	defer r.Close()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.A(b.Context(), fmt.Sprintf("%d.cold.test", i))
	}
}

// BenchmarkWarm asks for what is in the cache: an address, and that there is none.
func BenchmarkWarm(b *testing.B) {
	for name, do := range map[string]exchange{"address": says(right, time.Hour, 0), "none": none} {
		b.Run(name, func(b *testing.B) {
			r, _ := play(b, Options{}, do)
			defer r.Close()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r.A(b.Context(), "7.2.0.192.list.example.test")
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lookups/s")
		})
	}
}
