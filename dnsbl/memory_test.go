package dnsbl

import (
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestDecisions(t *testing.T) {
	var d decisions
	if len(d.since(time.Time{})) != 0 {
		t.Error("there is a decision where there was none")
	}
	next := crowd()
	for i := range 300 {
		d.add(next(), epoch.Add(time.Duration(i)*time.Second))
	}
	all := d.since(time.Time{})
	if len(all) != len(d.ring) || all[0].Time != epoch.Add(44*time.Second) || all[255].Time != epoch.Add(299*time.Second) {
		t.Errorf("%d decisions, %v to %v", len(all), all[0], all[len(all)-1])
	}
	if got := d.since(epoch.Add(297 * time.Second)); len(got) != 2 {
		t.Errorf("%d decisions in the last two seconds", len(got))
	}
}

func TestGoodPeers(t *testing.T) {
	var g goodPeers
	g.add(ip("192.0.2.1"))
	for i := range 200 {
		g.add(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}))
		g.add(netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 1, 1, 7: byte(i)}))
	}
	if all := g.all(true); len(all) != 3 || all[0] != ip("192.0.2.1") || all[1] != ip("198.51.100.199") {
		t.Errorf("%v", all)
	}
	if all := g.all(false); len(all) != 2 {
		t.Errorf("%v are IPv4", all)
	}
	for i := range 100 {
		g.add(netip.AddrFrom4([4]byte{10, 0, byte(i), 1}))
	}
	all := g.all(true)
	if len(all) != len(g.ring) || slices.Contains(all, ip("10.0.67.1")) || !slices.Contains(all, ip("10.0.99.1")) {
		t.Errorf("%v", all)
	}
}

func TestRecentHits(t *testing.T) {
	var r recentHits
	if r.take(ip("192.0.2.1")) != 0 {
		t.Error("nobody was on a list")
	}
	r.add(ip("192.0.2.1"), 1)
	r.add(ip("192.0.2.1"), 4)
	if got := r.take(ip("192.0.2.1")); got != 5 || r.take(ip("192.0.2.1")) != 0 {
		t.Errorf("it was on %b", got)
	}
	r.add(ip("192.0.2.1"), 1)
	next := crowd()
	for i := range 50_000 {
		r.add(next(), 2)
		if i == halfOfHits && r.now[ip("192.0.2.1")]|r.before[ip("192.0.2.1")] != 1 {
			t.Error("it is forgotten after half of them")
		}
	}
	if n := len(r.now) + len(r.before); n > 2*halfOfHits || r.take(ip("192.0.2.1")) != 0 {
		t.Errorf("%d are remembered", n)
	}
}

func TestLatency(t *testing.T) {
	var l latency
	if l.mean() != 0 || l.p95() != 0 {
		t.Error("no answers took a time")
	}
	for range 95 {
		l.add(8 * time.Millisecond)
	}
	for range 5 {
		l.add(time.Minute)
	}
	if l.p95() != 10*time.Millisecond || l.mean() != (95*8*time.Millisecond+5*time.Minute)/100 {
		t.Errorf("mean %s, p95 %s", l.mean(), l.p95())
	}
	l.add(time.Minute)
	if l.p95() != bounds[len(bounds)-1] {
		t.Errorf("p95 %s", l.p95())
	}
}
