package handover

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/proxy/relay"
)

func TestAsk(t *testing.T) {
	hello := step{"EHLO moggy.example", "250-mx.example.net\r\n250-PIPELINING\r\n250 SIZE 10240000\r\n"}
	greeting := step{"", "220-mx.example.net\r\n220 ESMTP\r\n"}
	for _, last := range []step{{"QUIT", "221 bye\r\n"}, {"QUIT", ""}} { // "" with hangUp: it just closes
		b := play(t, relay.None, true, greeting, hello, last)
		offer, err := Ask(t.Context(), b.Backend, ourName)
		if err != nil {
			t.Fatal(err)
		}
		if want := "220 mx.example.net / ESMTP"; offer.Greeting != want {
			t.Errorf("greeting: got %q, want %q", offer.Greeting, want)
		}
		if want := []string{"PIPELINING", "SIZE 10240000"}; !slices.Equal(offer.Extensions, want) {
			t.Errorf("extensions: got %q, want %q", offer.Extensions, want)
		}
	}
}

// Our own connection is announced as such.
func TestAskIsLocal(t *testing.T) {
	b := play(t, relay.ProxyV1, false, step{"PROXY TCP4 127.0.0.1 127.0.0.1 *", "220 mx\r\n"}, step{"EHLO localhost", "250 mx\r\n"}, step{"QUIT", "221 bye\r\n"})
	offer, err := Ask(t.Context(), b.Backend, Options{})
	if err != nil || len(offer.Extensions) != 0 {
		t.Errorf("got %v, %v", offer, err)
	}
}

func TestAskFails(t *testing.T) {
	b := play(t, relay.None, false, step{"", "421 too busy\r\n"})
	_, err := Ask(t.Context(), b.Backend, ourName)
	if refused, ok := errors.AsType[*Refused](err); !ok || refused.Stage != Greeting || refused.Reply.Code != 421 {
		t.Errorf("busy: %v", err)
	}
	b = play(t, relay.None, false, introduced[0], step{"EHLO moggy.example", "502 no\r\n"})
	_, err = Ask(t.Context(), b.Backend, ourName)
	if refused, ok := errors.AsType[*Refused](err); !ok || refused.Stage != EHLO {
		t.Errorf("no EHLO: %v", err)
	}
	b = play(t, relay.None, true, step{})
	if _, err = Ask(t.Context(), b.Backend, ourName); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), b.Address) {
		t.Errorf("closed at once: %v", err)
	}
}

// probe is what SelfTest asks, up to a step that is answered with reply.
func probe(n int, reply string) []step {
	script := []step{
		{"", "220 mx\r\n"},
		{"EHLO moggy.example", "250 mx\r\n"},
		{"MAIL FROM:<>", "250 ok\r\n"},
		{"RCPT TO:<moggy-relay-test@example.com>", "250 ok\r\n"},
	}[:n+1]
	script[n].reply = reply
	if n < 2 {
		return script
	}
	return append(script, step{"RSET", "250 ok\r\n"}, step{"QUIT", "221 bye\r\n"})
}

func TestSelfTest(t *testing.T) {
	for n := 2; n < 4; n++ {
		for _, reply := range []string{"554 5.7.1 relay access denied\r\n", "454 4.7.1 relay access denied\r\n"} {
			b := play(t, relay.ProxyV2, false, probe(n, reply)...)
			if err := SelfTest(t.Context(), b.Backend, ourName); err != nil {
				t.Errorf("refused with %q: %v", reply, err)
			}
			b.hung(t)
		}
	}
}

func TestSelfTestOpenRelay(t *testing.T) {
	for form, setting := range map[relay.Form]string{
		relay.None:    `set forward = "proxy-v2"`,
		relay.ProxyV2: `smtpd_upstream_proxy_protocol`,
	} {
		b := play(t, form, false, probe(3, "250 ok\r\n")...)
		err := SelfTest(t.Context(), b.Backend, ourName)
		if !errors.Is(err, ErrOpenRelay) {
			t.Fatalf("%s: %v", form, err)
		}
		for _, part := range []string{b.Address, "192.0.2.1", setting, "mynetworks"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %s", form, err, part)
			}
		}
		b.hung(t)
	}
}

func TestSelfTestXClient(t *testing.T) {
	script := append([]step(nil), introduced...)
	script[2].want = "XCLIENT NAME=[UNAVAILABLE] ADDR=192.0.2.1 PORT=25252"
	b := play(t, relay.XClient, false, append(script, probe(3, "250 ok\r\n")[1:]...)...)
	if err := SelfTest(t.Context(), b.Backend, ourName); !errors.Is(err, ErrOpenRelay) || !strings.Contains(err.Error(), "XCLIENT") {
		t.Errorf("got %v", err)
	}
}

// A question that could not be put has no answer.
func TestSelfTestFails(t *testing.T) {
	for n := range 2 {
		b := play(t, relay.None, false, probe(n, "554 no\r\n")...)
		err := SelfTest(t.Context(), b.Backend, ourName)
		if _, ok := errors.AsType[*Refused](err); !ok || errors.Is(err, ErrOpenRelay) {
			t.Errorf("step %d refused: %v", n, err)
		}
	}
	b := play(t, relay.None, false, probe(3, "")[:4]...)
	err := SelfTest(t.Context(), b.Backend, Options{Hostname: "moggy.example", Timeout: 500 * time.Millisecond})
	if err == nil || errors.Is(err, ErrOpenRelay) {
		t.Errorf("no answer: %v", err)
	}
}
