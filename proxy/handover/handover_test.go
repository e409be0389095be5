package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"moggy/proxy/dialogue"
	"moggy/proxy/relay"
)

var (
	peer  = netip.MustParseAddrPort("192.0.2.7:4444")
	local = netip.MustParseAddrPort("198.51.100.1:25")

	envelope = dialogue.Envelope{
		Verb: "EHLO", Helo: "client.example", Mail: true,
		From: dialogue.Path{Text: "a@example.org", Params: "SIZE=100 BODY=8BITMIME"},
		To:   []dialogue.Path{{Text: "postmaster"}},
	}
	rcpt = dialogue.Path{Text: "b@example.net", Params: "NOTIFY=NEVER"}
)

// session0 is what a backend that agrees with everything says to envelope, up to rcpt.
var session0 = []step{
	{"", "220-mx.example.net\r\n220 ESMTP\r\n"},
	{"EHLO client.example", "250-mx.example.net\r\n250 SIZE\r\n"},
	{"MAIL FROM:<a@example.org> SIZE=100 BODY=8BITMIME", "250 ok\r\n"},
	{"RCPT TO:<postmaster>", "250 ok\r\n"},
	{"RCPT TO:<b@example.net> NOTIFY=NEVER", "250 2.1.5 ok\r\n"},
}

// answering returns session0 up to step n, which is answered with reply.
func answering(n int, reply string) []step {
	script := append([]step(nil), session0[:n+1]...)
	script[n].reply = reply
	return script
}

func TestOpen(t *testing.T) {
	for _, form := range []relay.Form{relay.None, relay.ProxyV2} {
		t.Run(form.String(), func(t *testing.T) {
			b := play(t, form, false, session0...)
			o, err := Open(t.Context(), b.Backend, Options{}, peer, local, envelope, rcpt)
			if err != nil {
				t.Fatal(err)
			}
			defer o.Conn.Close()
			if o.Reply.Code != 250 || string(o.Reply.Raw) != "250 2.1.5 ok\r\n" || len(o.Early) != 0 {
				t.Errorf("got %q, early %q", o.Reply.Raw, o.Early)
			}
			// The connection is bare, and has no deadline left.
			far := <-b.conn
			defer far.Close()
			io.WriteString(o.Conn, "DATA\r\n")
			o.Conn.(*net.TCPConn).CloseWrite()
			if got, err := io.ReadAll(far); err != nil || string(got) != "DATA\r\n" {
				t.Errorf("carried %q, %v", got, err)
			}
		})
	}
}

func TestOpenWithHELO(t *testing.T) {
	e := dialogue.Envelope{Verb: "HELO", Helo: "old.example", Mail: true}
	b := play(t, relay.None, false,
		step{"", "220 mx\r\n"},
		step{"HELO old.example", "250 mx\r\n"},
		step{"MAIL FROM:<>", "250 ok\r\n"},
		step{"RCPT TO:<b@example.net> NOTIFY=NEVER", "250-one\r\n250-two\r\n250 three\r\nearly"})
	o, err := Open(t.Context(), b.Backend, Options{}, peer, local, e, rcpt)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Conn.Close()
	if want := "250-one\r\n250-two\r\n250 three\r\n"; string(o.Reply.Raw) != want {
		t.Errorf("reply: got %q, want %q", o.Reply.Raw, want)
	}
	rest, _ := io.ReadAll(io.LimitReader(o.Conn, int64(5-len(o.Early)))) // if it came later
	if got := string(o.Early) + string(rest); got != "early" {
		t.Errorf("early: got %q", got)
	}
}

// Whatever the backend says of the peer's recipient is for the peer.
func TestOpenAnyReply(t *testing.T) {
	for _, reply := range []string{"251 will forward\r\n", "450 4.2.0 busy\r\n", "550-5.1.1 no\r\n550 such user\r\n", "421 shutting down\r\n", "250\r\n"} {
		b := play(t, relay.None, false, answering(4, reply)...)
		o, err := Open(t.Context(), b.Backend, Options{}, peer, local, envelope, rcpt)
		if err != nil {
			t.Errorf("%q: %v", reply, err)
			continue
		}
		if string(o.Reply.Raw) != reply {
			t.Errorf("got %q, want %q", o.Reply.Raw, reply)
		}
		o.Conn.Close()
	}
}

func TestOpenRefused(t *testing.T) {
	steps := []Stage{Greeting, EHLO, Mail, EarlierRcpt}
	for n, stage := range steps {
		for _, reply := range []string{"451-4.3.0 not now\r\n451 later\r\n", "554 5.7.1 no\r\n", "421 bye\r\n", "354 go on\r\n"} {
			b := play(t, relay.None, false, answering(n, reply)...)
			_, err := Open(t.Context(), b.Backend, Options{}, peer, local, envelope, rcpt)
			refused, ok := errors.AsType[*Refused](err)
			if !ok || refused.Stage != stage || string(refused.Reply.Raw) != reply {
				t.Errorf("%s answered with %q: %v", stage, reply, err)
			}
			if err != nil && !strings.Contains(err.Error(), "refused at "+stage.String()+": "+reply[:3]) {
				t.Errorf("%s: unclear: %v", stage, err)
			}
			b.hung(t)
		}
	}
}

// A backend that breaks off, or says what is no reply, has not refused.
func TestOpenFails(t *testing.T) {
	long := "250 " + strings.Repeat("x", maxLine) + "\r\n"
	many := strings.Repeat("250-"+strings.Repeat("x", 1000)+"\r\n", 70)
	for n := range session0 {
		for _, reply := range []string{"", "25", "250-unfinished\r\n", "hello\r\n", "250_ok\r\n", "150 ok\r\n", "250-a\r\n251 b\r\n", long, many} {
			b := play(t, relay.None, true, answering(n, reply)...)
			o, err := Open(t.Context(), b.Backend, Options{}, peer, local, envelope, rcpt)
			if err == nil {
				t.Errorf("step %d answered with %.20q: got %q", n, reply, o.Reply.Raw)
				o.Conn.Close()
				continue
			}
			if _, ok := errors.AsType[*Refused](err); ok {
				t.Errorf("step %d answered with %.20q: %v", n, reply, err)
			}
		}
	}
}

func TestOpenTimesOut(t *testing.T) {
	for n := range session0 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			b := play(t, relay.None, false, answering(n, "")...)
			_, err := Open(t.Context(), b.Backend, Options{Timeout: time.Second}, peer, local, envelope, rcpt)
			if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "no answer within 1s") {
				t.Error(err)
			}
			b.hung(t)
		})
	}
}

func TestOpenCancelled(t *testing.T) {
	for n := range session0 {
		ctx, cancel := context.WithCancel(t.Context())
		b := play(t, relay.None, false, answering(n, "")...)
		go func() {
			far := <-b.conn // the script is over: the client waits
			t.Cleanup(func() { far.Close() })
			cancel()
		}()
		_, err := Open(ctx, b.Backend, Options{}, peer, local, envelope, rcpt)
		if !errors.Is(err, context.Canceled) {
			t.Errorf("step %d: %v", n, err)
		}
	}
}

func TestOpenNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	b := relay.Backend{Address: l.Addr().String()}
	if _, err := Open(t.Context(), b, Options{}, peer, local, envelope, rcpt); err == nil || !strings.Contains(err.Error(), b.Address) {
		t.Errorf("got %v", err)
	}
}

// Nothing of an envelope can become a command of its own.
func TestOpenInjection(t *testing.T) {
	evil := envelope
	evil.Helo = "x\r\nMAIL FROM:<evil@example.org>"
	b := play(t, relay.None, false, session0[0])
	if _, err := Open(t.Context(), b.Backend, Options{}, peer, local, evil, rcpt); err == nil {
		t.Error("said two commands in one")
	}
	b.hung(t)
}

func TestOpenTooEarly(t *testing.T) {
	b := relay.Backend{Address: "127.0.0.1:1"}
	for _, e := range []dialogue.Envelope{{}, {Verb: "EHLO", Helo: "x"}} {
		if _, err := Open(t.Context(), b, Options{}, peer, local, e, rcpt); err == nil || strings.Contains(err.Error(), "connect") {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

func TestConnect(t *testing.T) {
	for _, form := range []relay.Form{relay.None, relay.ProxyV2} {
		b := play(t, form, false, session0[0])
		conn, greeting, err := Connect(t.Context(), b.Backend, Options{}, peer, local)
		if err != nil || greeting != nil {
			t.Fatalf("%s: greeting %q, %v", form, greeting, err)
		}
		got := make([]byte, len(session0[0].reply))
		if _, err := io.ReadFull(conn, got); err != nil || string(got) != session0[0].reply {
			t.Errorf("%s: got %q, %v", form, got, err)
		}
		conn.Close()
	}
}

func TestStage(t *testing.T) {
	for s, want := range map[Stage]string{Greeting: "greeting", EHLO: "ehlo", XClient: "xclient", Mail: "mail", EarlierRcpt: "rcpt-earlier", 9: "stage(9)"} {
		if got := s.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
