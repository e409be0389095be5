package dnsbl

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func ips(all ...string) (addrs []netip.Addr) {
	for _, s := range all {
		addrs = append(addrs, ip(s))
	}
	return addrs
}

func codes(from, to string) []Range { return []Range{{ip(from), ip(to)}} }

var errServer = errors.New("server failure")

// zone is how one list behaves. Its zero value answers that nobody is listed.
type zone struct {
	names map[string][]netip.Addr // by the part before the zone
	world []netip.Addr            // if set, what it says of everybody
	err   error
	delay time.Duration
	deaf  bool // answers never, not even at the end of the context
}

// resolver is a Resolver of zones in a map.
type resolver struct {
	mu    sync.Mutex
	zones map[string]*zone
	asked map[string]int // by zone
	free  chan struct{}  // lets the questions to deaf zones end
}

// healthy is a zone with its test points that lists addrs besides.
func healthy(addrs ...string) *zone {
	z := &zone{names: map[string][]netip.Addr{"2.0.0.127": ips("127.0.0.2")}}
	z.list("127.0.0.2", addrs...)
	return z
}

// list puts addresses on the list.
func (z *zone) list(code string, addrs ...string) *zone {
	for _, a := range addrs {
		z.names[strings.TrimSuffix(Query(ip(a), ""), ".")] = ips(code)
	}
	return z
}

func newResolver(zones map[string]*zone) *resolver {
	return &resolver{zones: zones, asked: make(map[string]int), free: make(chan struct{})}
}

// change changes how a zone behaves from now on.
func (r *resolver) change(name string, how func(*zone)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	how(r.zones[name])
}

func (r *resolver) count(name string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked[name]
}

// A implements Resolver.
func (r *resolver) A(ctx context.Context, name string) ([]netip.Addr, error) {
	z, addrs := r.find(name)
	if z.deaf {
		<-r.free
	}
	if z.delay > 0 {
		t := time.NewTimer(z.delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch {
	case z.err != nil:
		return nil, z.err
	case z.world != nil:
		return z.world, nil
	}
	return addrs, nil
}

// find returns a copy of the zone in which name is, and its records.
func (r *resolver) find(name string) (zone, []netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for suffix, z := range r.zones {
		if node, ok := strings.CutSuffix(name, "."+suffix); ok {
			r.asked[suffix]++
			return *z, z.names[node]
		}
	}
	return zone{err: errors.New("no such zone: " + name)}, nil
}

// ear is Events that remembers what it heard.
type ear struct {
	mu      sync.Mutex
	changes []Change
	answers map[Answer]int
}

func (e *ear) Answered(_ string, a Answer, _ time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answers == nil {
		e.answers = make(map[Answer]int)
	}
	e.answers[a]++
}

func (e *ear) Changed(c Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changes = append(e.changes, c)
}

// states are the states that were entered so far.
func (e *ear) states() (all []State) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.changes {
		all = append(all, c.To)
	}
	return all
}

// last is the last change into a state.
func (e *ear) last(t *testing.T, s State) Change {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range slices.Backward(e.changes) {
		if c.To == s {
			return c
		}
	}
	t.Fatalf("nothing became %s: %+v", s, e.changes)
	return Change{}
}
