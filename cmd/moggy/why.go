package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/greylist"
	"moggy/verdict/journal"
)

func (t *tool) whyVerb() *cli.Command {
	return &cli.Command{Name: "why", Usage: "why was it deferred, refused or let in? what is it now, and what can be done?",
		ArgsUsage: "ADDRESS|MAIL-ADDRESS|REF|me [--since 24h]", Action: t.why,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "since", Usage: "only what happened in the last `TIME`: 24h, 7d"},
			&cli.IntFlag{Name: "limit", Value: 200, Usage: "the newest `N` records, of an address 20 if not given; 0: all"},
		}}
}

// An account is the answer to why.
type account struct {
	Asked   string           `json:"asked"`
	Records []journal.Record `json:"records"`
	Now     []desk.Trial     `json:"now"`
	About   []about          `json:"about,omitempty"`   // the addresses that were asked for
	Unknown string           `json:"unknown,omitempty"` // why Now is not known

	mail *desk.Mail // that Now is about; nil: none
}

// shownOfAddress is how many records of an address are shown: the answer stands
// above them, and should still be on the screen.
const shownOfAddress = 20

func (t *tool) why(c *cli.Context) error {
	at, err := t.one(c, mayMailbox|mayRef)
	if err != nil {
		return err
	}
	q := journal.Query{Limit: c.Int("limit")}
	if text := c.String("since"); text != "" {
		back, ok := duration(text)
		if !ok {
			return fmt.Errorf("--since %q is no duration; give 12h or 7d", text)
		}
		q.Since = t.now().Add(-back)
	}
	if at.ref == "" && at.mailbox == "" && !c.IsSet("limit") {
		q.Limit = shownOfAddress
	}
	a := account{Asked: at.text, Now: []desk.Trial{}}
	if a.Records, err = t.past(c.Context, at, q); err != nil {
		return err
	}
	t.present(c.Context, at, &a)
	if t.json {
		err = t.writeJSON(a)
	} else {
		t.tellAccount(at, a, q.Limit)
	}
	if err == nil && len(a.Records) == 0 && !a.blocked() {
		return errNo
	}
	return err
}

// past is what the journal knows of a target, the oldest first. With a ref comes
// the story of the mail that it stands for.
func (t *tool) past(ctx context.Context, at target, q journal.Query) (all []journal.Record, err error) {
	if at.ref == "" && at.mailbox == "" {
		for _, net := range at.nets {
			q.Addr = net
			some, err := t.find(ctx, q)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		slices.SortStableFunc(all, func(a, b journal.Record) int { return a.Time.Compare(b.Time) })
		return orEmpty(all), nil
	}
	q.Ref, q.Mailbox = at.ref, at.mailbox
	if all, err = t.find(ctx, q); err != nil || at.ref == "" {
		return orEmpty(all), err
	}
	return t.withMail(ctx, all, q)
}

func orEmpty(records []journal.Record) []journal.Record {
	if records == nil {
		return []journal.Record{}
	}
	return records
}

// withMail adds to the records of a connection the other tries of its mail.
func (t *tool) withMail(ctx context.Context, all []journal.Record, q journal.Query) ([]journal.Record, error) {
	mails := make(map[mail]bool)
	for _, r := range all {
		if m := mailIn(r); m.from != "" && m.to != "" {
			mails[m] = true
		}
	}
	ref := q.Ref
	for m := range mails {
		q.Ref, q.Mailbox = "", m.from
		others, err := t.find(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, r := range others {
			if r.Ref != ref && mailIn(r) == m {
				all = append(all, r)
			}
		}
	}
	slices.SortStableFunc(all, func(a, b journal.Record) int { return a.Time.Compare(b.Time) })
	return orEmpty(all), nil
}

// blocked reports whether something elsewhere keeps out what was asked for.
func (a *account) blocked() bool {
	return slices.ContainsFunc(a.About, func(ab about) bool { return len(ab.Elsewhere.Blocks) > 0 })
}

// aboutMail reports whether mail was asked for, and not an address.
func aboutMail(at target, records []journal.Record) bool {
	return at.mailbox != "" || at.ref != "" && len(mailsIn(records)) > 0
}

// present adds what would become of the target now.
func (t *tool) present(ctx context.Context, at target, a *account) {
	if aboutMail(at, a.Records) {
		t.presentMail(ctx, a)
		return
	}
	for _, net := range at.nets {
		if !net.IsSingleIP() {
			continue
		}
		title := at.text
		if len(at.nets) > 1 || at.ref != "" {
			title = net.Addr().String() + " (" + at.text + ")"
		}
		ab, err := t.regard(ctx, net.Addr(), title)
		if err != nil {
			a.Unknown = err.Error()
		}
		a.About, a.Now = append(a.About, ab), append(a.Now, ab.Now...)
	}
}

// presentMail tries the last mail again, from the address that brought it.
func (t *tool) presentMail(ctx context.Context, a *account) {
	for _, r := range slices.Backward(a.Records) {
		m := mailIn(r)
		if m.to == "" || !r.Peer.IsValid() {
			continue
		}
		a.mail = &desk.Mail{From: m.from, To: m.to}
		trial, err := t.trial(ctx, r.Peer.Addr(), a.mail)
		if err != nil {
			a.Unknown = err.Error()
			return
		}
		a.Now = append(a.Now, trial)
		return
	}
}

func (t *tool) tellAccount(at target, a account, limit int) {
	for _, ab := range a.About {
		t.tellAbout(ab)
		t.say("")
	}
	switch {
	case len(a.Records) == 0:
		t.say("%s: nothing in the journal", t.paint(bold, printable(a.Asked)))
	case aboutMail(at, a.Records):
		t.tellMails(a.Records)
	default:
		t.tellConnections(a)
	}
	if limit > 0 && len(a.Records) >= limit {
		t.say("only the newest %s; there may be more: type --limit 0 to see them", count(limit, "record"))
	}
	if len(a.About) == 0 {
		for _, trial := range a.Now {
			t.tellNow(a, trial)
		}
	}
	if a.Unknown != "" {
		t.say("now  not known: %s", sentences(a.Unknown))
	}
}

// tellConnections tells of all connections, one line a decision.
func (t *tool) tellConnections(a account) {
	refs := make(map[string]bool)
	peers := make(map[netip.Addr]bool)
	for _, r := range a.Records {
		refs[r.Ref] = true
		peers[r.Peer.Addr()] = true
	}
	first, last := a.Records[0].Time, a.Records[len(a.Records)-1].Time
	within := ""
	if len(refs) > 1 {
		within = over(first, last)
	}
	t.say("%s: %s, the last %s", t.paint(bold, printable(a.Asked)), count(len(refs), "connection")+within, t.ago(last))
	s := newSheet(t, len(peers) > 1)
	for _, r := range a.Records {
		s.add(r, detail(r))
	}
	s.write()
}

// over says how long something went on.
func over(first, last time.Time) string {
	if d := last.Sub(first); d >= time.Minute {
		return " within " + span(d)
	}
	return ""
}

// tellNow says what would become of the target now, and what can be typed.
func (t *tool) tellNow(a account, r desk.Trial) {
	who := r.Addr.String()
	text := t.fate(r)
	if s := r.Lists; s != nil && len(s.Hits) > 0 {
		text += "; lists " + scoreText(s)
	}
	if s := r.Lists; s != nil && len(s.Silent) > 0 {
		text += "; " + silentText(s)
	}
	if r.Standing.Entry != nil {
		text += "; it is " + t.standing(r.Standing)
	} else if r.Grey != nil {
		text += "; origin " + t.greyText(r)
	}
	t.say("now  %s: %s", who, text)
	if r.Passes {
		return
	}
	if from := sought(a.mail, r); from != "" {
		t.say("do   moggy pardon %s    its next try passes", printable(from))
	}
	if r.Do != "" {
		t.say("do   %s", r.Do)
	}
}

// sought is the sender that can be pardoned; "" where that would not help.
func sought(m *desk.Mail, r desk.Trial) string {
	if m == nil || r.Grey == nil || r.Grey.Outcome != greylist.TooEarly {
		return ""
	}
	return m.From
}
