package relay

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/pires/go-proxyproto"
)

// header returns the PROXY header of a connection that peer made to local, or
// nothing if the form has none.
//
// The families of both addresses must be one (proxy-protocol.txt §2.1, §2.2). What
// the backend acts on is the peer's, so that one decides: a local address that is
// unknown or of the other family becomes the unspecified address, its port kept.
func (f Form) header(peer, local netip.AddrPort) ([]byte, error) {
	if f != ProxyV1 && f != ProxyV2 {
		return nil, nil
	}
	peer, local = plain(peer), plain(local)
	if !peer.IsValid() {
		return nil, fmt.Errorf("%s header: the peer's address is not known", f)
	}
	h := proxyproto.Header{
		Command:           proxyproto.PROXY,
		TransportProtocol: proxyproto.TCPv6,
		SourceAddr:        net.TCPAddrFromAddrPort(peer),
	}
	unspecified := netip.IPv6Unspecified()
	if peer.Addr().Is4() {
		h.TransportProtocol, unspecified = proxyproto.TCPv4, netip.IPv4Unspecified()
	}
	if local.Addr().BitLen() != peer.Addr().BitLen() {
		local = netip.AddrPortFrom(unspecified, local.Port())
	}
	h.DestinationAddr = net.TCPAddrFromAddrPort(local)
	return f.format(h)
}

// localHeader returns the header that says "this connection is the proxy's own", which
// is from near to far: LOCAL in version 2 (16 bytes), the connection's own addresses in
// version 1, nothing in the other forms.
func (f Form) localHeader(near, far netip.AddrPort) ([]byte, error) {
	switch f {
	case ProxyV1:
		// Version 1 has no LOCAL. UNKNOWN would do (§2.1), but Postfix refuses it.
		return f.header(near, far)
	case ProxyV2:
		return f.format(proxyproto.Header{Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC})
	}
	return nil, nil
}

// format writes h in the version of f.
func (f Form) format(h proxyproto.Header) ([]byte, error) {
	h.Version = 2
	if f == ProxyV1 {
		h.Version = 1
	}
	b, err := h.Format()
	if err != nil {
		return nil, fmt.Errorf("%s header: %w", f, err)
	}
	return b, nil
}

// plain returns a without what a header cannot carry: an IPv4 address mapped into
// IPv6 becomes IPv4, and an IPv6 zone is left out.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}
