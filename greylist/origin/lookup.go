package origin

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"blitiri.com.ar/go/spf"
)

// maxRecord is the longest SPF record that is read, in bytes. RFC 7208 §3.4
// would have 450; flattened ones have some thousand.
const maxRecord = 8192

// A lookup asks a Resolver in the words of the SPF library, which counts and
// limits the questions (RFC 7208 §4.6.4). It refuses names that nobody can have:
// records and macros make them of a stranger's text. What was asked once is not
// asked again; it holds no more than the questions of three evaluations, 121
// each. It serves one goroutine.
type lookup struct {
	resolver Resolver
	failed   bool // a question was not answered
	txt, mx  map[string]answer[string]
	ip       map[string]answer[netip.Addr]
	ptr      map[string]answer[string]
}

type answer[T any] struct {
	values []T
	err    error
}

var _ spf.DNSResolver = (*lookup)(nil)

// once asks one question, or finds its answer in known. Its errors are those
// that the library takes for "not found" and for "try again later".
func once[T any](ctx context.Context, l *lookup, known *map[string]answer[T], name string, ask func(context.Context, string) ([]T, error)) ([]T, error) {
	name, ok := askable(name)
	if !ok {
		return nil, notFound(name)
	}
	a, ok := (*known)[name]
	if !ok {
		a.values, a.err = unlessDone(ctx, name, ask)
		if *known == nil {
			*known = make(map[string]answer[T])
		}
		(*known)[name] = a
	}
	l.failed = l.failed || a.err != nil
	switch {
	case len(a.values) > 0:
		return a.values, nil // a part of the answer too: what it misses matches nothing
	case a.err != nil:
		return nil, &net.DNSError{Err: a.err.Error(), Name: name, IsTemporary: true, UnwrapErr: a.err}
	}
	return nil, notFound(name)
}

func unlessDone[T any](ctx context.Context, name string, ask func(context.Context, string) ([]T, error)) ([]T, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return ask(ctx, name)
}

// askable is the name as it is asked for: one that a macro made too long loses
// labels from the left (RFC 7208 §7.3).
func askable(name string) (string, bool) {
	name = fold(name)
	for len(name) > maxName {
		i := strings.IndexByte(name, '.')
		if i < 0 {
			return "", false
		}
		name = name[i+1:]
	}
	return name, queryable(name)
}

func notFound(name string) error {
	return &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}
}

// LookupTXT returns the records that may be SPF and are not absurdly long: what
// the library does with a record may take time by the square of its length.
func (l *lookup) LookupTXT(ctx context.Context, name string) ([]string, error) {
	txt, err := once(ctx, l, &l.txt, name, l.resolver.TXT)
	if err != nil {
		return nil, err
	}
	var short []string
	for _, t := range txt {
		if len(t) <= maxRecord {
			short = append(short, t)
		}
	}
	return short, nil
}

// LookupMX returns the mail hosts of a name.
func (l *lookup) LookupMX(ctx context.Context, name string) ([]*net.MX, error) {
	hosts, err := once(ctx, l, &l.mx, name, l.resolver.MX)
	var mx []*net.MX
	for _, h := range hosts {
		mx = append(mx, &net.MX{Host: h})
	}
	return mx, err
}

// LookupIPAddr returns the addresses of a name.
func (l *lookup) LookupIPAddr(ctx context.Context, name string) ([]net.IPAddr, error) {
	addrs, err := once(ctx, l, &l.ip, name, l.resolver.IP)
	var ips []net.IPAddr
	for _, a := range addrs {
		if a.IsValid() {
			ips = append(ips, net.IPAddr{IP: canonical(a).AsSlice()})
		}
	}
	return ips, err
}

// LookupAddr returns the names of an address, for the ptr mechanism.
func (l *lookup) LookupAddr(ctx context.Context, addr string) ([]string, error) {
	names, err := once(ctx, l, &l.ptr, addr, func(ctx context.Context, text string) ([]string, error) {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		return l.resolver.PTR(ctx, canonical(a))
	})
	return hostNames(names), err
}
