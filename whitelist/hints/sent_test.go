package hints

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dns answers from a map: "mx DOMAIN" to hosts, "HOST" to addresses; "?" is an error.
type dns map[string]string

var errDNS = errors.New("server failure")

func (d dns) MX(_ context.Context, name string) ([]string, error) {
	return strings.Fields(strings.TrimSuffix(d["mx "+name], "?")), d.err("mx " + name)
}

func (d dns) IP(_ context.Context, name string) (all []netip.Addr, err error) {
	for s := range strings.FieldsSeq(strings.TrimSuffix(d[name], "?")) {
		all = append(all, addr(s))
	}
	return all, d.err(name)
}

func (d dns) err(name string) error {
	if strings.HasSuffix(d[name], "?") {
		return errDNS
	}
	return nil
}

// running gives hints with a running queue, which ends with the test.
func running(t *testing.T, o Options) *Hints {
	t.Helper()
	h := New(o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); h.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return h
}

func TestSent(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("192.0.2.%d", i+1))
	}
	for _, c := range []struct {
		name, domain string
		dns          dns
		want         []string
	}{
		{"mail hosts", "Friend.Test.", dns{"mx friend.test": "mx1 mx2", "mx1": "198.51.100.1 2001:db8:1::25", "mx2": "198.51.100.2"},
			[]string{"198.51.100.1/32", "198.51.100.2/32", "2001:db8:1::/64"}},
		{"none: itself", "friend.test", dns{"friend.test": "198.51.100.1"}, []string{"198.51.100.1/32"}},
		{"one of them fails", "friend.test", dns{"mx friend.test": "mx1 mx2", "mx1": "?", "mx2": "198.51.100.2"}, []string{"198.51.100.2/32"}},
		{"half an answer", "friend.test", dns{"friend.test": "198.51.100.1?"}, []string{"198.51.100.1/32"}},
		{"nothing of ours", "evil.test", dns{"evil.test": "127.0.0.1 10.1.2.3 192.168.1.1 172.16.0.1 169.254.1.1 fe80::1 fd00::1 " +
			"::1 0.0.0.0 224.0.0.1 100.64.0.1 255.255.255.255 ::ffff:10.1.2.3"}, nil},
		{"an address", "192.0.2.4", dns{"192.0.2.4": "192.0.2.4"}, nil},
		{"a literal", "[192.0.2.4]", dns{"[192.0.2.4]": "192.0.2.4"}, nil},
		{"a host of ours", "localhost", dns{"localhost": "192.0.2.4"}, nil},
		{"no name", "a b.test", dns{"a b.test": "192.0.2.4"}, nil},
		{"empty label", "a..test", dns{"a..test": "192.0.2.4"}, nil},
		{"nothing", "", dns{"": "192.0.2.4"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := book(t)
				h := running(t, Options{Book: b, Resolver: c.dns})
				h.Sent(Sent{epoch, c.domain})
				synctest.Wait()
				var got []string
				for e := range b.List().All() {
					got = append(got, e.Net.String())
					if e.Class != "correspondent" || e.Source != "wrote" || e.Note != "we wrote to friend.test" || !e.Expires.Equal(epoch.Add(60*24*time.Hour)) {
						t.Errorf("%+v", e)
					}
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%v, not %v", got, c.want)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		b := book(t)
		h := running(t, Options{Book: b, Resolver: dns{"friend.test": strings.Join(many, " ")}})
		h.Sent(Sent{epoch, "friend.test"})
		synctest.Wait()
		if len(b.entries()) != maxAddrs {
			t.Errorf("of a hundred addresses %d were learned", len(b.entries()))
		}
	})
}

// asked counts what is asked about an origin.
type asked struct {
	domains []string
	err     error
}

func (a *asked) origins(_ context.Context, domain string, _ time.Time) error {
	a.domains = append(a.domains, domain)
	return a.err
}

func TestSentMakesOriginsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{}
		h := running(t, Options{Book: book(t), Origins: a.origins})
		for _, d := range []time.Duration{0, time.Minute, renewAfter - 1, renewAfter, renewAfter + 1} {
			h.Sent(Sent{epoch.Add(d), "friend.test"})
			synctest.Wait()
		}
		if !slices.Equal(a.domains, []string{"friend.test", "friend.test"}) {
			t.Errorf("asked of %q", a.domains)
		}
	})
}

func TestSentIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := &asked{err: errDNS}
		h := running(t, Options{Book: book(t), Resolver: dns{"mx friend.test": "?"}, Origins: a.origins})
		for range 3 {
			h.Sent(Sent{epoch, "friend.test"})
			synctest.Wait()
		}
		if len(a.domains) != 3 {
			t.Errorf("asked of %q", a.domains)
		}
	})
}

func TestSentIsBounded(t *testing.T) {
	a := &asked{}
	h := New(Options{Book: book(t), Origins: a.origins}) // nobody runs it
	for i := range maxQueue + 10 {
		h.Sent(Sent{epoch, fmt.Sprintf("d%d.test", i)})
	}
	if h.Dropped() != 10 || len(h.wrote) != maxQueue {
		t.Errorf("%d dropped, %d remembered", h.Dropped(), len(h.wrote))
	}
	for i := range 2 * maxWrote {
		select {
		case <-h.queue:
		default:
		}
		h.Sent(Sent{epoch, fmt.Sprintf("e%d.test", i)})
	}
	if len(h.wrote) > maxWrote {
		t.Errorf("%d domains are remembered", len(h.wrote))
	}
	h = New(Options{Book: book(t)})
	h.Sent(Sent{epoch, "friend.test"})
	if len(h.queue) != 0 {
		t.Error("queued, with nobody to ask")
	}
}

func TestSlowDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var waited time.Duration
		h := running(t, Options{Book: book(t), Origins: func(ctx context.Context, _ string, _ time.Time) error {
			<-ctx.Done()
			waited = time.Since(start)
			return ctx.Err()
		}})
		h.Sent(Sent{epoch, "friend.test"})
		time.Sleep(time.Minute)
		synctest.Wait()
		if waited != lookUpFor || len(h.wrote) != 0 {
			t.Errorf("waited %v, remembers %v", waited, h.wrote)
		}
	})
}
