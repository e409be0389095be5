package main

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/whitelist"
)

func (t *tool) allowVerb() *cli.Command {
	return &cli.Command{Name: "allow", Usage: "who is let in at once", Subcommands: []*cli.Command{
		{Name: "add", Usage: "let in at once, from now on", ArgsUsage: "ADDRESS… [--class CLASS] [--ttl 90d] [--note TEXT]",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "class", Value: string(whitelist.Peer), Usage: "let in as `CLASS`: own, user, crawler, probe, correspondent, peer, pool"},
				&cli.StringFlag{Name: "ttl", Value: "never", Usage: "until `TIME` is over: 90d, 12h"},
				noteFlag(), forceFlag(),
			},
			Action: func(c *cli.Context) error {
				return t.put(c, desk.EntryPut{Class: whitelist.Class(c.String("class"))})
			}},
		{Name: "rm", Usage: "let in no longer", ArgsUsage: "ADDRESS…",
			Action: func(c *cli.Context) error { return t.remove(c, false) }},
		{Name: "ls", Usage: "list who is let in", ArgsUsage: "[ADDRESS] [--learned]", Flags: listFlags("those of whom it was learned: sessions, logins, crawlers, who passed before, whom our users wrote to"),
			Action: func(c *cli.Context) error { return t.entries(c, false) }},
		{Name: "show", Usage: "what an address is to moggy, and which entries say so", ArgsUsage: "ADDRESS", Action: t.show},
	}}
}

func noteFlag() cli.Flag {
	return &cli.StringFlag{Name: "note", Usage: "remember `TEXT`, such as a ticket"}
}

func forceFlag() cli.Flag {
	return &cli.BoolFlag{Name: "force", Usage: "even for a large part of the Internet, or to shut out the family", DisableDefaultText: true}
}

func listFlags(learned string) []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "learned", Usage: "also " + learned, DisableDefaultText: true},
		limitFlag(),
	}
}

func limitFlag() cli.Flag {
	return &cli.IntFlag{Name: "limit", Value: 1000, Usage: "show at most `N`; 0: all"}
}

// put makes an entry like q for each address that was typed.
func (t *tool) put(c *cli.Context, q desk.EntryPut) (err error) {
	q.Force = c.Bool("force")
	if q.TTL, err = lifetime(c.String("ttl")); err != nil {
		return err
	}
	return t.eachNet(c, t.change, func(ctx context.Context, d desk.Desk, at target, net netip.Prefix) (desk.EntryChange, error) {
		q.Net, q.Note = net, c.String("note")
		if q.Note == "" {
			q.Note = at.host
		}
		return d.PutEntry(ctx, q)
	}, t.tellPut)
}

// remove takes away the entry of each address that was typed.
func (t *tool) remove(c *cli.Context, deny bool) error {
	return t.eachNet(c, t.change, func(ctx context.Context, d desk.Desk, _ target, net netip.Prefix) (desk.EntryChange, error) {
		return d.RemoveEntry(ctx, desk.EntryKey{Net: net, Deny: deny})
	}, t.tellRemoved)
}

// eachNet does one thing with each network that was typed, and tells of it.
func (t *tool) eachNet(c *cli.Context, at func(context.Context, order) error,
	do func(context.Context, desk.Desk, target, netip.Prefix) (desk.EntryChange, error), tell func(desk.EntryChange)) error {
	targets, err := t.targets(c, 0)
	if err != nil {
		return err
	}
	changes := []desk.EntryChange{}
	err = at(c.Context, func(ctx context.Context, d desk.Desk) error {
		for _, target := range targets {
			for _, net := range target.nets {
				change, err := do(ctx, d, target, net)
				if err != nil {
					return err
				}
				changes = append(changes, change)
			}
		}
		return nil
	})
	if t.json && err == nil {
		return t.writeJSON(map[string]any{"changes": changes})
	}
	for _, change := range changes {
		tell(change)
	}
	return err
}

// targets reads the address arguments of a verb, one at least.
func (t *tool) targets(c *cli.Context, may int) (all []target, err error) {
	if c.NArg() == 0 {
		_, err := t.target(c.Context, "", may)
		return nil, err
	}
	for _, text := range c.Args().Slice() {
		one, err := t.target(c.Context, text, may)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// one reads the only argument of a verb.
func (t *tool) one(c *cli.Context, may int) (target, error) {
	if c.NArg() > 1 {
		return target{}, fmt.Errorf("one address at a time; %q is one too many", c.Args().Get(1))
	}
	return t.target(c.Context, c.Args().First(), may)
}

func (t *tool) tellPut(c desk.EntryChange) {
	e := c.Entry
	said := t.paint(green, "allowed") + " " + desk.Text(e.Net) + " as " + string(e.Class)
	if e.Deny {
		said = t.paint(red, "denied") + " " + desk.Text(e.Net)
	}
	t.say("%s, %s%s", said, t.lasting(e), quoted(e.Note))
	if c.Replaced != nil {
		t.say("  before, it was %s", t.entryText(*c.Replaced))
	}
	t.tellAround(c)
	t.tellBefore(c)
	if c.Open > 0 {
		t.say("  acts at once on %s", count(c.Open, "open connection"))
	}
}

// tellAround says which of several entries decides.
func (t *tool) tellAround(c desk.EntryChange) {
	for _, e := range c.Inside {
		why := "the longer prefix decides, this one"
		if e.Source == whitelist.Local {
			why = "what a person says decides"
		}
		t.say("  it is inside %s: %s", t.entryText(e), why)
	}
	for _, e := range c.Holds {
		why := "that one decides, being longer"
		if e.Source == whitelist.Local {
			why = "what a person says decides"
		}
		t.say("  inside it is %s: %s", t.entryText(e), why)
	}
}

// tellBefore says what was learned that counts no longer.
func (t *tool) tellBefore(c desk.EntryChange) {
	e := c.Before.Entry
	if e == nil || !c.Entry.Net.IsSingleIP() {
		return
	}
	switch {
	case e.Source == whitelist.Trapped || e.Source == whitelist.Guessing:
		t.say("  that it %s counts no longer", printable(desk.Did(*e)))
	case e.Source == whitelist.Passed && c.Entry.Deny:
		t.say("  that it passed before (%s) counts no longer", printable(e.Note))
	case e.Source.Learned() && c.Entry.Deny:
		t.say("  that it is known %s (%s) counts no longer", evidenceText[string(e.Source)], printable(e.Note))
	}
}

func (t *tool) tellRemoved(c desk.EntryChange) {
	switch e := c.Entry; {
	case e.Source == whitelist.Passed:
		t.say("forgot that %s passed before (%s)", desk.Text(e.Net), printable(e.Note))
	case e.Source.Learned():
		t.say("forgot that %s is known %s (%s)", desk.Text(e.Net), evidenceText[string(e.Source)], printable(e.Note))
	default:
		t.say("removed %s", t.entryText(e))
	}
	t.say("  it is now %s", t.standing(c.Now))
	if c.Entry.Source == whitelist.Passed && !c.Now.Known {
		t.say("  its origin may still be known; type: moggy grey rm %s", desk.Text(c.Entry.Net))
	}
}

func (t *tool) say(format string, args ...any) { fmt.Fprintf(t.out, format+"\n", args...) }

// lasting says how long an entry is in force.
func (t *tool) lasting(e whitelist.Entry) string {
	if e.Expires.IsZero() {
		return "for good"
	}
	return "for " + span(e.Expires.Sub(t.now())) + " (until " + t.clock(e.Expires) + ")"
}

// entryText writes an entry in a sentence: deny 192.0.2.0/24 "spam wave".
func (t *tool) entryText(e whitelist.Entry) string {
	switch {
	case e.Deny:
		return "deny " + desk.Text(e.Net) + quoted(e.Note)
	case e.Source == whitelist.Local:
		return "local network " + desk.Text(e.Net) + " (" + printable(e.Note) + ")"
	case e.Source == whitelist.Operator:
		return "allow " + desk.Text(e.Net) + " as " + printable(string(e.Class)) + quoted(e.Note)
	}
	return desk.Text(e.Net) + ", learned (" + printable(e.Note) + ")"
}
