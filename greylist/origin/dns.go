package origin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"moggy/greylist"
)

// DefaultTimeout is how long Find and Confirmed look for a name. RFC 7208
// §4.6.4 would give SPF 20 s, which is as long as a stranger may wait for a
// reply at all; what comes later is in the resolver's cache when it comes back.
const DefaultTimeout = 5 * time.Second

// maxTimeout leaves a reply the rest of its 20 s.
const maxTimeout = 15 * time.Second

// Options are what a DNS is made of.
type Options struct {
	Resolver Resolver
	Timeout  time.Duration // for all lookups of one Find together; 0 is DefaultTimeout
	Log      *slog.Logger  // nil: no log. What failed, at level debug

	// Observe is told of every Find, before it returns, from its goroutine. It
	// must not block. nil: nobody is told.
	Observe func(Found)
}

// Found is how an origin was found, in words of closed lists.
type Found struct {
	Kind     greylist.OriginKind
	SPF      SPF
	Reverse  Reverse
	Degraded bool
	Took     time.Duration
}

// DNS is the Finder that asks DNS. It keeps nothing from one Find to the next:
// to remember answers is the resolver's business.
type DNS struct {
	resolver Resolver
	timeout  time.Duration
	log      *slog.Logger
	observe  func(Found)
}

// New returns a DNS.
func New(o Options) (*DNS, error) {
	if o.Resolver == nil {
		return nil, errors.New("looking for origins needs a resolver")
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Timeout < 0 || o.Timeout > maxTimeout {
		return nil, fmt.Errorf("the time to look for an origin is %v; give 1ms to %v: a stranger waits for its reply meanwhile", o.Timeout, maxTimeout)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(Found) {}
	}
	return &DNS{resolver: o.Resolver, timeout: o.Timeout, log: o.Log, observe: o.Observe}, nil
}

// Find implements Finder. It takes no longer than the timeout. An SPF pass
// decides at once; a reverse name is asked for at the same time, and serves where
// SPF does not. degraded says that a lookup failed without which a better origin
// might have been found: the same stranger may get another origin next time.
func (d *DNS) Find(ctx context.Context, q Question) (greylist.Origin, bool) {
	began := time.Now()
	q.Peer = canonical(q.Peer)
	o, f := greylist.Origin{}, Found{SPF: Unasked, Reverse: ReverseUnasked}
	if q.Peer.IsValid() {
		o, f = d.ask(ctx, q)
	}
	if o.Name == "" {
		o = Network(q.Peer)
	}
	f.Kind, f.Took = o.Kind, time.Since(began)
	if f.Degraded {
		d.log.Debug("origin not known for certain", "peer", q.Peer, "origin", o, "spf", f.SPF, "reverse", f.Reverse, "took", f.Took)
	}
	d.observe(f)
	return o, f.Degraded
}

// ask asks for SPF and the reverse name at once and waits for what it needs. The
// origin is empty where there is no name.
func (d *DNS) ask(ctx context.Context, q Question) (greylist.Origin, Found) {
	var reverse reverseFound
	var wg sync.WaitGroup
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	wg.Go(func() { reverse = d.reverse(ctx, q.Peer) })
	s := d.spf(ctx, q)
	if s.domain != "" {
		cancel() // the reverse name is not needed any more
		wg.Wait()
		return greylist.Origin{Kind: greylist.Domain, Name: s.domain}, Found{SPF: s.result, Reverse: ReverseUnasked}
	}
	wg.Wait()
	cancel()
	f := Found{SPF: s.result, Reverse: reverse.result, Degraded: s.failed}
	if reverse.domain != "" {
		return greylist.Origin{Kind: greylist.Name, Name: reverse.domain}, f
	}
	f.Degraded = f.Degraded || reverse.result == ReverseFailed
	return greylist.Origin{}, f
}

// Confirmed returns a reverse name of addr that leads back to it (RFC 8601
// §2.7.3, "iprev"): lower case, letters, digits, hyphens and dots, no trailing
// dot; generic names too. Of several it is always the same. Without ok there is
// none, or, where degraded, it is not known. It takes no longer than the timeout.
func (d *DNS) Confirmed(ctx context.Context, addr netip.Addr) (name string, ok, degraded bool) {
	addr = canonical(addr)
	if !addr.IsValid() {
		return "", false, false
	}
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	names, err := d.names(ctx, addr)
	if err != nil {
		return "", false, true
	}
	name, failed := d.confirm(ctx, addr, names)
	return name, name != "", name == "" && failed
}
