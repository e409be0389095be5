package proxy

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"moggy/dnsbl"
	"moggy/greylist/origin"
)

// A liar answers every question in its own way: late, with an error, with nothing,
// or with what is wrong.
type liar struct {
	answer func(ctx context.Context) (string, error)
}

func (l liar) text(ctx context.Context) ([]string, error) {
	s, err := l.answer(ctx)
	if s == "" {
		return nil, err
	}
	return []string{s}, err
}

func (l liar) A(ctx context.Context, _ string) ([]netip.Addr, error) {
	s, err := l.answer(ctx)
	if addr, bad := netip.ParseAddr(s); bad == nil {
		return []netip.Addr{addr}, err
	}
	return nil, err
}
func (l liar) IP(ctx context.Context, name string) ([]netip.Addr, error) { return l.A(ctx, name) }
func (l liar) TXT(ctx context.Context, _ string) ([]string, error)       { return l.text(ctx) }
func (l liar) MX(ctx context.Context, _ string) ([]string, error)        { return l.text(ctx) }
func (l liar) PTR(ctx context.Context, _ netip.Addr) ([]string, error)   { return l.text(ctx) }
func silent(ctx context.Context) (string, error)                         { <-ctx.Done(); return "", ctx.Err() }
func broken(context.Context) (string, error)                             { return "", errors.New("server failure") }
func fixed(s string) func(context.Context) (string, error) {
	return func(context.Context) (string, error) { return s, nil }
}

// lies are the ways; "everything" mixes them.
func lies() map[string]func(context.Context) (string, error) {
	all := map[string]func(context.Context) (string, error){
		"silent": silent, "broken": broken, "nothing": fixed(""), "listed": fixed("127.0.0.2"),
		"quota": fixed("127.255.255.254"), "parked": fixed("192.0.2.80"), "allow all": fixed("v=spf1 +all"),
		"escape": fixed("\x1b[31m\x00.example"), "endless": fixed("v=spf1 include:a.example include:b.example"),
	}
	var ways []func(context.Context) (string, error)
	for _, w := range all {
		ways = append(ways, w)
	}
	dice := rand.New(rand.NewPCG(1, 2))
	choices := make([]int, 4096)
	for i := range choices {
		choices[i] = dice.IntN(len(ways))
	}
	all["everything"] = func(ctx context.Context) (string, error) {
		return ways[choices[int(time.Now().UnixNano()/1000)%len(choices)]](ctx)
	}
	return all
}

// TestNoAnswerHarms: whatever DNS answers, and if it answers nothing at all, no known
// peer waits, no stranger is refused for good, and each gets its reply in time.
func TestNoAnswerHarms(t *testing.T) {
	for name, lie := range lies() {
		t.Run(name, func(t *testing.T) {
			inWorld(t, nil, 10, func(_ *lab, j *Judge) {
				j.Finder = must(origin.New(origin.Options{Resolver: liar{lie}}))
				j.Lists = dnsbl.New(dnsbl.Options{Resolver: liar{lie}, Threshold: 3,
					Lists: []dnsbl.List{{Zone: "bl.test", Weight: 3}, {Zone: "wl.test", Weight: -3}}})
			}, func(l *lab) {
				time.Sleep(time.Minute) // virtual: the lists were probed
				allow(l, friend, false)
				known := l.call(friend)
				known.say("", "220 backend ESMTP")
				known.after(0)
				known.Close()
				l.strangerIsDeferred(t)
				time.Sleep(26 * time.Minute) // virtual
				l.strangerGetsIn(t)
			})
		})
	}
}

func (l *lab) strangerIsDeferred(t *testing.T) {
	c := l.call(stranger)
	defer c.Close()
	c.say("", "220 mx.test")
	c.after(10 * time.Second)
	asked := time.Now()
	if got := c.tell(envelope, 3); !strings.HasPrefix(got, "4") {
		t.Errorf("the first try was answered %q, want 4yz", got)
	}
	if took := time.Since(asked); took > 15*time.Second {
		t.Errorf("its recipient was answered after %v", took)
	}
}

func (l *lab) strangerGetsIn(t *testing.T) {
	c := l.call(stranger)
	defer c.Close()
	c.say("", "220 mx.test")
	if got := c.tell(envelope, 3); !strings.HasPrefix(got, "250") {
		t.Errorf("the retry was answered %q, want the backend's 250", got)
	}
}

// TestObservingHoldsNobodyUp: a DNS that never answers costs an observed peer a
// second, however much it says.
func TestObservingHoldsNobodyUp(t *testing.T) {
	inWorld(t, func(s *Settings) { s.Policy.Observe = true }, 10, func(_ *lab, j *Judge) {
		j.Finder = must(origin.New(origin.Options{Resolver: liar{silent}}))
	}, func(l *lab) {
		c := l.call(stranger)
		c.say("", "220 backend")
		c.tell("EHLO x.test\nMAIL FROM:<a@x.test>\n"+strings.Repeat("RCPT TO:<b@example.net>\n", 50)+"DATA\n", 53)
		if took := time.Since(c.came); took > 1100*time.Millisecond {
			t.Errorf("the peer waited %v", took)
		}
		c.Close()
	})
}
