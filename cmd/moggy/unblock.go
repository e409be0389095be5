package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/whitelist/foreign"
)

func (t *tool) unblockVerb() *cli.Command {
	return &cli.Command{Name: "unblock", Usage: "take an address out of what blocks it elsewhere: firewall, fail2ban …",
		ArgsUsage: "ADDRESS [--dry-run]", Action: t.unblock,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "say what would be run, and run nothing", DisableDefaultText: true}}}
}

// An unblocking is what was done for one address.
type unblocking struct {
	Addr   netip.Addr        `json:"addr"`
	Steps  []step            `json:"steps"`            // one for each block
	Left   []foreign.Block   `json:"left,omitempty"`   // that keep it out all the same
	Unread map[string]string `json:"unread,omitempty"` // what could not be looked at, and why
}

// A step deals with one block.
type step struct {
	Block   foreign.Block `json:"block"`
	Command []string      `json:"command,omitempty"` // that takes it out; none: by hand
	Ran     bool          `json:"ran"`
	Fault   string        `json:"fault,omitempty"` // why that did not work
}

// maxSteps bounds the blocks that are lifted for one address.
const maxSteps = 100

// unblock lifts what keeps an address out elsewhere on this machine. It runs no
// command but those that it has read itself, with the privilege of who typed it:
// moggyd, which may have less, is not asked. It says no where nothing blocks it.
func (t *tool) unblock(c *cli.Context) error {
	at, err := t.one(c, 0)
	if err != nil {
		return err
	}
	all := []unblocking{}
	for _, net := range at.nets {
		if !net.IsSingleIP() {
			return fmt.Errorf("%s is a network; give one address of it, such as %s", net, net.Addr().Next())
		}
		all = append(all, t.free(c.Context, net.Addr(), c.Bool("dry-run")))
	}
	if t.json {
		if err := t.writeJSON(map[string]any{"unblocked": all, "dry_run": c.Bool("dry-run")}); err != nil {
			return err
		}
	}
	return t.freed(all, c.Bool("dry-run"))
}

// free lifts one block after the other. It looks again after each: what fail2ban
// blocks is in the firewall too, and goes from there by itself.
func (t *tool) free(ctx context.Context, addr netip.Addr, dry bool) unblocking {
	out := unblocking{Addr: addr, Steps: []step{}}
	for len(out.Steps) < maxSteps {
		seen := t.look(ctx, t.machine.All(), desk.GoodList{}, addr)
		out.Left, out.Unread = seen.Blocks, seen.Unread
		next, ok := out.next()
		if !ok {
			break
		}
		out.Steps = append(out.Steps, t.lift(ctx, next, dry))
	}
	if !t.json {
		t.tellFree(out, dry)
	}
	return out
}

// next is a block that nothing was tried against.
func (u *unblocking) next() (foreign.Block, bool) {
	for _, b := range u.Left {
		tried := false
		for _, s := range u.Steps {
			tried = tried || same(s.Block, b)
		}
		if !tried {
			return b, true
		}
	}
	return foreign.Block{}, false
}

// lift says the command that lifts a block, and runs it.
func (t *tool) lift(ctx context.Context, b foreign.Block, dry bool) step {
	s := step{Block: b, Command: b.Lift}
	if !t.json {
		t.tellBlock(b)
	}
	if len(b.Lift) == 0 || dry {
		return s
	}
	s.Ran = true
	if err := t.machine.Lift(ctx, b); err != nil {
		s.Fault = err.Error()
		if !t.json {
			t.say("    %s", t.paint(red, "it did not work: ")+printable(s.Fault))
		}
	}
	return s
}

func (t *tool) tellBlock(b foreign.Block) {
	tab := newTable("", "")
	t.blockRows(tab, b)
	tab.paint = t.blockedColumn
	tab.write(t.out)
	if len(b.Lift) > 0 {
		t.say("    $ %s", printable(strings.Join(b.Lift, " ")))
	}
}

// tellFree says what came of it.
func (t *tool) tellFree(u unblocking, dry bool) {
	addr := u.Addr.String()
	tab := newTable("", "")
	t.unreadRows(tab, u.Unread)
	tab.write(t.out)
	switch {
	case len(u.Left) == 0 && len(u.Steps) == 0 && len(u.Unread) > 0:
		t.say("nothing that could be read blocks %s; type: sudo moggy unblock %s", addr, addr)
	case len(u.Left) == 0 && len(u.Steps) == 0:
		t.say("nothing on this machine blocks %s", addr)
	case dry:
		t.say("nothing was done; to do it, type: moggy unblock %s", addr)
	case len(u.Left) > 0:
		t.say("%s by %s; %s", t.paint(red, addr+" is STILL BLOCKED"), blockers(u.Left), u.advice())
	case len(u.Unread) > 0:
		t.say("%s; as far as could be seen, nothing else blocks it; so that it does not come again, type: moggy doctor", t.paint(green, addr+" was taken out"))
	default:
		t.say("%s; so that it does not come again, type: moggy doctor", t.paint(green, addr+" is blocked no longer"))
	}
}

// advice is what to type when something is left.
func (u *unblocking) advice() string {
	for _, s := range u.Steps {
		if s.Fault != "" {
			return "type: sudo moggy unblock " + u.Addr.String()
		}
	}
	return "what is left has to be lifted by hand, as said above"
}

// freed is the exit status.
func (t *tool) freed(all []unblocking, dry bool) error {
	some := false
	for _, u := range all {
		if len(u.Left) > 0 && !dry || len(u.Steps) == 0 && len(u.Unread) > 0 {
			return errSaid
		}
		some = some || len(u.Steps) > 0
	}
	if len(all) == 0 {
		return errors.New("no address to unblock")
	}
	if !some {
		return errNo
	}
	return nil
}
