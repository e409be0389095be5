package proxy

import (
	"context"
	"net/netip"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"moggy/dnsbl"
	"moggy/greylist"
	"moggy/store/bolt"
	"moggy/verdict"
	"moggy/whitelist"
)

// oneInFour is a Resolver that answers at once: a peer in four is on every list, and the test points are right.
type oneInFour struct{}

func (oneInFour) A(_ context.Context, name string) ([]netip.Addr, error) {
	if name[0]%4 == '2'%4 {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 2})}, nil
	}
	return nil, nil
}

// BenchmarkStrangers has a million strangers come, each once and from an address of its own, on six lists that answer
// at once, with a greylist on disk; it says what they leave in memory. What the resolver would keep is in the
// benchmark of dnsbl/resolver.
func BenchmarkStrangers(b *testing.B) {
	const strangers = 1_000_000
	for b.Loop() {
		j := floodJudge(b)
		before := heapInUse()
		for i := range strangers {
			comeOnce(b, j, i)
		}
		grown := max(0, heapInUse()-before)
		b.ReportMetric(float64(grown)/strangers, "B/stranger")
		b.ReportMetric(float64(grown)/(1<<20), "MiB")
		runtime.KeepAlive(j)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/strangers, "ns/stranger")
}

// floodJudge is a Judge with lists that are watched, and a store.
func floodJudge(b *testing.B) *Judge {
	b.Helper()
	store := must(bolt.Open(bolt.Options{Path: filepath.Join(b.TempDir(), "moggy.db")}))
	book := must(whitelist.Open(b.Context(), whitelist.Options{Store: store, Now: time.Now()}))
	traps := must(greylist.OpenTraps(b.Context(), store, nil, time.Now()))
	j := NewJudge(book, store, traps, labTimers)
	lists := make([]dnsbl.List, 6)
	for i := range lists {
		lists[i] = dnsbl.List{Zone: string(rune('a'+i)) + ".list.test", Weight: 1}
	}
	j.Lists = dnsbl.New(dnsbl.Options{Resolver: oneInFour{}, Lists: lists, Threshold: 2})
	j.Lists.Probe(b.Context())
	ctx, stop := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { j.Lists.Watch(ctx) })
	b.Cleanup(func() {
		stop()
		watch.Wait()
		j.Lists.Close()
		store.Close()
	})
	return j
}

// comeOnce is one stranger with one recipient.
func comeOnce(b *testing.B, j *Judge, i int) {
	peer := netip.AddrFrom4([4]byte{11, byte(i >> 16), byte(i >> 8), byte(i)})
	f := verdict.Facts{Listener: "smtp", Peer: netip.AddrPortFrom(peer, 4000), Helo: "caller.test",
		Sender: "a@elsewhere.test", Recipient: "b@local.test"}
	policy := verdict.Policy{Hostname: "mx.test", GreyCode: 451}
	now, counted := time.Now(), false
	j.Connect(&f, &policy, now)
	f.DNS = j.Lists.Check(b.Context(), peer)
	if v := j.Recipient(b.Context(), &f, &policy, j.Try(&counted), now); v.Action != verdict.Defer && v.Action != verdict.Hold {
		b.Errorf("%v: %s", peer, v.Rule)
	}
}

// heapInUse is in bytes.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
