package bolt

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// benchDir holds the file with a million triplets while the benchmarks run.
var benchDir = filepath.Join(os.TempDir(), fmt.Sprintf("moggy-store-bench-%d", os.Getpid()))

const million = 1_000_000

func wide(n int, now time.Time) greylist.Try {
	return greylist.Try{Now: now, Timers: timers(), Peer: netip.AddrFrom4([4]byte{192, 0, byte(n >> 8), byte(n)}), Triplet: greylist.Triplet{
		Origin: greylist.Origin{Kind: greylist.Network, Name: fmt.Sprintf("10.%d.%d.0/24", n>>8&255, n&255)},
		Sender: fmt.Sprintf("sender%d@example.org", n), Recipient: fmt.Sprintf("recipient%d@example.net", n%1000)}}
}

// millionPath is a file with a million triplets, made once.
var millionPath = sync.OnceValue(func() string {
	path := filepath.Join(benchDir, "moggy.db")
	s, err := Open(Options{Path: path, Flush: time.Hour, Pending: million})
	if err != nil {
		panic(err)
	}
	for n := range million {
		if _, err := s.Try(context.Background(), wide(n, epoch())); err != nil {
			panic(err)
		}
		if n%100_000 == 0 {
			s.Sync()
		}
	}
	if err := s.Close(); err != nil {
		panic(err)
	}
	return path
})

func BenchmarkOpen1M(b *testing.B) {
	path := millionPath()
	for b.Loop() {
		s, err := Open(Options{Path: path})
		must(b, err)
		must(b, s.Close())
	}
	info, _ := os.Stat(path)
	b.ReportMetric(float64(info.Size())/million, "B/triplet")
}

// tries are made before the clock runs.
func tries(from, n int, now time.Time) (all []greylist.Try) {
	for i := range n {
		all = append(all, wide((from+i*7919)%million, now))
	}
	return all
}

// each runs one call per turn, from many goroutines, with group commits as usual.
func each(b *testing.B, from int, call func(*Store, greylist.Try) (greylist.Result, error)) {
	s := openAt(b, Options{Path: millionPath()})
	all := tries(from, 1<<17, epoch().Add(time.Minute))
	var n atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := call(s, all[n.Add(1)%int64(len(all))]); err != nil {
				b.Error(err)
			}
		}
	})
	if err := s.Healthy(); err != nil {
		b.Error(err)
	}
}

func BenchmarkPeek(b *testing.B) {
	each(b, 0, func(s *Store, t greylist.Try) (greylist.Result, error) { return s.Peek(context.Background(), t) })
}

func BenchmarkTry(b *testing.B) {
	each(b, 0, func(s *Store, t greylist.Try) (greylist.Result, error) { return s.Try(context.Background(), t) })
}

// BenchmarkKey is the part of a Try that is not ours.
func BenchmarkKey(b *testing.B) {
	x := wide(1, epoch())
	b.ReportAllocs()
	for b.Loop() {
		x.Triplet.Key()
	}
}

func BenchmarkPutEntry(b *testing.B) {
	s := fresh(b, Options{})
	i := 0
	for b.Loop() {
		i++
		must(b, s.PutEntry(context.Background(), entry(childNet(i))))
	}
}

func BenchmarkEntries1M(b *testing.B) {
	s := fresh(b, Options{})
	for i := range million {
		e := entry(childNet(i))
		e.Source, e.Renew, e.Expires = whitelist.Passed, time.Hour, epoch().Add(time.Hour)
		s.LearnEntries(e)
		if i%100_000 == 99_999 {
			must(b, s.Sync())
		}
	}
	for b.Loop() {
		n := 0
		for _, err := range s.Entries(context.Background()) {
			must(b, err)
			n++
		}
		if n != million {
			b.Fatal(n)
		}
	}
}
