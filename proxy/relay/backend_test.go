package relay

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
)

// listen returns a listener on loopback that ends with the test.
func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// said returns everything that is sent on the next connection to l by dial, which then
// adds "after" to it.
func said(t *testing.T, l *net.TCPListener, dial func() (net.Conn, error)) (string, netip.AddrPort) {
	t.Helper()
	conn, err := dial()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "after")
	conn.Close()
	in, err := l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	b, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return string(b), in.RemoteAddr().(*net.TCPAddr).AddrPort()
}

func TestDial(t *testing.T) {
	l := listen(t)
	peer, local := netip.MustParseAddrPort("192.0.2.7:4444"), netip.MustParseAddrPort("198.51.100.1:25")
	b := Backend{Address: l.Addr().String(), Form: ProxyV1}
	got, _ := said(t, l, func() (net.Conn, error) { return b.Dial(t.Context(), peer, local) })
	if want := "PROXY TCP4 192.0.2.7 198.51.100.1 4444 25\r\nafter"; got != want {
		t.Errorf("Dial: got %q, want %q", got, want)
	}
	got, near := said(t, l, func() (net.Conn, error) { return b.DialLocal(t.Context()) })
	far := l.Addr().(*net.TCPAddr).AddrPort()
	if want := fmt.Sprintf("PROXY TCP4 %s %s %d %d\r\nafter", near.Addr(), far.Addr(), near.Port(), far.Port()); got != want {
		t.Errorf("DialLocal: got %q, want %q", got, want)
	}
	b.Form = ProxyV2
	got, _ = said(t, l, func() (net.Conn, error) { return b.Dial(t.Context(), peer, local) })
	if want := v2 + "2111000c" + "c0000207" + "c6336401" + "115c0019"; hex.EncodeToString([]byte(got[:28])) != want || got[28:] != "after" {
		t.Errorf("Dial: got %x, want %s and after", got, want)
	}
	b.Form = None
	got, _ = said(t, l, func() (net.Conn, error) { return b.Dial(t.Context(), netip.AddrPort{}, netip.AddrPort{}) })
	if got != "after" {
		t.Errorf("Dial without a header: got %q", got)
	}
}

func TestDialFromSource(t *testing.T) {
	l := listen(t)
	b := Backend{Address: l.Addr().String(), Source: netip.MustParseAddr("127.0.0.1")}
	_, from := said(t, l, func() (net.Conn, error) { return b.DialLocal(t.Context()) })
	if from.Addr() != b.Source {
		t.Errorf("connected from %s, want %s", from, b.Source)
	}
	b.Source = netip.MustParseAddr("192.0.2.1") // not ours
	if conn, err := b.DialLocal(t.Context()); err == nil {
		conn.Close()
		t.Error("connected from an address that is not ours")
	}
}

func TestDialFails(t *testing.T) {
	l := listen(t)
	l.Close()
	b := Backend{Address: l.Addr().String(), Form: ProxyV2}
	peer := netip.MustParseAddrPort("192.0.2.7:4444")
	if _, err := b.Dial(t.Context(), peer, peer); err == nil || !strings.Contains(err.Error(), b.Address) {
		t.Errorf("nobody listens: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Dial(ctx, peer, peer); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := b.Dial(t.Context(), netip.AddrPort{}, peer); err == nil {
		t.Error("a header without a peer was written")
	}
}

func TestForm(t *testing.T) {
	for _, form := range []Form{None, ProxyV1, ProxyV2, XClient} {
		text, _ := form.MarshalText()
		var got Form
		if err := got.UnmarshalText(text); err != nil || got != form {
			t.Errorf("%s: got %v, %v", text, got, err)
		}
	}
	f := ProxyV2
	err := f.UnmarshalText([]byte("proxy"))
	if err == nil || f != ProxyV2 {
		t.Fatalf("proxy: got %v, %v", f, err)
	}
	for _, choice := range forms {
		if !strings.Contains(err.Error(), choice) {
			t.Errorf("%q does not name %s", err, choice)
		}
	}
	if got := Form(9).String(); got != "form(9)" {
		t.Errorf("got %q", got)
	}
}
