package desk

import (
	"context"
	"encoding/json"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"moggy/cmd/internal/config"
	"moggy/cmd/internal/keep"
	"moggy/greylist"
	"moggy/proxy"
	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/budget"
	"moggy/whitelist/foreign"
)

// noon is when all tests happen.
var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// house is a store with a Local over it.
type house struct {
	*Local
	store keep.Store
}

// fakeDaemon has guests.
type fakeDaemon struct {
	guests []proxy.Guest
	ready  map[string]error
	alarms []proxy.Alarm
}

func (d *fakeDaemon) Guests() []proxy.Guest                     { return d.guests }
func (d *fakeDaemon) Ready() map[string]error                   { return d.ready }
func (d *fakeDaemon) Alarms() []proxy.Alarm                     { return d.alarms }
func (d *fakeDaemon) Recheck(context.Context)                   {}
func (d *fakeDaemon) Hides(netip.Addr, whitelist.Standing) bool { return false }

func newHouse(t testing.TB) house {
	t.Helper()
	dir := t.TempDir()
	c, err := config.Parse("test.toml", []byte(`
		state_dir = "`+dir+`"
		hostname = "mx.example.org"
		local_networks = ["10.0.0.0/8"]
		[greylist]
		origin = "network"
		[trap]
		addresses = ["configured@example.org"]
		[[listener]]
		name = "smtp"
		address = "127.0.0.1:2525"
		backend = "127.0.0.1:10025"`))
	if err != nil {
		t.Fatal(err)
	}
	store, err := keep.OpenAlone(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	l, err := localOver(t.Context(), c, store)
	if err != nil {
		t.Fatal(err)
	}
	l.Judge.Traps.Configure(c.Trap.Addresses, noon)
	l.now = func() time.Time { return noon }
	l.Daemon = &fakeDaemon{guests: []proxy.Guest{
		{Ref: "7KQ2ZD", Peer: netip.MustParseAddrPort("192.0.2.7:1234"), Listener: "smtp", Class: "stranger", State: "talk", Rule: "stranger", Since: noon},
		{Ref: "7KQ2ZE", Peer: netip.MustParseAddrPort("[2001:db8::7]:1234"), Listener: "smtp", Class: "peer", State: "carry", Rule: "known", Since: noon},
	}}
	return house{l, store}
}

func network(s string) netip.Prefix { return must(whitelist.ParseNet(s)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// try makes a triplet.
func (h house) try(t testing.TB, peer, from string, now time.Time) {
	t.Helper()
	addr := netip.MustParseAddr(peer)
	f := verdict.Facts{Service: whitelist.Mail, Peer: netip.AddrPortFrom(addr, 1), Sender: from, Recipient: "me@example.org"}
	p := h.Settings().Policy
	h.Judge.Recipient(t.Context(), &f, &p, h.Judge.Greylist.Try, now)
}

// listed makes a peer that named a trap.
func (h house) listed(t testing.TB, peer string) {
	t.Helper()
	f := verdict.Facts{Peer: netip.AddrPortFrom(netip.MustParseAddr(peer), 1), Recipient: "trap@example.org"}
	if err := h.Judge.List(&f, time.Hour, noon); err != nil {
		t.Fatal(err)
	}
}

// passed makes a peer that came back.
func (h house) passed(t testing.TB, peer string) {
	t.Helper()
	addr := netip.MustParseAddr(peer)
	o, _ := h.Judge.Finder.Find(t.Context(), questionOf(addr))
	f := verdict.Facts{Peer: netip.AddrPortFrom(addr, 1), Origin: o}
	if err := h.Judge.Remember(t.Context(), &f, noon); err != nil {
		t.Fatal(err)
	}
}

// learned makes a peer of which something was learned.
func (h house) learned(t testing.TB, peer string, c whitelist.Class, s whitelist.Source) {
	t.Helper()
	e := whitelist.Entry{Net: whitelist.Net(netip.MustParseAddr(peer)), Class: c, Source: s, Note: "a note", Added: noon, Expires: noon.Add(time.Hour)}
	if err := h.Judge.Book.Learn(e, noon); err != nil {
		t.Fatal(err)
	}
}

// use takes so many connections of a budget.
func (h house) use(peer string, c whitelist.Class, n int) {
	for range n {
		h.Judge.Meter.Take(budget.KeyOf(c, netip.MustParseAddr(peer)), budget.For(*h.Judge.Limits.Load(), c), noon)
	}
}

// play asks d of everything there is, and returns the answers as JSON.
func play(t *testing.T, d Desk) []string {
	var said []string
	note := func(v any, err error) {
		if err != nil {
			v = map[string]string{"kind": string(KindOf(err)), "error": err.Error()}
		}
		said = append(said, string(must(json.Marshal(v))))
	}
	ctx := t.Context()
	put := func(q EntryPut) { a, err := d.PutEntry(ctx, q); note(a, err) }
	put(EntryPut{Net: network("192.0.2.0/24"), Deny: true, TTL: time.Hour, Note: "wave"})
	put(EntryPut{Net: network("192.0.2.7"), Class: "peer", Note: "ticket 12"})
	put(EntryPut{Net: network("192.0.2.7"), Class: "user"})
	put(EntryPut{Net: network("192.0.0.0/16"), Class: "peer"})
	put(EntryPut{Net: network("10.1.0.0/16"), Deny: true})
	put(EntryPut{Net: network("192.0.2.7"), Class: "stranger"})
	put(EntryPut{Net: network("192.0.2.7"), Class: "friend"})
	put(EntryPut{Class: "peer"})
	put(EntryPut{Net: network("192.0.2.9"), Class: "peer", TTL: -1})
	for _, q := range []EntryFilter{{}, {Deny: true}, {Deny: true, Learned: true}, {Learned: true}, {Limit: 1}, {Net: network("192.0.2.7")}} {
		a, err := d.Entries(ctx, q)
		note(a, err)
	}
	for _, n := range []string{"192.0.2.7", "192.0.2.8", "10.2.3.4", "198.51.100.1", "203.0.113.9", "192.0.0.0/16", "2001:db8::/32"} {
		a, err := d.Show(ctx, Where{network(n)})
		note(a, err)
		c, err := d.RemoveEntry(ctx, EntryKey{Net: network(n)})
		note(c, err)
		c, err = d.RemoveEntry(ctx, EntryKey{Net: network(n), Deny: true})
		note(c, err)
	}
	traps := func(a TrapChange, err error) { note(a, err) }
	traps(d.PutTrap(ctx, TrapPut{Address: "Trap@Example.ORG", Note: "n"}))
	traps(d.PutTrap(ctx, TrapPut{Address: "nonsense"}))
	traps(d.RemoveTrap(ctx, TrapKey{"nothing@example.org"}))
	traps(d.RemoveTrap(ctx, TrapKey{"configured@example.org"}))
	list, err := d.Traps(ctx, TrapFilter{})
	note(list, err)
	traps(d.RemoveTrap(ctx, TrapKey{"trap@example.org"}))
	for _, m := range []*Mail{nil, {From: "bob@contoso.example", To: "me@example.org"}, {To: "me@example.org"}, {From: "a@b.example", To: "configured@example.org"}} {
		for _, a := range []string{"198.51.100.1", "198.51.100.2", "203.0.113.9", "192.0.2.9", "10.2.3.4", "2001:db8::1"} {
			trial, err := d.Try(ctx, Question{Addr: netip.MustParseAddr(a), Helo: "h", Mail: m})
			note(trial, err)
		}
	}
	trial, err := d.Try(ctx, Question{Addr: netip.MustParseAddr("192.0.2.1"), Listener: "587"})
	note(trial, err)
	for _, q := range []GreyFilter{{}, {Limit: 1}, {Net: network("198.51.100.2")}, {Mailbox: "@CONTOSO.example"}, {Origin: "203.0.113.0/24"}} {
		a, err := d.Grey(ctx, q)
		note(a, err)
	}
	for _, q := range []Plea{{}, {Net: network("203.0.113.9")}, {Net: network("203.0.113.9")}, {Sender: "bob@contoso.example"}, {Sender: "me@example.org"}} {
		a, err := d.Pardon(ctx, q)
		note(a, err)
	}
	for _, q := range []GreyFilter{{}, {Net: network("198.51.100.77")}, {Net: network("198.51.100.77")}, {Mailbox: "eve@example.net"}} {
		a, err := d.Forget(ctx, q)
		note(a, err)
	}
	for _, q := range []WhoFilter{{}, {State: "carry"}, {Class: "stranger"}, {Net: network("2001:db8::/64")}} {
		a, err := d.Who(ctx, q)
		note(a, err)
	}
	mails, err := d.Stuck(ctx, StuckFilter{})
	note(mails, err)
	for _, a := range []string{"", "192.0.2.7", "203.0.113.9", "203.0.113.78", "10.2.3.4", "::ffff:203.0.113.78"} {
		addr, _ := netip.ParseAddr(a)
		held, err := d.Evidence(ctx, EvidenceFilter{addr})
		note(held, err)
		seen, err := d.Blocked(ctx, BlockFilter{addr})
		seen.Time = time.Time{}
		for i := range seen.Hits {
			seen.Hits[i].First = time.Time{}
		}
		note(seen, err)
	}
	nets, err := d.Good(ctx, GoodFilter{})
	note(nets, err)
	used, err := d.Top(ctx, TopFilter{Limit: 2})
	note(used, err)
	dns, err := d.Lists(ctx, ListsFilter{})
	note(dns, err)
	status, err := d.Status(ctx, StatusFilter{})
	status.StateDir, status.Journal.Dir, status.Figures.StorePending, status.Foreign = "", "", 0, nil
	note(status, err)
	return said
}

// TestOneDeskTwoWays asks the same over the socket and at the desk itself.
func TestOneDeskTwoWays(t *testing.T) {
	furnished := func() house {
		h := newHouse(t)
		h.try(t, "198.51.100.1", "bob@contoso.example", noon.Add(-time.Minute))
		h.try(t, "198.51.100.3", "eve@example.net", noon.Add(-2*time.Minute))
		h.listed(t, "203.0.113.9")
		h.passed(t, "203.0.113.77")
		h.learned(t, "203.0.113.78", whitelist.User, whitelist.Login)
		h.Foreign = foreign.NewWatch(foreign.Options{Readers: []foreign.Reader{fakeWall("203.0.113.78", "192.0.2.0/24")}, List: h.Judge.Book.List})
		h.Health = func() Health { return Health{Login: noon, HintFaults: []string{"deaf"}} }
		h.use("203.0.113.78", whitelist.User, 3)
		h.use("192.0.2.7", whitelist.Listed, 2)
		return h
	}
	direct := play(t, furnished().Local)
	served := play(t, serve(t, furnished().Local))
	for i := range direct {
		if direct[i] != served[i] {
			t.Errorf("answer %d\nat the desk:     %s\nover the socket: %s", i, direct[i], served[i])
		}
	}
	if len(direct) != len(served) {
		t.Errorf("%d answers at the desk, %d over the socket", len(direct), len(served))
	}
}

// serve serves a desk on a socket until the test ends.
func serve(t *testing.T, d Desk) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- Serve(ctx, l, d) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return NewClient(path)
}

func TestPutSaysWhatChanges(t *testing.T) {
	h := newHouse(t)
	must(h.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.0/24"), Deny: true, Note: "wave"}))
	c := must(h.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.7"), Class: "peer"}))
	if len(c.Inside) != 1 || c.Inside[0].Note != "wave" || !c.Before.Deny || !c.Now.Known || c.Open != 1 || c.Replaced != nil {
		t.Errorf("allowing one of a denied network: %+v", c)
	}
	c = must(h.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.0/24"), Class: "peer"}))
	if c.Replaced == nil || !c.Replaced.Deny || len(c.Holds) != 1 {
		t.Errorf("allowing the network: %+v", c)
	}
	c = must(h.PutEntry(t.Context(), EntryPut{Net: network("10.0.0.0/7"), Deny: true, Force: true}))
	if len(c.Holds) != 1 || c.Holds[0].Source != whitelist.Local {
		t.Errorf("denying what holds a local network: %+v", c)
	}
}

// TestTryIsWhatTheProxyDoes compares tries with what the proxy itself decides,
// and looks whether they left a trace.
func TestTryIsWhatTheProxyDoes(t *testing.T) {
	h := newHouse(t)
	h.listed(t, "203.0.113.9")
	h.passed(t, "203.0.113.77")
	must(h.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.0/24"), Deny: true}))
	mail := &Mail{From: "bob@contoso.example", To: "me@example.org"}
	for _, a := range []string{"203.0.113.9", "203.0.113.77", "203.0.113.78", "192.0.2.1", "10.1.1.1", "198.51.100.1", "::ffff:10.1.1.1"} {
		addr := netip.MustParseAddr(a)
		asked := must(h.Try(t.Context(), Question{Addr: addr, Mail: mail}))
		if e := asked.Standing.Entry; e != nil && e.Used.After(noon) {
			t.Errorf("%s: a try was noted as a use", a)
		}
		if rows := must(h.Grey(t.Context(), GreyFilter{})); len(rows.Waiting) != 0 {
			t.Errorf("%s: a try left a triplet", a)
		}
		f := verdict.Facts{Service: whitelist.Mail, Peer: netip.AddrPortFrom(addr, 1), Sender: mail.From, Recipient: mail.To}
		p := h.Settings().Policy
		if v, _ := h.Judge.Connect(&f, &p, noon); v.Rule != asked.Connect.Rule || v.Action != asked.Connect.Action {
			t.Errorf("%s: a try says %+v, the proxy %+v", a, asked.Connect, v)
		}
		if asked.Recipient == nil {
			continue
		}
		if v := h.Judge.Recipient(t.Context(), &f, &p, h.Judge.Greylist.Peek, noon); v.Rule != asked.Recipient.Rule {
			t.Errorf("%s: a try says %+v, the proxy %+v", a, asked.Recipient, v)
		}
	}
}

func TestTryWithoutSlots(t *testing.T) {
	h := newHouse(t)
	h.Figures = func() Figures { return Figures{Held: 10, Slots: 10} }
	if r := must(h.Try(t.Context(), Question{Addr: netip.MustParseAddr("192.0.2.1")})); r.Connect.Rule != "full" || r.Passes {
		t.Errorf("all slots taken: %+v", r)
	}
}

func TestPardonKeepsTheRest(t *testing.T) {
	h := newHouse(t)
	h.listed(t, "203.0.113.9")
	h.passed(t, "203.0.113.77")
	must(h.PutEntry(t.Context(), EntryPut{Net: network("203.0.113.8"), Deny: true}))
	done := must(h.Pardon(t.Context(), Plea{Net: network("203.0.113.0/24")}))
	if len(done.Forgot) != 1 || done.Forgot[0].Net != network("203.0.113.9") {
		t.Errorf("forgot %+v", done.Forgot)
	}
	if st := h.look(network("203.0.113.77")); !st.Known {
		t.Errorf("who passed before is forgotten: %+v", st)
	}
	if st := h.look(network("203.0.113.8")); !st.Deny {
		t.Errorf("what a person denied is forgotten: %+v", st)
	}
}

func TestPardonedSenderPasses(t *testing.T) {
	h := newHouse(t)
	h.try(t, "198.51.100.1", "bob@contoso.example", noon)
	done := must(h.Pardon(t.Context(), Plea{Sender: "bob@contoso.example"}))
	if done.Waiting != 1 || !slices.Equal(done.Passes, []greylist.Origin{{Kind: greylist.Network, Name: "198.51.100.0/24"}}) {
		t.Fatalf("pardoned %+v", done)
	}
	r := must(h.Try(t.Context(), Question{Addr: netip.MustParseAddr("198.51.100.2"), Mail: &Mail{"bob@contoso.example", "me@example.org"}}))
	if !r.Passes {
		t.Errorf("the next try: %+v", r)
	}
	if done := must(h.Pardon(t.Context(), Plea{Sender: "bob@contoso.example"})); done.Waiting != 0 {
		t.Errorf("pardoned twice: %+v", done)
	}
}

func TestForgetAddressAndWhatItCameAs(t *testing.T) {
	h := newHouse(t)
	o := greylist.Origin{Kind: greylist.Domain, Name: "contoso.example"}
	must(h.Judge.Greylist.Try(t.Context(), greylist.Try{Triplet: greylist.Triplet{Origin: o, Sender: "a@b.example", Recipient: "c"},
		Peer: netip.MustParseAddr("198.51.100.1"), Now: noon, Timers: *h.Judge.Timers.Load()}))
	if err := h.Judge.Greylist.Pass(t.Context(), o, noon); err != nil {
		t.Fatal(err)
	}
	gone := must(h.Forget(t.Context(), GreyFilter{Net: network("198.51.100.1")}))
	if gone.Triplets != 1 || gone.Origins != 1 || !slices.Equal(gone.Names, []greylist.Origin{o}) {
		t.Errorf("forgot %+v", gone)
	}
}

func TestShowWhole(t *testing.T) {
	h := newHouse(t)
	must(h.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.0/24"), Class: "peer"}))
	must(h.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.7"), Deny: true}))
	must(h.PutEntry(t.Context(), EntryPut{Net: network("2001:db8::/32"), Class: "peer"}))
	for n, whole := range map[string]bool{"192.0.2.0/24": false, "192.0.2.0/25": false, "192.0.2.128/25": true, "192.0.2.7": false,
		"192.0.2.8": true, "192.0.0.0/16": false, "2001:db8:1::/48": true, "198.51.100.1": false} {
		if s := must(h.Show(t.Context(), Where{network(n)})); s.Whole != whole {
			t.Errorf("%s: known as a whole: %v, want %v", n, s.Whole, whole)
		}
	}
}
