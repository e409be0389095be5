package status

import (
	"fmt"
	"slices"
)

// A part is something of the house, and how it stands.
type part struct {
	Name  string
	Level level
	Text  string
	Do    string
	Say   string // the sentence for the top of the page; "": none, it is not worth one
	Why   string // what is behind it
}

// parts are all of them, in the order in which they are shown.
func (p *Page) parts() []part {
	all := p.doorParts()
	all = append(all, p.storePart(), p.slotsPart(), p.journalPart(), p.configPart())
	all = append(all, p.listParts()...)
	return append(all, p.hintsPart(), p.outsidePart(), p.goodPart())
}

// partLines are what the parts of a level have to say at the top.
func (p *Page) partLines(l level) (all []line) {
	for _, part := range p.parts() {
		if part.Level == l && part.Say != "" {
			all = append(all, say(l, part.Do, "%s", part.Say).because(part.Why))
		}
	}
	return all
}

// doorParts have no sentences: doorLines puts them together.
func (p *Page) doorParts() (all []part) {
	for _, d := range p.Doors[:min(len(p.Doors), maxDoors)] {
		one := part{Name: "listener " + d.Name, Level: fine, Text: fmt.Sprintf("%s to %s (%s)", d.Address, d.Backend, d.Forward)}
		switch {
		case d.Fault != "":
			one.Level, one.Do = bad, mendBackend
			one.Text += ": " + d.Fault
		case d.Forward == "none":
			one.Level, one.Do = look, `set forward = "proxy-v2", where the backend can read it`
			one.Text += ": the backend is not told who the client is"
		}
		all = append(all, one)
	}
	if more := len(p.Doors) - maxDoors; more > 0 {
		all = append(all, part{Name: "listeners", Level: fine, Text: count(more, "more"), Do: "moggy status"})
	}
	return all
}

func (p *Page) storePart() part {
	s := p.Store
	one := part{Name: "store", Level: fine, Text: fmt.Sprintf("%s: %s, %s", s.Name, count(int(s.Triplets), "deferred mail"), count(int(s.Origins), "known origin"))}
	switch {
	case s.Fault != "":
		one.Level, one.Text, one.Do = bad, s.Name+": "+s.Fault, s.Do
		one.Say, one.Why = "The store does not work, and what is learned is not kept", s.Fault
	case s.Dropped > 0 || s.Damaged > 0:
		one.Level, one.Do = look, "moggy doctor"
		one.Text += fmt.Sprintf("; %d rows dropped for want of room, %d damaged", s.Dropped, s.Damaged)
		one.Say = fmt.Sprintf("The store works, but %d rows were dropped for want of room, and %d were damaged", s.Dropped, s.Damaged)
	}
	return one
}

// slotsPart doubts from nine tenths on.
func (p *Page) slotsPart() part {
	s := p.Slots
	one := part{Name: "slots", Level: fine, Text: fmt.Sprintf("strangers hold %s of %s", decimal(s.Held), decimal(s.All))}
	if s.All > 0 && s.Held*10 >= s.All*9 {
		one.Level, one.Do = look, "moggy who --by class"
		one.Say = fmt.Sprintf("Strangers hold %s of their %s slots; when all are taken, strangers are turned away, and nobody else", decimal(s.Held), decimal(s.All))
	}
	return one
}

func (p *Page) journalPart() part {
	j := p.Journal
	one := part{Name: "journal", Level: fine, Text: fmt.Sprintf("%s: %s in %s", j.Dir, size(j.Bytes), count(j.Files, "file"))}
	if j.Dropped > 0 {
		lost := count(int(j.Dropped), "record")
		one.Level, one.Do = look, "see that the disk of "+j.Dir+" has room and keeps up"
		one.Text += "; " + lost + " lost"
		one.Say = "The journal lost " + lost
	}
	return one
}

func (p *Page) configPart() part {
	c := p.Config
	name := c.File
	if name == "" {
		name = "the built-in defaults"
	}
	one := part{Name: "configuration", Level: fine, Text: name + ", in force since " + p.since(c.Loaded)}
	switch {
	case c.Refused != "":
		one.Level, one.Do = look, "moggyd -t -c "+c.File
		one.Text += "; refused at the last reload: " + c.Refused
		one.Say, one.Why = "The configuration was refused at the last reload, and that of "+p.clock(c.Loaded)+" runs on", c.Refused
	case len(c.Restart) > 0:
		keys := list(c.Restart, 8)
		one.Level, one.Do = look, "systemctl restart moggyd"
		one.Text += "; these changes wait for a restart: " + keys
		one.Say, one.Why = "Changes of the configuration wait for a restart", keys
	}
	return one
}

// listParts have no sentences: listLines puts them together.
func (p *Page) listParts() (all []part) {
	if len(p.Lists) == 0 {
		return []part{{Name: "DNS lists", Level: fine, Text: "none are asked"}}
	}
	for _, l := range p.Lists[:min(len(p.Lists), maxLists)] {
		one := part{Name: "DNS list " + l.Name, Level: fine,
			Text: fmt.Sprintf("%s, weight %+d: asked %s, %s", l.State, l.Weight, count(int(l.Asked), "time"), count(int(l.Hits), "hit"))}
		if !l.Works {
			one.Level, one.Do = look, "moggy lists"
			one.Text += "; it does not count: " + l.Why
		}
		all = append(all, one)
	}
	if more := len(p.Lists) - maxLists; more > 0 {
		all = append(all, part{Name: "DNS lists", Level: fine, Text: count(more, "more"), Do: "moggy lists"})
	}
	return all
}

func (p *Page) hintsPart() part {
	h := p.Hints
	one := part{Name: "hints", Level: fine, Text: "nobody tells moggy who logs in"}
	if len(h.From) > 0 {
		one.Text = list(h.From, 8)
	}
	switch {
	case !h.Last.IsZero():
		one.Text += "; the last login was reported " + p.ago(h.Last)
	case h.Logins:
		one.Level, one.Do = look, "moggy doctor"
		one.Text += "; no login was reported yet"
	}
	if len(h.Faults) > 0 {
		one.Level, one.Do = look, "moggy doctor"
		one.Text += "; " + list(h.Faults, 3)
		one.Say, one.Why = "Some logins are not heard of", list(h.Faults, 3)
	}
	return one
}

// outsidePart says what was looked at; outsideLines what was found.
func (p *Page) outsidePart() part {
	one := part{Name: "firewalls", Level: fine, Text: p.lookedAt()}
	if len(p.Outside.Unread) > 0 {
		one.Level, one.Do = look, "moggy doctor"
		one.Text += "; not to be read: " + list(p.Outside.Unread, 8)
	}
	return one
}

func (p *Page) lookedAt() string {
	o := p.Outside
	switch {
	case o.Looked.IsZero() && !o.Every:
		return "nobody looks by itself, because [foreign] every is 0"
	case o.Looked.IsZero():
		return "nobody has looked yet"
	case len(o.Read) == 0:
		return "there is none that could be read, looked " + p.ago(o.Looked)
	}
	return "read " + list(slices.Sorted(slices.Values(o.Read)), 8) + ", " + p.ago(o.Looked)
}

func (p *Page) goodPart() part {
	g := p.Good
	one := part{Name: "sets of the good", Level: fine, Text: "none are kept for firewalls"}
	if len(g.Sets) > 0 {
		one.Text = "kept in step in " + list(g.Sets, 8)
	}
	if len(g.Faults) > 0 {
		one.Level, one.Do = bad, "moggy doctor"
		one.Text = list(g.Faults, 3)
		one.Say, one.Why = "The sets of the known-good are not kept in step", one.Text
	}
	return one
}
