package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/whitelist/budget"
)

func (t *tool) topVerb() *cli.Command {
	return &cli.Command{Name: "top", Usage: "who uses most of its budget now; refreshed until q",
		ArgsUsage: "[--once] [-n N]", Action: t.top,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "n", Value: 20, Usage: "show at most `N`; 0: all"},
			&cli.BoolFlag{Name: "once", Usage: "once, and not again every two seconds", DisableDefaultText: true},
		}}
}

// topEvery is the time between two looks.
const topEvery = 2 * time.Second

// top shows the budgets that are used, again and again on a terminal. Whoever writes
// into a file or a pipe gets one look.
func (t *tool) top(c *cli.Context) error {
	if c.Int("n") < 0 {
		return fmt.Errorf("-n %d is no number of rows; give -n 20", c.Int("n"))
	}
	if c.Bool("once") || t.json || !t.terminal {
		return t.topOnce(c.Context, c.Int("n"), "")
	}
	ctx, quit := context.WithCancel(c.Context)
	defer quit()
	defer t.listen(quit)()
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	for {
		if err := t.topOnce(ctx, c.Int("n"), clearScreen); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// clearScreen moves to the first line and clears what is below (ECMA-48, CUP and ED).
const clearScreen = "\x1b[H\x1b[J"

// topOnce shows them once. What is before comes first when the answer is there.
func (t *tool) topOnce(ctx context.Context, n int, before string) error {
	var list desk.TopList
	err := t.ask(ctx, func(ctx context.Context, d desk.Desk) (err error) {
		list, err = d.Top(ctx, desk.TopFilter{Limit: n})
		return err
	})
	if err != nil || t.json {
		return t.orJSON(err, list)
	}
	if before != "" {
		fmt.Fprint(t.out, before)
		t.say("%s  who uses most of its budget; q ends this", t.clock(t.now()))
	}
	t.topTable(list.Rows)
	return nil
}

func (t *tool) topTable(rows []desk.TopRow) {
	if len(rows) == 0 {
		t.say("nobody uses anything of a budget")
		return
	}
	tab := newTable("ADDRESS", "CLASS", ">USED", ">OPEN", ">RATE", "EVIDENCE", "")
	tab.paint = t.usedColumn
	for _, r := range rows {
		who := desk.Text(r.Net)
		if r.Origin != "" {
			who = printable(r.Origin)
		}
		l := r.Usage.Limit
		tab.row(who, printable(string(r.Class)), part(r.Usage.Used, l.Burst, l.Rate > 0), part(r.Usage.Open, l.Open, l.Open > 0),
			rateText(l), string(r.Evidence), r.Usage.Spent())
	}
	tab.write(t.out)
}

// usedColumn paints the last column, which says what is used up.
func (t *tool) usedColumn(column int, text string) string {
	if column != 6 {
		return text
	}
	return t.paint(red, text)
}

// part is "18/300", or the number alone where there is no limit.
func part(n, of int, limited bool) string {
	if !limited {
		return decimal(int64(n))
	}
	return fmt.Sprintf("%d/%d", n, max(1, of))
}

func rateText(l budget.Limit) string {
	if l.Rate == 0 {
		return "-"
	}
	return decimal(int64(l.Rate)) + "/min"
}

// listen calls quit when the operator types q, and returns what undoes that. The
// terminal is told by stty(1) to give each key at once; where that fails q needs
// the return key as well.
func (t *tool) listen(quit func()) (undo func()) {
	if t.keys == nil || !isTerminal(t.keys) {
		return func() {}
	}
	was, err := t.stty("-g")
	if err == nil {
		_, err = t.stty("-icanon", "-echo", "min", "1")
	}
	go func() { // ends with the program: a read of a terminal cannot be called off
		for key := make([]byte, 1); ; {
			n, err := t.keys.Read(key)
			if err != nil || n == 1 && (key[0] == 'q' || key[0] == 'Q') {
				quit()
				return
			}
		}
	}()
	return func() {
		if err == nil {
			_, _ = t.stty(strings.TrimSpace(was)) // nothing can be done about it
		}
	}
}

// stty runs stty(1) on the operator's terminal.
func (t *tool) stty(args ...string) (string, error) {
	cmd := exec.Command("stty", args...)
	cmd.Stdin, cmd.Stderr = t.keys, os.Stderr
	out, err := cmd.Output()
	return string(out), err
}
