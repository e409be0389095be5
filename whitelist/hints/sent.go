package hints

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"moggy/whitelist"
)

// The bounds of what one recipient's domain may cost. A large provider has five mail hosts of two addresses each.
const (
	maxHosts  = 8  // mail hosts of a domain that are looked up
	maxAddrs  = 32 // of their addresses that are learned
	lookUpFor = 20 * time.Second
)

// maxQueue bounds the domains that wait to be looked up. One more is given up, and learned when it is next written to.
const maxQueue = 256

// maxWrote bounds the domains that are remembered as just learned. When there are more, all are looked up once again.
// A domain is looked up anew after renewAfter.
const (
	maxWrote   = 10_000
	renewAfter = time.Hour
)

// Sent takes the report that a user of ours wrote to a domain. Its mail hosts become class correspondent for 60 days,
// and what passes SPF for it is let in at once, as soon as DNS has answered.
func (h *Hints) Sent(s Sent) {
	domain, ok := mailDomain(s.Domain)
	if !ok || h.resolver == nil && h.origins == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if at, had := h.wrote[domain]; had && s.Time.Sub(at) < renewAfter {
		return
	}
	select {
	case h.queue <- Sent{s.Time, domain}:
	default:
		h.dropped.Add(1)
		return
	}
	if len(h.wrote) >= maxWrote {
		clear(h.wrote)
	}
	h.wrote[domain] = s.Time
}

// Run looks up the domains that our users write to, one at a time. It returns when ctx is done.
func (h *Hints) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-h.queue:
			h.correspond(ctx, s)
		}
	}
}

// correspond learns of one domain. A domain that could not be looked up is tried when it is next written to.
func (h *Hints) correspond(ctx context.Context, s Sent) {
	bounded, cancel := context.WithTimeout(ctx, lookUpFor)
	defer cancel()
	err := errors.Join(h.learnHosts(bounded, s), h.learnOrigin(bounded, s))
	if err == nil || ctx.Err() != nil {
		return
	}
	h.log.Info("correspondent not learned", "domain", s.Domain, "err", err)
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.wrote, s.Domain)
}

// learnHosts makes the addresses of the domain's mail hosts correspondents.
func (h *Hints) learnHosts(ctx context.Context, s Sent) error {
	if h.resolver == nil {
		return nil
	}
	addrs, err := h.hosts(ctx, s.Domain)
	for _, addr := range addrs {
		h.learn(whitelist.Entry{
			Net: whitelist.Net(addr), Class: whitelist.Correspondent, Source: whitelist.Wrote,
			Note: "we wrote to " + s.Domain, Added: s.Time, Expires: s.Time.Add(wroteFor),
		}, s.Time)
	}
	return err
}

// hosts returns the addresses of the domain's mail hosts; of a domain without any its own (RFC 5321 §5.1).
func (h *Hints) hosts(ctx context.Context, domain string) (addrs []netip.Addr, err error) {
	names, err := h.resolver.MX(ctx, domain)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		names = []string{domain}
	}
	for _, name := range names[:min(len(names), maxHosts)] {
		found, lookUp := h.resolver.IP(ctx, name)
		err = errors.Join(err, lookUp)
		for _, addr := range found {
			if addr = whitelist.CanonicalAddr(addr); public(addr) && len(addrs) < maxAddrs {
				addrs = append(addrs, addr)
			}
		}
	}
	if len(addrs) > 0 {
		return addrs, nil // enough to work with
	}
	return nil, err
}

func (h *Hints) learnOrigin(ctx context.Context, s Sent) error {
	if h.origins == nil {
		return nil
	}
	return h.origins(ctx, s.Domain, s.Time)
}

// shared is the space of carriers' address translation (RFC 6598): behind one address of it are many.
var shared = netip.MustParsePrefix("100.64.0.0/10")

// public reports whether an address that a stranger put in DNS may be learned.
func public(addr netip.Addr) bool {
	return usable(addr) && addr.IsGlobalUnicast() && !addr.IsPrivate() && !shared.Contains(addr)
}

// mailDomain returns the domain of a recipient in lower case; false if none can be looked up.
func mailDomain(s string) (string, bool) {
	s = strings.ToLower(strings.TrimSuffix(s, "."))
	if len(s) > 253 || !strings.Contains(s, ".") {
		return "", false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return "", false
		}
	}
	_, err := netip.ParseAddr(s)
	return s, err != nil
}
