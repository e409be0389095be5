package redis

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// TestLateChange: a change that nobody waits for any more is not made.
func TestLateChange(t *testing.T) {
	server := start(t)
	s := openAt(t, Options{URL: server.url("m"), patience: calm})
	e := person("192.0.2.0/24")
	c := change{op: opPut, key: s.entryTable(e.Key()), name: nameEntry + entryField(e.Key()), row: encodeEntry(e)}
	if _, err := s.writeUntil(t.Context(), milli(time.Now().Add(-time.Second)), []change{c}); !errors.Is(err, errLate) {
		t.Errorf("%v", err)
	}
	b := &book{s: s}
	must(t, b.read(t.Context()))
	if b.size() != 0 {
		t.Error("it was made")
	}
	_, err := s.writeUntil(t.Context(), milli(time.Now().Add(time.Minute)), []change{c})
	must(t, err)
	must(t, b.read(t.Context()))
	if b.size() != 1 {
		t.Error("it was not made in time")
	}
}

// TestUnknownChange: Redis made the change, and its word got lost. That is said,
// and the nodes follow what Redis has.
func TestUnknownChange(t *testing.T) {
	server := start(t)
	f := relay(t, server.addr())
	s := openAt(t, Options{URL: "redis://" + f.addr() + "?prefix=m", Flush: time.Hour})
	must(t, s.Sync())
	f.set(mode{loses: ":1\r\n"}) // how many changes there were
	err := s.PutEntry(t.Context(), person("192.0.2.0/24"))
	if !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), "look before you try again") || strings.Contains(err.Error(), "nothing was kept") {
		t.Errorf("%v", err)
	}
	f.set(pass)
	b := openBook(t, openAt(t, Options{URL: server.url("m"), patience: calm}))
	if b.size() != 1 {
		t.Error("the test is wrong: it was not made")
	}
}

// TestOlderIsNotRestored in the place of what a person said later.
func TestOlderIsNotRestored(t *testing.T) {
	s := openAt(t, Options{URL: start(t).url("m"), patience: calm})
	older, newer := person("192.0.2.0/24"), person("192.0.2.0/24")
	newer.Added, newer.Note = epoch().Add(time.Hour), "newer"
	for _, e := range []whitelist.Entry{older, newer, older} {
		b := &book{s: s, entries: map[whitelist.EntryKey]whitelist.Entry{e.Key(): e}}
		must(t, b.Restore(t.Context()))
	}
	b := &book{s: s}
	must(t, b.read(t.Context()))
	if e, _ := b.get("192.0.2.0/24", whitelist.Operator); e != newer {
		t.Errorf("%+v", e)
	}
}

// TestLearnedElsewhereLater: a node that only renews what it holds does not undo
// what another found out meanwhile, nor its later use.
func TestLearnedElsewhereLater(t *testing.T) {
	url := start(t).url("m")
	one, two := openAt(t, Options{URL: url, Flush: time.Hour, patience: calm}), openAt(t, Options{URL: url, Flush: time.Hour, patience: calm})
	old := learned(1, epoch())
	again := old
	again.Added, again.Expires, again.Used = epoch().Add(time.Hour), epoch().Add(72*time.Hour), epoch().Add(2*time.Hour)
	one.LearnEntries(again)
	must(t, one.Sync())
	old.Used = epoch().Add(3 * time.Hour)
	two.LearnEntries(old)
	must(t, two.Sync())
	b := &book{s: one}
	must(t, b.read(t.Context()))
	again.Used = old.Used
	if e, _ := b.get("10.1.0.1/32", whitelist.Passed); e != again {
		t.Errorf("\n got %+v\nwant %+v", e, again)
	}
}

// TestKeep takes in what another store has.
func TestKeep(t *testing.T) {
	s := openAt(t, Options{URL: start(t).url("m"), patience: calm})
	row := greylist.Row{Triplet: wide(1, at(0)).Triplet, State: greylist.State{First: at(0), Last: at(5), Tries: 3}, Peer: netip.MustParseAddr("192.0.2.7")}
	origin := greylist.OriginRow{Origin: wide(2, at(0)).Origin, Known: greylist.Known{Since: at(0), Used: at(10)}}
	for range 2 {
		must(t, s.Keep(t.Context(), row, timers(), at(20)))
		must(t, s.KeepOrigin(t.Context(), origin, timers(), at(20)))
	}
	for got, err := range s.Triplets(t.Context(), at(20)) {
		must(t, err)
		if got != row {
			t.Errorf("\n got %+v\nwant %+v", got, row)
		}
	}
	for got, err := range s.Origins(t.Context(), at(20)) {
		must(t, err)
		if got != origin {
			t.Errorf("\n got %+v\nwant %+v", got, origin)
		}
	}
	if r := try(t, s, wide(1, at(30))); r.Outcome != greylist.Returned || r.Tries != 4 {
		t.Errorf("%+v", r)
	}
	if err := away(t, Options{}).Keep(context.Background(), row, timers(), at(20)); err == nil {
		t.Error("no error")
	}
}
