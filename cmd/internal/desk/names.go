package desk

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"moggy/cmd/internal/config"
	"moggy/dnsbl"
	"moggy/dnsbl/resolver"
	"moggy/greylist/origin"
)

// Names are what is known of strangers by name: what DNS lists say of them, and
// who is behind them.
type Names struct {
	Resolver *resolver.Resolver // nil: nothing has to be asked
	Lists    *dnsbl.Checker     // nil: no lists. Nobody watches them yet: run its Watch, or Probe
	Finder   origin.Finder

	// Confirmed returns a reverse name of an address that leads back to it; nil: nobody needs one.
	Confirmed func(context.Context, netip.Addr) (name string, ok, degraded bool)

	fresh *resolver.Resolver // remembers next to nothing; nil: no lists
}

// NamesOptions are who is told what the names say. What is nil is told nothing.
type NamesOptions struct {
	Log    *slog.Logger
	Events dnsbl.Events                                   // of the lists
	Asked  func(kind, outcome string, took time.Duration) // a question to the servers, see resolver.Options.Observe
	Found  func(origin.Found)                             // an origin
}

// NewNames builds what a configuration asks for. It asks nobody anything yet.
// Close it when nobody asks any more.
func NewNames(c *config.Config, o NamesOptions) (*Names, error) {
	n := &Names{Finder: origin.Networks{}}
	if !asks(c) {
		return n, nil
	}
	servers, err := nameServers(c)
	if err != nil {
		return nil, err
	}
	if n.Resolver, err = resolver.New(resolver.Options{Servers: servers, Timeout: patience(c), Log: o.Log, Observe: o.Asked}); err != nil {
		return nil, fmt.Errorf("%w; set [dnsbl] servers", err)
	}
	if err = n.addOrigins(c, o); err == nil && len(c.DNSBL.Lists) > 0 {
		err = n.addLists(c, servers, o)
	}
	if err != nil {
		n.Close()
		return nil, err
	}
	return n, nil
}

// asks reports whether DNS has to be asked anything at all: about strangers, about
// crawlers, or for the mail hosts of those our users write to.
func asks(c *config.Config) bool {
	return c.Greylist.Origin != config.OriginNetwork || len(c.DNSBL.Lists) > 0 || len(c.Hints.Logs) > 0 ||
		slices.ContainsFunc(c.Listeners, func(l config.Listener) bool { return l.Crawlers })
}

// addOrigins makes the Finder, and what tells crawlers.
func (n *Names) addOrigins(c *config.Config, o NamesOptions) error {
	d, err := origin.New(origin.Options{Resolver: n.Resolver, Log: o.Log, Observe: o.Found})
	if err != nil {
		return err
	}
	n.Confirmed = d.Confirmed
	if c.Greylist.Origin != config.OriginNetwork {
		n.Finder = d
	}
	return nil
}

// nameServers are those of the configuration, or of the system.
func nameServers(c *config.Config) ([]netip.AddrPort, error) {
	if len(c.DNSBL.Servers) > 0 {
		return c.DNSBL.Servers, nil
	}
	servers, err := resolver.FromSystem()
	if err != nil {
		return nil, fmt.Errorf("%w; mend it, or set [dnsbl] servers", err)
	}
	return servers, nil
}

// patience is how long an answer is waited for: as long as the lists may take.
func patience(c *config.Config) time.Duration { return max(resolver.DefaultTimeout, c.DNSBL.Timeout) }

// addLists makes the Checker. Its test points are asked through a resolver of
// their own, which has room for one answer: a list that broke a minute ago must
// not look well out of our memory. It does not log: what it meets, the lists say.
func (n *Names) addLists(c *config.Config, servers []netip.AddrPort, o NamesOptions) (err error) {
	n.fresh, err = resolver.New(resolver.Options{Servers: servers, Timeout: patience(c), Size: 1, Stale: -1, Observe: o.Asked})
	if err != nil {
		return err
	}
	n.Lists = dnsbl.New(dnsbl.Options{Resolver: n.Resolver, Fresh: n.fresh, Lists: listsOf(c),
		Threshold: c.DNSBL.Threshold, Timeout: c.DNSBL.Timeout, Log: o.Log, Events: o.Events})
	return nil
}

// listsOf are the lists of a configuration.
func listsOf(c *config.Config) (lists []dnsbl.List) {
	for _, l := range c.DNSBL.Lists {
		list := dnsbl.List{Zone: l.Zone, Name: l.Name, Weight: l.Weight}
		for _, r := range l.Codes {
			list.Codes = append(list.Codes, dnsbl.Range{From: r.From, To: r.To})
		}
		lists = append(lists, list)
	}
	return lists
}

// ListNames are the names under which the lists of a configuration are shown.
func ListNames(c *config.Config) (names []string) {
	for _, l := range c.DNSBL.Lists {
		name := l.Name
		if name == "" {
			name = dnsbl.Shown(l.Zone)
		}
		names = append(names, name)
	}
	return names
}

// Close ends what is being asked, and waits for it. Whoever watches the lists has
// ended before.
func (n *Names) Close() error {
	for _, r := range []*resolver.Resolver{n.Resolver, n.fresh} {
		if r != nil {
			r.Close() // has nothing to fail at
		}
	}
	if n.Lists != nil {
		n.Lists.Close()
	}
	return nil
}
