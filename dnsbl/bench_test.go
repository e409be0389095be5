package dnsbl

import (
	"context"
	"net/netip"
	"testing"
)

// ready is a Resolver that answers at once: one peer in four is on every list.
type ready struct{ listed []netip.Addr }

func (r ready) A(_ context.Context, name string) ([]netip.Addr, error) {
	if name[0] == '2' {
		return r.listed, nil
	}
	return nil, nil
}

// BenchmarkCheck is a check of a new peer against six lists, without the time
// that DNS takes.
func BenchmarkCheck(b *testing.B) {
	c := New(Options{Resolver: ready{ips("127.0.0.2")}, Threshold: 3,
		Lists: block("a.example", "b.example", "c.example", "d.example", "e.example", "f.example")})
	c.Probe(b.Context())
	if c.Lists()[0].State != Working {
		b.Fatalf("%+v", c.Lists()[0])
	}
	next := crowd()
	b.ReportAllocs()
	for b.Loop() {
		c.Check(b.Context(), next())
	}
}

func BenchmarkQuery(b *testing.B) {
	for name, addr := range map[string]netip.Addr{"v4": ip("192.0.2.99"), "v6": ip("2001:db8::1")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Query(addr, "zen.example.org")
			}
		})
	}
}

// BenchmarkFlood is a check of strangers of whom all are listed: nothing grows.
func BenchmarkFlood(b *testing.B) {
	c := New(Options{Resolver: ready{ips("127.0.0.2")}, Threshold: 3, Lists: block("a.example")})
	c.Probe(b.Context())
	next := crowd()
	for b.Loop() {
		p := next().As4()
		p[3] = 2
		c.Check(b.Context(), netip.AddrFrom4(p))
	}
	if n := len(c.hits.now) + len(c.hits.before); n > 2*halfOfHits {
		b.Errorf("%d hits are remembered", n)
	}
}
