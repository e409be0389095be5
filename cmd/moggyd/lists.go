package main

import (
	"fmt"
	"strings"
	"time"

	"moggy/cmd/internal/keep"
	"moggy/dnsbl"
	"moggy/metrics"
	"moggy/verdict/journal"
)

// listEvents passes on what the DNS lists do: to the metrics, and what an operator
// will ask for to the journal as well.
type listEvents struct {
	*metrics.Metrics // Answered
	journal          *journal.Journal
}

// Changed implements dnsbl.Events.
func (e listEvents) Changed(c dnsbl.Change) {
	e.Metrics.Changed(c)
	if c.Alarm() {
		e.journal.Append(journal.Noted(time.Now(), "dnsbl-"+string(c.To), said(c)))
	}
}

// told gives what is decided to the other doors; nil: there are none.
func (h *house) told() func(journal.Record) {
	if keep.Embedded(h.cfg) {
		return nil
	}
	node := keep.NodeName(h.cfg)
	return func(r journal.Record) {
		r.Node = node
		h.store.Tell(journal.Line(r))
	}
}

// said is a change in a sentence, with the decisions that hung on the list.
func said(c dnsbl.Change) string {
	var doubtful []string
	for _, d := range c.Doubtful {
		doubtful = append(doubtful, d.Addr.String())
	}
	text := c.List + ": " + c.Why
	if len(doubtful) > 0 {
		text += fmt.Sprintf("; %d decisions hung on it: %s", len(doubtful), strings.Join(doubtful, " "))
	}
	return text
}
