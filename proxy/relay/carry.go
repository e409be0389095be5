package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// defaultIdle is the idle time of Options that name none: longer than any protocol
// carried here lets a quiet session live (IMAP servers keep one at least 30 minutes,
// RFC 9051 §5.4; SMTP servers 5, RFC 5321 §4.5.3.2.7).
const defaultIdle = 35 * time.Minute

// Options say how to carry a connection.
type Options struct {
	Idle time.Duration // how long neither direction may move a byte; 0 is 35 minutes
}

// Reason says why a carried connection ended.
type Reason uint8

// The reasons.
const (
	PeerClosed    Reason = iota + 1 // both sides finished, the peer first
	BackendClosed                   // both sides finished, the backend first
	PeerReset                       // the peer broke off; mail programs do so when QUIT was answered faster than they closed
	Idle                            // neither direction moved a byte for Options.Idle
	Cancelled                       // the context was done
	Failed                          // the backend was reset, or a side lost; Result.Err says which
)

// reasons are the names of the reasons, by value.
var reasons = [...]string{
	PeerClosed: "peer-closed", BackendClosed: "backend-closed", PeerReset: "peer-reset",
	Idle: "idle", Cancelled: "cancelled", Failed: "failed",
}

// String returns the reason as a word for logs and labels: "peer-closed",
// "backend-closed", "peer-reset", "idle", "cancelled" or "failed".
func (r Reason) String() string {
	if r > 0 && int(r) < len(reasons) {
		return reasons[r]
	}
	return fmt.Sprintf("reason(%d)", uint8(r))
}

// Reasons returns every reason there is.
func Reasons() []Reason {
	return []Reason{PeerClosed, BackendClosed, PeerReset, Idle, Cancelled, Failed}
}

// Result is what became of a carried connection.
type Result struct {
	Up     int64  // bytes from the peer to the backend
	Down   int64  // bytes from the backend to the peer
	Reason Reason // why it ended
	Err    error  // what failed; nil unless Reason is Failed
}

// Carry moves bytes between peer and backend, both ways, until both have finished.
// The end of one direction is passed on as such (half-close) and the other goes on:
// after the peer's last byte the backend's answer still arrives. When one side is
// reset, or ctx is done, or neither direction moves a byte for o.Idle, both are closed.
//
// Bare *net.TCPConn are carried with as little copying as the system allows; whatever
// wraps one is carried too, through memory. What has no CloseWrite cannot be half closed,
// and is closed instead.
//
// Carry takes over both connections and has closed both when it returns; what it
// started has then ended. Nothing may be left in a buffer of the caller's: such bytes
// are to be written before.
func Carry(ctx context.Context, peer, backend net.Conn, o Options) Result {
	return CarryTapped(ctx, peer, backend, o, nil)
}

// CarryTapped is Carry that shows tap what the peer sends, after it was sent on. tap
// is called from one goroutine at a time, must not keep the bytes, and cannot do harm
// beyond its own slowness: its errors are ignored. The kernel cannot move bytes that
// have to be shown, so the way up costs more than in Carry.
func CarryTapped(ctx context.Context, peer, backend net.Conn, o Options, tap io.Writer) Result {
	c := &carriage{peer: peer, backend: backend, idle: o.Idle, began: time.Now()}
	if c.idle <= 0 {
		c.idle = defaultIdle
	}
	cut := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { c.close(); close(cut) })
	up := &pump{carriage: c, src: peer, dst: backend, from: "peer", to: "backend", tap: tap, closes: PeerClosed}
	down := &pump{carriage: c, src: backend, dst: peer, from: "backend", to: "peer", closes: BackendClosed}

	var pumps sync.WaitGroup
	pumps.Go(up.run)
	down.run()
	pumps.Wait()
	c.close()
	if !stop() {
		<-cut
	}
	return c.result(up, down)
}

// carriage is what the two pumps of one connection share.
type carriage struct {
	peer, backend net.Conn
	idle          time.Duration
	began         time.Time
	moved         atomic.Int64  // when a byte last moved, in ns since began
	first         atomic.Uint32 // the Reason of the side that finished first
	shut          atomic.Bool   // we have begun to close both
}

// close closes both connections, which ends both pumps. The peer's may be one of TLS,
// whose farewell can take a while.
func (c *carriage) close() {
	c.shut.Store(true)
	c.backend.Close()
	c.peer.Close()
}

// touch notes that a byte has moved, and returns when.
func (c *carriage) touch() time.Time {
	now := time.Now()
	c.moved.Store(int64(now.Sub(c.began)))
	return now
}

// patience sets a deadline to when the connection will have been idle for too long, or
// returns idled if it has. It is called when a deadline has passed, not with every byte,
// and so a byte of either direction holds off the deadlines of both.
func (c *carriage) patience(set func(time.Time) error) end {
	left := c.idle - (time.Since(c.began) - time.Duration(c.moved.Load()))
	if left <= 0 {
		return idled
	}
	if set(time.Now().Add(left)) != nil {
		return closed
	}
	return going
}

// result says what became of the connection, from how its pumps ended.
func (c *carriage) result(up, down *pump) Result {
	r := Result{Up: up.bytes, Down: down.bytes}
	r.Reason, r.Err = Reason(c.first.Load()), errors.Join(up.failure(down), down.failure(up))
	switch {
	case up.ended == idled || down.ended == idled:
		r.Reason, r.Err = Idle, nil
	case peerReset(up, down):
		r.Reason, r.Err = PeerReset, nil
	case r.Err != nil:
		r.Reason = Failed
	case up.ended == closed || down.ended == closed:
		r.Reason = Cancelled
	}
	return r
}

// peerReset reports whether all that failed is that the peer broke off. Either pump may
// have met that first.
func peerReset(up, down *pump) bool {
	if up.ended == writeFailed || down.ended == readFailed {
		return false
	}
	return errors.Is(up.err, syscall.ECONNRESET) || errors.Is(down.err, syscall.ECONNRESET)
}

// failure returns the error that ended p, nil if it was no failure. A write that fails
// because the other end has closed is none: that end said all it wanted to say, which
// opposite has seen as the end of its stream. But a reset is a failure even then: some
// systems report it once only, here to p, and to opposite as an end.
func (p *pump) failure(opposite *pump) error {
	switch p.ended {
	case readFailed:
		return fmt.Errorf("read from %s: %w", p.from, p.err)
	case writeFailed:
		if opposite.ended != finished || errors.Is(p.err, syscall.ECONNRESET) {
			return fmt.Errorf("write to %s: %w", p.to, p.err)
		}
	}
	return nil
}
