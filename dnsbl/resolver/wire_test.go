package resolver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// connect returns a Resolver that asks the servers, and closes it after the test.
func connect(t testing.TB, o Options, servers ...netip.AddrPort) *Resolver {
	t.Helper()
	o.Servers = servers
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestHostileServer(t *testing.T) {
	h := newHostile(t)
	for _, tt := range []struct {
		label   string
		want    string
		tcp     int // tries over TCP
		foreign int // messages ignored
	}{
		{"plain", right, 0, 0},
		{"nx", "", 0, 0},
		{"nx-bare", "", 0, 0},
		{"nodata", "", 0, 0},
		{"servfail", "servfail", 0, 0},
		{"refused", "refused", 0, 0},
		{"notimp", "refused", 1, 0},
		{"formerr", "servfail", 1, 0},
		{"referral", "refused", 0, 0},
		{"no-edns", right, 1, 0},
		{"few-words", "refused", 1, 0},
		{"truncated", right, 1, 0},
		{"shut", "unreachable", 1, 0},
		{"half", "malformed", 1, 0},
		{"tcp-garbage", "malformed", 1, 0},
		{"id", right, 0, 1},
		{"name", right, 0, 1},
		{"type", right, 0, 1},
		{"class", right, 0, 1},
		{"query", right, 0, 1},
		{"opcode", right, 0, 1},
		{"case", right, 1, 0},
		{"flood", right, 1, maxForeign},
		{"noise", right, 0, 6},
		{"garbage", right, 1, 0},
		{"twice", right, 0, 0},
		{"somebody", "", 0, 0},
		{"chain", right, 0, 0},
		{"loop", "malformed", 0, 0},
		{"long", "malformed", 0, 0},
	} {
		t.Run(tt.label, func(t *testing.T) {
			t.Parallel()
			r := connect(t, Options{}, h.addr)
			wants(t, r, tt.label+".Some-Long-Name.test", tt.want)
			st := r.Stats()
			if st.TCP != uint64(tt.tcp) || st.Foreign != uint64(tt.foreign) || st.Servers[0].Caseless {
				t.Errorf("%+v, want %d over tcp, %d ignored", st, tt.tcp, tt.foreign)
			}
		})
	}
}

func TestSilentServer(t *testing.T) {
	h := newHostile(t)
	const timeout = 150 * time.Millisecond
	r := connect(t, Options{Timeout: timeout}, h.addr)
	for _, label := range []string{"drop", "hold"} {
		if took := wants(t, r, label+".test", "timeout"); took < timeout || took > timeout+time.Second {
			t.Errorf("%s: took %v", label, took)
		}
	}
}

func TestPacketLost(t *testing.T) {
	h := newHostile(t)
	wants(t, connect(t, Options{}, h.addr), "lost.test", right)
	if n := h.udp.Load(); n != 2 {
		t.Errorf("%d questions", n)
	}
}

func TestAnotherServerAnswers(t *testing.T) {
	good := newHostile(t)
	bad := newHostile(t)
	bad.mute.Store(true)
	wants(t, connect(t, Options{}, bad.addr, good.addr), "x.test", right)
	wants(t, connect(t, Options{}, nobodyAt(t), good.addr), "x.test", right)
}

// nobodyAt is an address where nobody listens.
func nobodyAt(t *testing.T) netip.AddrPort {
	t.Helper()
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	return p.LocalAddr().(*net.UDPAddr).AddrPort()
}

func TestNobodyThere(t *testing.T) {
	addr := nobodyAt(t)
	r := connect(t, Options{}, addr)
	_, err := r.A(t.Context(), "key.zone.test")
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Unreachable || e.Server != addr || e.Name != "key.zone.test" || e.Type != "A" || !e.Temporary() {
		t.Errorf("%#v", err)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
	if strings.Contains(err.Error(), "key") {
		t.Errorf("the error gives the name away: %v", err)
	}
}

func TestFailure(t *testing.T) {
	for err, want := range map[error]Kind{
		os.NewSyscallError("socket", syscall.EMFILE):          Busy,
		os.NewSyscallError("connect", syscall.ENETUNREACH):    Unreachable,
		&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}: Timeout,
		io.EOF:        Unreachable,
		errUnreadable: Malformed,
	} {
		e := failure(question{"a.test", typeA}, netip.MustParseAddrPort("192.0.2.1:53"), err)
		if e.Kind != want || e.lasting() == (want == Busy) || e.Server.IsValid() == (want == Busy) {
			t.Errorf("%v: %#v", err, e)
		}
	}
}

func TestEveryType(t *testing.T) {
	h := newHostile(t)
	r := connect(t, Options{}, h.addr)
	texts, err := r.TXT(t.Context(), "big.test")
	if want := strings.Repeat("a", 200) + strings.Repeat("b", 100); err != nil || len(texts) != 10 || texts[9] != want {
		t.Error(texts, err)
	}
	if n := h.tcp.Load(); n != 1 {
		t.Errorf("%d questions over tcp", n)
	}
	// The server answers with A records whatever is asked: none of the type.
	for _, ask := range []func() (any, error){
		func() (any, error) { s, err := r.MX(t.Context(), "x.test"); return s == nil, err },
		func() (any, error) { s, err := r.PTR(t.Context(), netip.MustParseAddr(right)); return s == nil, err },
		func() (any, error) { s, err := r.IP(t.Context(), "x.test"); return fmt.Sprint(s) == "["+right+"]", err },
	} {
		if ok, err := ask(); ok != true || err != nil {
			t.Error(ok, err)
		}
	}
}

// A server that does not keep the case of letters is noticed once, and then believed over UDP.
func TestCaselessServer(t *testing.T) {
	h := newHostile(t)
	h.lower.Store(true)
	var log strings.Builder
	r := connect(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))}, h.addr)
	for i := range 10 {
		wants(t, r, fmt.Sprintf("the-name-no-%d.example.test", i), right)
	}
	if st := r.Stats(); st.TCP != 1 || !st.Servers[0].Caseless {
		t.Errorf("%+v", st)
	}
	r.Close()
	if n := strings.Count(log.String(), "case of letters"); n != 1 || strings.Contains(log.String(), "example") {
		t.Errorf("logged %d times: %s", n, log.String())
	}
}

// Ids and ports differ from question to question, and EDNS0 is used.
func TestSecretsOnTheWire(t *testing.T) {
	h := newHostile(t)
	r := connect(t, Options{}, h.addr)
	const n = 200
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { wants(t, r, fmt.Sprintf("%d.test", i), right) })
	}
	all.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ids) < n*9/10 || len(h.ports) < n*9/10 || h.edns < n {
		t.Errorf("of %d questions %d ids, %d ports, %d with EDNS0", n, len(h.ids), len(h.ports), h.edns)
	}
}

// Close does not wait for servers.
func TestCloseOnTheWire(t *testing.T) {
	h := newHostile(t)
	r := connect(t, Options{Timeout: maxTimeout}, h.addr)
	var all sync.WaitGroup
	for _, label := range []string{"hold", "drop"} {
		all.Go(func() { wants(t, r, label+".test", "closed") })
	}
	for range 2 { // until both are under way
		<-h.news
	}
	begun := time.Now()
	r.Close()
	all.Wait()
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("closing took %v", took)
	}
}

// A waiter whose time is over leaves, whatever the server does.
func TestWaiterLeavesOnTheWire(t *testing.T) {
	h := newHostile(t)
	r := connect(t, Options{Timeout: maxTimeout}, h.addr)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.A(ctx, "hold.test"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
