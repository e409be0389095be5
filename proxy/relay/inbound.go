package relay

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/pires/go-proxyproto"
)

// Announced is what a PROXY header says of the connection that it begins.
type Announced struct {
	Peer  netip.AddrPort // the true client; not valid when Own
	Local netip.AddrPort // where the client had connected to; not valid when Own
	Own   bool           // the proxy in front speaks for itself (LOCAL, UNKNOWN): a health check
}

// ErrHeader is wrapped by every complaint about a PROXY header that cannot be believed.
var ErrHeader = errors.New("no PROXY header")

// The bounds of a header (proxy-protocol.txt §2.1, §2.2). The length of version 2
// is a promise of up to 65,535 bytes; no balancer sends a tenth of it.
const (
	maxV1     = 107
	leastV1   = len("PROXY UNKNOWN\r\n")
	prefixV2  = 16
	maxBodyV2 = 8 << 10
)

// ReadHeader reads the PROXY header, of version 1 or 2, that conn must begin with, and
// not a byte more: what follows is still in the connection, so that the kernel can move
// it. All of the header has to come within patience; nothing is to be said to the peer
// before. The connection has no deadline afterwards.
func ReadHeader(conn net.Conn, patience time.Duration) (Announced, error) {
	if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return Announced{}, err
	}
	text, err := cutHeader(conn)
	if err != nil {
		return Announced{}, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return Announced{}, err
	}
	return parseHeader(text)
}

// cutHeader reads a header to its end, whatever it says.
func cutHeader(r io.Reader) ([]byte, error) {
	b := make([]byte, leastV1, maxV1)
	if _, err := io.ReadFull(r, b[:1]); err != nil {
		return nil, err
	}
	if b[0] == proxyproto.SIGV2[0] {
		return cutV2(r)
	}
	if b[0] != proxyproto.SIGV1[0] {
		return nil, errors.New("the first byte is of something else")
	}
	if _, err := io.ReadFull(r, b[1:]); err != nil {
		return nil, err
	}
	for !bytes.HasSuffix(b, []byte("\r\n")) {
		if len(b) == maxV1 || bytes.IndexByte(b, '\n') >= 0 {
			return nil, errors.New("the line of version 1 does not end as it must")
		}
		b = b[:len(b)+1]
		if _, err := io.ReadFull(r, b[len(b)-1:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// cutV2 reads what follows the first byte of version 2, by its own length.
func cutV2(r io.Reader) ([]byte, error) {
	b := make([]byte, prefixV2, 64)
	b[0] = proxyproto.SIGV2[0]
	if _, err := io.ReadFull(r, b[1:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint16(b[prefixV2-2:])
	if !bytes.HasPrefix(b, proxyproto.SIGV2) || n > maxBodyV2 {
		return nil, errors.New("neither version 1 nor version 2")
	}
	b = append(b, make([]byte, n)...)
	_, err := io.ReadFull(r, b[prefixV2:])
	return b, err
}

// parseHeader says what a whole header says.
func parseHeader(text []byte) (Announced, error) {
	h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(text)))
	if err != nil {
		return Announced{}, fmt.Errorf("%w: %w", ErrHeader, err)
	}
	if h.Command == proxyproto.LOCAL || (h.Version == 1 && h.TransportProtocol == proxyproto.UNSPEC) {
		return Announced{Own: true}, nil
	}
	src, ok1 := h.SourceAddr.(*net.TCPAddr)
	dst, ok2 := h.DestinationAddr.(*net.TCPAddr)
	if !ok1 || !ok2 {
		return Announced{}, fmt.Errorf("%w: it speaks of something that is no TCP", ErrHeader)
	}
	a := Announced{Peer: plain(src.AddrPort()), Local: plain(dst.AddrPort())}
	if !a.Peer.IsValid() || a.Peer.Addr().IsUnspecified() {
		return Announced{}, fmt.Errorf("%w: it names no client", ErrHeader)
	}
	return a, nil
}
