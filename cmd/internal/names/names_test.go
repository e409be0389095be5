package names_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/names"
	"moggy/dnsbl/resolver"
)

// list answers 127.0.0.2 for itself and a network.
const list = `$TTL 60
$SOA 60 ns.bl.test root.bl.test 1 600 300 86400 30
:127.0.0.2:listed: see https://bl.test/$
127.0.0.2
192.0.2.0/24
!192.0.2.8
`

// zone has what a sender's zone has.
const zone = `@ 60 SOA ns root 1 600 300 86400 45
@ NS ns
@ MX 20 b
@ MX 10 a
@ TXT "v=spf1 " "ip4:192.0.2.7 -all"
a A 192.0.2.7
a AAAA 2001:db8::7
ns A 127.0.0.1
www CNAME alias
alias CNAME a
ring CNAME gnir
gnir CNAME ring
away CNAME nobody.elsewhere.test.
nomail MX 0 .
zero 0 A 192.0.2.9
many TXT "` + "0123456789012345678901234567890123456789012345678901234567890123456789" + `"
`

// reverse names the addresses of the zone.
const reverse = `@ 60 SOA ns.example.test. root.example.test. 1 600 300 86400 45
@ NS ns.example.test.
7 PTR a.example.test.
7 PTR b.example.test.
`

// house starts unbound with the zones, and rbldnsd behind it.
func house(t testing.TB) (*names.Server, *names.Lists) {
	t.Helper()
	names.Need(t, "unbound", "rbldnsd")
	lists := names.Rbldnsd(t, names.List{Zone: "bl.test", Type: "ip4set", Data: list})
	var text strings.Builder
	for i := range 40 {
		fmt.Fprintf(&text, "long TXT \"%d %s\"\n", i, strings.Repeat("x", 200))
	}
	return names.Unbound(t, names.UnboundOptions{
		Zones: map[string]string{"example.test": zone + text.String(), "2.0.192.in-addr.arpa": reverse},
		Lists: map[string]netip.AddrPort{"bl.test": lists.Addr},
	}), lists
}

// resolve returns a resolver that asks the servers, and closes it after the test.
func resolve(t testing.TB, servers ...netip.AddrPort) *resolver.Resolver {
	t.Helper()
	r, err := resolver.New(resolver.Options{Servers: servers})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestUnbound(t *testing.T) {
	t.Parallel()
	server, _ := house(t)
	r := resolve(t, server.Addr)
	ctx := t.Context()
	for _, tt := range []struct {
		name string
		ask  func() (any, error)
		want string
	}{
		{"address", func() (any, error) { return r.A(ctx, "a.example.test") }, "[192.0.2.7]"},
		{"both", func() (any, error) { return r.IP(ctx, "A.Example.Test.") }, "[192.0.2.7 2001:db8::7]"},
		{"aliases", func() (any, error) { return r.A(ctx, "www.example.test") }, "[192.0.2.7]"},
		{"alias of nobody", func() (any, error) { return r.A(ctx, "away.example.test") }, "[]"},
		{"text", func() (any, error) { return r.TXT(ctx, "example.test") }, "[v=spf1 ip4:192.0.2.7 -all]"},
		{"hosts", func() (any, error) { return r.MX(ctx, "example.test") }, "[a.example.test b.example.test]"},
		{"no mail", func() (any, error) { return r.MX(ctx, "nomail.example.test") }, "[]"},
		{"no such name", func() (any, error) { return r.A(ctx, "nobody.example.test") }, "[]"},
		{"none of the type", func() (any, error) { return r.TXT(ctx, "a.example.test") }, "[]"},
		{"outside", func() (any, error) { return r.A(ctx, "www.example.com") }, "[]"},
		{"listed", func() (any, error) { return r.A(ctx, "7.2.0.192.bl.test") }, "[127.0.0.2]"},
		{"why", func() (any, error) { return r.TXT(ctx, "7.2.0.192.bl.test") }, "[listed: see https://bl.test/192.0.2.7]"},
		{"not listed", func() (any, error) { return r.A(ctx, "8.2.0.192.bl.test") }, "[]"},
		{"not to be kept", func() (any, error) { return r.A(ctx, "zero.example.test") }, "[192.0.2.9]"},
	} {
		if got, err := tt.ask(); fmt.Sprint(got) != tt.want || err != nil {
			t.Errorf("%s: %v, %v, want %s", tt.name, got, err, tt.want)
		}
	}
	if st := r.Stats(); st.TCP != 0 || st.Foreign != 0 || st.Servers[0].Caseless || st.Servers[0].Failed != 0 {
		t.Errorf("%+v", st)
	}
	if got, err := r.PTR(ctx, netip.MustParseAddr("192.0.2.7")); err != nil || len(got) != 2 {
		t.Error(got, err)
	}
	if got, err := r.TXT(ctx, "long.example.test"); err != nil || len(got) != 40 || r.Stats().TCP != 1 {
		t.Error("a long answer:", len(got), err, r.Stats())
	}
	fails(t, r, "ring.example.test", resolver.ServerFailure, resolver.Malformed)
}

// fails wants a question to fail with one of the kinds.
func fails(t *testing.T, r *resolver.Resolver, name string, kinds ...resolver.Kind) {
	t.Helper()
	got, err := r.A(t.Context(), name)
	if e, ok := errors.AsType[*resolver.Error](err); ok {
		if slices.Contains(kinds, e.Kind) {
			return
		}
	}
	t.Errorf("%s: %v, %v, want %v", name, got, err, kinds)
}

// rbldnsd is asked by itself, as by somebody who has a copy of a list.
func TestRbldnsd(t *testing.T) {
	t.Parallel()
	names.Need(t, "rbldnsd")
	lists := names.Rbldnsd(t, names.List{Zone: "bl.test", Type: "ip4set", Data: list})
	r := resolve(t, lists.Addr)
	for name, want := range map[string]string{"2.0.0.127": "[127.0.0.2]", "1.0.0.127": "[]", "9.2.0.192": "[127.0.0.2]"} {
		if got, err := r.A(t.Context(), name+".bl.test"); fmt.Sprint(got) != want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	fails(t, r, "elsewhere.test", resolver.Refused)
	lists.Change(names.List{Zone: "bl.test", Type: "ip4set", Data: names.World})
	if got, err := resolve(t, lists.Addr).A(t.Context(), "1.0.0.127.bl.test"); fmt.Sprint(got) != "[127.0.0.2]" || err != nil {
		t.Error("the world is not listed:", got, err)
	}
}

func TestServersThatFail(t *testing.T) {
	t.Parallel()
	names.Need(t, "rbldnsd")
	data := names.List{Zone: "bl.test", Type: "ip4set", Data: list}
	first, second := names.Rbldnsd(t, data), names.Rbldnsd(t, data)
	r := resolve(t, first.Addr, second.Addr)
	asks := 0
	listed := func(within time.Duration) {
		t.Helper()
		asks++
		begun := time.Now()
		got, err := r.A(t.Context(), fmt.Sprintf("%d.2.0.192.bl.test", 100+asks))
		if took := time.Since(begun); fmt.Sprint(got) != "[127.0.0.2]" || err != nil || took > within {
			t.Errorf("%v, %v after %v", got, err, took)
		}
	}
	listed(time.Second)
	first.Pause()
	listed(time.Second)
	listed(time.Second)
	first.Resume()
	first.Stop()
	listed(time.Second)
	second.Pause()
	first.Start()
	listed(time.Second)
	first.Stop()
	second.Stop()
	fails(t, r, "200.2.0.192.bl.test", resolver.Unreachable)
}

// BenchmarkUnbound asks unbound, and rbldnsd behind it, over the loopback: every time another name, or one that is in
// our own cache.
func BenchmarkUnbound(b *testing.B) {
	server, _ := house(b)
	r := resolve(b, server.Addr)
	name := func(n int) string { return fmt.Sprintf("%d.%d.%d.192.bl.test", n&255, n>>8&255, n>>16&255) }
	for _, bench := range []struct {
		name string
		next func(int) string
	}{{"cold", name}, {"warm", func(int) string { return name(7) }}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := r.A(b.Context(), bench.next(i)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
