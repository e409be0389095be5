package main

import (
	"context"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
)

func (t *tool) doctorVerb() *cli.Command {
	return &cli.Command{Name: "doctor", Usage: "is anything wrong with the set-up? what can be done?", Action: t.doctor}
}

// A grade is how a check ended.
type grade string

// The grades, the worst first.
const (
	fail grade = "FAIL" // somebody is hurt by it, or will be
	warn grade = "WARN" // to be looked at
	fine grade = "ok"
)

// A finding is what one check found.
type finding struct {
	Grade grade    `json:"grade"`
	About string   `json:"about"` // "listener", "hints"
	Text  string   `json:"text"`
	Do    []string `json:"do,omitempty"` // what to type, or to write
}

// An examination is one run of doctor: what was asked once, and what was found.
type examination struct {
	*tool
	ctx    context.Context
	status *desk.Status // nil: nobody can be asked
	found  []finding
}

func (x *examination) add(g grade, about, text string, do ...string) {
	x.found = append(x.found, finding{g, about, text, slices.DeleteFunc(do, func(d string) bool { return d == "" })})
}

// doctor checks all that moggy can check, with the daemon and without it. It says no
// where something fails.
func (t *tool) doctor(c *cli.Context) error {
	x := &examination{tool: t, ctx: c.Context}
	x.configuration()
	x.daemon()
	if x.status != nil {
		x.listeners()
		x.clients()
		x.alarms()
		x.hints()
		x.keepers()
		x.lists()
	}
	x.foreign()
	x.counting()
	slices.SortStableFunc(x.found, func(a, b finding) int { return rank(a.Grade) - rank(b.Grade) })
	fails := x.count(fail)
	if t.json {
		if err := t.writeJSON(map[string]any{"ok": fails == 0, "checks": x.found}); err != nil {
			return err
		}
	} else {
		x.tell()
	}
	if fails > 0 {
		return errNo
	}
	return nil
}

func rank(g grade) int { return slices.Index([]grade{fail, warn, fine}, g) }

func (x *examination) count(g grade) (n int) {
	for _, f := range x.found {
		if f.Grade == g {
			n++
		}
	}
	return n
}

// tell writes a line for each check, the worst first, and what to type below it.
func (x *examination) tell() {
	fails, warns := x.count(fail), x.count(warn)
	switch {
	case fails > 0:
		x.say("%s, %s to look at", x.paint(red, count(fails, "thing")+" wrong"), count(warns, "thing"))
	case warns > 0:
		x.say("%s, %s to look at", x.paint(green, "nothing is wrong"), x.paint(yellow, count(warns, "thing")))
	default:
		x.say("%s", x.paint(green, "all is well"))
	}
	for _, f := range x.found {
		for i, line := range x.wrapped(f.Text) {
			word := ""
			if i == 0 {
				word = string(f.Grade)
			}
			x.say("%s%s%s", x.paint(gradeColour(f.Grade), word), pad(word, 6), line)
		}
		for _, do := range f.Do {
			for line := range strings.SplitSeq(do, "\n") {
				x.say("      -> %s", line)
			}
		}
	}
}

func gradeColour(g grade) string {
	switch g {
	case fail:
		return red
	case warn:
		return yellow
	}
	return green
}
