// Package origin finds out who is behind a stranger.
//
// It knows networks; SPF and confirmed reverse names have their place in
// [Finder] and are asked before the network where a Finder does so.
package origin

import (
	"context"
	"net/netip"

	"moggy/greylist"
)

// A Question is what is known of a stranger when its origin is asked for.
type Question struct {
	Peer   netip.Addr
	Helo   string
	Sender string // canonical mailbox; "" is the null sender
}

// A Finder finds origins. It always has an answer; degraded says that it is a
// poorer one than it should be, because something could not be asked.
type Finder interface {
	Find(ctx context.Context, q Question) (o greylist.Origin, degraded bool)
}

// Networks is the Finder that asks nobody: the /24 or /64 of the peer.
type Networks struct{}

// Find implements Finder.
func (Networks) Find(_ context.Context, q Question) (greylist.Origin, bool) {
	return Network(q.Peer), false
}

// Network is the origin of a peer of which nothing but its address is known: its
// /24, or /64 in IPv6 (RFC 6647 §5.5 and §7).
func Network(peer netip.Addr) greylist.Origin {
	peer = peer.Unmap().WithZone("")
	bits := 24
	if peer.Is6() {
		bits = 64
	}
	net := netip.PrefixFrom(peer, bits).Masked()
	return greylist.Origin{Kind: greylist.Network, Name: net.String()}
}
