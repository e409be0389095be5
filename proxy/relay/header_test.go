package relay

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"testing"

	"github.com/pires/go-proxyproto"
)

// v2 is the signature every header of version 2 begins with, in hexadecimal.
const v2 = "0d0a0d0a000d0a515549540a"

var headerTests = []struct {
	name        string
	form        Form
	peer, local string
	want        string // hexadecimal for version 2
}{
	{"v1 IPv4", ProxyV1, "192.0.2.7:4444", "198.51.100.1:25", "PROXY TCP4 192.0.2.7 198.51.100.1 4444 25\r\n"},
	{"v1 IPv6", ProxyV1, "[2001:db8::7]:4444", "[2001:db8::1]:25", "PROXY TCP6 2001:db8::7 2001:db8::1 4444 25\r\n"},
	{"v1 mapped", ProxyV1, "[::ffff:192.0.2.7]:4444", "[::ffff:198.51.100.1]:25", "PROXY TCP4 192.0.2.7 198.51.100.1 4444 25\r\n"},
	{"v1 mixed", ProxyV1, "192.0.2.7:4444", "[2001:db8::1]:25", "PROXY TCP4 192.0.2.7 0.0.0.0 4444 25\r\n"},
	{"v1 zone", ProxyV1, "[fe80::7%eth0]:4444", "[fe80::1%eth0]:25", "PROXY TCP6 fe80::7 fe80::1 4444 25\r\n"},
	{"v1 longest", ProxyV1, "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535", "[2001:db8:ffff:ffff:ffff:ffff:ffff:fffe]:65535",
		"PROXY TCP6 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8:ffff:ffff:ffff:ffff:ffff:fffe 65535 65535\r\n"},
	{"v2 IPv4", ProxyV2, "192.0.2.7:4444", "198.51.100.1:25", v2 + "2111000c" + "c0000207" + "c6336401" + "115c" + "0019"},
	{"v2 mapped", ProxyV2, "[::ffff:192.0.2.7]:4444", "198.51.100.1:25", v2 + "2111000c" + "c0000207" + "c6336401" + "115c" + "0019"},
	{"v2 IPv6", ProxyV2, "[2001:db8::7]:4444", "[2001:db8::1]:25", v2 + "21210024" +
		"20010db8000000000000000000000007" + "20010db8000000000000000000000001" + "115c" + "0019"},
	{"v2 mixed", ProxyV2, "[2001:db8::7]:4444", "198.51.100.1:25", v2 + "21210024" +
		"20010db8000000000000000000000007" + "00000000000000000000000000000000" + "115c" + "0019"},
	{"none", None, "192.0.2.7:4444", "198.51.100.1:25", ""},
	{"xclient", XClient, "192.0.2.7:4444", "198.51.100.1:25", ""},
}

func TestHeader(t *testing.T) {
	for _, test := range headerTests {
		t.Run(test.name, func(t *testing.T) {
			b, err := test.form.header(netip.MustParseAddrPort(test.peer), netip.MustParseAddrPort(test.local))
			if err != nil {
				t.Fatal(err)
			}
			got := string(b)
			if test.form == ProxyV2 {
				got = hex.EncodeToString(b)
			}
			if got != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestHeaderOfUnknownAddresses(t *testing.T) {
	peer := netip.MustParseAddrPort("192.0.2.7:4444")
	b, err := ProxyV1.header(peer, netip.AddrPort{})
	if want := "PROXY TCP4 192.0.2.7 0.0.0.0 4444 0\r\n"; err != nil || string(b) != want {
		t.Errorf("no local address: got %q, %v, want %q", b, err, want)
	}
	if b, err := ProxyV2.header(netip.AddrPort{}, peer); err == nil {
		t.Errorf("no peer address: got %q, want an error", b)
	}
	if _, err := None.header(netip.AddrPort{}, peer); err != nil {
		t.Errorf("no peer address and no header: %v", err)
	}
}

func TestLocalHeader(t *testing.T) {
	local, _ := hex.DecodeString(v2 + "20000000")
	near, far := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.2:25")
	for form, want := range map[Form]string{None: "", XClient: "", ProxyV1: "PROXY TCP4 127.0.0.1 127.0.0.2 40000 25\r\n", ProxyV2: string(local)} {
		if got, err := form.localHeader(near, far); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", form, got, err, want)
		}
	}
}

// FuzzHeader says that whatever the addresses, our header is of the right length and
// says the same addresses to somebody else's parser.
func FuzzHeader(f *testing.F) {
	for _, test := range headerTests {
		p, l := netip.MustParseAddrPort(test.peer), netip.MustParseAddrPort(test.local)
		f.Add(p.Addr().AsSlice(), p.Port(), l.Addr().AsSlice(), l.Port(), test.form == ProxyV1)
	}
	f.Fuzz(func(t *testing.T, p []byte, pport uint16, l []byte, lport uint16, v1 bool) {
		pa, ok1 := netip.AddrFromSlice(p)
		la, ok2 := netip.AddrFromSlice(l)
		if !ok1 || !ok2 {
			return
		}
		form := ProxyV2
		if v1 {
			form = ProxyV1
		}
		peer, local := netip.AddrPortFrom(pa, pport), netip.AddrPortFrom(la, lport)
		b, err := form.header(peer, local)
		if err != nil {
			t.Fatal(err)
		}
		checkLength(t, form, plain(peer).Addr(), len(b))
		r := bufio.NewReader(bytes.NewReader(b))
		h, err := proxyproto.Read(r)
		if err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if r.Buffered() != 0 {
			t.Errorf("%q: %d bytes too many", b, r.Buffered())
		}
		checkAddresses(t, h, plain(peer), plain(local))
	})
}

func checkLength(t *testing.T, form Form, peer netip.Addr, n int) {
	t.Helper()
	switch {
	case form == ProxyV1 && n <= 107:
	case form == ProxyV2 && peer.Is4() && n == 28:
	case form == ProxyV2 && peer.Is6() && n == 52:
	default:
		t.Errorf("%s header for %s has %d bytes", form, peer, n)
	}
}

func checkAddresses(t *testing.T, h *proxyproto.Header, peer, local netip.AddrPort) {
	t.Helper()
	if got := plain(addrPort(t, h.SourceAddr)); got != peer {
		t.Errorf("peer: got %s, want %s", got, peer)
	}
	got := plain(addrPort(t, h.DestinationAddr))
	if peer.Addr().BitLen() != local.Addr().BitLen() {
		if !got.Addr().IsUnspecified() || got.Port() != local.Port() {
			t.Errorf("local of the other family: got %s, want no address and port %d", got, local.Port())
		}
		return
	}
	if got != local {
		t.Errorf("local: got %s, want %s", got, local)
	}
}

func addrPort(t *testing.T, a net.Addr) netip.AddrPort {
	t.Helper()
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		t.Fatalf("address is a %T", a)
	}
	return tcp.AddrPort()
}
