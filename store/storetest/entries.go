package storetest

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// byKey are the entries of a store; a network and source twice is a mistake.
func byKey(t *testing.T, s Subject) map[whitelist.EntryKey]whitelist.Entry {
	t.Helper()
	all := make(map[whitelist.EntryKey]whitelist.Entry)
	for _, e := range collect(t, s.Entries(context.Background())) {
		if _, twice := all[e.Key()]; twice {
			t.Errorf("%v twice", e.Key())
		}
		all[e.Key()] = e
	}
	return all
}

func want(t *testing.T, s Subject, entries ...whitelist.Entry) {
	t.Helper()
	got := byKey(t, s)
	for _, e := range entries {
		g, ok := got[e.Key()]
		if !ok {
			t.Errorf("%v is not there", e.Key())
			continue
		}
		if !equal(g, e) {
			t.Errorf("%v\n got %+v\nwant %+v", e.Key(), g, e)
		}
		delete(got, e.Key())
	}
	for key := range got {
		t.Errorf("%v should not be there", key)
	}
}

// equal compares entries to the second.
func equal(a, b whitelist.Entry) bool {
	for _, e := range []*whitelist.Entry{&a, &b} {
		for _, at := range []*time.Time{&e.Added, &e.Expires, &e.Used} {
			if !at.IsZero() {
				*at = at.UTC().Truncate(time.Second)
			}
		}
	}
	return a == b
}

func said(net string) whitelist.Entry {
	return whitelist.Entry{Net: netip.MustParsePrefix(net), Class: whitelist.Peer,
		Source: whitelist.Operator, Note: "ticket 12", Added: epoch()}
}

func learned(net string) whitelist.Entry {
	return whitelist.Entry{Net: netip.MustParsePrefix(net), Class: whitelist.Peer, Source: whitelist.Passed,
		Added: epoch(), Expires: epoch().Add(24 * time.Hour), Renew: 36 * 24 * time.Hour}
}

func denied(net string) whitelist.Entry {
	e := said(net)
	e.Deny, e.Class = true, ""
	e.Note = "said \"no\"\n\x00\xff " + strings.Repeat("ü", 200)
	e.Expires = epoch().Add(90 * 24 * time.Hour)
	return e
}

func put(t *testing.T, s Subject, entries ...whitelist.Entry) {
	t.Helper()
	for _, e := range entries {
		must(t, s.PutEntry(context.Background(), e))
	}
}

func remove(t *testing.T, s Subject, e whitelist.Entry) {
	t.Helper()
	must(t, s.DeleteEntry(context.Background(), e.Net, e.Source))
}

func entries(t *testing.T, s Subject) {
	want(t, s)
	all := []whitelist.Entry{said("192.0.2.0/24"), said("192.0.2.0/25"), said("192.0.2.0/32"), denied("198.51.100.7/32"),
		said("0.0.0.0/0"), said("::/0"), said("2001:db8::/32"), said("2001:db8::1/128"), denied("2001:db8::/64")}
	put(t, s, all...)
	want(t, s, all...)

	again := all[0]
	again.Class, again.Note, again.Used, again.Renew = "customers", "", epoch().Add(time.Minute), time.Hour
	put(t, s, again)
	all[0] = again
	want(t, s, all...)

	remove(t, s, all[1])
	remove(t, s, all[1]) // no entry is no error
	want(t, s, append(all[:1:1], all[2:]...)...)
}

func entriesRefused(t *testing.T, s Subject) {
	put(t, s, said("192.0.2.0/24"))
	for _, net := range []netip.Prefix{{}, netip.MustParsePrefix("192.0.2.1/24")} {
		e := denied("192.0.2.0/24")
		e.Net = net
		if err := s.PutEntry(context.Background(), e); err == nil {
			t.Errorf("PutEntry took %v", net)
		}
		s.LearnEntries(e)
	}
	settle(t, s)
	want(t, s, said("192.0.2.0/24"))
}

// manyEntries has more of them than a store hands out at a time.
func manyEntries(t *testing.T, s Subject) {
	var all []whitelist.Entry
	for i := range 5000 {
		e := learned("10.0.0.0/32")
		e.Net = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 32)
		all = append(all, e)
	}
	s.LearnEntries(all[:3000]...)
	settle(t, s)
	s.LearnEntries(all[2000:]...)
	want(t, s, all...)
	settle(t, s)
	want(t, s, all...)
}

func learnedEntries(t *testing.T, s Subject) {
	a, b, p := learned("192.0.2.7/32"), learned("2001:db8::/64"), said("192.0.2.7/32")
	put(t, s, p)
	s.LearnEntries(a, b)
	want(t, s, a, b, p) // what was said and what was learned are two

	again := a
	again.Class, again.Used, again.Note = whitelist.Pool, epoch().Add(time.Hour), "again"
	s.LearnEntries(again)
	want(t, s, again, b, p)

	nowhere := a.Key()
	nowhere.Net = netip.MustParsePrefix("203.0.113.0/24")
	s.ForgetEntries(a.Key(), b.Key(), p.Key(), nowhere, whitelist.EntryKey{})
	want(t, s, p) // what a person said is not forgotten like that
	settle(t, s)
	want(t, s, p)

	s.LearnEntries(b)
	settle(t, s)
	s.ForgetEntries(b.Key())
	s.LearnEntries(b)
	want(t, s, b, p)

	remove(t, s, b)
	want(t, s, p)
	s.LearnEntries()
	s.ForgetEntries()
}

// manySources learn of one network: so many entries.
func manySources(t *testing.T, s Subject) {
	for _, net := range []string{"192.0.2.7/32", "2001:db8::/64"} {
		var all []whitelist.Entry
		for _, source := range whitelist.Sources() {
			e := learned(net)
			e.Source, e.Note = source, string(source)
			if source.Learned() {
				all = append(all, e)
			}
		}
		s.LearnEntries(all[:4]...)
		settle(t, s)
		s.LearnEntries(all[4:]...)
		want(t, s, all...)
		settle(t, s)
		want(t, s, all...)

		all[1].Class = whitelist.Listed
		s.LearnEntries(all[1])
		want(t, s, all...)
		remove(t, s, all[0])
		want(t, s, all[1:]...)
		s.ForgetEntries(all[0].Key(), all[2].Key(), all[3].Key())
		want(t, s, append(all[1:2:2], all[4:]...)...)
		settle(t, s)
		want(t, s, append(all[1:2:2], all[4:]...)...)
		for _, e := range all {
			s.ForgetEntries(e.Key())
		}
		want(t, s)
	}
}

// timesOfUse must not undo what a person does.
func timesOfUse(t *testing.T, s Subject) {
	e, other := said("192.0.2.0/24"), said("198.51.100.0/24")
	put(t, s, e, other)
	used := e
	used.Used, used.Note, used.Class = epoch().Add(time.Hour), "stale", whitelist.MUA
	s.LearnEntries(used)
	e.Used = used.Used
	want(t, s, e, other) // the time alone

	used.Used = epoch().Add(time.Minute)
	s.LearnEntries(used)
	want(t, s, e, other) // never earlier
	settle(t, s)
	want(t, s, e, other)
	s.LearnEntries(used)
	want(t, s, e, other)
	settle(t, s)
	want(t, s, e, other) // nor than the one kept

	used.Used = epoch().Add(2 * time.Hour)
	s.LearnEntries(used)
	changed := denied("192.0.2.0/24")
	put(t, s, changed)
	settle(t, s)
	want(t, s, changed, other) // pending when it was changed

	s.LearnEntries(used)
	remove(t, s, changed)
	want(t, s, other) // pending when it was deleted
	s.LearnEntries(used)
	want(t, s, other)
	settle(t, s)
	want(t, s, other) // said after it was deleted
}

func entriesStay(t *testing.T, s Subject) {
	a, b := said("192.0.2.0/24"), denied("2001:db8::/32")
	put(t, s, a, b, said("198.51.100.0/24"))
	remove(t, s, said("198.51.100.0/24"))
	must(t, s.PutTrap(context.Background(), greylist.Trap{Address: "trap@example.org", Added: epoch()}))
	if !reopen(t, s) {
		t.Skip("the store cannot be opened again")
	}
	want(t, s, a, b)
	if n := len(collect(t, s.Traps(context.Background()))); n != 1 {
		t.Errorf("%d traps", n)
	}

	s.LearnEntries(learned("192.0.2.7/32"))
	try(t, s, example(epoch()))
	must(t, s.Pass(context.Background(), greylist.Origin{Kind: greylist.Name, Name: "example.com"}, epoch()))
	settle(t, s)
	reopen(t, s)
	want(t, s, a, b, learned("192.0.2.7/32"))
	if r := try(t, s, example(epoch().Add(5*time.Minute))); r.Outcome != greylist.Returned || r.Tries != 2 {
		t.Errorf("the triplet: %+v", r)
	}
	if n := len(collect(t, s.Origins(context.Background(), epoch()))); n != 1 {
		t.Errorf("%d origins", n)
	}
}
