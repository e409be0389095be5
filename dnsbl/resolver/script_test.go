package resolver

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// A script stands in for the wire, in virtual time: what each server does with a question.
type script struct {
	mu    sync.Mutex
	asked []string // "server question", in order; the server by the last byte of its address
	does  map[byte]exchange
}

// exchange plays the script.
func (s *script) exchange(ctx context.Context, to *server, q question) (answer, error) {
	n := to.addr.Addr().As4()[3]
	s.mu.Lock()
	s.asked = append(s.asked, fmt.Sprintf("%d %s", n, q.name))
	do := s.does[n]
	s.mu.Unlock()
	return do(ctx, to, q)
}

// set changes what a server does from now on.
func (s *script) set(n byte, do exchange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.does[n] = do
}

// take returns what was asked since the last time.
func (s *script) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.asked = nil }()
	return s.asked
}

// count returns how often a server was asked since the last take.
func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

// says answers with an address after a time.
func says(addr string, ttl, after time.Duration) exchange {
	return func(ctx context.Context, s *server, q question) (answer, error) {
		if err := pause(ctx, q, s, after); err != nil {
			return answer{}, err
		}
		return answer{addrs: []netip.Addr{netip.MustParseAddr(addr)}, ttl: ttl}, nil
	}
}

// hasNone answers after a time that there is nothing.
func hasNone(ttl, after time.Duration) exchange {
	return func(ctx context.Context, s *server, q question) (answer, error) {
		if err := pause(ctx, q, s, after); err != nil {
			return answer{}, err
		}
		return answer{ttl: ttl}, nil
	}
}

// fails fails after a time.
func fails(k Kind, after time.Duration) exchange {
	return func(ctx context.Context, s *server, q question) (answer, error) {
		if err := pause(ctx, q, s, after); err != nil {
			return answer{}, err
		}
		return answer{}, q.at(s.addr, k, nil)
	}
}

// silent never answers.
func silent(ctx context.Context, s *server, q question) (answer, error) {
	<-ctx.Done()
	return answer{}, q.at(s.addr, Timeout, nil)
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, q question, s *server, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return q.at(s.addr, Timeout, nil)
	}
}

// play returns a Resolver on a script with as many servers as there are exchanges, and closes it after the test. In a
// bubble that is too late: there the test closes it.
func play(t testing.TB, o Options, does ...exchange) (*Resolver, *script) {
	t.Helper()
	s := &script{does: make(map[byte]exchange)}
	for i, do := range does {
		s.does[byte(i+1)] = do
		o.Servers = append(o.Servers, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 53))
	}
	r, err := newResolver(o, s.exchange)
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

// pass lets virtual time pass.
func pass(d time.Duration) { <-time.After(d) }

// wants asks for an address and compares what comes: an address, "" for none, or a kind of failure. It returns how long
// it took.
func wants(t *testing.T, r *Resolver, name, want string) time.Duration {
	t.Helper()
	begun := time.Now()
	got, err := r.A(t.Context(), name)
	took := time.Since(begun)
	text := contents(answer{addrs: got})
	if err != nil {
		text = err.(*Error).Kind.String()
	}
	if text != want {
		t.Errorf("%s: %q (%v), want %q", name, text, err, want)
	}
	return took
}
