package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A direction is quiet most of the time: SMTP and IMAP sessions wait for one another.
// io.Copy takes its pipe before it waits, which costs an idle connection six
// descriptors and 51 KB of the kernel's memory instead of two and none. So a pump
// waits with nothing in its hands, moves small amounts through a borrowed buffer, and
// has the kernel splice only while bytes keep coming.
const (
	chunk   = 16 << 10              // bytes moved through a buffer at once
	streak  = 4                     // full chunks in a row that make a burst
	section = 256 << 10             // bytes of a burst between two looks at the clock
	lull    = 50 * time.Millisecond // a section that takes longer ends the burst
)

// splices says whether io.Copy moves the bytes of this direction without taking them
// through our memory: Linux does between two bare TCP connections.
func (p *pump) splices() bool {
	_, ok := p.dst.(*net.TCPConn)
	return ok && p.raw != nil && p.tap == nil && runtime.GOOS == "linux"
}

// buffers lends chunks to pumps that have bytes to move.
var buffers = sync.Pool{New: func() any { return new([chunk]byte) }}

// end says how a pump ended.
type end uint8

const (
	going       end = iota // not at all
	finished               // src has sent everything, and dst has got it
	idled                  // nothing moved for too long
	closed                 // the connections were closed on our side
	readFailed             // src is gone
	writeFailed            // dst is gone
)

// pump moves the bytes of one direction.
type pump struct {
	*carriage
	src, dst net.Conn
	from, to string    // the names of src and dst
	tap      io.Writer // shown what was sent; may be nil
	closes   Reason    // of the connection, when src finishes first

	raw   syscall.RawConn // of src; nil where it is no TCP connection
	buf   *[chunk]byte    // borrowed; nil while there is nothing in it
	got   int             // bytes in buf
	rerr  error           // of the read that left buf empty
	full  int             // quick full chunks in a row
	bytes int64           // moved
	ended end
	err   error // for readFailed and writeFailed
}

// run moves bytes until there are no more, and passes that on. What ends the whole
// connection closes it. A failed write does not: what dst has said before it went away
// is still to be carried, and the other pump sees for itself when that is over.
func (p *pump) run() {
	p.ended, p.err = p.move()
	switch p.ended {
	case finished:
		p.first.CompareAndSwap(0, uint32(p.closes))
		closeWrite(p.dst) // it fails if dst is gone, which the other pump sees
	case writeFailed:
	default:
		p.close()
	}
}

// move moves bytes until the direction ends.
func (p *pump) move() (end, error) {
	if src, ok := p.src.(*net.TCPConn); ok {
		raw, err := src.SyscallConn()
		if err != nil {
			return p.failed(readFailed, err)
		}
		p.raw = raw
	}
	p.touch()
	p.patience(p.src.SetReadDeadline) // what it returns, the first read or write finds out
	p.patience(p.dst.SetWriteDeadline)
	try := p.try // one closure for all reads
	for {
		if e, err := p.step(try); e != going {
			return e, err
		}
		if p.full < streak || !p.splices() {
			continue
		}
		p.full = 0
		if e, err := p.burst(); e != going {
			return e, err
		}
	}
}

// step waits for bytes and moves at most one chunk of them.
func (p *pump) step(try func(uintptr) bool) (end, error) {
	if e, err := p.read(try); e != going {
		return e, err
	}
	b, began := p.buf[:p.got], p.touch()
	e, err := p.write(b)
	if p.tap != nil {
		p.tap.Write(b)
	}
	buffers.Put(p.buf)
	p.buf = nil
	if p.full++; len(b) < chunk || time.Since(began) > lull {
		p.full = 0
	}
	return e, err
}

// read waits for bytes and leaves them in a borrowed buffer.
func (p *pump) read(try func(uintptr) bool) (end, error) {
	for {
		err := p.await(try)
		switch {
		case err == nil && p.rerr != nil:
			return p.failed(readFailed, os.NewSyscallError("read", p.rerr))
		case err == nil && p.got == 0:
			return finished, nil
		case err == nil:
			return going, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return p.failed(readFailed, err)
		}
		if e := p.patience(p.src.SetReadDeadline); e != going {
			return e, nil
		}
	}
}

// await waits until try has something; without a descriptor it reads in its stead, and
// has to hold a buffer meanwhile.
func (p *pump) await(try func(uintptr) bool) error {
	if p.raw != nil {
		return p.raw.Read(try)
	}
	var err error
	p.buf, p.got = buffers.Get().(*[chunk]byte), 0
	for p.got == 0 && err == nil { // a Reader may return nothing, which is not the end
		p.got, err = p.src.Read(p.buf[:])
	}
	if p.got > 0 {
		return nil // what was wrong, the next read says again
	}
	buffers.Put(p.buf)
	p.buf = nil
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// try reads what has arrived; false if that is nothing. It holds a buffer no longer
// than there is something in it.
func (p *pump) try(fd uintptr) bool {
	p.buf = buffers.Get().(*[chunk]byte)
	p.got, p.rerr = syscall.Read(int(fd), p.buf[:])
	for p.rerr == syscall.EINTR {
		p.got, p.rerr = syscall.Read(int(fd), p.buf[:])
	}
	if p.got <= 0 {
		buffers.Put(p.buf)
		p.buf = nil
	}
	return p.rerr != syscall.EAGAIN
}

// write writes b, however slowly dst takes it, as long as something moves. Only a bare
// connection can go on after a timeout: a TLS connection never writes again, so there the
// deadline begins with each chunk, which has to be taken within the idle time.
func (p *pump) write(b []byte) (end, error) {
	_, bare := p.dst.(*net.TCPConn)
	if !bare {
		p.dst.SetWriteDeadline(time.Now().Add(p.idle)) // if that fails, so does the write
	}
	for {
		n, err := p.dst.Write(b)
		p.count(int64(n))
		b = b[n:]
		switch {
		case err == nil:
			return going, nil
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return p.failed(writeFailed, err)
		case !bare:
			return idled, nil
		}
		if e := p.patience(p.dst.SetWriteDeadline); e != going {
			return e, nil
		}
	}
}

// burst has the kernel move bytes for as long as they keep coming. While it does, up
// to a section may be in the kernel's pipe, of which nobody can say how much has moved:
// so within a burst it is a section, not a byte, that has to move within the idle time.
func (p *pump) burst() (end, error) {
	defer p.patience(p.src.SetReadDeadline)
	for src := (&io.LimitedReader{R: p.src}); ; {
		began := time.Now()
		p.src.SetReadDeadline(began.Add(min(lull, p.idle/2)))
		p.dst.SetWriteDeadline(began.Add(p.idle))
		src.N = section
		n, err := io.Copy(p.dst, src)
		p.count(n)
		switch {
		case err == nil && n < section:
			return finished, nil
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return p.blame(err)
		case time.Since(began) < p.idle:
			return going, nil // src paused
		default:
			return idled, nil // dst took nothing, and bytes are lost in the pipe
		}
	}
}

// blame finds out which side a burst failed on: only a connection that still is one
// can have its writing half closed, and this direction is over in any case.
func (p *pump) blame(err error) (end, error) {
	if closeWrite(p.dst) != nil {
		return p.failed(writeFailed, err)
	}
	return p.failed(readFailed, err)
}

// closeWrite passes the end of a direction on. What cannot be half closed is closed.
func closeWrite(c net.Conn) error {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// count adds bytes that were moved.
func (p *pump) count(n int64) {
	if n > 0 {
		p.bytes += n
		p.touch()
	}
}

// failed returns e and err, unless it was ourselves that closed the connection: what a
// read or write says then is different for each kind of connection.
func (p *pump) failed(e end, err error) (end, error) {
	if p.shut.Load() {
		return closed, nil
	}
	return e, err
}
