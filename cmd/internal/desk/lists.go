package desk

import (
	"context"
	"iter"
	"net/netip"

	"moggy/whitelist"
)

// EntryFilter says which entries are wanted.
type EntryFilter struct {
	Deny    bool         `json:"deny,omitempty"`    // what is denied, else what is let in
	Learned bool         `json:"learned,omitempty"` // also what moggy learned by itself: who logged in, who passed, who named a trap …
	Net     netip.Prefix `json:"net,omitzero"`      // only what overlaps it
	Limit   int          `json:"limit,omitempty"`   // 0: MaxRows
}

// EntryList is some entries, those of the strongest source first, then by network.
type EntryList struct {
	Entries []whitelist.Entry `json:"entries"`
	Total   int               `json:"total"` // without the limit
}

// Entries implements Desk.
func (l *Local) Entries(_ context.Context, q EntryFilter) (EntryList, error) {
	out := EntryList{Entries: []whitelist.Entry{}}
	entries := l.Judge.Book.List().All()
	if !q.Learned {
		entries = l.given()
	}
	for e := range entries {
		if !q.wants(e) {
			continue
		}
		if out.Total++; out.Total <= rows(q.Limit) {
			out.Entries = append(out.Entries, e)
		}
	}
	return out, nil
}

func (q *EntryFilter) wants(e whitelist.Entry) bool {
	return (e.Deny || against(e)) == q.Deny && (q.Deny || e.Class.Known()) &&
		(!q.Net.IsValid() || q.Net.Overlaps(e.Net))
}

// against reports whether an entry was learned of somebody's misdeeds.
func against(e whitelist.Entry) bool {
	return e.Source == whitelist.Trapped || e.Source == whitelist.Guessing
}

// given yields the entries that nobody learned: persons' and local networks.
func (l *Local) given() iter.Seq[whitelist.Entry] {
	return func(yield func(whitelist.Entry) bool) {
		for e := range l.Judge.Book.List().All() {
			switch {
			case e.Source == whitelist.Session:
				continue // they stand between the two
			case e.Source.Learned() || !yield(e):
				return
			}
		}
	}
}

// Shown is what is known of a network.
type Shown struct {
	Net      netip.Prefix      `json:"net"`
	Standing Standing          `json:"standing"` // of its first address
	Whole    bool              `json:"whole"`    // all its addresses are known
	Entries  []whitelist.Entry `json:"entries"`  // that overlap it and are in force
}

// Show implements Desk.
func (l *Local) Show(_ context.Context, q Where) (Shown, error) {
	if !q.Net.IsValid() {
		return Shown{}, wrongUse("no address; give 192.0.2.7")
	}
	net := whitelist.Canonical(q.Net)
	out := Shown{Net: net, Standing: l.look(net), Entries: []whitelist.Entry{}}
	out.Whole = out.Standing.Known && covers(out.Standing.Entry.Net, net)
	for e := range l.about(net) {
		if e.Net.Overlaps(net) && l.inForce(e) && len(out.Entries) < MaxRows {
			out.Entries = append(out.Entries, e)
			out.Whole = out.Whole && (covers(e.Net, net) || l.look(e.Net).Known)
		}
	}
	return out, nil
}

func covers(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

// about yields the entries that may concern net. For one peer it does not go
// through all that was learned.
func (l *Local) about(net netip.Prefix) iter.Seq[whitelist.Entry] {
	all := l.Judge.Book.List()
	peer := whitelist.Net(net.Addr())
	if net.Bits() < peer.Bits() {
		return all.All()
	}
	return func(yield func(whitelist.Entry) bool) {
		for e := range l.given() {
			if !yield(e) {
				return
			}
		}
		for _, f := range all.Evidence(net.Addr(), whitelist.Anywhere, l.now()) {
			if f.Source.Learned() && f.Entry.Net.IsValid() && !yield(f.Entry) {
				return
			}
		}
	}
}
