// Package dnsbl knows what DNS lists say of a peer, and how far each of them can
// be believed: weights, scores, health (RFC 5782, RFC 6471).
//
// A list that names everybody or nobody, or answers with errors, counts for
// nothing until its test points are right again; what a list does not say is
// never taken for an answer. The package does not know the wire, caches or
// servers (a [Resolver] does), nor what becomes of a peer that is listed.
package dnsbl

import (
	"context"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// A Resolver finds the A records of a name, which has no dot at its end. None
// and no error: the name does not exist. An error: it is not known whether it
// does. A returns by the deadline of ctx; as long as it does not, it holds one
// of the [Options].Questions.
type Resolver interface {
	A(ctx context.Context, name string) ([]netip.Addr, error)
}

// A List is one DNS list.
type List struct {
	Zone    string        // what is asked; it may hold a key and is never shown
	Name    string        // what is shown in its place; default: [Shown] of the zone
	Weight  int           // what being on it counts; negative: an allow list
	Codes   []Range       // the answers that are listings; default: 127.0.0.2 to 127.0.0.255
	Timeout time.Duration // for one question; default, and at most: the time of the whole check

	// The test points: an address that is always listed and one that never is;
	// default: 127.0.0.2 and 127.0.0.1 (RFC 5782 §5). For a list of one's own
	// that has other ones.
	TestListed, TestUnlisted netip.Addr
}

// A Range is of answers, both ends included.
type Range struct{ From, To netip.Addr }

// Contains reports whether code is in the range.
func (r Range) Contains(code netip.Addr) bool {
	return code.BitLen() == r.From.BitLen() && r.From.Compare(code) <= 0 && code.Compare(r.To) <= 0
}

var (
	testListed    = netip.AddrFrom4([4]byte{127, 0, 0, 2})
	testUnlisted  = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	testListed6   = netip.AddrFrom16(testListed.As16())   // ::ffff:7f00:2
	testUnlisted6 = netip.AddrFrom16(testUnlisted.As16()) // ::ffff:7f00:1
)

// withDefaults is the list with what it left open, its zone in lower case and
// without the dot at its end.
func (l List) withDefaults(whole time.Duration) List {
	l.Zone = strings.ToLower(strings.Trim(l.Zone, "."))
	if l.Name == "" {
		l.Name = Shown(l.Zone)
	}
	if len(l.Codes) == 0 {
		l.Codes = []Range{{testListed, netip.AddrFrom4([4]byte{127, 0, 0, 255})}}
	}
	if l.Timeout <= 0 || l.Timeout > whole {
		l.Timeout = whole
	}
	if !l.TestListed.IsValid() {
		l.TestListed = testListed
	}
	if !l.TestUnlisted.IsValid() {
		l.TestUnlisted = testUnlisted
	}
	return l
}

// Query is the name under which addr is found in zone: four octets in reverse
// (RFC 5782 §2.1), or 32 nibbles (§2.4). An IPv4-mapped address is asked for as
// IPv6, because one of the test points is; peers are unmapped before.
func Query(addr netip.Addr, zone string) string {
	var room [128]byte
	b := room[:0]
	if addr.Is4() {
		for a, i := addr.As4(), 3; i >= 0; i-- {
			b = append(strconv.AppendUint(b, uint64(a[i]), 10), '.')
		}
		return string(append(b, zone...))
	}
	const digits = "0123456789abcdef"
	for a, i := addr.As16(), 15; i >= 0; i-- {
		b = append(b, digits[a[i]&15], '.', digits[a[i]>>4], '.')
	}
	return string(append(b, zone...))
}

// keyLength is from how many letters and digits on a label is taken for a key.
const keyLength = 20

// Shown is a zone as it may be seen: labels that look like the key of a
// customer, 20 letters and digits or more, are struck out.
func Shown(zone string) string {
	labels := strings.Split(strings.ToLower(strings.Trim(zone, ".")), ".")
	for i, l := range labels {
		if len(l) >= keyLength && strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789") == "" {
			labels[i] = "***"
		}
	}
	return strings.Join(labels, ".")
}

// canonical is a peer's address as lists know it.
func canonical(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// host is the address that stands for a peer: in IPv6 the first of its /64,
// where a host has as many as it likes (RFC 6177).
func host(addr netip.Addr) netip.Addr {
	if addr.Is4() {
		return addr
	}
	p, _ := addr.Prefix(64)
	return p.Addr()
}
