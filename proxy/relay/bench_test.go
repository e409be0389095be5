package relay

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// copied is the plain way to carry a connection, for comparison.
func copied(_ context.Context, peer, backend net.Conn, _ Options) (r Result) {
	var pumps sync.WaitGroup
	pumps.Go(func() { r.Up, _ = io.Copy(backend, peer); closeWrite(backend) })
	r.Down, _ = io.Copy(peer, backend)
	closeWrite(peer)
	pumps.Wait()
	peer.Close()
	backend.Close()
	return r
}

func tapped(ctx context.Context, peer, backend net.Conn, o Options) Result {
	return CarryTapped(ctx, peer, backend, o, io.Discard)
}

// ways are the ways between a peer and a backend that are compared; nil is no proxy.
var ways = []struct {
	name  string
	carry func(context.Context, net.Conn, net.Conn, Options) Result
}{
	{"direct", nil}, {"carry", Carry}, {"tapped", tapped}, {"iocopy", copied},
}

// joined returns both far ends of a connection that is carried in some way.
func joined(b *testing.B, l *net.TCPListener, carry func(context.Context, net.Conn, net.Conn, Options) Result) (peer, backend *net.TCPConn) {
	if carry == nil {
		return pair(b, l)
	}
	peer, inner := pair(b, l)
	outer, backend := pair(b, l)
	go carry(b.Context(), inner, outer, Options{})
	return peer, backend
}

func BenchmarkCarryThroughput(b *testing.B) {
	block := make([]byte, 1<<20)
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			peer, backend := joined(b, listen(b), way.carry)
			b.SetBytes(int64(len(block)))
			read := make(chan struct{})
			go func() { io.Copy(writerOnly{}, backend); backend.Close(); close(read) }()
			for b.Loop() {
				peer.Write(block)
			}
			peer.CloseWrite()
			<-read
		})
	}
}

// writerOnly discards by reading, as a server would have to.
type writerOnly struct{}

func (writerOnly) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkCarryRoundTrip(b *testing.B) {
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			peer, backend := joined(b, listen(b), way.carry)
			go io.Copy(backend, struct{ io.Reader }{backend})
			line := make([]byte, 40)
			b.ReportAllocs()
			for b.Loop() {
				peer.Write(line)
				io.ReadFull(peer, line)
			}
			peer.Close()
		})
	}
}

// BenchmarkCarryConnections makes a connection, exchanges 4 KB, and closes it.
func BenchmarkCarryConnections(b *testing.B) {
	for _, way := range ways {
		b.Run(way.name, func(b *testing.B) {
			l := listen(b)
			request := make([]byte, 4<<10)
			b.ReportAllocs()
			for b.Loop() {
				exchange(b, l, way.carry, request)
			}
		})
	}
}

func exchange(b *testing.B, l *net.TCPListener, carry func(context.Context, net.Conn, net.Conn, Options) Result, request []byte) {
	peer, inner := connect(b, l)
	backend, done := inner, make(chan struct{})
	if carry == nil {
		close(done)
	} else {
		outer, far := connect(b, l)
		backend = far
		go func() { carry(b.Context(), inner, outer, Options{}); close(done) }()
	}
	<-send(peer, request)
	io.Copy(backend, struct{ io.Reader }{backend})
	backend.Close()
	io.Copy(writerOnly{}, peer)
	peer.Close()
	<-done
}

// connect is pair without a farewell at the end of the benchmark.
func connect(b *testing.B, l *net.TCPListener) (dialled, accepted *net.TCPConn) {
	dialled, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		b.Fatal(err)
	}
	accepted, err = l.AcceptTCP()
	if err != nil {
		b.Fatal(err)
	}
	return dialled, accepted
}
