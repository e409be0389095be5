package proxy

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/greylist/origin"
	"moggy/whitelist"
)

// A pretender has a name only when it likes.
type pretender struct{ named bool }

func (p *pretender) Find(_ context.Context, q origin.Question) (greylist.Origin, bool) {
	if !p.named {
		return origin.Network(q.Peer), false
	}
	return greylist.Origin{Kind: greylist.Domain, Name: q.Sender[len("a@"):]}, false
}

// Who was unnamed at first and comes back under throw-away names is counted among
// the newcomers of its network as well.
func TestCrowdCannotComeBackByOtherNames(t *testing.T) {
	for _, namedAtFirst := range []bool{true, false} {
		p := &pretender{named: namedAtFirst}
		inWorld(t, nil, 10, func(_ *lab, j *Judge) { j.Finder = p }, func(l *lab) {
			tryAll(l)
			time.Sleep(26 * time.Minute) // virtual
			p.named = true
			if rules := tryAll(l); rules["returned"] != newcomersHourly || rules["crowded"] != 40-newcomersHourly {
				t.Errorf("named at first: %v; decided by %v", namedAtFirst, rules)
			}
		})
	}
}

// tryAll has forty hosts of one /24 try, each for a domain of its own.
func tryAll(l *lab) map[string]int {
	rules := make(map[string]int)
	for i := range 40 {
		f := factsOf("", &DoorOptions{Service: whitelist.Mail}, netip.AddrPortFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)}), 40000))
		f.Sender, f.Recipient = fmt.Sprintf("a@d%d.test", i), "b@example.net"
		var counted bool
		j := l.server.judge
		v := j.Recipient(l.t.Context(), &f, &l.server.settings.Load().Policy, j.Try(&counted), time.Now())
		rules[v.Rule]++
	}
	return rules
}
