package peers

import (
	"errors"
	"net/netip"
	"net/textproto"
	"regexp"
	"strings"
	"testing"
)

// visitor is who the test pretends to be.
var visitor = netip.MustParseAddrPort("192.0.2.7:4444")

// slow skips what starts programs when the tests are to be short.
func slow(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a real mail program")
	}
	t.Parallel()
}

// accepts sends an awkward message through the call and returns it as it arrived, after comparing it.
func accepts(t *testing.T, b *Backend, c Call) string {
	t.Helper()
	have := len(b.Messages())
	m := Awkward("a@elsewhere.test", "b@"+Domain)
	if err := c.Send(t.Context(), "a@elsewhere.test", "b@"+Domain, m.Raw); err != nil {
		t.Fatal(err)
	}
	got := b.WaitMessages(t.Context(), have+1)[have]
	if err := m.Same(got); err != nil {
		t.Error(err)
	}
	return string(got)
}

// sees is accepts, and wants the visitor's address in the message.
func sees(t *testing.T, b *Backend, c Call) {
	t.Helper()
	c.Client = visitor
	got := accepts(t, b, c)
	if head, _, _ := strings.Cut(got, idField); !strings.Contains(head, "192.0.2.7") {
		t.Errorf("Received does not name 192.0.2.7:\n%s", head)
	}
}

// refuses wants a reply to a recipient.
func refuses(t *testing.T, c Call, to string, code int) {
	t.Helper()
	err := c.Send(t.Context(), "a@elsewhere.test", to, []byte("Subject: no\r\n\r\nno\r\n"))
	reply, ok := errors.AsType[*textproto.Error](err)
	if !ok || reply.Code != code {
		t.Errorf("%s to %s: %v, not %d", c.Addr, to, err, code)
	}
}

// down wants nobody at the address.
func down(t *testing.T, c Call) {
	t.Helper()
	if client, err := c.Dial(t.Context()); err == nil {
		client.Close()
		t.Errorf("somebody still answers at %s", c.Addr)
	}
}

func TestPostfixBackend(t *testing.T) {
	slow(t)
	b := PostfixBackend(t, PostfixOptions{})
	accepts(t, b, Call{Addr: b.Plain})
	sees(t, b, Call{Addr: b.Proxy, Header: 1})
	sees(t, b, Call{Addr: b.Proxy, Header: 2})
	sees(t, b, Call{Addr: b.XClient, XClient: true})
	b.WaitLog(t.Context(), regexp.MustCompile(`connect from unknown\[192\.0\.2\.7\]`))
	refuses(t, Call{Addr: b.Plain}, Nobody, 550)
	refuses(t, Call{Addr: b.Plain}, "x@foreign.test", 554)
	b.Stop()
	down(t, Call{Addr: b.Plain})
	b.Start()
	accepts(t, b, Call{Addr: b.Plain})
}

func TestPostfixOpenRelay(t *testing.T) {
	slow(t)
	b := PostfixBackend(t, PostfixOptions{OpenRelay: true})
	msg := []byte("Subject: relay\r\n\r\nplease\r\n")
	if err := (Call{Addr: b.Plain}).Send(t.Context(), "a@elsewhere.test", "x@foreign.test", msg); err != nil {
		t.Error(err)
	}
	refuses(t, Call{Addr: b.Proxy, Header: 2, Client: visitor}, "x@foreign.test", 554)
}

func TestOpenSMTPDBackend(t *testing.T) {
	slow(t)
	b := OpenSMTPDBackend(t)
	accepts(t, b, Call{Addr: b.Plain})
	sees(t, b, Call{Addr: b.Proxy, Header: 2})
	b.WaitLog(t.Context(), regexp.MustCompile(`smtp connected address=192\.0\.2\.7`))
	refuses(t, Call{Addr: b.Plain}, Nobody, 550)
	refuses(t, Call{Addr: b.Plain}, "x@foreign.test", 550)
	b.Stop()
	down(t, Call{Addr: b.Plain})
	b.Start()
	accepts(t, b, Call{Addr: b.Plain})
}

func TestEximBackend(t *testing.T) {
	slow(t)
	b := EximBackend(t, EximOptions{})
	accepts(t, b, Call{Addr: b.Plain})
	sees(t, b, Call{Addr: b.Proxy, Source: b.Source, Header: 1})
	sees(t, b, Call{Addr: b.Proxy, Source: b.Source, Header: 2})
	b.WaitLog(t.Context(), regexp.MustCompile(`<= a@elsewhere\.test H=.*\[192\.0\.2\.7\]`))
	refuses(t, Call{Addr: b.Plain}, Nobody, 550)
	refuses(t, Call{Addr: b.Plain}, "x@foreign.test", 550)
	b.Stop()
	down(t, Call{Addr: b.Plain})
	b.Start()
	accepts(t, b, Call{Addr: b.Plain})
}

func TestSwaks(t *testing.T) {
	slow(t)
	Need(t, "swaks")
	b := PostfixBackend(t, PostfixOptions{})
	if out, exit := Swaks(t, "--server", b.Plain, "--to", "b@"+Domain, "--from", "a@elsewhere.test"); exit != 0 {
		t.Errorf("exit %d:\n%s", exit, out)
	}
	if out, exit := Swaks(t, "--server", b.Plain, "--to", Nobody, "--from", "a@elsewhere.test"); exit != 24 {
		t.Errorf("exit %d, not 24 (no recipient accepted):\n%s", exit, out)
	}
}
