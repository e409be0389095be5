package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/proxy"
	"moggy/whitelist"
)

func (t *tool) whoVerb() *cli.Command {
	return &cli.Command{Name: "who", Usage: "who is connected, and what is done with them",
		ArgsUsage: "[ADDRESS] [--state STATE|--stuck] [--class CLASS] [--by state|class|rule|listener]", Action: t.who,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "state", Usage: "only those in `STATE`: talk, hold, wait or carry"},
			&cli.BoolFlag{Name: "stuck", Usage: "mail that comes back and does not pass, and what to do", DisableDefaultText: true},
			&cli.StringFlag{Name: "class", Usage: "only those of `CLASS`"},
			&cli.StringFlag{Name: "by", Usage: "count them by `WHAT`: state, class, rule or listener"},
		}}
}

// states are what is done with connections.
var states = []string{"talk", "hold", "wait", "carry"}

// groupings are what connections can be counted by.
var groupings = map[string]func(proxy.Guest) string{
	"state":    func(g proxy.Guest) string { return g.State },
	"class":    func(g proxy.Guest) string { return string(g.Class) },
	"rule":     func(g proxy.Guest) string { return g.Rule },
	"listener": func(g proxy.Guest) string { return g.Listener },
}

func (t *tool) who(c *cli.Context) error {
	if err := t.checkWho(c); err != nil {
		return err
	}
	if c.Bool("stuck") {
		return t.stuck(c)
	}
	nets, err := t.filterNets(c)
	if err != nil {
		return err
	}
	listed := c.NArg() > 0 || c.String("state") != "" || c.String("class") != ""
	guests, stuck := []proxy.Guest{}, 0
	err = t.ask(c.Context, func(ctx context.Context, d desk.Desk) error {
		for _, net := range nets {
			list, err := d.Who(ctx, desk.WhoFilter{State: c.String("state"), Class: whitelist.Class(c.String("class")), Net: net})
			if err != nil {
				return err
			}
			guests = append(guests, list.Guests...)
		}
		if listed || t.json {
			return nil
		}
		mails, err := d.Stuck(ctx, desk.StuckFilter{Limit: 1})
		stuck = mails.Total
		return err
	})
	switch by := c.String("by"); {
	case err != nil || t.json:
		return t.orJSON(err, desk.WhoList{Guests: guests})
	case len(guests) == 0:
		t.say("nobody")
	case by == "" && listed:
		t.guestTable(guests)
	default:
		t.groupTable(guests, cmp.Or(by, "state"))
	}
	if stuck > 0 {
		t.say("%s came back and did not pass; type: moggy who --stuck", t.paint(yellow, "stuck: "+count(stuck, "mail")))
	}
	return nil
}

// checkWho says what is wrong with what was typed.
func (t *tool) checkWho(c *cli.Context) error {
	if by := c.String("by"); by != "" && groupings[by] == nil {
		return fmt.Errorf("connections cannot be counted by %q; choose state, class, rule or listener", by)
	}
	if s := c.String("state"); s != "" && !slices.Contains(states, s) {
		return fmt.Errorf("there is no state %q; choose talk, hold, wait or carry", s)
	}
	return t.checkClass(c.Context, c.String("class"))
}

func (t *tool) guestTable(guests []proxy.Guest) {
	tab := newTable("STATE", ">FOR", "REF", "PEER", "CLASS", "LISTENER", "WHY")
	tab.paint = t.stateColumn
	for _, g := range guests {
		tab.row(printable(g.State), span(t.now().Sub(g.Since)), printable(g.Ref), g.Peer.Addr().String(), printable(string(g.Class)), printable(g.Listener), printable(g.Rule))
	}
	tab.write(t.out)
}

// stateColumn paints the first column, which is a state.
func (t *tool) stateColumn(column int, text string) string {
	if column != 0 {
		return text
	}
	return t.action(text)
}

// groupTable counts connections by one of groupings, the most first. The oldest
// of each group is its example.
func (t *tool) groupTable(guests []proxy.Guest, by string) {
	groups := make(map[string][]proxy.Guest)
	for _, g := range guests {
		key := groupings[by](g)
		groups[key] = append(groups[key], g)
	}
	keys := make([]string, 0, len(groups))
	for key := range groups {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(cmp.Compare(len(groups[b]), len(groups[a])), cmp.Compare(a, b))
	})
	tab := newTable(map[string]string{"state": "STATE", "class": "CLASS", "rule": "RULE", "listener": "LISTENER"}[by], ">N", ">OLDEST", "EXAMPLE", "CLASS", "WHY")
	tab.paint = t.stateColumn
	for _, key := range keys {
		first := slices.MinFunc(groups[key], func(a, b proxy.Guest) int { return a.Since.Compare(b.Since) })
		tab.row(printable(key), decimal(int64(len(groups[key]))), span(t.now().Sub(first.Since)),
			first.Peer.Addr().String()+" "+printable(first.Ref), printable(string(first.Class)), printable(first.Rule))
	}
	tab.write(t.out)
}
