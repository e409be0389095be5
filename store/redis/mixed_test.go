package redis

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"moggy/greylist"
)

// twice is a Redis whose answers to scripts come twice once: from then on each
// answer on that connection is that of the question before (CVE-2025-29923).
type twice struct {
	l    net.Listener
	to   string
	wg   sync.WaitGroup
	mu   sync.Mutex
	once bool
}

func (f *twice) accept() {
	for {
		c, err := f.l.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", f.to)
		if err != nil {
			c.Close()
			continue
		}
		f.wg.Go(func() { io.Copy(up, c); up.Close() })
		f.wg.Go(func() { f.answer(c, up) })
	}
}

func (f *twice) answer(c, up net.Conn) {
	defer c.Close()
	b := make([]byte, 1<<16)
	var again []byte
	for {
		n, err := up.Read(b)
		if err != nil {
			return
		}
		c.Write(append(again, b[:n]...))
		if again = nil; f.now(b[:n]) {
			again = bytes.Clone(b[:n])
		}
	}
}

// now reports whether this is the answer that comes twice, the second time when
// the next is waited for: the library would notice it before.
func (f *twice) now(b []byte) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.once || !bytes.Contains(b, []byte("first-seen")) {
		return false
	}
	f.once = false
	return true
}

// TestMixedAnswers: an answer to another question is not believed, and not given
// twice.
func TestMixedAnswers(t *testing.T) {
	server := start(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &twice{l: l, to: server.addr(), once: true}
	f.wg.Go(f.accept)
	t.Cleanup(func() { l.Close(); f.wg.Wait() })
	s := openAt(t, Options{URL: "redis://" + l.Addr().String() + "?prefix=x", patience: calm})
	must(t, s.Sync())
	old := s.client.Load()
	for i := range 20 {
		x := wide(i, at(0))
		if r := try(t, s, x); r.Outcome != greylist.FirstSeen {
			t.Errorf("%d was taken for another: %+v", i, r)
		}
	}
	eventually(t, 5*time.Second, "goes on with connections that cannot be believed", func() bool {
		var wg sync.WaitGroup
		for i := range 8 { // on all connections
			wg.Go(func() { s.Try(context.Background(), wide(100+i, at(0))) })
		}
		wg.Wait()
		return s.client.Load() != old
	})
	must(t, s.Sync())
	direct := openAt(t, Options{URL: server.url("x"), patience: calm})
	for i := range 20 {
		if r, err := direct.Peek(context.Background(), wide(i, at(1))); err != nil || r.Outcome != greylist.TooEarly || !r.First.Equal(at(0)) {
			t.Errorf("%d is kept as %+v, %v", i, r, err)
		}
	}
}
