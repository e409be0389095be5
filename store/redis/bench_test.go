package redis

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// timed shares b.N calls among goroutines and reports the middle and the slowest
// hundredth.
func timed(b *testing.B, workers int, call func(i int) error) {
	var next, failed atomic.Int64
	took := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	b.ResetTimer()
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < b.N; i = int(next.Add(1)) - 1 {
				begun := time.Now()
				if call(i) != nil {
					failed.Add(1)
				}
				took[i] = time.Since(begun)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	slices.Sort(took)
	ms := func(q int) float64 { return float64(took[len(took)*q/1000]) / float64(time.Millisecond) }
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
	b.ReportMetric(ms(500), "p50-ms")
	b.ReportMetric(ms(990), "p99-ms")
	b.ReportMetric(0, "ns/op")
	if failed.Load() > 0 {
		b.Errorf("%d of %d failed", failed.Load(), b.N)
	}
}

// BenchmarkTry is new triplets, known triplets and known origins, beside a bare
// GET by the same client.
func BenchmarkTry(b *testing.B) {
	server := start(b)
	s := openAt(b, Options{URL: server.url("b")})
	must(b, s.Sync())
	ctx := context.Background()
	must(b, s.Pass(ctx, wide(7, at(0)).Origin, at(0)))
	var fresh atomic.Int64
	try := func(n int) error { _, err := s.Try(ctx, wide(n, at(1))); return err }
	for _, workers := range []int{1, 8, 64} {
		for name, call := range map[string]func(int) error{
			"get":    func(int) error { return s.client.Load().Get(ctx, "b:{e}:probe").Err() },
			"new":    func(int) error { return try(int(fresh.Add(1)) + 100_000) },
			"again":  func(i int) error { return try(i%50_000 + 100_001) },
			"origin": func(int) error { return try(7) },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, workers), func(b *testing.B) { timed(b, workers, call) })
		}
	}
	if s.Degraded() || s.Stats().Pending > 0 {
		b.Errorf("some were answered from memory: %+v", s.Stats())
	}
}

// BenchmarkDoors is what one, two and three doors on one Redis do together.
func BenchmarkDoors(b *testing.B) {
	server := start(b)
	var doors []*Store
	for range 3 {
		doors = append(doors, openAt(b, Options{URL: server.url("b")}))
		must(b, doors[len(doors)-1].Sync())
	}
	for n := 1; n <= len(doors); n++ {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			timed(b, 16*n, func(i int) error {
				_, err := doors[i%n].Try(context.Background(), wide(i%50_000, at(1)))
				return err
			})
		})
	}
}

// BenchmarkTryWhileAway is the same with Redis gone.
func BenchmarkTryWhileAway(b *testing.B) {
	s := away(b, Options{})
	timed(b, 8, func(i int) error { _, err := s.Try(context.Background(), wide(i%50_000, at(1))); return err })
}

// BenchmarkMemory is what a triplet takes of Redis' memory.
func BenchmarkMemory(b *testing.B) {
	const rows = 100_000
	server := start(b)
	s := openAt(b, Options{URL: server.url("moggy")})
	must(b, s.Sync())
	before := server.info("used_memory")
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for n := w; n < rows; n += 16 {
				s.Try(context.Background(), wide(n, at(0)))
			}
		})
	}
	wg.Wait()
	must(b, s.Sync())
	b.ReportMetric(float64(server.info("used_memory")-before)/rows, "B/triplet")
	var usage int64
	for n := range 100 {
		q := s.question(wide(n*997, at(0)))
		usage += server.do("MEMORY", "USAGE", q.tripletName).(int64)
	}
	b.ReportMetric(float64(usage)/100, "MEMORY-USAGE-B")
	q := s.question(wide(997, at(0)))
	row := server.do("GET", q.tripletName).(string)
	b.ReportMetric(float64(len(row)), "row-B")
	b.Logf("%q: %q", q.tripletName, row)
}
