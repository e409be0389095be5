package origin

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"moggy/greylist"
)

// zones is a Resolver of what a test wrote down. A name or address in broken
// cannot be asked; slow is how long a question takes, "*" all others.
type zones struct {
	txt, mx, ip, ptr map[string][]string
	broken           map[string]bool
	slow             map[string]time.Duration

	mu    sync.Mutex
	asked []string
}

var errBroken = errors.New("server failure")

func (z *zones) ask(ctx context.Context, in map[string][]string, kind, name string) ([]string, error) {
	z.mu.Lock()
	z.asked = append(z.asked, kind+" "+name)
	z.mu.Unlock()
	wait, ok := z.slow[name]
	if !ok {
		wait = z.slow["*"]
	}
	if wait > 0 {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if z.broken[name] || z.broken["*"] {
		return nil, errBroken
	}
	return in[name], nil
}

func (z *zones) TXT(ctx context.Context, name string) ([]string, error) {
	return z.ask(ctx, z.txt, "TXT", name)
}

func (z *zones) MX(ctx context.Context, name string) ([]string, error) {
	return z.ask(ctx, z.mx, "MX", name)
}

func (z *zones) IP(ctx context.Context, name string) ([]netip.Addr, error) {
	texts, err := z.ask(ctx, z.ip, "IP", name)
	var addrs []netip.Addr
	for _, t := range texts {
		addrs = append(addrs, netip.MustParseAddr(t))
	}
	return addrs, err
}

func (z *zones) PTR(ctx context.Context, addr netip.Addr) ([]string, error) {
	return z.ask(ctx, z.ptr, "PTR", addr.String())
}

// count is how many questions of a kind were asked.
func (z *zones) count(kind string) (n int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, a := range z.asked {
		if strings.HasPrefix(a, kind+" ") {
			n++
		}
	}
	return n
}

// host adds a host with its name in both directions.
func (z *zones) host(addr, name string) *zones {
	if z.ptr == nil {
		z.ptr, z.ip = map[string][]string{}, map[string][]string{}
	}
	z.ptr[addr], z.ip[name] = []string{name + "."}, []string{addr}
	return z
}

// spfZones are zones of SPF records: domain, record, domain, record.
func spfZones(records ...string) *zones {
	z := &zones{txt: map[string][]string{}}
	for i := 0; i < len(records); i += 2 {
		z.txt[records[i]] = append(z.txt[records[i]], "site-verification=1", records[i+1])
	}
	return z
}

// find asks z, and returns what was observed too.
func find(t *testing.T, z *zones, q Question) (greylist.Origin, Found) {
	t.Helper()
	var found []Found
	d, err := New(Options{Resolver: z, Observe: func(f Found) { found = append(found, f) }})
	if err != nil {
		t.Fatal(err)
	}
	o, degraded := d.Find(t.Context(), q)
	if len(found) != 1 || found[0].Degraded != degraded || found[0].Kind != o.Kind {
		t.Fatalf("observed %+v, found %+v, degraded %v", found, o, degraded)
	}
	return o, found[0]
}

func from(peer, sender string) Question {
	return Question{Peer: netip.MustParseAddr(peer), Helo: "helo.example", Sender: sender}
}

func domain(name string) greylist.Origin { return greylist.Origin{Kind: greylist.Domain, Name: name} }

func named(name string) greylist.Origin { return greylist.Origin{Kind: greylist.Name, Name: name} }

func network(name string) greylist.Origin {
	return greylist.Origin{Kind: greylist.Network, Name: name}
}
