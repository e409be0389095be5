package main

import (
	"context"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/whitelist"
)

func (t *tool) pardonVerb() *cli.Command {
	return &cli.Command{Name: "pardon", Usage: "forget what speaks against an address, or let a sender's next try pass",
		ArgsUsage: "ADDRESS|MAIL-ADDRESS", Action: t.pardon}
}

func (t *tool) pardon(c *cli.Context) error {
	at, err := t.one(c, mayMailbox)
	if err != nil {
		return err
	}
	pleas := []desk.Plea{{Sender: at.mailbox}}
	if at.mailbox == "" {
		pleas = nil
	}
	for _, net := range at.nets {
		pleas = append(pleas, desk.Plea{Net: net})
	}
	done := []desk.Pardoned{}
	err = t.change(c.Context, func(ctx context.Context, d desk.Desk) error {
		for _, p := range pleas {
			one, err := d.Pardon(ctx, p)
			if err != nil {
				return err
			}
			done = append(done, one)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if t.json {
		err = t.writeJSON(map[string]any{"pardoned": done})
	}
	found := false
	for i, one := range done {
		found = t.tellPardon(pleas[i], one) || found
	}
	if err == nil && !found {
		return errNo
	}
	return err
}

// tellPardon reports whether there was anything to pardon.
func (t *tool) tellPardon(p desk.Plea, done desk.Pardoned) bool {
	switch {
	case t.json:
	case p.Sender != "":
		t.tellSender(p, done)
	default:
		t.tellForgot(p, done)
	}
	return len(done.Forgot)+len(done.Passes) > 0
}

func (t *tool) tellSender(p desk.Plea, done desk.Pardoned) {
	who := printable(p.Sender)
	if done.Waiting == 0 {
		t.say("no mail from %s waits; type: moggy why %s", who, who)
		return
	}
	t.say("%s %s: of %s, the next try passes from", t.paint(green, "pardoned"), who, count(done.Waiting, "waiting mail"))
	for _, o := range done.Passes {
		t.say("  %s", originText(o))
	}
}

func (t *tool) tellForgot(p desk.Plea, done desk.Pardoned) {
	for _, e := range done.Forgot {
		t.say("%s %s: forgot that it %s", t.paint(green, "pardoned"), desk.Text(e.Net), printable(desk.Did(e)))
	}
	if len(done.Forgot) == 0 {
		t.say("moggy has learned nothing against %s", desk.Text(p.Net))
	}
	now := done.Now
	t.say("  it is now %s", t.standing(*now))
	if now.Deny {
		t.say("  type: moggy deny rm %s", desk.Text(now.Entry.Net))
	} else if now.Evidence == whitelist.Nothing {
		t.say("  to spare it the greylist, type: moggy allow add %s --note WHY", desk.Text(p.Net))
	}
}
