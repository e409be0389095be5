package resolver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"
)

// What Options leave open.
const (
	DefaultTimeout = 2 * time.Second
	DefaultSize    = 50_000
	DefaultStale   = time.Hour
)

// The bounds of what Options may say.
const (
	maxServers = 8
	minTimeout = minPatience
	maxTimeout = time.Minute
	maxStale   = 3 * 24 * time.Hour // RFC 8767 §5
)

// The outcomes of a question beside the kinds of failure.
const (
	Found = "found"
	None  = "none" // there is no such name, or nothing of the type
)

// Outcomes returns all outcomes that Observe is told.
func Outcomes() []string { return append([]string{Found, None}, kinds[:Closed+1]...) }

// Options are what New needs.
type Options struct {
	Servers []netip.AddrPort // that recurse; 1 to 8, the first ones asked first until it is known who is faster
	Timeout time.Duration    // for a question, all tries together; 0: DefaultTimeout
	Size    int              // of the cache, in entries of up to 256 bytes of contents, larger ones counting as more; 0: DefaultSize
	Stale   time.Duration    // how long an expired answer stands in when the servers fail or are slow; 0: DefaultStale; negative: not at all

	Log *slog.Logger // told when a server fails, recovers, or cannot do something; never a name; nil: nobody

	// Observe is told of every question that went to the servers, when it is answered or given up: its type as in Types,
	// its outcome as in Outcomes, and how long it took. It must not block. nil: nobody.
	Observe func(kind, outcome string, took time.Duration)
}

// checked returns the options with what they leave open filled in, or what is wrong with them.
func (o Options) checked() (Options, error) {
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Size = cmp.Or(o.Size, DefaultSize)
	o.Stale = max(cmp.Or(o.Stale, DefaultStale), 0)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration) {}
	}
	switch {
	case len(o.Servers) == 0:
		return o, errors.New("no name server: name one, or take those of the system")
	case len(o.Servers) > maxServers:
		return o, fmt.Errorf("%d name servers: at most %d make sense", len(o.Servers), maxServers)
	case o.Timeout < minTimeout || o.Timeout > maxTimeout:
		return o, fmt.Errorf("timeout %v: use %v to %v", o.Timeout, minTimeout, maxTimeout)
	case o.Size < 0:
		return o, fmt.Errorf("cache size %d: use 1 or more", o.Size)
	case o.Stale > maxStale:
		return o, fmt.Errorf("stale answers for %v: use at most %v", o.Stale, maxStale)
	}
	return o, o.checkServers()
}

// checkServers says which server cannot be asked.
func (o Options) checkServers() error {
	for i, s := range o.Servers {
		if !s.IsValid() || s.Port() == 0 || s.Addr().IsUnspecified() || s.Addr().IsMulticast() {
			return fmt.Errorf("name server %q: use an address and a port, as in 127.0.0.1:53", s)
		}
		if slices.Contains(o.Servers[:i], s) {
			return fmt.Errorf("name server %s is there twice", s)
		}
	}
	return nil
}

// A Resolver asks name servers and remembers what they said. Its methods may be called from many goroutines.
//
// It holds at most Options.Size entries, 4096 questions under way and 256 sockets. When the cache is full, what is asked
// for least is forgotten; when there are too many questions, new ones fail with Busy.
type Resolver struct {
	servers  []*server
	exchange exchange
	gate     gate
	wire     *wire
	cache    cache
	flights  flights
	timeout  time.Duration
	stale    time.Duration
	observe  func(kind, outcome string, took time.Duration)
	begun    time.Time
	count    counters
	ctx      context.Context // of all flights; ended by Close
	cancel   context.CancelFunc
}

// New returns a Resolver, or says which option makes no sense. It asks nobody anything yet. Close it in the end.
func New(o Options) (*Resolver, error) { return newResolver(o, nil) }

// newResolver is New with something else in place of the wire, unless that is nil.
func newResolver(o Options, x exchange) (*Resolver, error) {
	o, err := o.checked()
	if err != nil {
		return nil, fmt.Errorf("resolver: %w", err)
	}
	r := &Resolver{
		wire:     &wire{log: o.Log},
		gate:     make(gate, maxSockets),
		flights:  flights{under: make(map[question]*flight)},
		timeout:  o.Timeout,
		stale:    o.Stale,
		observe:  o.Observe,
		begun:    time.Now(),
		exchange: x,
	}
	if r.exchange == nil {
		r.exchange = r.wire.exchange
	}
	for _, addr := range o.Servers {
		r.servers = append(r.servers, &server{addr: addr, log: o.Log})
	}
	if r.cache, err = newCache(o.Size, r.now); err != nil {
		return nil, fmt.Errorf("resolver: %w", err)
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// now is the time of the entries: it never jumps.
func (r *Resolver) now() time.Duration { return time.Since(r.begun) }

// Close ends what is under way and returns when all that was started has ended. Questions asked after it, and those
// under way, fail with Closed.
func (r *Resolver) Close() error {
	r.cancel()
	r.flights.close()
	r.cache.close()
	return nil
}

// A returns the IPv4 addresses of a name. Like all methods here it returns nil, nil if there is no such name, or
// nothing of the type, and an *Error if that is not known. The name is always absolute, with or without a dot at the
// end; a dot in it parts labels, and there are no escapes.
func (r *Resolver) A(ctx context.Context, name string) ([]netip.Addr, error) {
	a, err := r.wait(ctx, r.lookup(name, typeA))
	return slices.Clone(a.addrs), err
}

// IP returns the IPv4 and IPv6 addresses of a name, asked for at the same time. If only one of the two is known, it
// returns what it knows and an error.
func (r *Resolver) IP(ctx context.Context, name string) ([]netip.Addr, error) {
	four, six := r.lookup(name, typeA), r.lookup(name, typeAAAA)
	a4, err4 := r.wait(ctx, four)
	a6, err6 := r.wait(ctx, six)
	return slices.Concat(a4.addrs, a6.addrs), cmp.Or(err4, err6)
}

// TXT returns the texts of a name: raw bytes, the character-strings of one record joined (RFC 7208 §3.3).
func (r *Resolver) TXT(ctx context.Context, name string) ([]string, error) {
	a, err := r.wait(ctx, r.lookup(name, typeTXT))
	return slices.Clone(a.texts), err
}

// MX returns the hosts that take mail for a name, the preferred ones first, in lower case, without the dot at the end.
// Of a name that says that it takes none (RFC 7505) it returns nil.
func (r *Resolver) MX(ctx context.Context, name string) ([]string, error) {
	a, err := r.wait(ctx, r.lookup(name, typeMX))
	return slices.Clone(a.texts), err
}

// PTR returns the names that an address says it has, at most 10, in lower case, without the dot at the end. Whoever the
// address belongs to may write there what he likes: a name is worth something when its IP contains the address.
func (r *Resolver) PTR(ctx context.Context, addr netip.Addr) ([]string, error) {
	a, err := r.wait(ctx, r.lookup(reverse(addr), typePTR))
	return slices.Clone(a.texts), err
}
