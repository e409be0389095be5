package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"moggy/cmd/internal/keep"
	"moggy/dnsbl"
	"moggy/metrics"
	"moggy/proxy"
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

// recorder writes what is decided into the journal, and tells the other doors.
type recorder struct {
	*journal.Journal
	store keep.Store
	node  string
}

func (h *house) recorder() proxy.Recorder {
	if keep.Embedded(h.cfg) {
		return h.journal
	}
	node, err := os.Hostname()
	if err != nil {
		node = h.cfg.Hostname
	}
	return recorder{h.journal, h.store, node}
}

// Append implements proxy.Recorder.
func (r recorder) Append(rec journal.Record) {
	r.Journal.Append(rec)
	rec.Node = r.node
	r.store.Tell(journal.Line(rec))
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
