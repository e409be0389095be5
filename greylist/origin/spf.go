package origin

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"blitiri.com.ar/go/spf"
)

// SPF is what came of SPF.
type SPF string

// What can come of SPF: the results of RFC 7208 §2.6, and three of our own.
const (
	Pass      SPF = "pass"
	None      SPF = "none"
	Neutral   SPF = "neutral"
	Fail      SPF = "fail"
	SoftFail  SPF = "softfail"
	TempError SPF = "temperror"
	PermError SPF = "permerror"
	Wide      SPF = "wide"    // a pass that half the world shares: names nobody
	Suffix    SPF = "suffix"  // a pass for a public suffix: names nobody
	Unasked   SPF = "unasked" // no domain that could be asked
)

// SPFs are all that can come of SPF.
func SPFs() []SPF {
	return []SPF{Pass, None, Neutral, Fail, SoftFail, TempError, PermError, Wide, Suffix, Unasked}
}

type spfFound struct {
	domain string // the registered domain; "" where SPF names nobody
	result SPF
	failed bool // a lookup failed
}

// spf finds the registered domain of the sender's domain, if that lets the peer
// send for it. Any other result of SPF names nobody and harms nobody.
func (d *DNS) spf(ctx context.Context, q Question) spfFound {
	sender, domain := identity(q)
	if domain == "" {
		return spfFound{result: Unasked}
	}
	c := check{lookup: &lookup{resolver: d.resolver}, helo: heloName(q.Helo), sender: sender}
	result, by := c.host(ctx, q.Peer)
	f := spfFound{result: result, failed: c.lookup.failed}
	if result != Pass {
		return f
	}
	f.failed = false
	if f.domain = registered(domain); f.domain == "" {
		f.result = Suffix
	} else if errors.Is(by, spf.ErrMatchedAll) || c.wide(ctx, q.Peer) {
		f.domain, f.result = "", Wide
	}
	return f
}

// identity returns the mailbox that SPF is asked about, and its domain: MAIL
// FROM, or postmaster at HELO where that is null (RFC 7208 §2.4). The domain is ""
// where it is none that could have a record (§4.3): an address literal, one label.
func identity(q Question) (mailbox, domain string) {
	local := "postmaster"
	at := strings.LastIndexByte(q.Sender, '@')
	switch {
	case q.Sender == "":
		domain = fold(q.Helo)
	case at < 0:
		return "", ""
	default:
		local, domain = q.Sender[:at], fold(q.Sender[at+1:])
	}
	if !queryable(domain) || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "@[]:") {
		return "", ""
	}
	if local == "" || len(local) > maxLocal || strings.Contains(local, "@") {
		local = "postmaster" // a quoted @ would be taken for the end of the local part
	}
	return local + "@" + domain, domain
}

// maxLocal is the longest local part that macros are given, in bytes: RFC 5321
// §4.5.3.1.1 would have 64, VERP and SRS make longer ones, and a record can
// repeat it two thousand times.
const maxLocal = 256

// heloName is what the HELO macro is given: "unknown" for what is no name.
func heloName(helo string) string {
	if helo = fold(helo); queryable(helo) {
		return helo
	}
	return "unknown"
}

// A check is one evaluation of SPF for one peer, and those that control it; they
// share their answers.
type check struct {
	lookup       *lookup
	helo, sender string
}

// host is check_host() of RFC 7208 §4. The error says what decided, where it
// passed.
func (c check) host(ctx context.Context, addr netip.Addr) (SPF, error) {
	result, err := spf.CheckHostWithSender(addr.AsSlice(), c.helo, c.sender, spf.WithContext(ctx), spf.WithResolver(c.lookup))
	return SPF(result), err
}

// wide reports whether what lets the peer pass is as good as everybody: +all, a
// network wider than /8 (IPv6: /16), or a term that looks at no address. Then any
// host can share the origin, and it names nobody. A holder that gives each of its
// hosts a record of its own cannot be told from an honest one, and is not.
func (c check) wide(ctx context.Context, peer netip.Addr) bool {
	for _, control := range controls(peer) {
		if result, _ := c.host(ctx, control); result != Pass {
			return false
		}
	}
	return true
}

// controls are two addresses next door to the peer's /8 (IPv6: /16), where
// everything wider than that holds them: one that differs in nothing else, and
// one that differs in all the rest. Nobody's networks hold both by chance.
func controls(peer netip.Addr) [2]netip.Addr {
	near := peer.AsSlice()
	wide := 1 // bytes of the network that is still taken for somebody's
	if peer.Is6() {
		wide = 2
	}
	near[wide-1] ^= 1
	far := slices.Clone(near)
	for i := wide; i < len(far); i++ {
		far[i] = ^far[i]
	}
	a, _ := netip.AddrFromSlice(near)
	b, _ := netip.AddrFromSlice(far)
	return [2]netip.Addr{a, b}
}
