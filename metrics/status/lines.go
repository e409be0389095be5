package status

import (
	"fmt"
	"slices"

	"moggy/metrics/status/tally"
)

// A level says how a thing stands. It is told in words, and coloured as well.
type level string

// The levels, the worst first.
const (
	bad  level = "fault" // somebody is hurt by it, or will be
	look level = "look"  // to be looked at
	fine level = "ok"
)

func (l level) rank() int { return slices.Index([]level{bad, look, fine}, l) }

// A line is a sentence at the top of the page. What is behind it, and what to do
// about it, comes with it.
type line struct {
	Level level
	Text  text
	Why   text
	Do    text
}

func say(l level, do, format string, args ...any) line {
	return line{Level: l, Text: clean(fmt.Sprintf(format, args...)), Do: clean(do)}
}

func (l line) because(why string) line {
	l.Why = clean(why)
	return l
}

// lines are the answer, the worst first; the last is good where nobody was harmed.
func (p *Page) lines() []line {
	all := slices.Concat(p.doorLines(), p.visitorLines(), p.partLines(bad), p.alarmLines(), p.outsideLines(), p.modeLines(), p.listLines(), p.partLines(look))
	harm := p.harmLine()
	wrong, doubts := 0, 0
	for _, l := range append(all, harm) {
		switch l.Level {
		case bad:
			wrong++
		case look:
			doubts++
		}
	}
	if wrong == 0 {
		harm.Text = "All good: nobody known" + harm.Text[len("Nobody known"):]
	}
	if wrong == 0 && doubts > 0 {
		harm.Text += text("; " + count(doubts, "thing") + " to look at")
	}
	if wrong == 0 {
		return append([]line{harm}, all...)
	}
	all = append(all, harm)
	slices.SortStableFunc(all, func(a, b line) int { return a.Level.rank() - b.Level.rank() })
	return all
}

// What to do about a backend.
const mendBackend = "start the mail server behind it, or name the right one as backend in moggy.toml"

func (p *Page) doorLines() []line {
	var broken, faults []string
	for _, d := range p.Doors {
		if d.Fault != "" {
			broken, faults = append(broken, d.Backend+" (listener "+d.Name+")"), append(faults, d.Fault)
		}
	}
	switch {
	case len(broken) == 0:
		return nil
	case len(p.Doors) == 1:
		return []line{say(bad, mendBackend, "moggyd cannot reach its backend %s", broken[0]).because(faults[0])}
	}
	return []line{say(bad, mendBackend, "moggyd cannot reach %d of its %d backends: %s", len(broken), len(p.Doors), list(broken, 3)).because(list(faults, 3))}
}

// visitorLines say what keeps the visitor himself out.
func (p *Page) visitorLines() (all []line) {
	v := p.Visitor
	if !v.Addr.IsValid() {
		return nil
	}
	for _, b := range v.Blocks[:min(len(v.Blocks), 3)] {
		all = append(all, say(bad, b.do(), "YOU (%s) ARE BLOCKED BY %s %s", v.Addr, place(b), p.blockedSince(b)).because(b.Rule))
	}
	switch {
	case v.Deny:
		all = append(all, say(bad, "moggy deny rm "+v.Addr.String(), "YOU (%s) ARE DENIED BY moggy: a person said so", v.Addr))
	case v.Listed:
		all = append(all, say(bad, "moggy pardon "+v.Addr.String(), "YOU (%s) ARE HELD BY moggy: %s", v.Addr, evidence(v.Evidence)))
	}
	i := slices.IndexFunc(p.Day.Harms, func(h tally.Harm) bool { return h.Peer == v.Addr })
	if i < 0 {
		return all
	}
	h := p.Day.Harms[i]
	return append(all, say(bad, h.Do, "YOU (%s) were refused or made to wait %s, last at %s, by rule %s on %s",
		v.Addr, count(h.Times, "time"), p.since(h.Last), h.Rule, h.Listener).because(h.Why))
}

// place is what blocks: "nft set inet guard abusers".
func place(b Block) string {
	if b.Where == "" || b.Where == b.By {
		return b.By
	}
	return b.By + " " + b.Where
}

func (p *Page) blockedSince(b Block) string {
	if b.Since.IsZero() {
		return "seen since " + p.since(b.First)
	}
	return "since " + p.since(b.Since)
}

// do is what takes a block away.
func (b *Block) do() string {
	if b.Lift {
		return "moggy unblock " + b.Addr.String()
	}
	return b.Hint
}

// told are the alarms that have lines of their own.
var told = []string{"harm", "known-good-blocked-elsewhere", "store-down", "dnsbl-suspended"}

func (p *Page) alarmLines() (all []line) {
	for _, a := range p.Alarms {
		if !slices.Contains(told, a.Name) {
			all = append(all, say(bad, a.Do, "Alarm %s since %s", a.Name, p.since(a.Since)).because(a.Why))
		}
	}
	return all
}

// outsideLines tell of others than the visitor who are blocked elsewhere.
func (p *Page) outsideLines() []line {
	n := len(p.Outside.Hits) + p.Outside.More
	var named []string
	do := "moggy doctor"
	for _, b := range p.Outside.Hits {
		if slices.Contains(p.Visitor.Blocks, b) {
			n--
			continue
		}
		named = append(named, fmt.Sprintf("%s (%s) by %s", b.Addr, who(b.Class, b.Evidence), place(b)))
		if n == 1 {
			do = b.do()
		}
	}
	if n == 0 {
		return nil
	}
	return []line{say(bad, do, "%s blocked by something else on this machine", are(n, "known-good address")).because(list(named, 3))}
}

func are(n int, thing string) string {
	if n == 1 {
		return "1 " + thing + " is"
	}
	return count(n, thing) + " are"
}

func (p *Page) modeLines() []line {
	if !p.Observe {
		return nil
	}
	return []line{say(look, `set mode = "enforce" in moggy.toml and reload moggyd, when you are ready`, "Mode is observe: moggy judges, and lets everybody through")}
}

func (p *Page) listLines() []line {
	var named []string
	for _, l := range p.Lists {
		if !l.Works {
			named = append(named, fmt.Sprintf("%s (%s)", l.Name, l.State))
		}
	}
	if len(named) == 0 {
		return nil
	}
	return []line{say(look, "moggy lists", "%d of %s count for nothing", len(named), count(len(p.Lists), "DNS list")).because(list(named, 5))}
}

// harmLine says whether anybody known was harmed; one that is good begins with
// "Nobody known".
func (p *Page) harmLine() line {
	d := &p.Day
	switch {
	case d.Fault != "":
		return say(bad, "see that moggyd may read "+p.Journal.Dir, "Whether anybody known was refused or slowed is not known").because(d.Fault)
	case d.Times == 0:
		return say(fine, "", "Nobody known was refused or slowed %s", p.reach())
	}
	verb := " were harmed"
	if d.Peers == 1 {
		verb = " was harmed"
	}
	var named []string
	for _, h := range d.Harms {
		if name := fmt.Sprintf("%s (%s)", h.Peer, h.Class); !slices.Contains(named, name) {
			named = append(named, name)
		}
	}
	return say(bad, "moggy hurt --since 24h", "%s%s (refused, or made to wait over 2 seconds), %s %s",
		count(d.Peers, "known peer"), verb, count(d.Times, "time"), p.reach()).because(list(named, 5))
}

// reach is the time that the numbers speak of.
func (p *Page) reach() string {
	switch p.Day.Bound {
	case tally.Begins:
		return "since " + p.since(p.Day.From) + ", when the journal begins"
	case tally.Time:
		return "since " + p.since(p.Day.From) + "; there was no time to read the journal further back"
	}
	return "in the last 24 hours"
}
