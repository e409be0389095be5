package origin

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"moggy/greylist"
)

// hostile answers every question with the same text.
type hostile struct {
	txt, name string
	addr      netip.Addr
	asked     int
}

func (h *hostile) TXT(context.Context, string) ([]string, error) {
	h.asked++
	return []string{h.txt}, nil
}

func (h *hostile) MX(context.Context, string) ([]string, error) {
	h.asked++
	return many(h.name, 10), nil
}

func (h *hostile) IP(context.Context, string) ([]netip.Addr, error) {
	h.asked++
	return []netip.Addr{h.addr}, nil
}

func (h *hostile) PTR(context.Context, netip.Addr) ([]string, error) {
	h.asked++
	return many(h.name, 100), nil
}

// many are n names that differ in their first letters.
func many(name string, n int) (names []string) {
	for i := range n {
		names = append(names, string(rune('a'+i/10))+string(rune('a'+i%10))+name)
	}
	return names
}

// FuzzFind: whatever strangers say and publish, there is an origin, it is one
// that can be shown, and it took a bounded number of questions.
func FuzzFind(f *testing.F) {
	peer4, peer6 := netip.MustParseAddr("192.0.2.7").AsSlice(), netip.MustParseAddr("2001:db8::7").AsSlice()
	f.Add(peer4, "helo.example", "a@sender.example", "v=spf1 ip4:192.0.2.0/24 -all", ".mx.example.org.")
	f.Add(peer4, "[192.0.2.7]", "", "v=spf1 include:%{d} a mx ptr exists:%{ir}.%{v}.%{d2} redirect=%{o}", "-a.example")
	f.Add(peer4, "x", `"a@b"@c.example`, "v=spf1 exists:%{l}%{S}%{h}%%%_%- +all", "\x1b[2J.example")
	f.Add(peer6, "h", "a@c.example", "v=spf1 mx:%{i}.x/0//0 a:%{p}//128 ip6:::/0", strings.Repeat("a.", 200))
	f.Add(peer4, "h", "a@c.example", "v=spf1 mx mx mx mx mx mx mx mx mx mx ptr:x.example", ".example")
	f.Fuzz(func(t *testing.T, addr []byte, helo, sender, txt, name string) {
		peer, ok := netip.AddrFromSlice(addr)
		if !ok {
			return
		}
		h := &hostile{txt: txt, name: name, addr: peer}
		d := mustNew(t, serial{h, make(chan struct{}, 1)})
		o, degraded := d.Find(t.Context(), Question{Peer: peer, Helo: helo, Sender: sender})
		if degraded {
			t.Errorf("nothing failed, and %v is degraded", o)
		}
		if o.Named() && (!hostName(o.Name) || registered(o.Name) != o.Name) || o.Name == "" {
			t.Errorf("%+v is no origin", o)
		}
		if h.asked > 3*121+11 {
			t.Errorf("%d questions", h.asked)
		}
		if name, ok, _ := d.Confirmed(t.Context(), peer); ok && !hostName(name) {
			t.Errorf("%q is confirmed", name)
		}
	})
}

// serial lets one question at a time through.
type serial struct {
	*hostile
	turn chan struct{}
}

func (s serial) lock() func() { s.turn <- struct{}{}; return func() { <-s.turn } }

func (s serial) TXT(ctx context.Context, name string) ([]string, error) {
	defer s.lock()()
	return s.hostile.TXT(ctx, name)
}

func (s serial) MX(ctx context.Context, name string) ([]string, error) {
	defer s.lock()()
	return s.hostile.MX(ctx, name)
}

func (s serial) IP(ctx context.Context, name string) ([]netip.Addr, error) {
	defer s.lock()()
	return s.hostile.IP(ctx, name)
}

func (s serial) PTR(ctx context.Context, a netip.Addr) ([]string, error) {
	defer s.lock()()
	return s.hostile.PTR(ctx, a)
}

// FuzzGeneric: no name is too odd to be judged.
func FuzzGeneric(f *testing.F) {
	f.Add("1-2-3-4.dyn.example.net", netip.MustParseAddr("1.2.3.4").AsSlice())
	f.Add("2001-db8--7.example.net", netip.MustParseAddr("2001:db8::7").AsSlice())
	f.Add("", netip.MustParseAddr("::").AsSlice())
	f.Fuzz(func(t *testing.T, name string, addr []byte) {
		a, ok := netip.AddrFromSlice(addr)
		if !ok {
			return
		}
		generic(name, canonical(a))
		if d := registered(name); d != "" && !strings.HasSuffix(name, d) {
			t.Errorf("%q is registered as %q", name, d)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	pool := spfZones(
		"contoso.example", "v=spf1 include:spf.protection.example -all",
		"spf.protection.example", "v=spf1 ip4:40.92.0.0/15 ip4:40.107.0.0/16 include:spfd.protection.example -all",
		"spfd.protection.example", "v=spf1 ip4:51.4.72.0/24 ip4:104.47.0.0/17 -all",
	)
	for name, c := range map[string]struct {
		z    *zones
		q    Question
		want greylist.OriginKind
	}{
		"spf":     {pool, from("104.47.1.2", "a@contoso.example"), greylist.Domain},
		"name":    {(&zones{}).host("192.0.2.7", "mx1.host.example"), from("192.0.2.7", "a@sender.example"), greylist.Name},
		"network": {(&zones{}).host("192.0.2.7", "192-0-2-7.dyn.host.example"), from("192.0.2.7", "a@sender.example"), greylist.Network},
	} {
		b.Run(name, func(b *testing.B) {
			d := mustNew(b, c.z)
			b.ReportAllocs()
			for b.Loop() {
				if o, _ := d.Find(b.Context(), c.q); o.Kind != c.want {
					b.Fatal(o)
				}
				c.z.asked = c.z.asked[:0]
			}
		})
	}
}
