package peers

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
)

// SourcePool carries connections to target, each from the next address of the prefix (127.9.3.0/28), the first one
// included, and begins again after the last. From a prefix wider than a /24 (127.9.0.0/16), each comes from the next /24
// and from the next host of it. It returns the address to call instead of target: a sender that calls there looks like
// a pool of senders.
func SourcePool(t testing.TB, target string, prefix netip.Prefix) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := pool{target: target, prefix: prefix.Masked()}
	var serving sync.WaitGroup
	serving.Go(func() { p.serve(ctx, l) })
	t.Cleanup(func() {
		cancel()
		l.Close()
		serving.Wait()
	})
	return l.Addr().String()
}

// pool is where a SourcePool carries to, and from where.
type pool struct {
	target string
	prefix netip.Prefix
}

// serve carries what l accepts and returns when l is closed and all is carried or cut off.
func (p pool) serve(ctx context.Context, l net.Listener) {
	var carrying sync.WaitGroup
	defer carrying.Wait()
	for source := p.prefix.Addr(); ; source = p.after(source) {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		carrying.Go(func() { p.carry(ctx, conn.(*net.TCPConn), source) })
	}
}

// after returns the address after this one, in a circle.
func (p pool) after(source netip.Addr) netip.Addr {
	next := source.Next()
	if a := next.As4(); p.prefix.Bits() < 24 {
		binary.BigEndian.PutUint32(a[:], binary.BigEndian.Uint32(a[:])+256)
		next = netip.AddrFrom4(a)
	}
	if p.prefix.Contains(next) {
		return next
	}
	return p.prefix.Addr()
}

// carry joins conn with a connection to the target and closes both in the end. A half that closes is closed on the
// other side too; ctx cuts both off.
func (p pool) carry(ctx context.Context, conn *net.TCPConn, source netip.Addr) {
	defer conn.Close()
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0))}
	out, err := dialer.DialContext(ctx, "tcp", p.target)
	if err != nil {
		return // the caller sees a connection that ends at once, as from a server that is down
	}
	defer out.Close()
	defer context.AfterFunc(ctx, func() {
		conn.Close()
		out.Close()
	})()
	there := out.(*net.TCPConn)
	var copying sync.WaitGroup
	copying.Go(func() { oneWay(there, conn) })
	copying.Go(func() { oneWay(conn, there) })
	copying.Wait()
}

// oneWay copies until src ends, and passes the end on.
func oneWay(dst, src *net.TCPConn) {
	io.Copy(dst, src)
	dst.CloseWrite()
}
