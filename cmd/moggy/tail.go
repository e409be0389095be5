package main

import (
	"encoding/json"
	"fmt"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/verdict/journal"
)

func (t *tool) tailVerb() *cli.Command {
	return &cli.Command{Name: "tail", Usage: "show decisions as they are taken, until interrupted",
		ArgsUsage: "[--class CLASS] [--addr ADDRESS]", Action: t.tail,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "class", Usage: "only those about peers of `CLASS`"},
			&cli.StringFlag{Name: "addr", Usage: "only those about `ADDRESS`"},
		}}
}

func (t *tool) tail(c *cli.Context) error {
	wanted, err := t.wanted(c)
	if err != nil {
		return err
	}
	cfg, err := t.config(c.Context)
	if err != nil {
		return err
	}
	err = journal.Follow(c.Context, desk.JournalDir(cfg.StateDir), func(r journal.Record) {
		if wanted(r) {
			t.tellRecord(r)
		}
	})
	if isMissing(err) {
		return fmt.Errorf("%w; moggyd has never run with this configuration: start it, or name its file with -c", err)
	}
	return err
}

// wanted says which records are asked for.
func (t *tool) wanted(c *cli.Context) (func(journal.Record) bool, error) {
	class := c.String("class")
	if err := t.checkClass(c.Context, class); err != nil {
		return nil, err
	}
	var at target
	if text := c.String("addr"); text != "" {
		var err error
		if at, err = t.target(c.Context, text, 0); err != nil {
			return nil, err
		}
	}
	return func(r journal.Record) bool {
		if class != "" && string(r.Class) != class {
			return false
		}
		for _, net := range at.nets {
			if net.Contains(r.Peer.Addr()) {
				return true
			}
		}
		return len(at.nets) == 0
	}, nil
}

// tellRecord writes one record on one line.
func (t *tool) tellRecord(r journal.Record) {
	if t.json {
		text, err := json.Marshal(r)
		if err == nil {
			fmt.Fprintf(t.out, "%s\n", escaped(text))
		}
		return
	}
	action, why := r.Action, detail(r)
	if r.Event == journal.EventEnded {
		action, why = "", endText(r)[1:]
	}
	peer := ""
	if r.Peer.IsValid() {
		peer = r.Peer.Addr().String()
	}
	t.say("%s  %-6s  %-15s  %-13s  %s%s  %s", t.clock(r.Time), r.Ref, peer, r.Class, t.action(action), pad(action, 9), why)
}

// pad is what is missing to n columns.
func pad(text string, n int) string {
	return fmt.Sprintf("%*s", max(0, n-width(text)), "")
}
