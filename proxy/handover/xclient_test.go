package handover

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"moggy/proxy/relay"
)

// introduced is how a session with XCLIENT begins.
var introduced = []step{
	{"", "220 mx.example.net\r\n"},
	{"EHLO moggy.example", "250-mx.example.net\r\n250-PIPELINING\r\n250-XCLIENT NAME ADDR PORT HELO\r\n250 SIZE\r\n"},
	{"XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=4444", "220 mx.example.net again\r\n"},
}

var ourName = Options{Hostname: "moggy.example"}

func TestOpenXClient(t *testing.T) {
	b := play(t, relay.XClient, false, append(append([]step(nil), introduced...), session0[1:]...)...)
	o, err := Open(t.Context(), b.Backend, ourName, peer, local, envelope, rcpt)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Conn.Close()
	if o.Reply.Code != 250 {
		t.Errorf("got %s", o.Reply)
	}
}

func TestConnectXClient(t *testing.T) {
	b := play(t, relay.XClient, false, introduced...)
	conn, greeting, err := Connect(t.Context(), b.Backend, ourName, peer, local)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if want := "220 mx.example.net again\r\n"; string(greeting) != want {
		t.Errorf("got %q, want %q", greeting, want)
	}
}

func TestXClientRefused(t *testing.T) {
	for n, stage := range []Stage{Greeting, EHLO, XClient} {
		script := append([]step(nil), introduced[:n+1]...)
		script[n].reply = "550 5.5.1 no\r\n"
		b := play(t, relay.XClient, false, script...)
		_, _, err := Connect(t.Context(), b.Backend, ourName, peer, local)
		if refused, ok := errors.AsType[*Refused](err); !ok || refused.Stage != stage {
			t.Errorf("%s: %v", stage, err)
		}
		b.hung(t)
	}
}

func TestXClientNotOffered(t *testing.T) {
	for _, hello := range []string{"250 mx\r\n", "250-mx\r\n250 XCLIENT NAME\r\n", "250-XCLIENT ADDR\r\n250-\r\n250 SIZE\r\n"} {
		b := play(t, relay.XClient, false, introduced[0], step{"EHLO moggy.example", hello})
		_, err := Open(t.Context(), b.Backend, ourName, peer, local, envelope, rcpt)
		if err == nil || !strings.Contains(err.Error(), "smtpd_authorized_xclient_hosts") {
			t.Errorf("%q: %v", hello, err)
		}
		b.hung(t)
	}
}

func TestXClientCommand(t *testing.T) {
	for _, test := range []struct{ offered, peer, want string }{
		{"NAME ADDR PORT PROTO HELO LOGIN", "192.0.2.7:4444", "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.7 PORT=4444"},
		{"ADDR", "192.0.2.7:4444", "XCLIENT ADDR=192.0.2.7"},
		{"addr port", "[2001:db8::7]:25", "XCLIENT ADDR=IPV6:2001:db8::7 PORT=25"},
		{"ADDR", "[::ffff:192.0.2.7]:25", "XCLIENT ADDR=192.0.2.7"},
		{"ADDR", "[fe80::7%eth0]:25", "XCLIENT ADDR=IPV6:fe80::7"},
	} {
		got, err := xclientCommand(strings.Fields(test.offered), netip.MustParseAddrPort(test.peer))
		if err != nil || got != test.want {
			t.Errorf("%s: got %q, %v, want %q", test.offered, got, err, test.want)
		}
	}
	if got, err := xclientCommand([]string{"ADDR"}, netip.AddrPort{}); err == nil {
		t.Errorf("nobody's address: got %q", got)
	}
}
