package status

import (
	"fmt"
	"time"

	"moggy/metrics/status/tally"
)

// tables are the parts of the page below the answer.
func (p *Page) tables() []*table {
	return []*table{p.alarmTable(), p.outsideTable(), p.dayTable(), p.hereTable(), p.harmTable(), p.topTable(), p.partTable()}
}

func (p *Page) alarmTable() *table {
	t := newTable("alarms", "Alarms", "Alarm", "Since", "Why", "Do")
	for _, a := range p.Alarms {
		t.row(said(a.Name), brief(p.clock(a.Since), p.ago(a.Since)), said(a.Why), todo(a.Do))
	}
	if len(t.Rows) == 0 {
		t.After = "No alarm stands."
	}
	return t
}

func (p *Page) outsideTable() *table {
	o := p.Outside
	t := newTable("outside", "Known-good, but blocked by something else here", "Address", "Blocked by", "Since", "Do")
	t.Note = clean("Firewalls, fail2ban and the like: " + p.lookedAt() + ".")
	for _, b := range o.Hits[:min(len(o.Hits), maxBlocks)] {
		since, small := p.clock(b.Since), p.ago(b.Since)
		if b.Since.IsZero() {
			since, small = p.clock(b.First), "first seen "+p.ago(b.First)
		}
		t.row(said(b.Addr.String(), who(b.Class, b.Evidence)), said(place(b), b.Rule), brief(since, small), todo(b.do()))
	}
	switch more := len(o.Hits) - len(t.Rows) + o.More; {
	case more > 0:
		t.After = text("… and " + count(more, "more") + "; type: moggy doctor")
	case len(t.Rows) == 0 && !o.Looked.IsZero():
		t.After = "Nobody known-good is blocked, as far as could be seen."
	}
	return t
}

func (p *Page) dayTable() *table {
	d := &p.Day
	t := newTable("day", "The last 24 hours", "Class", "#Came", "#Let in", "#Deferred", "#Held", "#Refused", "#Left", "#Harmed")
	t.Note = "Came: connections that were accepted. The others are those that have ended: let in by the backend, told to come back, held to a refusal, refused, gone by themselves. " +
		"Harmed: how often known peers were refused, or made to wait over 2 seconds."
	t.After = clean(fmt.Sprintf("Counted at %s, at most once a minute: %s of the journal %s, in %s.",
		p.clock(d.Time), count(d.Records, "record"), p.reach(), d.Took.Round(time.Millisecond)))
	var sum tally.Class
	for _, c := range d.Classes {
		t.day(string(c.Class), &c)
		sum.Came, sum.LetIn, sum.Deferred, sum.Held = sum.Came+c.Came, sum.LetIn+c.LetIn, sum.Deferred+c.Deferred, sum.Held+c.Held
		sum.Refused, sum.Left, sum.Harmed = sum.Refused+c.Refused, sum.Left+c.Left, sum.Harmed+c.Harmed
	}
	if len(d.Classes) > 1 {
		t.day("all", &sum)
	}
	if len(d.Classes) == 0 {
		t.Note = "Nobody came."
	}
	if d.Fault != "" {
		t.Note, t.After = "", clean(d.Fault)
	}
	return t
}

// day adds the numbers of a class. Harm is marked.
func (t *table) day(name string, c *tally.Class) {
	harmed := number(c.Harmed)
	if c.Harmed > 0 {
		harmed.Mark = bad
	}
	t.row(said(or(name, "none")), number(c.Came), number(c.LetIn), number(c.Deferred), number(c.Held), number(c.Refused), number(c.Left), harmed)
}

func (p *Page) hereTable() *table {
	t := newTable("here", "Who is here", "State", "Class", "#Number", "Oldest", "Example", "Why")
	for _, g := range p.Here[:min(len(p.Here), maxGroups)] {
		t.row(said(g.State), said(string(g.Class)), number(g.N), brief(span(p.Now.Sub(g.Oldest)), ""), said(g.Example, g.Ref), said(g.Rule))
	}
	switch more := len(p.Here) - len(t.Rows); {
	case len(t.Rows) == 0:
		t.After = "Nobody is connected."
	case more > 0:
		t.After = text("… and " + count(more, "more") + "; type: moggy who")
	}
	return t
}

func (p *Page) harmTable() *table {
	t := newTable("harm", "The last 20 harmed", "Peer", "Met rule", "#Times", "Last", "Ref", "Do")
	for _, h := range p.Day.Harms {
		t.row(said(h.Peer.String(), who(h.Class, h.Evidence)), said(h.Rule+" on "+h.Listener, h.Why),
			number(h.Times), brief(p.clock(h.Last), p.ago(h.Last)), brief(h.Ref, ""), todo(h.Do))
	}
	if len(t.Rows) == 0 && p.Day.Fault == "" {
		t.After = clean("Nobody " + p.reach() + ".")
	}
	return t
}

func (p *Page) topTable() *table {
	t := newTable("top", "Who uses most of his budget", "Who", "#Used", "#Open", "Rate", "Note")
	for _, u := range p.Top[:min(len(p.Top), maxUses)] {
		l := u.Usage.Limit
		rate := "no limit"
		if l.Rate > 0 {
			rate = decimal(l.Rate) + "/min"
		}
		t.row(said(u.Who, who(u.Class, u.Evidence)), said(portion(u.Usage.Used, max(1, l.Burst), l.Rate > 0)),
			said(portion(u.Usage.Open, l.Open, l.Open > 0)), brief(rate, ""), said(or(u.Usage.Spent(), "–")))
	}
	if len(t.Rows) == 0 {
		t.After = "Nobody uses anything of a budget."
	}
	return t
}

// portion is "18 of 300", or the number alone where there is no limit.
func portion(n, of int, limited bool) string {
	if !limited {
		return decimal(n)
	}
	return decimal(n) + " of " + decimal(of)
}

func (p *Page) partTable() *table {
	t := newTable("parts", "The parts of the house", "Part", "State", "Says", "Do")
	for _, part := range p.parts() {
		t.row(said(part.Name), marked(part.Level), said(part.Text), todo(part.Do))
	}
	return t
}
