package resolver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestReadSystem(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "[127.0.0.1:53]",
		"search example.test\noptions ndots:5\n": "[127.0.0.1:53]",
		"nameserver 192.0.2.1\nnameserver 2001:db8::1\n":               "[192.0.2.1:53 [2001:db8::1]:53]",
		"nameserver fe80::1%eth0\n":                                    "[[fe80::1%eth0]:53]",
		"nameserver 192.0.2.1\n# no\nnameserver 192.0.2.1\n":           "[192.0.2.1:53]",
		strings.Repeat("nameserver 192.0.2.1\n", 3) + "nameserver ::1": "[192.0.2.1:53]",
		"nameserver ns.example.test\n":                                 "[] name servers of the system: /etc/resolv.conf: nameserver \"ns.example.test\": use an address",
	} {
		servers, err := readSystem(strings.NewReader(text))
		got := fmt.Sprint(servers)
		if err != nil {
			got += " " + err.Error()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	ok := netip.MustParseAddrPort("192.0.2.1:53")
	for want, o := range map[string]Options{
		"no name server":              {},
		"at most 8":                   {Servers: make([]netip.AddrPort, 9)},
		"use an address":              {Servers: []netip.AddrPort{ok, {}}},
		"as in 127.0.0.1:53":          {Servers: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:53")}},
		"192.0.2.1:53 is there twice": {Servers: []netip.AddrPort{ok, ok}},
		"timeout 1ms":                 {Servers: []netip.AddrPort{ok}, Timeout: time.Millisecond},
		"cache size -1":               {Servers: []netip.AddrPort{ok}, Size: -1},
		"stale answers":               {Servers: []netip.AddrPort{ok}, Stale: 1000 * time.Hour},
	} {
		if r, err := New(o); err == nil {
			r.Close()
			t.Errorf("%+v is taken, want %q", o, want)
		} else if !strings.HasPrefix(err.Error(), "resolver: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
