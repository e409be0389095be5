package main

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"moggy/cmd/internal/desk"
	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// An about is all that is to be said of one address now.
type about struct {
	desk.Evidence
	Now       []desk.Trial `json:"-"`                 // on the first listener of each service; account.Now has them
	Elsewhere desk.Sight   `json:"elsewhere"`         // what else on this machine keeps it out
	Counted   []string     `json:"counted,omitempty"` // rules that count connections, and cut off who has many

	title string
}

// regard gathers what is to be said of an address. An error of the desk leaves
// what can be seen without it.
func (t *tool) regard(ctx context.Context, addr netip.Addr, title string) (about, error) {
	ab := about{Evidence: desk.Evidence{Addr: addr, At: []desk.Regard{}}, title: title}
	err := t.ask(ctx, func(ctx context.Context, d desk.Desk) (err error) {
		if ab.Evidence, err = d.Evidence(ctx, desk.EvidenceFilter{Addr: addr}); err != nil {
			return err
		}
		for _, r := range ab.At {
			trial, err := d.Try(ctx, desk.Question{Addr: addr, Listener: r.Listeners[0]})
			if err != nil {
				return err
			}
			ab.Now = append(ab.Now, trial)
		}
		return nil
	})
	ab.Elsewhere, ab.Counted = t.sight(ctx, addr), t.countingRules(ctx)
	return ab, err
}

// tellDown says, before all else, that what follows is not so now.
func (t *tool) tellDown(daemon bool) {
	if !daemon {
		fmt.Fprintln(t.err, "moggyd is not running: nobody gets in through it; this is what it would do")
	}
}

// tellAbout says it, the answer first.
func (t *tool) tellAbout(ab about) {
	t.tellDown(ab.Daemon)
	t.say("%s  %s", t.paint(bold, printable(ab.title)), t.verdictOn(ab))
	tab := newTable("", "")
	tab.indent = "  "
	tab.paint = t.blockedColumn
	for _, b := range ab.Elsewhere.Blocks {
		t.blockRows(tab, b)
	}
	for _, rule := range ab.Counted {
		t.wrappedRow(tab, "counted", "by "+rule)
	}
	t.serviceRows(tab, ab)
	for _, r := range ab.At {
		for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
			t.wrappedRow(tab, "backend", "of "+printable(name)+" cannot be used: "+printable(r.Faults[name]))
		}
	}
	t.budgetRows(tab, ab.At)
	t.unreadRows(tab, ab.Elsewhere.Unread)
	some := slices.ContainsFunc(ab.At, func(r desk.Regard) bool { return slices.ContainsFunc(r.Findings, found) })
	if !some && len(ab.At) > 0 {
		t.wrappedRow(tab, "evidence", "none: nobody vouches for it, nothing was learned of it")
	}
	for _, do := range ab.remedies() {
		tab.row("do", do)
	}
	tab.write(t.out)
	if some {
		t.say("")
		t.evidenceTable(ab.At)
	}
}

// found reports whether a source has anything on an address.
func found(f whitelist.Finding) bool { return f.Entry.Net.IsValid() }

// verdictOn answers in one glance: is it blocked, and by whom?
func (t *tool) verdictOn(ab about) string {
	colour, ours := moggySays(ab)
	by := blockers(ab.Elsewhere.Blocks)
	nor := ", not blocked elsewhere"
	if colour == green {
		nor = ", nor elsewhere"
	}
	if len(ab.Elsewhere.Unread) > 0 {
		nor += " as far as could be seen"
	}
	if by != "" {
		nor = ", " + t.paint(red, blockedWord+" by "+by)
	}
	return t.paint(colour, ours) + nor
}

// moggySays is what moggy does with an address where it fares worst.
func moggySays(ab about) (colour, text string) {
	if len(ab.Now) == 0 {
		return yellow, "not known what moggy does"
	}
	worst, best := ab.Now[0], ab.Now[0]
	for _, r := range ab.Now {
		if badness(r) > badness(worst) {
			worst = r
		}
		if badness(r) < badness(best) {
			best = r
		}
	}
	colour, text = fates[badness(worst)].colour, fates[badness(worst)].text
	if badness(worst) > badness(best) {
		text += " on " + printable(worst.Listener)
	}
	if badness(worst) == waits {
		text += " " + span(seconds(worst.Wait))
	}
	if broken := ab.broken(); len(broken) > 0 {
		colour, text = red, text+", but NO SERVER behind "+strings.Join(broken, ", ")
	}
	return colour, text
}

// broken names the listeners whose backends cannot be used: who gets in there gets
// nothing.
func (ab about) broken() (names []string) {
	for _, r := range ab.At {
		for _, name := range slices.Sorted(maps.Keys(r.Faults)) {
			names = append(names, printable(name))
		}
	}
	return names
}

// How an address can fare, the best first.
const (
	passes = iota
	waits
	greylisted
	held
	turnedAway
	denied
)

// fates says it in words.
var fates = [...]struct{ colour, text string }{
	passes:     {green, "NOT blocked by moggy"},
	waits:      {yellow, "NOT blocked by moggy, but it waits in line"},
	greylisted: {yellow, "greylisted by moggy"},
	held:       {red, "HELD by moggy"},
	turnedAway: {red, "TURNED AWAY by moggy for now"},
	denied:     {red, "DENIED by moggy"},
}

func badness(r desk.Trial) int {
	switch {
	case r.Wait > 0:
		return waits
	case r.Passes || r.Connect.Observed:
		return passes
	case r.Standing.Deny:
		return denied
	case r.Connect.Action == verdict.Busy || r.Connect.Action == verdict.Close:
		return turnedAway
	case r.Connect.Action == verdict.Hold || r.Lists != nil && r.Lists.Listed():
		return held
	}
	return greylisted
}

// serviceRows says what would become of it on which listeners.
func (t *tool) serviceRows(tab *table, ab about) {
	var texts []string
	listeners := make(map[string][]string)
	for i, r := range ab.Now {
		text := t.fateAndWhy(r)
		if listeners[text] == nil {
			texts = append(texts, text)
		}
		listeners[text] = append(listeners[text], ab.At[i].Listeners...)
	}
	for _, text := range texts {
		on := "on " + printable(strings.Join(listeners[text], ", "))
		if len(texts) == 1 && len(listeners[text]) > 1 {
			on = "on every listener"
		}
		t.wrappedRow(tab, "moggy", on+": "+text)
	}
}

// fateAndWhy says what would become of an address on a listener, and what makes it so.
func (t *tool) fateAndWhy(r desk.Trial) string {
	text := t.fate(r) + "; " + t.standing(r.Standing)
	if s := r.Lists; s != nil && len(s.Hits) > 0 {
		text += "; lists " + scoreText(s)
	}
	if r.Lists != nil && len(r.Lists.Silent) > 0 {
		text += "; " + silentText(r.Lists)
	}
	if r.Grey != nil && r.Standing.Entry == nil {
		text += "; origin " + t.greyText(r)
	}
	if c := r.Crawler; c != nil && c.Name != "" {
		text += "; " + crawlerText(c)
	}
	return text
}

// budgetRows says how its budgets stand: one for each class that it is of.
func (t *tool) budgetRows(tab *table, at []desk.Regard) {
	var seen []whitelist.Class
	for _, r := range at {
		if slices.Contains(seen, r.Standing.Class) {
			continue
		}
		seen = append(seen, r.Standing.Class)
		t.wrappedRow(tab, "budget", printable(budgetClass(r.Standing))+": "+usageText(r.Budget))
	}
}

// usageText is how a budget stands now. A meter says how it would with one more
// connection.
func usageText(next budget.Usage) string {
	if next.Over != budget.Within || next.Wait > 0 {
		return "with the next one " + next.String()
	}
	next.Used, next.Open = max(0, next.Used-1), max(0, next.Open-1)
	return next.String()
}

// remedies are what can be typed, each once.
func (ab about) remedies() (do []string) {
	addr := ab.Addr.String()
	for _, b := range ab.Elsewhere.Blocks {
		if b.Lift != nil {
			do = append(do, "moggy unblock "+addr+"    takes it out")
			break
		}
	}
	if len(ab.broken()) > 0 {
		do = append(do, "moggy doctor")
	}
	known := slices.ContainsFunc(ab.At, func(r desk.Regard) bool { return r.Standing.Known })
	if known && len(ab.Elsewhere.Blocks) > 0 {
		do = append(do, "moggy doctor    says which rules count connections, and what to put before them")
	}
	for _, r := range ab.Now {
		if !r.Passes && r.Do != "" && !slices.Contains(do, r.Do) {
			do = append(do, r.Do)
		}
	}
	return do
}

// evidenceTable says what each source has on an address, and whether that counts.
func (t *tool) evidenceTable(at []desk.Regard) {
	heads := []string{"EVIDENCE"}
	for _, r := range at {
		heads = append(heads, strings.ToUpper(string(r.Service)))
	}
	tab := newTable(append(heads, "SAYS")...)
	tab.indent = "  "
	for i, f := range at[0].Findings {
		cells := []string{string(f.Source)}
		for _, r := range at {
			cells = append(cells, stateText(r.Findings, i))
		}
		tab.row(append(cells, t.findingText(f))...)
	}
	tab.write(t.out)
}

// stateText says what became of a source when an address was judged.
func stateText(all []whitelist.Finding, i int) string {
	switch all[i].State {
	case whitelist.None:
		decided := func(f whitelist.Finding) bool { return f.State == whitelist.Decides }
		if slices.ContainsFunc(all[:i], decided) {
			return "not asked"
		}
		return "-"
	case whitelist.Elsewhere:
		return "not here"
	}
	return string(all[i].State)
}

// findingText is what a source has on an address; "" for nothing.
func (t *tool) findingText(f whitelist.Finding) string {
	e := f.Entry
	if !found(f) {
		return ""
	}
	class := printable(string(e.Class))
	if e.Deny {
		class = "denied"
	}
	text := class + ": " + desk.Text(e.Net)
	if e.Note != "" {
		text += " " + printable(e.Note)
	}
	if !e.Added.IsZero() {
		text += ", " + t.ago(e.Added)
	}
	return text + ", " + t.ends(e)
}

// stepsOf is how a class was found, in one line: what was asked, what decided.
func stepsOf(findings []whitelist.Finding) string {
	var steps []string
	for i, f := range findings {
		switch stateText(findings, i) {
		case "-":
			steps = append(steps, string(f.Source)+" -")
		case string(whitelist.Decides):
			steps = append(steps, string(f.Source)+" decides")
			return strings.Join(steps, " | ") + "   (later ones not asked)"
		}
	}
	return strings.Join(steps, " | ")
}
