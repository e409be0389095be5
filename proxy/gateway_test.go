package proxy

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"moggy/metrics"
	"moggy/whitelist"
)

const containers = "172.18.0.1"

// come has n connections come from an address, one after the other.
func (l *lab) come(n int, from string) {
	l.t.Helper()
	l.comeTo(993, n, from)
}

func (l *lab) comeTo(port uint16, n int, from string) {
	l.t.Helper()
	for range n {
		l.callAt(port, from).Close()
		time.Sleep(time.Second) // virtual: no budget is used up
	}
}

// noted are the names of what was noted.
func (l *lab) noted() (names []string) {
	for _, r := range l.notes() {
		names = append(names, r.Rule)
	}
	return names
}

// lastRule is the rule that decided last about an address.
func (l *lab) lastRule(addr string) string {
	rule := ""
	for _, r := range l.records(addr) {
		rule = r.Rule
	}
	return rule
}

func TestGatewaySuspendsJudging(t *testing.T) {
	inHouse(t, labSet{slots: 10, ports: []uint16{25, 993}}, func(l *lab) {
		l.come(enough-1, containers)
		l.loggedIn(containers) // anybody may have, behind it
		l.come(1, containers)
		if got := l.noted(); !slices.Equal(got, []string{"source-address-lost"}) || l.lastRule(containers) != "gateway" {
			t.Errorf("noted %q, decided by %q", got, l.lastRule(containers))
		}
		mail := l.call(containers)
		mail.say("", "220 backend")
		mail.Close()
		l.come(watched, containers)
		l.come(watched/2, friend)
		l.come(1, containers)
		if l.lastRule(containers) != "gateway" {
			t.Errorf("with half of the connections, decided by %q", l.lastRule(containers))
		}
		l.come(2, friend)
		l.come(1, containers)
		if got := l.noted(); !slices.Equal(got, []string{"source-address-lost", "source-address-lost-over"}) || l.lastRule(containers) == "gateway" {
			t.Errorf("in the end noted %q, decided by %q", got, l.lastRule(containers))
		}
	})
}

// Who vouches for a private address makes an end of the alarm, and of carrying it
// unjudged.
func TestGatewayThatSomebodyVouchesFor(t *testing.T) {
	inHouse(t, labSet{ports: []uint16{993}}, func(l *lab) {
		l.come(enough, containers)
		allow(l, containers, false)
		l.come(1, containers)
		if got := l.noted(); !slices.Equal(got, []string{"source-address-lost", "source-address-lost-over"}) || l.lastRule(containers) != "known" {
			t.Errorf("noted %q, decided by %q", got, l.lastRule(containers))
		}
		if _, _, err := l.book.Remove(t.Context(), netip.MustParsePrefix(containers+"/32")); err != nil {
			t.Fatal(err)
		}
		l.come(1, containers)
		if got := l.server.Alarms(); len(got) != 1 || got[0].Name != AlarmName(metrics.SourceLost) {
			t.Errorf("afterwards the alarms are %+v", got)
		}
	})
}

func TestNoGateways(t *testing.T) {
	local := []whitelist.Entry{{Net: netip.MustParsePrefix("192.168.1.0/24"), Class: whitelist.Own, Source: whitelist.Local}}
	for name, from := range map[string]string{"a machine of ours": "192.168.1.7", "a public address": stranger, "this machine": "127.0.0.2"} {
		t.Run(name, func(t *testing.T) {
			inHouse(t, labSet{ports: []uint16{993}, local: local}, func(l *lab) {
				l.come(2*watched, from)
				if got := l.noted(); len(got) > 0 || l.lastRule(from) == "gateway" {
					t.Errorf("noted %q, decided by %q", got, l.lastRule(from))
				}
			})
		})
	}
}

// A machine's default gateway stands among its networks as one that nobody
// vouches for.
func TestDefaultGatewayIsNotOurs(t *testing.T) {
	local := []whitelist.Entry{{Net: netip.MustParsePrefix("172.18.0.0/16"), Class: whitelist.Own, Source: whitelist.Local},
		{Net: netip.MustParsePrefix(containers + "/32"), Class: whitelist.Stranger, Source: whitelist.Local}}
	inHouse(t, labSet{ports: []uint16{993}, local: local}, func(l *lab) {
		l.come(enough, containers)
		if got := l.noted(); !slices.Equal(got, []string{"source-address-lost"}) {
			t.Errorf("noted %q", got)
		}
	})
}

// A balancer on the LAN that hides the world is class own there, and carried: that is
// an alarm, where the machine of the family would not talk so much; and none where a
// person stands for it.
func TestBalancerOnTheLAN(t *testing.T) {
	for note, want := range map[string][]string{whitelist.Connected: {"source-address-lost"}, "local_networks": nil} {
		local := []whitelist.Entry{{Net: netip.MustParsePrefix("10.0.0.0/24"), Class: whitelist.Own, Source: whitelist.Local, Note: note}}
		inHouse(t, labSet{ports: []uint16{25, 993}, local: local}, func(l *lab) {
			l.comeTo(993, watched, balancer)
			if got := l.noted(); len(got) > 0 {
				t.Errorf("%s, at work: noted %q", note, got)
			}
			l.comeTo(25, 2, balancer)
			if got := l.noted(); !slices.Equal(got, want) || l.lastRule(balancer) != "known" {
				t.Errorf("%s: noted %q, decided by %q", note, got, l.lastRule(balancer))
			}
		})
	}
}
