package redis

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// A front stands before a Redis, and delays, cuts or refuses.
type front struct {
	l    net.Listener
	to   string
	wg   sync.WaitGroup
	done chan struct{}

	mu    sync.Mutex
	mode  mode
	conns []net.Conn
}

// A mode is what a front does with what it carries.
type mode struct {
	refuse bool
	delay  time.Duration // of all that Redis says
	mute   bool          // Redis hears, and its answers are lost
	loses  string        // the same, for answers that end so
}

// The modes that are used more than once.
var (
	pass   = mode{}
	refuse = mode{refuse: true}
)

func relay(t testing.TB, to string) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	f := &front{l: l, to: to, done: make(chan struct{})}
	f.wg.Go(f.accept)
	t.Cleanup(func() {
		close(f.done)
		l.Close()
		f.set(refuse)
		f.wg.Wait()
	})
	return f
}

func (f *front) addr() string { return f.l.Addr().String() }

// set changes the mode; connections that are open are cut when it refuses.
func (f *front) set(m mode) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mode = m
	if m.refuse {
		for _, c := range f.conns {
			c.Close()
		}
		f.conns = nil
	}
}

func (f *front) now() mode {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mode
}

func (f *front) accept() {
	for {
		c, err := f.l.Accept()
		if err != nil {
			return
		}
		up, err := net.Dial("tcp", f.to)
		if err == nil && f.now().refuse {
			up.Close()
		}
		if err != nil || f.now().refuse {
			c.Close()
			continue
		}
		f.mu.Lock()
		f.conns = append(f.conns, c, up)
		f.mu.Unlock()
		f.wg.Go(func() { io.Copy(up, c); up.Close() })
		f.wg.Go(func() { f.answer(c, up) })
	}
}

// answer carries what Redis says.
func (f *front) answer(c, up net.Conn) {
	defer c.Close()
	b := make([]byte, 1<<16)
	for {
		n, err := up.Read(b)
		if err != nil {
			return
		}
		m := f.now()
		select {
		case <-time.After(m.delay):
		case <-f.done:
			return
		}
		if m.mute || m.loses != "" && bytes.HasSuffix(b[:n], []byte(m.loses)) {
			continue
		}
		if _, err := c.Write(b[:n]); err != nil {
			return
		}
	}
}
