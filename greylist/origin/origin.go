// Package origin finds out who is behind a stranger: the domain of an SPF pass,
// else the domain of its confirmed reverse name, else its network.
//
// An origin is a name to remember by and nothing else. SPF grants no trust: a
// throw-away domain passes as well as a bank does, and waits as long.
//
// The package knows SPF (RFC 7208, by a library), the public suffix list, and
// how names of dynamic pools look. It does not know how DNS is asked (a
// [Resolver] does, and remembers), what is done with an origin (package
// greylist), or who is trusted.
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

// A Resolver asks DNS. An answer of nil and a nil error means that there is no
// such name or no such record; an error, that it is not known whether there is.
// Methods may be called from many goroutines, and return soon after ctx is done.
// What they return is the text of strangers, and is taken for nothing better.
type Resolver interface {
	// TXT returns the TXT records of name, the strings of each put together
	// (RFC 7208 §3.3).
	TXT(ctx context.Context, name string) ([]string, error)

	// MX returns the mail hosts of name, the preferred first.
	MX(ctx context.Context, name string) ([]string, error)

	// IP returns the A and AAAA records of name. Where only one of the two is
	// known, it may return that with the error about the other.
	IP(ctx context.Context, name string) ([]netip.Addr, error)

	// PTR returns the names that the reverse zone has for addr.
	PTR(ctx context.Context, addr netip.Addr) ([]string, error)
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
	return greylist.Origin{Kind: greylist.Network, Name: Net(peer).String()}
}

// Net is the /24 or /64 of a peer.
func Net(peer netip.Addr) netip.Prefix {
	peer = canonical(peer)
	bits := 24
	if peer.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(peer, bits).Masked()
}

// canonical is the one form of an address: no IPv4 inside IPv6, no zone.
func canonical(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }
