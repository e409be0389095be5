package desk

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"moggy/whitelist"
)

// EntryPut is an entry to be made.
type EntryPut struct {
	Net   netip.Prefix    `json:"net"`
	Deny  bool            `json:"deny,omitempty"`
	Class whitelist.Class `json:"class,omitempty"` // a known one; none for deny
	TTL   time.Duration   `json:"ttl,omitempty"`   // 0: for ever
	Note  string          `json:"note,omitempty"`
	Force bool            `json:"force,omitempty"` // even where Net is a large part of the Internet, or Deny shuts out the family
}

// EntryKey names an entry.
type EntryKey struct {
	Net  netip.Prefix `json:"net"`
	Deny bool         `json:"deny,omitempty"`
}

// EntryChange says what a change of an entry changed.
type EntryChange struct {
	Entry    whitelist.Entry   `json:"entry"`              // that was put or taken away
	Replaced *whitelist.Entry  `json:"replaced,omitempty"` // a person's entry of the same network
	Inside   []whitelist.Entry `json:"inside,omitempty"`   // entries around it; it decides, being longer or a person's
	Holds    []whitelist.Entry `json:"holds,omitempty"`    // entries within it; persons' decide for theirs, being longer
	Before   Standing          `json:"before"`             // of the first address
	Now      Standing          `json:"now"`                // the same, afterwards
	Open     int               `json:"open"`               // connections from the network that are open
}

// PutEntry implements Desk.
func (l *Local) PutEntry(ctx context.Context, q EntryPut) (EntryChange, error) {
	e := whitelist.Entry{Net: whitelist.Canonical(q.Net), Deny: q.Deny, Class: q.Class, Note: q.Note}
	if err := l.checkPut(q); err != nil {
		return EntryChange{}, err
	}
	now := l.now()
	if q.TTL > 0 {
		e.Expires = now.Add(q.TTL)
	}
	c := l.change(e.Net)
	if err := l.Judge.Book.Put(ctx, e, now); err != nil {
		return EntryChange{}, err
	}
	c.Entry, _ = l.Judge.Book.List().Get(e.Net, whitelist.Operator)
	c.Now = l.look(e.Net)
	return c, nil
}

func (l *Local) checkPut(q EntryPut) error {
	known := l.knownClasses()
	switch {
	case q.TTL < 0:
		return wrongUse("an entry cannot last %s; give --ttl 90d", q.TTL)
	case vast(q.Net) && !q.Force:
		return wrongUse("%s is a large part of the Internet; give --force if that is what you mean", q.Net)
	case q.Deny && !q.Force && l.family(q.Net):
		return wrongUse("%s is %s by %s: who works there would be shut out; give --force if that is what you mean",
			Text(q.Net), l.look(q.Net).Class, l.look(q.Net).Evidence)
	case q.Deny || q.Class == "" || slices.Contains(known, q.Class):
		return nil
	case slices.ContainsFunc(whitelist.Kinds(), func(k whitelist.Kind) bool { return k.Class == q.Class }):
		return wrongUse("class %s lets nobody in; choose %s", q.Class, list(known))
	}
	return wrongUse("there is no class %q; choose %s", q.Class, list(known))
}

// family reports whether persons work at an address: on this machine or its networks,
// over ssh, or logged in.
func (l *Local) family(net netip.Prefix) bool {
	s := l.look(whitelist.Canonical(net))
	return s.Known && slices.Contains([]whitelist.Source{whitelist.Session, whitelist.Local, whitelist.Login}, s.Evidence)
}

// vast reports whether a network is shorter than any that one owner has: a slip of
// the pen denies, or lets in, everybody.
func vast(net netip.Prefix) bool {
	if net.Addr().Is4() {
		return net.Bits() < 8
	}
	return net.Bits() < 7 // fc00::/7 are the private ones
}

// knownClasses are the classes that an entry can let somebody in as.
func (l *Local) knownClasses() (known []whitelist.Class) {
	for _, k := range whitelist.Kinds() {
		if k.Known {
			known = append(known, k.Class)
		}
	}
	for _, c := range l.Settings().Classes {
		if c.Known() && !slices.Contains(known, c) {
			known = append(known, c)
		}
	}
	return known
}

// list writes words as a person would: "a, b or c".
func list[S ~string](words []S) string {
	var b strings.Builder
	for i, w := range words {
		switch {
		case i > 0 && i == len(words)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// change is what is around a network now.
func (l *Local) change(net netip.Prefix) EntryChange {
	c := EntryChange{Before: l.look(net), Open: len(l.guests(net))}
	for e := range l.given() {
		said := e.Source == whitelist.Operator
		switch {
		case !l.inForce(e) || !e.Net.Overlaps(net):
		case said && e.Net == net:
			c.Replaced = &e
		case e.Net.Bits() <= net.Bits():
			c.Inside = append(c.Inside, e)
		default:
			c.Holds = append(c.Holds, e)
		}
	}
	return c
}

func (l *Local) inForce(e whitelist.Entry) bool { return e.InForce(l.now()) }

// RemoveEntry implements Desk. Where no person allowed the address, and it is
// let in because of something that was learned, that is forgotten.
func (l *Local) RemoveEntry(ctx context.Context, q EntryKey) (EntryChange, error) {
	net := whitelist.Canonical(q.Net)
	c := l.change(net)
	e, ok := l.Judge.Book.List().Get(net, whitelist.Operator)
	switch {
	case ok && e.Deny == q.Deny:
		if _, _, err := l.Judge.Book.Remove(ctx, net); err != nil {
			return EntryChange{}, err
		}
	case !ok && !q.Deny && c.learnedGood(net):
		e = *c.Before.Entry
		l.Judge.Book.Forget(e.Net, e.Source)
	default:
		return EntryChange{}, sayNo("%s", l.notThere(q.Deny, net, c))
	}
	c.Entry, c.Replaced, c.Now = e, nil, l.look(net)
	return c, nil
}

// learnedGood reports whether net is one peer that is let in because of what was
// learned of it.
func (c *EntryChange) learnedGood(net netip.Prefix) bool {
	at := c.Before
	return at.Known && at.Evidence.Learned() && (net.IsSingleIP() || net == at.Entry.Net)
}

// notThere says why there is nothing to remove, and what to type instead.
func (l *Local) notThere(deny bool, net netip.Prefix, c EntryChange) string {
	list, other := "allow", "deny"
	if deny {
		list, other = other, list
	}
	text := fmt.Sprintf("there is no %s entry for %s", list, Text(net))
	at := c.Before.Entry
	switch {
	case c.Replaced != nil:
		return fmt.Sprintf("%s, but one of %s; type: moggy %s rm %s", text, other, other, Text(net))
	case at == nil:
		return fmt.Sprintf("%s; type: moggy %s ls", text, list)
	case at.Source == whitelist.Local:
		return fmt.Sprintf("%s; it is inside %s of local_networks in moggy.toml", text, Text(at.Net))
	case against(*at):
		return fmt.Sprintf("%s; it is %s because it %s; type: moggy pardon %s", text, at.Class, Did(*at), Text(net))
	case at.Source.Learned():
		return fmt.Sprintf("%s; it is let in by what was learned of it (%s); type: moggy allow rm %s", text, at.Source, Text(at.Net))
	case at.Deny != deny:
		return fmt.Sprintf("%s; it is inside %s %s", text, other, Text(at.Net))
	}
	return fmt.Sprintf("%s; it is inside %s; type: moggy %s rm %s", text, Text(at.Net), list, Text(at.Net))
}

// Did is what a learned entry holds against somebody: "named the trap …".
func Did(e whitelist.Entry) string {
	if e.Source == whitelist.Guessing {
		return "tried " + e.Note
	}
	return e.Note
}

// Text writes a network as people do: one address without its length.
func Text(net netip.Prefix) string {
	if net.IsSingleIP() {
		return net.Addr().String()
	}
	return net.String()
}
