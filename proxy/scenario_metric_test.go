package proxy

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"moggy/verdict"
	"moggy/verdict/journal"
)

// metricsOf are the metrics of a client that are numbers.
var metricsOf = map[string]func(*play, string) float64{
	"refused": func(p *play, client string) float64 {
		return p.sum(client, func(t *tally) int { return t.refused }) + float64(p.held(client))
	},
	"blocked": func(p *play, client string) float64 {
		return float64(p.rules(client, func(r *journal.Record) bool { return r.Rule == "denied-client" }))
	},
	"connect_delay_max": func(p *play, client string) float64 {
		longest := 0.0
		p.each(client, func(t *tally) { longest = max(longest, t.delay) })
		return longest
	},
	"mail_delay_max": (*play).mailDelay,
	"delivered": func(p *play, client string) float64 {
		return p.sum(client, func(t *tally) int { return len(t.delivered) })
	},
	"delivered_ratio": func(p *play, client string) float64 {
		messages := p.sum(client, func(t *tally) int { return t.messages })
		return p.sum(client, func(t *tally) int { return len(t.delivered) }) / max(1, messages)
	},
	"accepted_per_min":    func(p *play, client string) float64 { return float64(perMinute(p.backendSessions(client))) },
	"backend_connections": func(p *play, client string) float64 { return float64(len(p.backendSessions(client))) },
	"rcpt_answered":       func(p *play, client string) float64 { return p.sum(client, func(t *tally) int { return t.rcpts }) },
	"logins_tried":        func(p *play, client string) float64 { return p.sum(client, func(t *tally) int { return t.logins }) },
}

// comparisons are the ops of numbers.
var comparisons = map[string]func(seen, want float64) bool{
	"==": func(seen, want float64) bool { return seen == want },
	"!=": func(seen, want float64) bool { return seen != want },
	"<=": func(seen, want float64) bool { return seen <= want },
	">=": func(seen, want float64) bool { return seen >= want },
	"<":  func(seen, want float64) bool { return seen < want },
	">":  func(seen, want float64) bool { return seen > want },
}

// each calls f with the tallies of a client; "*" are all.
func (p *play) each(client string, f func(*tally)) {
	for id, t := range p.tallies {
		if client == "*" || id == client {
			f(t)
		}
	}
}

func (p *play) sum(client string, f func(*tally) int) (n float64) {
	p.each(client, func(t *tally) { n += float64(f(t)) })
	return n
}

// mailDelay is the longest delay of a message; without end if one was never taken,
// or there was none.
func (p *play) mailDelay(client string) float64 {
	longest, messages, delivered := 0.0, 0, 0
	p.each(client, func(t *tally) {
		messages += t.messages
		delivered += len(t.delivered)
		longest = max(longest, slices.Max(append(t.delivered, 0)))
	})
	if messages == 0 || delivered < messages {
		return math.Inf(1)
	}
	return longest
}

// perMinute is the largest number of times within a minute; they are sorted.
func perMinute(times []time.Time) (most int) {
	first := 0
	for i, t := range times {
		for t.Sub(times[first]) >= time.Minute {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// held counts the connections of clients that should get through and were held as
// the listed are: for them that is no answer.
func (p *play) held(client string) int {
	seen := make(map[netip.AddrPort]bool)
	for _, r := range p.decided(client) {
		if r.Action == string(verdict.Hold) && p.sc.good(p.owners[r.Peer]) {
			seen[r.Peer] = true
		}
	}
	return len(seen)
}

// decided are the records of decisions about a client.
func (p *play) decided(client string) []journal.Record {
	return p.journal.where(func(r *journal.Record) bool {
		owner, ours := p.owners[r.Peer]
		return r.Event == journal.EventDecided && ours && (client == "*" || owner == client)
	})
}

// rules counts the decisions about a client that f picks.
func (p *play) rules(client string, f func(*journal.Record) bool) (n int) {
	for _, r := range p.decided(client) {
		if f(&r) {
			n++
		}
	}
	return n
}

// harsh are the refusals for good that nobody who was not denied may get.
func (p *play) harsh() (all []string) {
	for id, t := range p.tallies {
		for _, reply := range t.harsh {
			all = append(all, id+": "+reply)
		}
	}
	for _, r := range p.decided("*") {
		if r.Code >= 500 && r.Class != journal.Denied {
			all = append(all, fmt.Sprintf("%s: %d by rule %s", r.Peer, r.Code, r.Rule))
		}
	}
	return all
}

// alerts are the alarms that were raised since the scenario began.
func (p *play) alerts() (names []string, at map[string]float64) {
	at = make(map[string]float64)
	for _, r := range p.notes() {
		if _, had := at[r.Rule]; !had {
			names = append(names, r.Rule)
			at[r.Rule] = r.Time.Sub(p.began).Seconds()
		}
	}
	return names, at
}

// A row is a line of the table.
type row struct {
	client, metric, want, seen string
	ok                         bool
}

// check compares what was expected with what was seen, and what holds of every
// scenario.
func (p *play) check() (rows []row) {
	for _, e := range p.sc.Expect {
		seen, ok := p.seen(&e)
		rows = append(rows, row{e.Client, e.Metric, fmt.Sprintf("%s %v", e.Op, e.Value), seen, ok})
	}
	for _, id := range p.sc.unharmed() {
		n := p.rules(id, func(r *journal.Record) bool { return r.Harm })
		rows = append(rows, row{id, "harm", "== 0", fmt.Sprint(n), n == 0})
	}
	harsh := p.harsh()
	rows = append(rows, row{"*", "5yz", "none", list(harsh), len(harsh) == 0})
	left := p.leftOpen()
	return append(rows, row{"*", "left open", "nothing", list(left), len(left) == 0})
}

// seen is what was seen of what an expectation names, and whether that is as expected.
func (p *play) seen(e *expectation) (string, bool) {
	names, at := p.alerts()
	switch e.Metric {
	case "alert":
		return list(names), slices.Contains(names, e.Value.(string))
	case "alert_within":
		first := p.firstAlert(at)
		return fmt.Sprint(first), comparisons[e.Op](first, e.Value.(float64))
	}
	n := metricsOf[e.Metric](p, e.Client)
	return fmt.Sprint(math.Round(n*1000) / 1000), comparisons[e.Op](n, e.Value.(float64))
}

// firstAlert is when the first of the alarms was raised that the scenario expects,
// or of all, if it names none.
func (p *play) firstAlert(at map[string]float64) float64 {
	first := math.Inf(1)
	named := slices.ContainsFunc(p.sc.Expect, func(e expectation) bool { return e.Metric == "alert" })
	for name, t := range at {
		if !named || slices.ContainsFunc(p.sc.Expect, func(e expectation) bool { return e.Value == name }) {
			first = min(first, t)
		}
	}
	return first
}

// table lays rows out.
func table(id string, rows []row) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-26s %-12s %-20s %-34s %s", "SCENARIO", "CLIENT", "METRIC", "EXPECTED", "SEEN")
	for _, r := range rows {
		mark := ""
		if !r.ok {
			mark = "   <-- WRONG"
		}
		fmt.Fprintf(&b, "\n%-26s %-12s %-20s %-34s %s%s", id, r.client, r.metric, r.want, cmp.Or(r.seen, "-"), mark)
	}
	return b.String()
}
