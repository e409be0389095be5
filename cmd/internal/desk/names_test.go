package desk

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/desk/zonetest"
	"moggy/cmd/internal/keep"
	"moggy/dnsbl"
	"moggy/greylist"
	"moggy/verdict"
)

// world is what the name server of these tests says: a block list, an allow
// list, one that lists everybody, one that does not answer, and some strangers.
const world = `
2.0.0.127.bl.test       A    127.0.0.2
7.2.0.192.bl.test       A    127.0.0.4
9.2.0.192.bl.test       A    127.0.0.4
2.0.0.127.wl.test       A    127.0.0.2
8.2.0.192.wl.test       A    127.0.5.1
9.2.0.192.wl.test       A    127.0.5.1
*.everybody.test        A    127.0.0.2
*.silent.test           fail
contoso.test            TXT  v=spf1 ip4:192.0.2.0/24 -all
7.2.0.192.in-addr.arpa  PTR  mail.fabrikam.test
mail.fabrikam.test      A    192.0.2.7
`

// named is a Local without a daemon that asks DNS.
func named(t *testing.T, lists string) *Local {
	t.Helper()
	server, err := zonetest.Start(world)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	dir := t.TempDir()
	c, err := config.Parse("test.toml", []byte(`
		state_dir = "`+dir+`"
		[dnsbl]
		timeout = "10s"
		servers = ["`+server.Addr().String()+`"]
		`+lists))
	if err != nil {
		t.Fatal(err)
	}
	store, err := keep.OpenAlone(c)
	if err != nil {
		t.Fatal(err)
	}
	l, err := localOver(t.Context(), c, store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { over{l.names, store}.Close() })
	return l
}

const twoLists = `
	[[dnsbl.list]]
	zone = "bl.test"
	weight = 3
	[[dnsbl.list]]
	zone = "wl.test"
	name = "friends"
	weight = -3
	codes = ["127.0.0.2-127.0.255.255"]`

// TestTryAsksDNS: without a daemon too, a try knows what the lists say and who is
// behind an address.
func TestTryAsksDNS(t *testing.T) {
	l := named(t, twoLists)
	mail := &Mail{From: "bob@contoso.test", To: "me@example.org"}
	spf := greylist.Origin{Kind: greylist.Domain, Name: "contoso.test"}
	for _, c := range []struct {
		addr   string
		mail   *Mail
		rule   string // about the mail
		passes bool
		origin greylist.Origin
		score  string
	}{
		{"192.0.2.7", mail, "dns-listed", false, spf, "3 of 3: bl.test 127.0.0.4 (+3)"},
		{"192.0.2.8", mail, "dns-allowed", true, spf, "-3 of 3: friends 127.0.5.1 (-3)"},
		{"192.0.2.9", mail, "first-seen", false, spf, "0 of 3: bl.test 127.0.0.4 (+3), friends 127.0.5.1 (-3)"},
		{"192.0.2.10", mail, "first-seen", false, spf, "0 of 3"},
		{"192.0.2.7", nil, "", false, greylist.Origin{Kind: greylist.Name, Name: "fabrikam.test"}, "3 of 3: bl.test 127.0.0.4 (+3)"},
		{"192.0.2.8", nil, "", true, greylist.Origin{Kind: greylist.Network, Name: "192.0.2.0/24"}, "-3 of 3: friends 127.0.5.1 (-3)"},
	} {
		r := must(l.Try(t.Context(), Question{Addr: netip.MustParseAddr(c.addr), Mail: c.mail}))
		rule := ""
		if r.Recipient != nil {
			rule = r.Recipient.Rule
		}
		if rule != c.rule || r.Passes != c.passes || r.Lists == nil || r.Lists.String() != c.score {
			t.Errorf("%s: rule %q, passes: %v, lists: %v", c.addr, rule, r.Passes, r.Lists)
		}
		if r.Grey == nil || r.Grey.Origin != c.origin || r.Grey.Poorer {
			t.Errorf("%s: origin %+v, want %v", c.addr, r.Grey, c.origin)
		}
	}
}

// TestTryNamesWhatIsMissing: lists that do not work are named, and do not count.
func TestTryNamesWhatIsMissing(t *testing.T) {
	l := named(t, twoLists+`
	[[dnsbl.list]]
	zone = "everybody.test"
	weight = 5
	[[dnsbl.list]]
	zone = "silent.test"
	weight = 5`)
	r := must(l.Try(t.Context(), Question{Addr: netip.MustParseAddr("192.0.2.10"), Mail: &Mail{From: "bob@contoso.test", To: "me@example.org"}}))
	withheld := []dnsbl.Withheld{{List: "everybody.test", State: dnsbl.Suspended}, {List: "silent.test", State: dnsbl.Untested}}
	if r.Lists.Total != 0 || !slices.Equal(r.Lists.Withheld, withheld) || !slices.Contains(r.Recipient.Degraded, verdict.DNS) {
		t.Errorf("lists: %+v, degraded: %v", r.Lists, r.Recipient.Degraded)
	}
	a := must(l.Lists(t.Context(), ListsFilter{}))
	var states []dnsbl.State
	for _, s := range a.Lists {
		states = append(states, s.State)
	}
	if want := []dnsbl.State{dnsbl.Working, dnsbl.Working, dnsbl.Suspended, dnsbl.Untested}; !slices.Equal(states, want) || a.Watched || a.Threshold != 3 {
		t.Errorf("lists: %+v, want them %v", a, want)
	}
}

// TestKnownPeersNeedNoDNS: who is known is not asked about.
func TestKnownPeersNeedNoDNS(t *testing.T) {
	l := named(t, twoLists)
	must(l.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.7"), Class: "peer"}))
	r := must(l.Try(t.Context(), Question{Addr: netip.MustParseAddr("192.0.2.7"), Mail: &Mail{From: "bob@contoso.test", To: "me@example.org"}}))
	if r.Lists != nil || r.Grey != nil || !r.Passes || l.names.Resolver.Stats().Misses != 0 {
		t.Errorf("%+v; asked: %+v", r, l.names.Resolver.Stats())
	}
}

func TestListsSayNo(t *testing.T) {
	_, err := newHouse(t).Lists(t.Context(), ListsFilter{})
	if KindOf(err) != No || !strings.Contains(err.Error(), "add [[dnsbl.list]]") {
		t.Errorf("without lists: %v", err)
	}
	l := named(t, "")
	l.nameless = errors.New("name servers of the system: nonsense; mend it")
	if _, err := l.Lists(t.Context(), ListsFilter{}); KindOf(err) != Fault || !strings.Contains(err.Error(), "mend it") {
		t.Errorf("without name servers: %v", err)
	}
	if _, err := l.Try(t.Context(), Question{Addr: netip.MustParseAddr("192.0.2.7")}); KindOf(err) != Fault {
		t.Errorf("a try without name servers: %v", err)
	}
	must(l.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.7"), Class: "peer"}))
	if r := must(l.Try(t.Context(), Question{Addr: netip.MustParseAddr("192.0.2.7")})); !r.Passes {
		t.Errorf("who is known, without name servers: %+v", r)
	}
}

// TestListsOverTheSocket asks for lists that a daemon watches.
func TestListsOverTheSocket(t *testing.T) {
	l := named(t, twoLists)
	l.Daemon = &fakeDaemon{}
	l.Judge.Lists.Probe(t.Context())
	l.Judge.Lists.Check(t.Context(), netip.MustParseAddr("192.0.2.7"))
	client := serve(t, l)
	a := must(client.Lists(t.Context(), ListsFilter{}))
	if len(a.Lists) != 2 || a.Lists[0].Hits != 1 || a.Lists[1].Name != "friends" || a.Lists[1].Answers[dnsbl.Clean] != 1 || !a.Watched {
		t.Errorf("%+v", a)
	}
	if s := must(client.Status(t.Context(), StatusFilter{})); s.DNSLists[dnsbl.Working] != 2 {
		t.Errorf("status: %v", s.DNSLists)
	}
}

// TestNewNames: nothing is built that is not asked for, and whoever wants to know
// is told.
func TestNewNames(t *testing.T) {
	c := config.Default()
	c.Greylist.Origin = config.OriginNetwork
	if n := must(NewNames(c, NamesOptions{})); n.Resolver != nil || n.Lists != nil || n.Finder == nil || n.Close() != nil {
		t.Errorf("neither lists nor names: %+v", n)
	}
	c.DNSBL.Servers = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:53")}
	c.DNSBL.Lists = []config.DNSList{{Zone: "abcdefghijklmnopqrst.bl.test", Weight: 1}, {Zone: "wl.test", Name: "friends", Weight: -1}}
	if got := ListNames(c); !slices.Equal(got, []string{"***.bl.test", "friends"}) {
		t.Errorf("shown as %q", got)
	}
	if _, err := NewNames(c, NamesOptions{}); err == nil || !strings.Contains(err.Error(), "[dnsbl] servers") {
		t.Errorf("a server that cannot be: %v", err)
	}
	server, err := zonetest.Start(world)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c.DNSBL.Servers[0] = server.Addr()
	var asked []string
	n := must(NewNames(c, NamesOptions{Asked: func(kind, outcome string, _ time.Duration) { asked = append(asked, kind+" "+outcome) }}))
	must(n.Resolver.A(t.Context(), "mail.fabrikam.test"))
	if err := n.Close(); err != nil || !slices.Equal(asked, []string{"A found"}) || n.Lists == nil {
		t.Errorf("asked %q, %v", asked, err)
	}
}
