package main

import (
	"slices"

	"moggy/verdict/journal"
)

// A sheet is decisions, one line each, with the end of a connection behind its
// last one.
type sheet struct {
	tool  *tool
	peers bool // show them
	lines []line
}

// line is a decision and what came of it.
type line struct {
	r   journal.Record
	why string
	end string
}

func newSheet(t *tool, peers bool) *sheet { return &sheet{tool: t, peers: peers} }

func (s *sheet) add(r journal.Record, why string) {
	if r.Event != journal.EventEnded {
		s.lines = append(s.lines, line{r: r, why: why})
		return
	}
	for i := range slices.Backward(s.lines) {
		if s.lines[i].r.Ref == r.Ref {
			s.lines[i].end = endText(r)
			return
		}
	}
	s.lines = append(s.lines, line{r: r, why: why, end: endText(r)})
}

// endText says how a connection ended.
func endText(r journal.Record) string {
	text := " -> " + string(r.Outcome)
	if r.Held >= 0.1 {
		text += " after " + span(seconds(r.Held))
	}
	if r.Outcome.Relayed() {
		text += ", " + size(r.In) + " in, " + size(r.Out) + " out"
	}
	if r.Answer != "" {
		text += ", the backend said " + r.Answer
	}
	return text
}

func (s *sheet) write() {
	tab := newTable(">", "", "", "", "", "")
	tab.indent = "  "
	tab.paint = func(column int, text string) string {
		if column == 4 {
			return s.tool.action(text)
		}
		return text
	}
	ref := ""
	for _, l := range s.lines {
		peer := ""
		if s.peers && l.r.Peer.IsValid() {
			peer = l.r.Peer.Addr().String()
		}
		shown := l.r.Ref
		if shown == ref {
			shown = ""
		}
		ref = l.r.Ref
		tab.row(s.tool.clock(l.r.Time), shown, peer, string(l.r.Class), l.r.Action, l.why+l.end)
	}
	tab.write(s.tool.out)
}
