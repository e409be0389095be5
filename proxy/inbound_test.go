package proxy

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const balancer = "10.0.0.5"

// behind runs f in a lab whose mail listener has a balancer in front.
func behind(t *testing.T, f func(l *lab)) {
	inLab(t, nil, 10, func(l *lab) {
		l.server.doors[0].TrustProxy = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
		f(l)
	})
}

// Behind a balancer a client is who the header says, byte for byte from then on.
func TestBalancerNamesTheClient(t *testing.T) {
	behind(t, func(l *lab) {
		c := l.call(balancer)
		c.say("PROXY TCP4 "+stranger+" 192.0.2.25 40001 25\n", "220 mx.test")
		c.after(10 * time.Second) // it is a stranger's banner
		c.say("EHLO x.test\nMAIL FROM:<a@x.test>\nRCPT TO:<b@example.net>\nQUIT\n", "250", "250", "451", "221")
		c.Close()
		if got := l.rules(stranger); got != "stranger first-seen" {
			t.Errorf("the client was judged by %q", got)
		}
		if got := l.rules(balancer); got != "" {
			t.Errorf("the balancer was judged by %q", got)
		}
	})
}

// Nothing but a header of the balancer's is a client.
func TestBalancerOrNobody(t *testing.T) {
	for name, test := range map[string]struct{ from, text string }{
		"from elsewhere":         {stranger, "PROXY TCP4 192.0.2.9 192.0.2.25 40001 25\n"},
		"from elsewhere, silent": {stranger, ""},
		"no header":              {balancer, "EHLO x.test\n"},
		"no end":                 {balancer, "PROXY TCP4 192.0.2.9"},
		"no sense":               {balancer, "PROXY TCP4 here there 1 2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			behind(t, func(l *lab) {
				c := l.call(test.from)
				if got := c.ask(test.text); !strings.Contains(got, "EOF") && !strings.Contains(got, "closed") {
					t.Errorf("it was told %q", got)
				}
				c.Close()
				synctest.Wait()
				for _, addr := range []string{test.from, "192.0.2.9"} {
					if got := l.rules(addr); got != "" {
						t.Errorf("%s was judged by %q", addr, got)
					}
				}
			})
		})
	}
}

// A health check is answered, and nobody hears of it.
func TestHealthCheckIsNobody(t *testing.T) {
	local, err := hex.DecodeString("0d0a0d0a000d0a515549540a20000000")
	if err != nil {
		t.Fatal(err)
	}
	behind(t, func(l *lab) {
		c := l.call(balancer)
		go c.Write(local)
		c.say("", "220 mx.test")
		c.after(0)
		c.say("EHLO lb.test\nNOOP\nMAIL FROM:<a@x.test>\nRCPT TO:<b@example.net>\n", "250", "250", "250", "421")
		l.backend.set(true)
		l.server.doors[0].ask(t.Context())
		down := l.call(balancer)
		down.say("PROXY UNKNOWN\n", "421 4.3.2")
		synctest.Wait()
		if got := l.rules(balancer); got != "" || len(l.records(balancer)) != 0 {
			t.Errorf("the check was judged by %q", got)
		}
	})
}
