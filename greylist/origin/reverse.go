package origin

import (
	"context"
	"net/netip"
	"slices"
)

// maxPTR is how many names of one address are looked at (RFC 7208 §4.6.4 has the
// same for its ptr).
const maxPTR = 10

// Reverse is what came of the reverse name.
type Reverse string

// What can come of the reverse name.
const (
	ReverseConfirmed   Reverse = "confirmed"
	ReverseNone        Reverse = "none"        // no name, or none that a host can have
	ReverseGeneric     Reverse = "generic"     // a name that only numbers a line or a machine
	ReverseUnconfirmed Reverse = "unconfirmed" // the name does not lead back: forged, or forgotten
	ReverseFailed      Reverse = "failed"      // not known
	ReverseUnasked     Reverse = "unasked"     // SPF had decided
)

// Reverses are all that can come of the reverse name.
func Reverses() []Reverse {
	return []Reverse{ReverseConfirmed, ReverseNone, ReverseGeneric, ReverseUnconfirmed, ReverseFailed, ReverseUnasked}
}

type reverseFound struct {
	domain string // the registered domain; "" where no name is good for one
	result Reverse
}

// reverse finds the registered domain of a confirmed reverse name that is not
// generic.
func (d *DNS) reverse(ctx context.Context, peer netip.Addr) reverseFound {
	names, err := d.names(ctx, peer)
	if err != nil {
		return reverseFound{result: ReverseFailed}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return registered(n) == "" })
	if len(names) == 0 {
		return reverseFound{result: ReverseNone}
	}
	names = slices.DeleteFunc(names, func(n string) bool { return generic(n, peer) })
	if len(names) == 0 {
		return reverseFound{result: ReverseGeneric}
	}
	name, failed := d.confirm(ctx, peer, names)
	switch {
	case name != "":
		return reverseFound{registered(name), ReverseConfirmed}
	case failed:
		return reverseFound{result: ReverseFailed}
	}
	return reverseFound{result: ReverseUnconfirmed}
}

// names asks for the host names of an address: at most maxPTR, sorted, because
// servers shuffle their answers and an origin should not follow them.
func (d *DNS) names(ctx context.Context, addr netip.Addr) ([]string, error) {
	names, err := d.resolver.PTR(ctx, addr)
	if err != nil {
		d.log.Debug("reverse name not known", "peer", addr, "error", err)
		return nil, err
	}
	return hostNames(names), nil
}

// hostNames are those of the names that are host names, folded. Any byte at all
// may stand in a PTR record.
func hostNames(names []string) []string {
	var hosts []string
	for _, n := range names {
		if n = fold(n); hostName(n) {
			hosts = append(hosts, n)
		}
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	return hosts[:min(len(hosts), maxPTR)]
}

// confirm returns the first of the names that has addr among its addresses.
// failed says that one could not be asked.
func (d *DNS) confirm(ctx context.Context, addr netip.Addr, names []string) (name string, failed bool) {
	for _, n := range names {
		if ctx.Err() != nil {
			return "", true
		}
		addrs, err := d.resolver.IP(ctx, n)
		if err != nil {
			d.log.Debug("reverse name not confirmed", "peer", addr, "name", n, "error", err)
			failed = true
		}
		if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return canonical(a) == addr }) {
			return n, failed
		}
	}
	return "", failed
}
