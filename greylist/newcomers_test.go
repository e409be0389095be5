package greylist

import (
	"net/netip"
	"testing"
	"time"
)

func TestNewcomersOfOneNetwork(t *testing.T) {
	n, now := NewNewcomers(20), time.Unix(1_700_000_000, 0)
	a, b := netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")
	for i := range 20 {
		if !n.Admit(a, now) {
			t.Fatalf("newcomer %d of 20 in an hour was not admitted", i+1)
		}
	}
	if n.Admit(a, now) || n.Admit(a, now.Add(2*time.Minute)) {
		t.Error("the 21st was admitted")
	}
	if !n.Admit(b, now) {
		t.Error("another network waits for this one")
	}
	if !n.Admit(a, now.Add(3*time.Minute)) || n.Admit(a, now.Add(3*time.Minute)) {
		t.Error("three minutes are room for one more, and no more")
	}
	if n.Admit(a, now.Add(-time.Hour)) {
		t.Error("a clock that runs back makes room")
	}
}

func TestNewcomersAreBounded(t *testing.T) {
	n, now := NewNewcomers(1), time.Unix(1_700_000_000, 0)
	for i := range maxNetworks + 10 {
		net := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 32)
		if !n.Admit(net, now) {
			t.Fatal("a network's first newcomer was not admitted")
		}
	}
	if len(n.full) != maxNetworks {
		t.Errorf("%d networks are counted, want %d", len(n.full), maxNetworks)
	}
	if later := now.Add(2 * time.Hour); !n.Admit(netip.MustParsePrefix("192.0.2.0/24"), later) || len(n.full) != 1 {
		t.Errorf("%d networks are counted two hours later", len(n.full))
	}
}

func BenchmarkNewcomers(b *testing.B) {
	n, now, net := NewNewcomers(20), time.Unix(1_700_000_000, 0), netip.MustParsePrefix("192.0.2.0/24")
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(time.Minute)
		n.Admit(net, now)
	}
}
