package proxy

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"time"

	"moggy/whitelist"
)

// Crawlers tells search engines from those who only say that they are one: by a
// reverse name under a name of theirs that leads back to the address, as their own
// manuals ask for. It is asked in the background; meanwhile, and where DNS does not
// answer, an address is a client like any other.
type Crawlers struct {
	Names     []string // domains, lower case: "googlebot.com"
	Confirmed func(context.Context, netip.Addr) (name string, ok, degraded bool)
	Book      *whitelist.Book

	mu    sync.Mutex
	asked map[netip.Addr]time.Time // at most maxAsked, so as not to ask again at once
	busy  int
}

// What is given up when it is full: an address may be asked about again, and a
// crawler is a client like any other until it is asked about.
const (
	maxAsked   = 10_000
	maxAsking  = 8
	askEvery   = time.Hour
	isCrawler  = 24 * time.Hour
	dnsPatient = 10 * time.Second
)

// wants reports whether an address that nothing is known of is to be asked about now:
// that was not done lately, and there is room. Who gets yes has to ask.
func (c *Crawlers) wants(addr netip.Addr) bool {
	return c != nil && len(c.Names) > 0 && c.begin(addr, time.Now())
}

// ask asks about an address, and learns it if it is a crawler's.
func (c *Crawlers) ask(ctx context.Context, addr netip.Addr) {
	defer c.end()
	ctx, cancel := context.WithTimeout(ctx, dnsPatient)
	defer cancel()
	name, ok, degraded := c.Confirmed(ctx, addr)
	switch {
	case degraded && !ok:
		c.forget(addr)
	case ok && c.engine(name):
		now := time.Now()
		_ = c.Book.Learn(whitelist.Entry{Net: netip.PrefixFrom(addr, addr.BitLen()), Class: whitelist.Crawler, Source: whitelist.Crawling,
			Note: name, Added: now, Used: now, Expires: now.Add(isCrawler)}, now) // full: a client like any other
		c.forget(addr)
	}
}

// engine reports whether a name is one of a search engine.
func (c *Crawlers) engine(name string) bool {
	for _, domain := range c.Names {
		if strings.HasSuffix(name, "."+domain) {
			return true
		}
	}
	return false
}

func (c *Crawlers) begin(addr netip.Addr, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.asked[addr]; c.busy >= maxAsking || ok && now.Sub(at) < askEvery {
		return false
	}
	if c.asked == nil || len(c.asked) >= maxAsked {
		c.asked = make(map[netip.Addr]time.Time)
	}
	c.asked[addr] = now
	c.busy++
	return true
}

func (c *Crawlers) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy--
}

func (c *Crawlers) forget(addr netip.Addr) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.asked, addr)
}
