package main

import (
	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
)

func (t *tool) goodVerb() *cli.Command {
	return &cli.Command{Name: "good", Usage: "is it known to be good? (exit status, for fail2ban and scripts)",
		ArgsUsage: "ADDRESS [--quiet]", Action: t.good,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "say nothing, the exit status is enough", DisableDefaultText: true}}}
}

// good says whether all addresses that were named are known.
func (t *tool) good(c *cli.Context) error {
	at, err := t.one(c, 0)
	if err != nil {
		return err
	}
	shown, err := t.shown(c.Context, at)
	if err != nil {
		return err
	}
	good := len(shown) > 0
	for _, s := range shown {
		good = good && s.Whole
	}
	switch {
	case t.json:
		err = t.writeJSON(map[string]any{"good": good, "shown": shown})
	case !c.Bool("quiet"):
		t.tellGood(shown)
	}
	if err == nil && !good {
		return errNo
	}
	return err
}

func (t *tool) tellGood(shown []desk.Shown) {
	for _, s := range shown {
		word := t.paint(green, "good")
		if !s.Whole {
			word = t.paint(yellow, "not known to be good")
		}
		t.say("%s  %s: %s", word, desk.Text(s.Net), t.standing(s.Standing))
	}
}
