package main

import "strings"

// The colours. There are few: green gets through, yellow waits, red does not.
const (
	green  = "32"
	yellow = "33"
	red    = "31"
	bold   = "1"
)

// colours reports whether out understands them, and the operator wants them.
func (t *tool) colours() bool {
	return t.terminal && !t.json && t.env("NO_COLOR") == "" && t.env("TERM") != "dumb"
}

func (t *tool) paint(colour, text string) string {
	if colour == "" || text == "" || !t.colours() {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// action paints an action by what it means for the peer.
func (t *tool) action(text string) string { return t.paint(actionColour(text), text) }

func actionColour(action string) string {
	switch {
	case strings.HasPrefix(action, "observe:"):
		return green
	case action == "carry", action == "hand-over":
		return green
	case action == "wait", action == "talk", action == "defer", action == "answer":
		return yellow
	case action == "hold", action == "busy", action == "close":
		return red
	}
	return ""
}
