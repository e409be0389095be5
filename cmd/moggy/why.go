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
			&cli.IntFlag{Name: "limit", Value: 200, Usage: "the newest `N` records; 0: all"},
		}}
}

// An account is the answer to why.
type account struct {
	Asked   string           `json:"asked"`
	Records []journal.Record `json:"records"`
	Now     []desk.Trial     `json:"now"`
	Unknown string           `json:"unknown,omitempty"` // why Now is not known

	mail *desk.Mail // that Now is about; nil: none
}

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
	a := account{Asked: at.text, Now: []desk.Trial{}}
	if a.Records, err = t.past(at, q); err != nil {
		return err
	}
	t.present(c.Context, at, &a)
	if t.json {
		err = t.writeJSON(a)
	} else {
		t.tellAccount(at, a, q.Limit)
	}
	if err == nil && len(a.Records) == 0 {
		return errNo
	}
	return err
}

// past is what the journal knows of a target, the oldest first. With a ref comes
// the story of the mail that it stands for.
func (t *tool) past(at target, q journal.Query) (all []journal.Record, err error) {
	if at.ref == "" && at.mailbox == "" {
		for _, net := range at.nets {
			q.Addr = net
			some, err := t.find(q)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		slices.SortStableFunc(all, func(a, b journal.Record) int { return a.Time.Compare(b.Time) })
		return orEmpty(all), nil
	}
	q.Ref, q.Mailbox = at.ref, at.mailbox
	if all, err = t.find(q); err != nil || at.ref == "" {
		return orEmpty(all), err
	}
	return t.withMail(all, q)
}

func orEmpty(records []journal.Record) []journal.Record {
	if records == nil {
		return []journal.Record{}
	}
	return records
}

// withMail adds to the records of a connection the other tries of its mail.
func (t *tool) withMail(all []journal.Record, q journal.Query) ([]journal.Record, error) {
	mails := make(map[mail]bool)
	for _, r := range all {
		if m := mailIn(r); m.from != "" && m.to != "" {
			mails[m] = true
		}
	}
	ref := q.Ref
	for m := range mails {
		q.Ref, q.Mailbox = "", m.from
		others, err := t.find(q)
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

// present adds what would become of the target now.
func (t *tool) present(ctx context.Context, at target, a *account) {
	for _, q := range questions(at, a.Records) {
		trial, err := t.trial(ctx, q.Addr, q.Mail)
		if err != nil {
			a.Unknown = err.Error()
			return
		}
		a.Now, a.mail = append(a.Now, trial), q.Mail
	}
}

// questions are what to try: the addresses that were named, or the last one that
// brought the mail that was.
func questions(at target, records []journal.Record) (all []desk.Question) {
	if at.ref == "" && at.mailbox == "" {
		for _, net := range at.nets {
			if net.IsSingleIP() {
				all = append(all, desk.Question{Addr: net.Addr()})
			}
		}
		return all
	}
	for _, r := range slices.Backward(records) {
		if m := mailIn(r); m.to != "" && r.Peer.IsValid() {
			return []desk.Question{{Addr: r.Peer.Addr(), Mail: &desk.Mail{From: m.from, To: m.to}}}
		}
	}
	if len(at.nets) > 0 {
		all = append(all, desk.Question{Addr: at.nets[0].Addr()})
	}
	return all
}

func (t *tool) tellAccount(at target, a account, limit int) {
	switch {
	case len(a.Records) == 0:
		t.say("%s: nothing in the journal", t.paint(bold, printable(a.Asked)))
	case len(mailsIn(a.Records)) > 0 && (at.mailbox != "" || at.ref != ""):
		t.tellMails(a.Records)
	default:
		t.tellConnections(a)
	}
	if limit > 0 && len(a.Records) >= limit {
		t.say("only the newest %s; there may be more: type --limit 0 to see them", count(limit, "record"))
	}
	for _, trial := range a.Now {
		t.tellNow(a, trial)
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
