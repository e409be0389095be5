package proxy

import (
	"net"
	"testing"
)

// On a real connection: who closes without a word is gone, who breaks off is too;
// who said its piece and closed its side may still be listening.
func TestEarOnTCP(t *testing.T) {
	for name, tc := range map[string]struct {
		do   func(*net.TCPConn)
		said string
		gone bool
	}{
		"closed":      {func(c *net.TCPConn) { c.Close() }, "", true},
		"half closed": {func(c *net.TCPConn) { c.Write([]byte("QUIT\r\n")); c.CloseWrite() }, "QUIT\r\n", false},
		"reset":       {func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := tcpPair(t)
			e := listenTo(ours)
			tc.do(theirs)
			<-e.done
			gone := e.gone()
			if said := string(e.stop()); gone != tc.gone || said != tc.said {
				t.Errorf("gone %v, said %q", gone, said)
			}
		})
	}
}

// Who waits on is stopped at any time, and can be read from again.
func TestEarLeavesNoDeadline(t *testing.T) {
	ours, theirs := tcpPair(t)
	e := listenTo(ours)
	if said := e.stop(); len(said) > 0 || e.gone() {
		t.Errorf("gone %v, said %q", e.gone(), said)
	}
	theirs.Write([]byte("x"))
	if n, err := ours.Read(make([]byte, 2)); n != 1 || err != nil {
		t.Errorf("afterwards %d bytes, %v", n, err)
	}
}

// tcpPair is the two ends of a connection on loopback.
func tcpPair(t *testing.T) (ours, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted := must(l.Accept())
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return accepted.(*net.TCPConn), dialed.(*net.TCPConn)
}
