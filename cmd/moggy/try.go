package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/greylist"
	"moggy/verdict"
)

func (t *tool) tryVerb() *cli.Command {
	return &cli.Command{Name: "try", Usage: "what would become of it now? (nothing is remembered)",
		ArgsUsage: "ADDRESS [--from MAIL-ADDRESS --to MAIL-ADDRESS] [--helo NAME] [--listener NAME]", Action: t.try,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "from", Usage: "with mail from `SENDER`; '<>' is the null sender"},
			&cli.StringFlag{Name: "to", Usage: "with mail to `RECIPIENT`"},
			&cli.StringFlag{Name: "helo", Usage: "that greets as `NAME`"},
			&cli.StringFlag{Name: "listener", Aliases: []string{"port"}, Usage: "on the listener of this `NAME` or port"},
		}}
}

func (t *tool) try(c *cli.Context) error {
	at, err := t.one(c, 0)
	if err != nil {
		return err
	}
	q := desk.Question{Helo: c.String("helo"), Listener: c.String("listener")}
	if q.Mail, err = mailOf(c); err != nil {
		return err
	}
	trials := []desk.Trial{}
	err = t.ask(c.Context, func(ctx context.Context, d desk.Desk) error {
		for _, net := range at.nets {
			if !net.IsSingleIP() {
				return fmt.Errorf("%s is a network; try one address of it, such as %s", net, net.Addr().Next())
			}
			q.Addr = net.Addr()
			trial, err := d.Try(ctx, q)
			if err != nil {
				return err
			}
			trials = append(trials, trial)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.tellTrials(trials)
}

func mailOf(c *cli.Context) (*desk.Mail, error) {
	if !c.IsSet("from") && !c.IsSet("to") {
		return nil, nil
	}
	if !c.IsSet("from") || c.String("to") == "" {
		return nil, errors.New("a mail has a sender and a recipient; give --from (or --from '<>') and --to")
	}
	return &desk.Mail{From: mailbox(c.String("from")), To: mailbox(c.String("to"))}, nil
}

// tellTrials ends with no where one of them would not get to the backend now.
func (t *tool) tellTrials(trials []desk.Trial) error {
	if t.json {
		if err := t.writeJSON(map[string]any{"trials": trials}); err != nil {
			return err
		}
	}
	pass := true
	for i, trial := range trials {
		pass = pass && trial.Passes && trial.Fault == ""
		if !t.json {
			if i > 0 {
				t.say("")
			}
			t.tellTrial(trial)
		}
	}
	if !pass {
		return errNo
	}
	return nil
}

func (t *tool) tellTrial(r desk.Trial) {
	t.tellDown(r.Daemon)
	fate := t.fate(r)
	if r.Fault != "" {
		fate += ", but " + t.paint(red, "NO SERVER behind it") + ": " + printable(r.Fault)
	}
	t.say("%s on %s: %s", t.paint(bold, r.Addr.String()), printable(r.Listener), fate)
	tab := newTable("", "")
	tab.indent = "  "
	tab.row("is", t.standing(r.Standing))
	t.wrappedRow(tab, "evidence", stepsOf(r.Findings))
	t.wrappedRow(tab, "", crawlerText(r.Crawler))
	t.wrappedRow(tab, "budget", printable(budgetClass(r.Standing))+": "+r.Budget.String()+", this one counted")
	t.decisionRows(tab, "connection", r.Connect)
	if r.Recipient != nil {
		t.decisionRows(tab, "mail", *r.Recipient)
	}
	if r.Lists != nil {
		t.scoreRows(tab, r.Lists)
	}
	if r.Grey != nil {
		t.wrappedRow(tab, "origin", t.greyText(r))
	}
	if r.Do != "" {
		tab.row("to change", r.Do)
	}
	tab.write(t.out)
}

func (t *tool) decisionRows(tab *table, about string, d desk.Decision) {
	action := string(d.Action)
	if d.Observed {
		action = "observe:" + action
	}
	for i, line := range t.wrapped(action + ", rule " + d.Rule + ": " + d.Doc) {
		if rest, ok := strings.CutPrefix(line, action); ok && i == 0 {
			line = t.action(action) + rest
		}
		tab.row(about, line)
		about = ""
	}
	if d.Reply != "" {
		tab.row("", "it is told: "+printable(d.Reply))
	}
	for _, line := range t.wrapped(stepsText(d.Steps)) {
		tab.row("", line)
	}
	for _, dep := range d.Degraded {
		tab.row("", degradedText(dep))
	}
}

// budgetClass is whose budget a connection is counted to.
func budgetClass(s desk.Standing) string {
	if s.Deny {
		return "denied"
	}
	return string(s.Class)
}

// crawlerText says what the name of a client of a web server is worth.
func crawlerText(c *desk.CrawlerName) string {
	switch {
	case c == nil:
		return ""
	case c.Unsure:
		return "DNS does not say who it is"
	case c.Name == "":
		return "it has no reverse name that leads back to it, so it is no crawler"
	case !c.Engine:
		return "its confirmed name is " + printable(c.Name) + ", which is none of [crawlers] names"
	}
	return "its confirmed name is " + printable(c.Name) + ": a crawler from its next connection on"
}

// degradedText says what a decision had to do without.
func degradedText(d verdict.Dependency) string {
	if d == verdict.DNS {
		return "DNS did not say all that it should"
	}
	return string(d) + " could not be asked"
}

// wrapped breaks text into lines that fit beside the names of rows.
func (t *tool) wrapped(text string) []string { return strings.Split(wrap(text, t.columns()-14), "\n") }

// stepsText says which rules were asked and did not hold.
func stepsText(steps []verdict.Step) string {
	var not []string
	for _, s := range steps {
		if !s.Hit {
			not = append(not, s.Rule)
		}
	}
	if len(not) == 0 {
		return "(the first rule that was asked)"
	}
	return "(asked before it: " + strings.Join(not, ", ") + ")"
}

// fate says in a few words what would become of a peer.
func (t *tool) fate(r desk.Trial) string {
	last := r.Connect
	if r.Recipient != nil {
		last = *r.Recipient
	}
	switch {
	case last.Observed:
		return t.paint(green, "let through, because mode is observe") + "; else " + string(last.Action) + ", " + last.Rule
	case last.Action == verdict.Wait:
		return t.paint(yellow, "let in after "+span(seconds(r.Wait)))
	case last.Action == verdict.Carry:
		return t.paint(green, "let in at once")
	case last.Action == verdict.HandOver:
		return t.paint(green, "let in")
	case last.Action == verdict.Busy && r.Budget.Over != "":
		return t.paint(red, "turned away for now, over its budget")
	case last.Action == verdict.Busy:
		return t.paint(red, "turned away for now")
	case r.Standing.Deny:
		return t.paint(red, "denied")
	case last.Action == verdict.Hold:
		return t.paint(red, "held, and deferred")
	case r.Recipient == nil && r.Lists != nil && r.Lists.Listed():
		return t.paint(red, "held, and deferred, because of DNS lists")
	case r.Passes:
		return t.paint(green, "let in with its first recipient")
	case last.Action == verdict.Answer:
		return t.paint(yellow, "answered, and deferred at DATA")
	}
	return t.paint(yellow, "greylisted")
}

func (t *tool) greyText(r desk.Trial) string {
	g := r.Grey
	text := kindText(g)
	wait := seconds(g.Wait)
	switch g.Outcome {
	case greylist.OriginKnown:
		return text + ", which passed before: mail from there does not wait"
	case greylist.Returned:
		return fmt.Sprintf("%s; this mail was first tried %s, and a try now is in time", text, t.ago(g.First))
	case greylist.TooEarly:
		return fmt.Sprintf("%s; this mail was first tried %s and passes in %s", text, t.ago(g.First), span(wait))
	case greylist.FirstSeen, greylist.TooLate:
		return fmt.Sprintf("%s; its first mail has to wait %s, later ones nothing", text, span(wait))
	}
	return text
}

// kindText is an origin with how it was found.
func kindText(g *desk.Grey) string {
	text := originText(g.Origin)
	if g.Origin.Kind == greylist.Network {
		text += " (network)"
	}
	if g.Poorer {
		text += ", for DNS did not answer"
	}
	return text
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// trial asks about one address without telling; the zero Trial where it cannot
// be known.
func (t *tool) trial(ctx context.Context, addr netip.Addr, m *desk.Mail) (r desk.Trial, err error) {
	err = t.ask(ctx, func(ctx context.Context, d desk.Desk) (err error) {
		r, err = d.Try(ctx, desk.Question{Addr: addr, Mail: m})
		return err
	})
	return r, err
}
