package whitelist

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// An Entry is a row of the allow and deny list.
type Entry struct {
	Net     netip.Prefix  `json:"net"`              // masked; IPv4 is never IPv4-mapped IPv6
	Deny    bool          `json:"deny,omitempty"`   // a person said no
	Class   Class         `json:"class,omitempty"`  // what the addresses are to us; empty when Deny
	Source  Source        `json:"source"`           // who says so
	Note    string        `json:"note,omitempty"`   // why, in a person's words; at most MaxNote bytes
	Added   time.Time     `json:"added,omitzero"`   // zero: not by anybody, as local networks are
	Expires time.Time     `json:"expires,omitzero"` // zero: never
	Used    time.Time     `json:"used,omitzero"`    // zero: never
	Renew   time.Duration `json:"renew,omitempty"`  // a use keeps the entry for this much longer
}

// Connected is the note of local entries that nobody wrote down: the machine has an
// address in that network.
const Connected = "directly connected"

// MaxNote bounds the note of an entry, in bytes.
const MaxNote = 500

// ErrEntry is wrapped by every complaint about an entry that cannot be taken.
var ErrEntry = errors.New("not a usable entry")

// Check says what is wrong with an entry, in a sentence that ends with what to type.
func (e Entry) Check() error {
	switch {
	case !e.Net.IsValid():
		return fmt.Errorf("%w: no network; give an address or a CIDR such as 192.0.2.0/24", ErrEntry)
	case e.Net != Canonical(e.Net):
		return fmt.Errorf("%w: %s has bits beyond its mask; give %s", ErrEntry, e.Net, Canonical(e.Net))
	case len(e.Note) > MaxNote:
		return fmt.Errorf("%w: the note has %d bytes; give at most %d", ErrEntry, len(e.Note), MaxNote)
	case e.Deny && e.Class != "":
		return fmt.Errorf("%w: deny has no class; leave --class out", ErrEntry)
	case !e.Deny && e.Class == "":
		return fmt.Errorf("%w: no class; give --class peer", ErrEntry)
	}
	return nil
}

// End is when the entry stops being in force, renewals included; zero: never.
func (e Entry) End() time.Time {
	if e.Expires.IsZero() || e.Renew == 0 || e.Used.IsZero() {
		return e.Expires
	}
	if renewed := e.Used.Add(e.Renew); renewed.After(e.Expires) {
		return renewed
	}
	return e.Expires
}

// InForce reports whether the entry counts at a time.
func (e Entry) InForce(now time.Time) bool {
	end := e.End()
	return end.IsZero() || now.Before(end)
}

// Canonical masks p and turns an IPv4-mapped IPv6 prefix into IPv4.
func Canonical(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// CanonicalAddr returns addr as the List knows it: IPv4 where it is IPv4-mapped, no zone.
func CanonicalAddr(addr netip.Addr) netip.Addr { return addr.Unmap().WithZone("") }

// Net is the network that stands for one peer: the address in IPv4, its /64 in
// IPv6, where a host has as many addresses as it likes (RFC 6177).
func Net(addr netip.Addr) netip.Prefix {
	addr = CanonicalAddr(addr)
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(addr, bits).Masked()
}

// ParseNet reads an address or a CIDR. A bare address means that address alone.
func ParseNet(text string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return Canonical(p), nil
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a CIDR; give 192.0.2.7 or 192.0.2.0/24", text)
	}
	addr = CanonicalAddr(addr)
	return netip.PrefixFrom(addr, addr.BitLen()), nil
}
