package proxy

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"moggy/dnsbl"
	"moggy/whitelist"
)

// A world is what is true outside the proxy, and what was before the scenario
// began.
type world struct {
	LocalNets []cidr `json:"local_nets"`
	Operator  []struct {
		CIDR cidr   `json:"cidr"`
		Cls  string `json:"cls"` // a class; "deny" or "denied": none, and not let in
	}
	ValidRcpt []string `json:"valid_rcpt"` // missing: everybody
	Traps     []string
	Logins    []struct {
		T    float64
		Addr netip.Addr
		login
	}
	SSH []struct {
		T    float64
		Addr netip.Addr
		User string
	} `json:"ssh"`
	PTRs map[netip.Addr]string   `json:"ptr"`
	Addr map[string][]netip.Addr `json:"addr"`
	SPF  map[string][]cidr       `json:"spf"`
	MXs  map[string][]netip.Addr `json:"mx"`
	Sent []struct {
		T  float64
		To string
	}
	Known []struct {
		Addr     netip.Addr
		Since    float64
		Messages int
	}
	KnownPools []struct {
		Domain   string
		Since    float64
		Messages int
	} `json:"known_pools"`
	DNSBL    []netip.Addr `json:"dnsbl"`
	DNSBLAll []cidr       `json:"dnsbl_all"`

	listsAll atomic.Bool             // the DNS list lists every address
	ips      map[string][]netip.Addr // by host name in lower case, those of mail hosts too
	hosts    map[string][]string     // mail hosts, by domain in lower case
}

// wrong says what cannot be.
func (w *world) wrong() (wrong []string) {
	for _, l := range w.Logins {
		if !l.Addr.IsValid() {
			wrong = append(wrong, "a login needs addr")
		}
	}
	for _, s := range w.SSH {
		if !s.Addr.IsValid() {
			wrong = append(wrong, "an ssh session needs addr")
		}
	}
	for _, k := range w.Known {
		if !k.Addr.IsValid() || k.Since > 0 {
			wrong = append(wrong, "who is known needs addr, and since when before the start")
		}
	}
	for _, o := range w.Operator {
		if !o.CIDR.IsValid() || o.Cls == "" {
			wrong = append(wrong, "an entry of the operator needs cidr and cls")
		}
	}
	return wrong
}

// name gives the mail hosts names: those that the world has for their addresses,
// else one made up.
func (w *world) name() {
	w.ips, w.hosts = make(map[string][]netip.Addr), make(map[string][]string)
	names := make(map[netip.Addr]string)
	for name, addrs := range w.Addr {
		w.ips[strings.ToLower(name)] = addrs
		for _, a := range addrs {
			names[a] = max(names[a], strings.ToLower(name)) // any, but always the same
		}
	}
	for domain, addrs := range w.MXs {
		domain = strings.ToLower(domain)
		for i, a := range addrs {
			host := names[a]
			if host == "" {
				host = fmt.Sprintf("mx%d.mail.%s", i, domain)
				w.ips[host] = []netip.Addr{a}
			}
			w.hosts[domain] = append(w.hosts[domain], host)
		}
	}
}

// local are the machine's own networks, itself among them.
func (w *world) local() (entries []whitelist.Entry) {
	nets := append([]cidr{{netip.MustParsePrefix("127.0.0.1/32")}, {netip.MustParsePrefix("::1/128")}}, w.LocalNets...)
	for _, n := range nets {
		entries = append(entries, whitelist.Entry{Net: n.Prefix, Class: whitelist.Own, Source: whitelist.Local, Note: "directly connected"})
	}
	return entries
}

// denied reports whether the operator denied an address.
func (w *world) denied(a netip.Addr) bool {
	for _, o := range w.Operator {
		if (o.Cls == "deny" || o.Cls == "denied") && o.CIDR.Contains(a) {
			return true
		}
	}
	return false
}

// entries are what the operator has typed.
func (w *world) entries() (entries []whitelist.Entry) {
	for _, o := range w.Operator {
		e := whitelist.Entry{Net: o.CIDR.Prefix, Class: whitelist.Class(o.Cls)}
		if o.Cls == "deny" || o.Cls == "denied" {
			e.Class, e.Deny = "", true
		}
		entries = append(entries, e)
	}
	return entries
}

// knownFor is how long what passed before stays known without another use.
var knownFor = labTimers.Remember

// peers are the hosts that passed before. They have come again and again, and did
// so lately.
func (w *world) peers(now time.Time) (entries []whitelist.Entry) {
	for _, k := range w.Known {
		entries = append(entries, whitelist.Entry{Net: whitelist.Net(k.Addr), Class: whitelist.Peer, Source: whitelist.Passed,
			Note: "came back", Added: now.Add(seconds(k.Since)), Used: now, Expires: now.Add(knownFor), Renew: knownFor})
	}
	return entries
}

// The world's DNS: the interfaces of dnsbl, origin and hints.

// listZone is the zone of the world's DNS list.
const listZone = "bl.test"

func (w *world) A(_ context.Context, name string) ([]netip.Addr, error) {
	addr, ok := asked(strings.TrimSuffix(name, "."+listZone))
	if !ok || !strings.HasSuffix(name, "."+listZone) || !w.listed(addr) {
		return nil, nil
	}
	return []netip.Addr{netip.MustParseAddr("127.0.0.2")}, nil
}

// asked is the address that a DNS list is asked about (RFC 5782 §2.1, §2.4).
func asked(reversed string) (netip.Addr, bool) {
	parts := strings.Split(reversed, ".")
	slices.Reverse(parts)
	if len(parts) == 4 {
		addr, err := netip.ParseAddr(strings.Join(parts, "."))
		return addr, err == nil
	}
	b, err := hex.DecodeString(strings.Join(parts, ""))
	addr, ok := netip.AddrFromSlice(b)
	return addr, ok && err == nil
}

func (w *world) listed(addr netip.Addr) bool {
	if w.listsAll.Load() || dnsbl.Query(addr, "") == "2.0.0.127." {
		return true
	}
	if addr.Is4In6() { // the test points of IPv6
		return addr.Unmap() == netip.MustParseAddr("127.0.0.2")
	}
	return slices.Contains(w.DNSBL, addr) || slices.ContainsFunc(w.DNSBLAll, func(c cidr) bool { return c.Contains(addr) })
}

func (w *world) TXT(_ context.Context, name string) ([]string, error) {
	for domain, nets := range w.SPF {
		if !strings.EqualFold(domain, name) {
			continue
		}
		terms := []string{"v=spf1"}
		for _, n := range nets {
			version := "ip4:"
			if n.Addr().Is6() {
				version = "ip6:"
			}
			terms = append(terms, version+n.String())
		}
		return []string{strings.Join(append(terms, "-all"), " ")}, nil
	}
	return nil, nil
}

func (w *world) MX(_ context.Context, name string) ([]string, error) {
	return w.hosts[strings.ToLower(name)], nil
}

func (w *world) IP(_ context.Context, name string) ([]netip.Addr, error) {
	return w.ips[strings.ToLower(name)], nil
}

func (w *world) PTR(_ context.Context, addr netip.Addr) ([]string, error) {
	if name, ok := w.PTRs[addr.Unmap()]; ok {
		return []string{name}, nil
	}
	return nil, nil
}

// seconds is a time of a scenario.
func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
