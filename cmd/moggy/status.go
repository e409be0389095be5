package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/dnsbl"
)

func (t *tool) statusVerb() *cli.Command {
	return &cli.Command{Name: "status", Usage: "does moggyd run, and does all it needs work?", Action: t.showStatus,
		Flags: []cli.Flag{&cli.BoolFlag{Name: "ready", Usage: "exit 0 also where it goes on without its store, as /readyz does"}}}
}

func (t *tool) showStatus(c *cli.Context) error {
	var s desk.Status
	err := t.ask(c.Context, func(ctx context.Context, d desk.Desk) (err error) {
		s, err = d.Status(ctx, desk.StatusFilter{})
		return err
	})
	if err != nil {
		return err
	}
	if t.json {
		err = t.writeJSON(s)
	} else {
		t.tellStatus(s)
	}
	if well := s.Well || s.Ready && c.Bool("ready"); err == nil && !well {
		return errNo
	}
	return err
}

func (t *tool) tellStatus(s desk.Status) {
	headline := t.headline(s)
	if n := len(s.Alarms); n > 0 {
		headline = t.paint(red, count(n, alarmWord)) + "; " + headline
	}
	t.say("%s  %s", t.paint(bold, printable(s.Hostname)), headline)
	tab := newTable("", "")
	tab.indent = "  "
	tab.paint = t.alarmColumn
	for _, a := range s.Alarms {
		tab.row(alarmWord, fmt.Sprintf("%s since %s (%s): %s", printable(a.Name), t.clock(a.Since), t.ago(a.Since), printable(a.Why)))
	}
	for _, l := range s.Listeners {
		tab.row("listener", t.listenerText(s, l))
	}
	tab.row("open", openText(s))
	tab.row("greylist", fmt.Sprintf("%s, %s", count(int(s.Figures.Triplets), "deferred mail"), count(int(s.Figures.Origins), "known origin")))
	l := s.Lists
	tab.row("lists", fmt.Sprintf("%d allowed, %d denied, %s, %s", l.Allow, l.Deny, count(l.Local, "local network"), count(l.Traps, "trap")))
	tab.row("learned", fmt.Sprintf("%d ssh, %d login, %d crawler, %d passed, %d wrote; against: %d trap, %d guess",
		l.Sessions, l.Logins, l.Crawlers, l.Passed, l.Wrote, l.Listed, l.Guessing))
	tab.row("hints", t.hintsText(s))
	if s.Foreign != nil {
		tab.row("elsewhere", t.foreignText(s.Foreign))
	}
	if len(s.DNSLists) > 0 {
		tab.row("dns lists", t.dnsListsText(s))
	}
	tab.row("store", t.storeText(s))
	journal := fmt.Sprintf("%s, %s in %s", printable(s.Journal.Dir), size(s.Journal.Bytes), count(s.Journal.Files, "file"))
	if n := s.Figures.JournalDropped; n > 0 {
		journal += t.paint(red, fmt.Sprintf(", %s lost", count(int(n), "record")))
	}
	tab.row("journal", journal)
	for _, note := range s.Figures.Notes {
		tab.row("note", printable(note))
	}
	tab.write(t.out)
}

// alarmWord stands where an alarm is told of.
const alarmWord = "ALARM"

func (t *tool) alarmColumn(column int, text string) string {
	if column == 0 && text == alarmWord {
		return t.paint(red, text)
	}
	return text
}

// hintsText says who tells of logins, and when somebody last did.
func (t *tool) hintsText(s desk.Status) string {
	var from []string
	if s.Hints.Dovecot != "" {
		from = append(from, "dovecot at "+printable(s.Hints.Dovecot))
	}
	for _, log := range s.Hints.Logs {
		from = append(from, printable(log))
	}
	if s.Hints.SSH {
		from = append(from, "ssh sessions")
	}
	text := "none"
	if len(from) > 0 {
		text = strings.Join(from, ", ")
	}
	switch login := s.Health.Login; {
	case !login.IsZero():
		text += "; last login report " + t.ago(login)
	case s.Daemon && s.Hints.Logins():
		text += "; " + t.paint(yellow, "no login report yet")
	}
	for _, fault := range s.Health.HintFaults {
		text += "; " + t.paint(yellow, printable(fault))
	}
	return text
}

// foreignText says what was seen elsewhere when moggyd last looked.
func (t *tool) foreignText(s *desk.Sight) string {
	if s.Time.IsZero() {
		return "nobody has looked yet"
	}
	n := len(s.Hits) + s.More
	text := "nobody known-good is blocked by " + printable(strings.Join(s.Read, ", "))
	switch {
	case n > 0:
		text = t.paint(red, count(n, "known-good address")+" blocked") + " by " + whereText(s.Hits[0].Block) + ": " + blockedAddr(s.Hits[0]) + "; type: moggy doctor"
	case len(s.Read) == 0:
		text = "nothing is there that could be read"
	}
	text += " (" + t.ago(s.Time) + ")"
	if len(s.Unread) > 0 {
		text += t.paint(yellow, "; not seen: "+printable(strings.Join(slices.Sorted(maps.Keys(s.Unread)), ", ")))
	}
	return text
}

func (t *tool) headline(s desk.Status) string {
	switch {
	case !s.Daemon:
		return t.paint(red, "moggyd is not running") + "; start it with your service manager, or type: moggyd -c FILE"
	case s.Mode == "observe":
		return fmt.Sprintf("moggyd %sruns since %s, %s", versionText(s), t.since(s), t.paint(yellow, "mode observe: judges, and lets everybody through"))
	}
	return fmt.Sprintf("moggyd %sruns since %s, mode %s", versionText(s), t.since(s), s.Mode)
}

func versionText(s desk.Status) string {
	if s.Figures.Version == "" {
		return ""
	}
	return printable(s.Figures.Version) + " "
}

func (t *tool) since(s desk.Status) string {
	at := s.Figures.Since
	if at.IsZero() {
		return "an unknown time"
	}
	return fmt.Sprintf("%s (%s)", t.clock(at), span(t.now().Sub(at)))
}

func (t *tool) listenerText(s desk.Status, l desk.ListenerStatus) string {
	text := fmt.Sprintf("%s %s -> %s (%s)", printable(l.Name), printable(l.Address), printable(l.Backend), l.Forward)
	switch {
	case l.Fault != "":
		return text + " " + t.paint(red, "FAULT ") + printable(l.Fault)
	case s.Daemon:
		return text + " " + t.paint(green, "ok")
	}
	return text
}

// openText counts the open connections by what is done with them.
func openText(s desk.Status) string {
	if !s.Daemon {
		return "-"
	}
	states := make([]string, 0, len(s.Open))
	for state, n := range s.Open {
		states = append(states, fmt.Sprintf("%s %d", state, n))
	}
	slices.Sort(states)
	text := "nobody"
	if len(states) > 0 {
		text = strings.Join(states, ", ")
	}
	if f := s.Figures; f.Slots > 0 {
		text += fmt.Sprintf("; strangers hold %d of %d slots", f.Held, f.Slots)
	}
	return text
}

// dnsListsText counts the DNS lists by how they do.
func (t *tool) dnsListsText(s desk.Status) string {
	var states []string
	text := "; moggy lists"
	for _, state := range dnsbl.States() {
		if n := s.DNSLists[state]; n > 0 {
			states = append(states, t.paint(listColour(state), fmt.Sprintf("%d %s", n, state)))
		}
	}
	if len(states) == 1 && s.DNSLists[dnsbl.Working] > 0 {
		text = ""
	}
	return strings.Join(states, ", ") + text
}

func (t *tool) storeText(s desk.Status) string {
	f := s.Figures
	text := printable(s.Store)
	if s.Store == "embedded" {
		text += ", " + printable(desk.StorePath(s.StateDir))
	}
	if f.StoreFault != "" {
		return text + " " + t.paint(red, "FAULT ") + printable(f.StoreFault)
	}
	if by := f.SharedBy(time.Now()); by != "" {
		text += ", " + printable(by)
	}
	if f.StoreDropped > 0 {
		text += t.paint(yellow, fmt.Sprintf(", %d rows dropped for want of room", f.StoreDropped))
	}
	if f.StoreDamaged > 0 {
		text += t.paint(yellow, fmt.Sprintf(", %d damaged rows", f.StoreDamaged))
	}
	return text
}
