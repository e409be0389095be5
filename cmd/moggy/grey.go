package main

import (
	"context"
	"net/netip"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/greylist"
)

func (t *tool) greyVerb() *cli.Command {
	const what = "[ADDRESS|MAIL-ADDRESS|ORIGIN]"
	return &cli.Command{Name: "grey", Usage: "who waits, and whose mail passed before", Subcommands: []*cli.Command{
		{Name: "ls", Usage: "list what waits, and the origins that are known", ArgsUsage: what,
			Flags: []cli.Flag{limitFlag()}, Action: t.greyList},
		{Name: "rm", Usage: "forget: its next mail is a first try again", ArgsUsage: "ADDRESS|MAIL-ADDRESS|ORIGIN", Action: t.greyForget},
	}}
}

// greyFilters are what an argument means in the greylist: one for each address.
func (t *tool) greyFilters(c *cli.Context) ([]desk.GreyFilter, error) {
	at, err := t.one(c, mayMailbox|mayOrigin)
	if err != nil {
		return nil, err
	}
	if len(at.nets) == 0 {
		return []desk.GreyFilter{{Mailbox: at.mailbox, Origin: at.origin}}, nil
	}
	var all []desk.GreyFilter
	for _, net := range at.nets {
		all = append(all, desk.GreyFilter{Net: net})
	}
	return all, nil
}

func (t *tool) greyList(c *cli.Context) error {
	filters := []desk.GreyFilter{{}}
	if c.NArg() > 0 {
		var err error
		if filters, err = t.greyFilters(c); err != nil {
			return err
		}
	}
	all := desk.GreyList{Waiting: []desk.Waiting{}, Origins: []desk.KnownOrigin{}}
	err := t.ask(c.Context, func(ctx context.Context, d desk.Desk) error {
		for _, q := range filters {
			q.Limit = c.Int("limit")
			part, err := d.Grey(ctx, q)
			if err != nil {
				return err
			}
			all.Waiting, all.TotalWaiting = append(all.Waiting, part.Waiting...), all.TotalWaiting+part.TotalWaiting
			all.Origins, all.TotalOrigins = append(all.Origins, part.Origins...), all.TotalOrigins+part.TotalOrigins
		}
		return nil
	})
	if err != nil || t.json {
		return t.orJSON(err, all)
	}
	if c.NArg() > 0 && all.TotalWaiting+all.TotalOrigins == 0 {
		t.say("the greylist holds nothing of it; type: moggy grey ls")
		return nil
	}
	t.waitingTable(all.Waiting, all.TotalWaiting)
	t.say("")
	t.originTable(all.Origins, all.TotalOrigins)
	return nil
}

func (t *tool) waitingTable(rows []desk.Waiting, total int) {
	if total == 0 {
		t.say("no mail was deferred")
		return
	}
	t.say("%s: who comes back in time is known from then on", t.paint(bold, count(total, "deferred mail")))
	tab := newTable("FROM", "TO", "ORIGIN", "LAST PEER", ">TRIES", "FIRST", "PASSES", "LAPSES")
	for _, w := range rows {
		passes := t.when(w.Passes)
		switch {
		case w.Known:
			passes = "origin known"
		case !t.now().Before(w.Passes):
			passes = "now"
		}
		tab.row(printable(sender(w.Sender)), printable(w.Recipient), originText(w.Origin), addrText(w.Peer),
			decimal(int64(w.Tries)), t.ago(w.First), passes, t.when(w.Expires))
	}
	tab.write(t.out)
	t.more(len(rows), total)
}

func (t *tool) originTable(rows []desk.KnownOrigin, total int) {
	if total == 0 {
		t.say("no origin is known")
		return
	}
	t.say("%s: mail from there does not wait", t.paint(bold, count(total, "known origin")))
	tab := newTable("ORIGIN", "SINCE", "USED", "ENDS")
	for _, o := range rows {
		tab.row(originText(o.Origin), t.ago(o.Since), t.ago(o.Used), t.when(o.Expires))
	}
	tab.write(t.out)
	t.more(len(rows), total)
}

func originText(o greylist.Origin) string { return printable(o.String()) }

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return "-"
	}
	return a.String()
}

func (t *tool) greyForget(c *cli.Context) error {
	filters, err := t.greyFilters(c)
	if err != nil {
		return err
	}
	all := desk.Forgotten{Names: []greylist.Origin{}}
	err = t.change(c.Context, func(ctx context.Context, d desk.Desk) error {
		for _, q := range filters {
			part, err := d.Forget(ctx, q)
			if err != nil && (desk.KindOf(err) != desk.No || len(filters) == 1) {
				return err
			}
			all.Triplets, all.Origins = all.Triplets+part.Triplets, all.Origins+part.Origins
			all.Names = append(all.Names, part.Names...)
			if part.Still != nil {
				all.Still = part.Still
			}
		}
		return nil
	})
	if err != nil || t.json {
		return t.orJSON(err, all)
	}
	t.say("forgot %s and %s", count(all.Triplets, "deferred mail"), count(all.Origins, "known origin"))
	for _, o := range all.Names {
		t.say("  %s has to come back again", originText(o))
	}
	if all.Still != nil {
		t.say("  the address is let in all the same: %s", t.standing(*all.Still))
	}
	return nil
}
