package tarpit

import (
	"cmp"
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Pit holds connections. Its slots bound every state it keeps; when all are
// taken Reserve says no, and that is all that is given up.
type Pit struct {
	o       Options
	taken   atomic.Int64
	closing atomic.Bool // set with mu held

	mu   sync.Mutex
	held map[*Held]struct{}
	wait sync.WaitGroup
}

// New makes an empty Pit.
func New(o Options) *Pit {
	o.Write = cmp.Or(o.Write, o.Timeout)
	return &Pit{o: o, held: make(map[*Held]struct{})}
}

// Reserve takes a slot, if there is one. Each slot taken goes to Hold or back
// to Release.
func (p *Pit) Reserve() bool {
	if p.closing.Load() {
		return false
	}
	if p.taken.Add(1) > int64(p.o.Slots) {
		p.taken.Add(-1)
		return false
	}
	return true
}

// Release gives a slot back that was not used.
func (p *Pit) Release() { p.taken.Add(-1) }

// Taken is the number of slots in use.
func (p *Pit) Taken() int { return int(p.taken.Load()) }

// Slots is the number of slots.
func (p *Pit) Slots() int { return p.o.Slots }

// Hold takes conn over, with a reserved slot, and returns at once. The Talker is
// called until it has been told that the connection Left. In a Pit that closes, of
// which nobody may wait for it any more, that is before Hold returns.
func (p *Pit) Hold(conn net.Conn, t Talker) *Held {
	h := &Held{pit: p, conn: conn, talker: t, since: time.Now(), woken: make(chan struct{}, 1)}
	p.mu.Lock()
	p.held[h] = struct{}{}
	late := p.closing.Load()
	if !late {
		p.wait.Go(h.run)
	}
	p.mu.Unlock()
	if late {
		h.run()
	}
	return h
}

// Close lets everybody go at once, and returns when all have left. What a Talker
// does with a connection it parted with is waited for as well, until ctx ends.
func (p *Pit) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closing.Store(true)
	for h := range p.held {
		h.wake()
	}
	p.mu.Unlock()
	done := make(chan struct{})
	go func() { p.wait.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave takes h out of the books. It is called before Left, so that a peer that
// is handed over no longer counts among the held.
func (p *Pit) leave(h *Held) {
	p.mu.Lock()
	delete(p.held, h)
	p.mu.Unlock()
	p.Release()
}
