package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair returns the two ends of a connection over loopback.
func pair(t testing.TB, l *net.TCPListener) (dialled, accepted *net.TCPConn) {
	t.Helper()
	dialled, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled, accepted
}

// carried is a connection in the course of being carried, seen from its far ends.
type carried struct {
	peer, backend *net.TCPConn
	done          <-chan Result
}

// start carries a connection with a tap, if there is one.
func start(t testing.TB, ctx context.Context, o Options, tap io.Writer) carried {
	t.Helper()
	l := listen(t)
	peer, inner := pair(t, l)
	outer, backend := pair(t, l)
	done := make(chan Result, 1)
	go func() { done <- CarryTapped(ctx, inner, outer, o, tap) }()
	return carried{peer, backend, done}
}

// plenty is more than the buffers of the system take on the way to a backend that does
// not read.
var plenty = make([]byte, 64<<20)

// stream returns n bytes that nobody would send by accident.
func stream(seed byte, n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// send writes b to c in the background, and then ends the stream.
func send(c *net.TCPConn, b []byte) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := c.Write(b)
		done <- errors.Join(err, c.CloseWrite())
	}()
	return done
}

// receive reads c to its end and checks that it said want.
func receive(t testing.TB, c net.Conn, want []byte) {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("after %d bytes: %v", len(got), err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, want the %d that were sent", len(got), len(want))
	}
}

func check(t testing.TB, got Result, reason Reason, up, down int) {
	t.Helper()
	if got.Reason != reason || (got.Err != nil) != (reason == Failed) {
		t.Errorf("ended with %s, %v, want %s", got.Reason, got.Err, reason)
	}
	if got.Up != int64(up) || got.Down != int64(down) {
		t.Errorf("carried %d up and %d down, want %d and %d", got.Up, got.Down, up, down)
	}
}

func TestCarryIsExact(t *testing.T) {
	sizes := []int{0, 1, chunk - 1, chunk, chunk + 1, streak * chunk, streak*chunk + 1, streak*chunk + section, 3 * section, 64 << 20}
	for _, n := range sizes {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			if testing.Short() && n > 1<<20 {
				t.Skip("long")
			}
			c := start(t, t.Context(), Options{}, nil)
			request, answer := stream('u', n), stream('d', n+1)
			sent := send(c.peer, request)
			receive(t, c.backend, request) // to the end of the peer's stream
			answered := send(c.backend, answer)
			receive(t, c.peer, answer)
			if err := errors.Join(<-sent, <-answered); err != nil {
				t.Error(err)
			}
			check(t, <-c.done, PeerClosed, n, n+1)
		})
	}
}

func TestCarryBothWaysAtOnce(t *testing.T) {
	const n = 8 << 20
	for _, tapped := range []bool{false, true} {
		t.Run(fmt.Sprintf("tapped=%t", tapped), func(t *testing.T) {
			var shown bytes.Buffer
			var tap io.Writer
			if tapped {
				tap = &shown
			}
			c := start(t, t.Context(), Options{}, tap)
			up, down := stream('u', n), stream('d', n)
			sent, answered := send(c.peer, up), send(c.backend, down)
			read := make(chan struct{})
			go func() { receive(t, c.backend, up); close(read) }()
			receive(t, c.peer, down)
			<-read
			r := <-c.done
			if err := errors.Join(<-sent, <-answered); err != nil {
				t.Error(err)
			}
			if r.Err != nil || r.Up != n || r.Down != n {
				t.Errorf("ended with %+v", r)
			}
			if tapped && !bytes.Equal(shown.Bytes(), up) {
				t.Errorf("the tap saw %d bytes, want the %d of the peer", shown.Len(), n)
			}
		})
	}
}

func TestCarryBackendFirst(t *testing.T) {
	c := start(t, t.Context(), Options{}, nil)
	<-send(c.backend, []byte("421 bye\r\n"))
	receive(t, c.peer, []byte("421 bye\r\n"))
	<-send(c.peer, []byte("QUIT\r\n"))
	receive(t, c.backend, []byte("QUIT\r\n"))
	check(t, <-c.done, BackendClosed, 6, 9)
}

// brokenTap fails at once, and does not even say how much it took.
type brokenTap struct{}

func (brokenTap) Write([]byte) (int, error) { return 0, errors.New("broken") }

func TestCarryTapDoesNoHarm(t *testing.T) {
	c := start(t, t.Context(), Options{}, brokenTap{})
	request := stream('u', 1<<20)
	sent := send(c.peer, request)
	receive(t, c.backend, request)
	<-sent
	c.backend.Close()
	receive(t, c.peer, nil)
	check(t, <-c.done, PeerClosed, len(request), 0)
}

func TestCarryIdle(t *testing.T) {
	c := start(t, t.Context(), Options{Idle: 20 * time.Millisecond}, nil)
	receive(t, c.peer, nil)
	receive(t, c.backend, nil)
	check(t, <-c.done, Idle, 0, 0)
}

func TestCarryIdleHalfClosed(t *testing.T) {
	c := start(t, t.Context(), Options{Idle: 500 * time.Millisecond}, nil)
	<-send(c.peer, []byte("hello"))
	receive(t, c.backend, []byte("hello"))
	check(t, <-c.done, Idle, 5, 0)
}

// A backend that stops reading leaves bytes on the way, which is idle all the same.
func TestCarryIdleWhileFull(t *testing.T) {
	for _, tap := range []io.Writer{nil, io.Discard} { // by burst, and by chunk
		c := start(t, t.Context(), Options{Idle: 50 * time.Millisecond}, tap)
		sent := send(c.peer, plenty)
		r := <-c.done
		if r.Reason != Idle || r.Err != nil {
			t.Errorf("ended with %+v", r)
		}
		if <-sent == nil {
			t.Error("the peer could send everything to nobody")
		}
	}
}

func TestCarryCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := start(t, ctx, Options{}, nil)
	io.WriteString(c.peer, "hello")
	if _, err := io.ReadFull(c.backend, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	cancel()
	check(t, <-c.done, Cancelled, 5, 0)
	receive(t, c.peer, nil)
	receive(t, c.backend, nil)

	check(t, <-start(t, ctx, Options{}, nil).done, Cancelled, 0, 0) // from the first
}

func TestCarryCancelledWhileFull(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := start(t, ctx, Options{}, nil)
	sent := send(c.peer, plenty)
	if _, err := io.CopyN(io.Discard, c.backend, 4<<20); err != nil {
		t.Fatal(err)
	}
	cancel()
	if r := <-c.done; r.Reason != Cancelled || r.Err != nil {
		t.Errorf("ended with %+v", r)
	}
	<-sent
}

// reset closes c without a farewell.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

func TestCarryReset(t *testing.T) {
	c := start(t, t.Context(), Options{}, nil)
	reset(c.peer)
	receive(t, c.backend, nil)
	check(t, <-c.done, PeerReset, 0, 0)

	c = start(t, t.Context(), Options{}, nil)
	reset(c.backend)
	receive(t, c.peer, nil)
	r := <-c.done
	check(t, r, Failed, 0, 0)
	if !errors.Is(r.Err, syscall.ECONNRESET) || !strings.Contains(r.Err.Error(), "read from backend") {
		t.Errorf("backend reset: error %v", r.Err)
	}
}

// A mail program that sends QUIT and closes at once is reset when the answer was faster:
// it has lost nothing, and nothing has failed.
func TestCarryHastyFarewell(t *testing.T) {
	c := start(t, t.Context(), Options{}, nil)
	io.WriteString(c.peer, "QUIT\r\n")
	if _, err := io.ReadFull(c.backend, make([]byte, 6)); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c.backend, "221 bye\r\n")
	c.peer.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadFull(c.peer, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	c.peer.Close() // with the rest of the answer unread: a reset
	receive(t, c.backend, nil)
	check(t, <-c.done, PeerReset, 6, 9)
}

func TestCarryResetWhileFull(t *testing.T) {
	for _, side := range []string{"peer", "backend"} {
		c := start(t, t.Context(), Options{}, nil)
		sent := send(c.peer, plenty)
		if _, err := io.CopyN(io.Discard, c.backend, 4<<20); err != nil {
			t.Fatal(err)
		}
		if side == "peer" {
			reset(c.peer)
			io.Copy(io.Discard, c.backend)
		} else {
			reset(c.backend)
			io.Copy(io.Discard, c.peer)
		}
		want := map[string]Reason{"peer": PeerReset, "backend": Failed}[side]
		if r := <-c.done; r.Reason != want || (r.Err != nil) != (want == Failed) {
			t.Errorf("%s reset: ended with %+v", side, r)
		}
		<-sent
	}
}

// What a backend said before it broke off must arrive, as the reason why mail was
// refused often is said just so.
func TestCarryLastWords(t *testing.T) {
	const words = "552 too big\r\n"
	c := start(t, t.Context(), Options{}, nil)
	sent := send(c.peer, plenty)
	if _, err := io.CopyN(io.Discard, c.backend, 1<<20); err != nil {
		t.Fatal(err)
	}
	io.WriteString(c.backend, words)
	c.backend.Close() // with the peer's bytes unread: a reset
	got := make([]byte, len(words))
	if _, err := io.ReadFull(c.peer, got); err != nil || string(got) != words {
		t.Errorf("got %q, %v", got, err)
	}
	<-sent
	if r := <-c.done; r.Down != int64(len(words)) {
		t.Errorf("ended with %+v", r)
	}
}

func TestPatience(t *testing.T) {
	const idle = time.Minute
	c := &carriage{idle: idle, began: time.Now().Add(-time.Hour)}
	var deadline time.Time
	set := func(t time.Time) error { deadline = t; return nil }

	if got := c.patience(set); got != idled || !deadline.IsZero() {
		t.Errorf("idle for an hour: %d, deadline %s", got, deadline)
	}
	moved := c.touch() // as the other direction does
	if got := c.patience(set); got != going || deadline.Before(moved) || deadline.After(time.Now().Add(idle)) {
		t.Errorf("not idle: %d, deadline %s", got, deadline)
	}
	if got := c.patience(func(time.Time) error { return net.ErrClosed }); got != closed {
		t.Errorf("closed: %d", got)
	}
}

func TestResult(t *testing.T) {
	reset := os.NewSyscallError("write", syscall.ECONNRESET)
	broken := os.NewSyscallError("write", syscall.EPIPE)
	for _, test := range []struct {
		name     string
		up, down pump
		first    Reason
		want     Reason
	}{
		{"both finished", pump{ended: finished}, pump{ended: finished}, BackendClosed, BackendClosed},
		{"idle", pump{ended: closed}, pump{ended: idled}, 0, Idle},
		{"idle after the peer closed", pump{ended: finished}, pump{ended: idled}, PeerClosed, Idle},
		{"cancelled", pump{ended: closed}, pump{ended: closed}, 0, Cancelled},
		{"cancelled after the peer closed", pump{ended: finished}, pump{ended: closed}, PeerClosed, Cancelled},
		{"peer reset", pump{ended: readFailed, err: reset}, pump{ended: closed}, 0, PeerReset},
		{"peer reset after its end", pump{ended: finished}, pump{ended: writeFailed, err: reset}, PeerClosed, PeerReset},
		{"peer lost", pump{ended: readFailed, err: os.NewSyscallError("read", syscall.ETIMEDOUT)}, pump{ended: closed}, 0, Failed},
		{"both reset", pump{ended: readFailed, err: reset}, pump{ended: readFailed, err: reset}, 0, Failed},
		{"backend reset", pump{ended: closed}, pump{ended: readFailed, err: reset}, 0, Failed},
		{"written to a closed backend", pump{ended: writeFailed, err: broken}, pump{ended: finished}, BackendClosed, BackendClosed},
		{"reset seen by the writer only", pump{ended: writeFailed, err: reset}, pump{ended: finished}, BackendClosed, Failed},
	} {
		c := new(carriage)
		c.first.Store(uint32(test.first))
		got := c.result(&test.up, &test.down)
		if got.Reason != test.want || (got.Err != nil) != (test.want == Failed) {
			t.Errorf("%s: %s, %v, want %s", test.name, got.Reason, got.Err, test.want)
		}
	}
}

func TestReasons(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Reasons() {
		seen[r.String()] = true
	}
	if len(seen) != len(reasons)-1 {
		t.Errorf("%v, want every reason once", seen)
	}
	if got := Reason(0).String(); got != "reason(0)" {
		t.Errorf("got %q", got)
	}
}

// An idle connection costs its two descriptors, however much it has carried before.
func TestCarryIdleHoldsNoPipe(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc/self/fd")
	}
	c := start(t, t.Context(), Options{}, nil)
	before := descriptors(t)
	for range 100 {
		ping(t, c.peer, c.backend)
		ping(t, c.backend, c.peer)
	}
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors, want %d as at the start", after, before)
	}
}

func ping(t *testing.T, from, to *net.TCPConn) {
	t.Helper()
	io.WriteString(from, "ping")
	if _, err := io.ReadFull(to, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}
