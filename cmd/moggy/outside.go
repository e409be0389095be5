package main

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"moggy/cmd/internal/desk"
	"moggy/whitelist"
	"moggy/whitelist/foreign"
)

// countingRules are the rules of firewalls that count connections and let nobody who is
// known-good through first: they cut off who has many, and hold no list of whom.
func (t *tool) countingRules(ctx context.Context) (rules []string) {
	found, _ := t.machine.Counting(ctx) // what cannot be read is told with the blocks
	for _, f := range found {
		if !f.Guarded && len(rules) < maxCounting {
			rules = append(rules, printable(f.String())+"; moggy doctor says what to put before it")
		}
	}
	return rules
}

// maxCounting bounds the counting rules that are shown with an address.
const maxCounting = 3

// sight looks for what keeps addr out elsewhere on this machine; where addr is not
// valid, for known-good addresses that are kept out. moggyd looks first. What it
// may not read is read by this process, which may have more privilege.
func (t *tool) sight(ctx context.Context, addr netip.Addr) desk.Sight {
	var s desk.Sight
	var good desk.GoodList
	_ = t.ask(ctx, func(ctx context.Context, d desk.Desk) (err error) { // without a desk this process looks alone
		s, err = d.Blocked(ctx, desk.BlockFilter{Addr: addr})
		if err == nil && !addr.IsValid() && len(t.unread(s)) > 0 {
			good, err = d.Good(ctx, desk.GoodFilter{})
		}
		return err
	})
	if readers := t.unread(s); len(readers) > 0 {
		own := t.look(ctx, readers, good, addr)
		s = joined(s, own)
	}
	return s
}

// unread are the readers of what a sight has not seen.
func (t *tool) unread(s desk.Sight) (readers []foreign.Reader) {
	for _, r := range t.machine.All() {
		if _, failed := s.Unread[r.Name()]; failed || s.Time.IsZero() {
			readers = append(readers, r)
		}
	}
	return readers
}

// look reads with the privilege of this process.
func (t *tool) look(ctx context.Context, readers []foreign.Reader, good desk.GoodList, addr netip.Addr) desk.Sight {
	list := whitelist.NewList(func(yield func(whitelist.Entry) bool) {
		for _, net := range good.Nets {
			if !yield(whitelist.Entry{Net: net, Class: whitelist.Peer, Source: whitelist.Passed}) {
				return
			}
		}
	})
	w := foreign.NewWatch(foreign.Options{Readers: readers, List: func() *whitelist.List { return list }})
	if addr.IsValid() {
		return desk.SightOf(w.About(ctx, addr))
	}
	s := desk.SightOf(nil, w.Look(ctx))
	t.stand(ctx, &s)
	return s
}

// stand puts into hits what the good ones really are.
func (t *tool) stand(ctx context.Context, s *desk.Sight) {
	if len(s.Hits) == 0 {
		return
	}
	_ = t.ask(ctx, func(ctx context.Context, d desk.Desk) error { // that they are good is known already
		for i, h := range s.Hits {
			shown, err := d.Show(ctx, desk.Where{Net: h.Addr})
			if err != nil {
				return err
			}
			s.Hits[i].Standing = shown.Standing
		}
		return nil
	})
}

// joined adds to what one has seen what another has.
func joined(s, own desk.Sight) desk.Sight {
	s.Time = own.Time
	for _, b := range own.Blocks {
		if !slices.ContainsFunc(s.Blocks, func(a foreign.Block) bool { return same(a, b) }) {
			s.Blocks = append(s.Blocks, b)
		}
	}
	for _, h := range own.Hits {
		if !slices.ContainsFunc(s.Hits, func(a desk.Hit) bool { return a.Addr == h.Addr && same(a.Block, h.Block) }) {
			s.Hits = append(s.Hits, h)
		}
	}
	s.More += own.More
	s.Read = append(s.Read, own.Read...)
	slices.Sort(s.Read)
	s.Unread = own.Unread
	return s
}

// same reports whether two blocks are one.
func same(a, b foreign.Block) bool { return a.By == b.By && a.Where == b.Where && a.Net == b.Net }

// blockers names what blocks, each once: "nft, fail2ban".
func blockers(blocks []foreign.Block) string {
	var names []string
	for _, b := range blocks {
		if name := printable(b.By); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// whereText says where a block is: nft set inet guard abusers.
func whereText(b foreign.Block) string {
	text := printable(b.By)
	if b.Where != "" && b.Where != b.By {
		text += " " + printable(b.Where)
	}
	return text
}

// blockedWord stands where something keeps an address out.
const blockedWord = "BLOCKED"

// blockRows adds a block to a table, as it stands in the first column.
func (t *tool) blockRows(tab *table, b foreign.Block) {
	text := whereText(b)
	if !b.Net.IsSingleIP() {
		text += ", with all of " + desk.Text(b.Net)
	}
	if !b.Since.IsZero() {
		text += " since " + t.clock(b.Since) + " (" + span(t.now().Sub(b.Since)) + ")"
	}
	if !b.Until.IsZero() {
		text += ", until " + t.clock(b.Until) + " (" + t.when(b.Until) + ")"
	}
	tab.row(blockedWord, text)
	for _, more := range []string{b.Rule, b.Hint} {
		t.wrappedRow(tab, "", printable(more))
	}
}

// blockedColumn paints the first column where it says that something blocks.
func (t *tool) blockedColumn(column int, text string) string {
	if column == 0 && text == blockedWord {
		return t.paint(red, text)
	}
	return text
}

// unreadRows adds what could not be looked at, and why.
func (t *tool) unreadRows(tab *table, unread map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(unread)) {
		t.wrappedRow(tab, "not seen", printable(name)+": "+printable(unread[name]))
	}
}
