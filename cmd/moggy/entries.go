package main

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/whitelist"
)

// entries lists who is let in, or denied.
func (t *tool) entries(c *cli.Context, deny bool) error {
	nets, err := t.filterNets(c)
	if err != nil {
		return err
	}
	all := desk.EntryList{Entries: []whitelist.Entry{}}
	err = t.ask(c.Context, func(ctx context.Context, d desk.Desk) error {
		for _, net := range nets {
			part, err := d.Entries(ctx, desk.EntryFilter{Deny: deny, Learned: c.Bool("learned"), Net: net, Limit: c.Int("limit")})
			if err != nil {
				return err
			}
			all.Entries, all.Total = append(all.Entries, part.Entries...), all.Total+part.Total
		}
		return nil
	})
	if err != nil || t.json {
		return t.orJSON(err, all)
	}
	t.entryTable(all.Entries, deny)
	t.more(len(all.Entries), all.Total)
	return nil
}

// filterNets are the networks that a list is limited to: none were typed means
// no limit, which is one invalid network.
func (t *tool) filterNets(c *cli.Context) ([]netip.Prefix, error) {
	if c.NArg() == 0 {
		return []netip.Prefix{{}}, nil
	}
	at, err := t.one(c, 0)
	return at.nets, err
}

// orJSON returns err, or writes v where there is none.
func (t *tool) orJSON(err error, v any) error {
	if err != nil {
		return err
	}
	return t.writeJSON(v)
}

// more says that a list is not whole.
func (t *tool) more(shown, total int) {
	if total > shown {
		t.say("… and %d more; type --limit 0 to see them", total-shown)
	}
}

func (t *tool) entryTable(entries []whitelist.Entry, deny bool) {
	if len(entries) == 0 {
		t.say("none")
		return
	}
	tab := newTable("NETWORK", "CLASS", "BY", "ADDED", "ENDS", "USED", "NOTE")
	for _, e := range entries {
		class := string(e.Class)
		if e.Deny {
			class = "denied"
		}
		added := t.ago(e.Added)
		if e.Source == whitelist.Local {
			added = "-"
		}
		tab.row(desk.Text(e.Net), printable(class), string(e.Source), added, t.when(e.End()), t.ago(e.Used), printable(e.Note))
	}
	tab.write(t.out)
}

// show says what an address is to moggy.
func (t *tool) show(c *cli.Context) error {
	at, err := t.one(c, 0)
	if err != nil {
		return err
	}
	shown, err := t.shown(c.Context, at)
	if err != nil || t.json {
		return t.orJSON(err, map[string]any{"shown": shown})
	}
	found := false
	for i, s := range shown {
		if i > 0 {
			t.say("")
		}
		t.say("%s: %s", t.paint(bold, desk.Text(s.Net)), t.standing(s.Standing))
		if len(s.Entries) > 0 {
			found = true
			t.entryTable(s.Entries, false)
		}
	}
	if !found {
		return errNo
	}
	return nil
}

func (t *tool) shown(ctx context.Context, at target) (all []desk.Shown, err error) {
	err = t.ask(ctx, func(ctx context.Context, d desk.Desk) error {
		for _, net := range at.nets {
			s, err := d.Show(ctx, desk.Where{Net: net})
			if err != nil {
				return err
			}
			all = append(all, s)
		}
		return nil
	})
	return all, err
}

// standing says what an address is to moggy, and by what evidence.
func (t *tool) standing(s desk.Standing) string {
	if s.Entry == nil && s.Class == whitelist.MUA {
		return "a client of which nothing is known"
	} else if s.Entry == nil {
		return "a stranger"
	}
	e := s.Entry
	from := desk.Text(e.Net)
	switch e.Source {
	case whitelist.Operator:
		verb := "allowed as " + printable(string(e.Class))
		if e.Deny {
			verb = "denied"
		}
		return fmt.Sprintf("%s by a person: %s%s, %s", verb, from, quoted(e.Note), t.ends(*e))
	case whitelist.Local:
		return fmt.Sprintf("%s by local_networks: %s (%s)", printable(string(e.Class)), from, printable(e.Note))
	case whitelist.Trapped, whitelist.Guessing:
		return fmt.Sprintf("%s because it %s, %s", printable(string(e.Class)), printable(desk.Did(*e)), t.ends(*e))
	case whitelist.Passed:
		return fmt.Sprintf("%s, because it %s, %s", printable(string(e.Class)), printable(e.Note), t.ends(*e))
	}
	return fmt.Sprintf("%s %s: %s, %s, %s", printable(string(e.Class)), evidenceText[string(e.Source)], printable(e.Note), t.ago(e.Added), t.ends(*e))
}

// ends says when an entry ends.
func (t *tool) ends(e whitelist.Entry) string {
	if e.End().IsZero() {
		return "for good"
	}
	return "until " + t.clock(e.End())
}
