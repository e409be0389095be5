package main

import (
	"context"
	"errors"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
)

func (t *tool) trapVerb() *cli.Command {
	return &cli.Command{Name: "trap", Usage: "recipients that no honest sender knows", Subcommands: []*cli.Command{
		{Name: "add", Usage: "list whoever writes to it", ArgsUsage: "MAIL-ADDRESS [--note TEXT]", Flags: []cli.Flag{noteFlag()}, Action: t.trapAdd},
		{Name: "rm", Usage: "a trap no longer", ArgsUsage: "MAIL-ADDRESS", Action: t.trapRemove},
		{Name: "ls", Usage: "list the traps", Action: t.traps},
	}}
}

func (t *tool) trapAdd(c *cli.Context) error {
	q := desk.TrapPut{Note: c.String("note")}
	return t.trapChange(c, &q.Address, func(ctx context.Context, d desk.Desk) (desk.TrapChange, error) { return d.PutTrap(ctx, q) },
		func(change desk.TrapChange) string {
			if change.Was {
				return "%s is a trap, as it was"
			}
			return "%s is a trap: whoever writes to it is listed"
		})
}

func (t *tool) trapRemove(c *cli.Context) error {
	var q desk.TrapKey
	return t.trapChange(c, &q.Address, func(ctx context.Context, d desk.Desk) (desk.TrapChange, error) { return d.RemoveTrap(ctx, q) },
		func(desk.TrapChange) string {
			return "%s is no trap any more; who is listed for it stays so: moggy deny ls --learned"
		})
}

// trapChange does one thing with the trap that was typed, and tells of it.
func (t *tool) trapChange(c *cli.Context, address *string, do func(context.Context, desk.Desk) (desk.TrapChange, error), tell func(desk.TrapChange) string) error {
	if c.NArg() != 1 {
		return errors.New("one mail address, such as trap@example.org")
	}
	*address = mailbox(c.Args().First())
	var change desk.TrapChange
	err := t.change(c.Context, func(ctx context.Context, d desk.Desk) (err error) {
		change, err = do(ctx, d)
		return err
	})
	if err != nil || t.json {
		return t.orJSON(err, change)
	}
	t.say(tell(change), printable(change.Trap.Address))
	return nil
}

func (t *tool) traps(c *cli.Context) error {
	var list desk.TrapList
	err := t.ask(c.Context, func(ctx context.Context, d desk.Desk) (err error) {
		list, err = d.Traps(ctx, desk.TrapFilter{})
		return err
	})
	if err != nil || t.json {
		return t.orJSON(err, list)
	}
	if len(list.Traps) == 0 {
		t.say("none")
		return nil
	}
	tab := newTable("TRAP", "ADDED", "NOTE")
	for _, trap := range list.Traps {
		note, added := printable(trap.Note), t.ago(trap.Added)
		if trap.Configured {
			note, added = "in moggy.toml", "-"
		}
		tab.row(printable(trap.Address), added, note)
	}
	tab.write(t.out)
	return nil
}
