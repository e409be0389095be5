package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/urfave/cli/v2"

	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

func (t *tool) hurtVerb() *cli.Command {
	return &cli.Command{Name: "hurt", Usage: "was anybody known refused, or made to wait?", ArgsUsage: "[--since 24h]", Action: t.hurt,
		Flags: []cli.Flag{&cli.StringFlag{Name: "since", Value: "24h", Usage: "in the last `TIME`: 24h, 7d"}}}
}

// maxHurt bounds the records of harm that are shown, the newest so many.
const maxHurt = 100_000

// A harm is what a known peer met with, by one rule.
type harm struct {
	Peer     netip.Addr       `json:"peer"`
	Class    whitelist.Class  `json:"class"`    // at the last time
	Evidence whitelist.Source `json:"evidence"` // for that
	Rule     string           `json:"rule"`
	Listener string           `json:"listener"` // of the last time
	Times    int              `json:"times"`
	First    time.Time        `json:"first"`
	Last     time.Time        `json:"last"`
	Ref      string           `json:"ref"`              // of the last time
	Why      string           `json:"why,omitempty"`    // the numbers that decided, as in the journal
	Queued   float64          `json:"queued,omitempty"` // seconds, the longest wait
	Do       string           `json:"do"`
}

// A harmReport is the answer to hurt.
type harmReport struct {
	Since time.Time `json:"since"`
	Whole bool      `json:"whole"`           // it is all there was since then
	Harms []*harm   `json:"harms,omitempty"` // the latest first
}

// hurt says no where nobody known was harmed.
func (t *tool) hurt(c *cli.Context) error {
	back, ok := duration(c.String("since"))
	if !ok {
		return fmt.Errorf("--since %q is no duration; give 12h or 7d", c.String("since"))
	}
	r := harmReport{Since: t.now().Add(-back).UTC()}
	records, err := t.find(c.Context, journal.Query{Harm: true, Since: r.Since, Limit: maxHurt})
	if err != nil {
		return err
	}
	r.Whole, r.Harms = len(records) < maxHurt, harms(records)
	if t.json {
		err = t.writeJSON(r)
	} else {
		t.tellHurt(r, back)
	}
	if err == nil && len(r.Harms) == 0 {
		return errNo
	}
	return err
}

// harms groups the harm in records by peer and rule, the latest first.
func harms(records []journal.Record) (all []*harm) {
	type key struct {
		peer netip.Addr
		rule string
	}
	seen := make(map[key]*harm)
	for i := len(records) - 1; i >= 0; i-- {
		r := records[i]
		if !r.Harm {
			continue
		}
		k := key{r.Peer.Addr(), r.Rule}
		if seen[k] == nil {
			seen[k] = &harm{Peer: k.peer, Class: r.Class, Evidence: r.Evidence, Rule: r.Rule, Listener: r.Listener, Last: r.Time,
				Ref: r.Ref, Why: r.Why, Do: verdict.RemedyFor(r.Rule, k.peer.String())}
			all = append(all, seen[k])
		}
		h := seen[k]
		h.Times, h.First, h.Queued = h.Times+1, r.Time, max(h.Queued, r.Queued)
	}
	return all
}

func (t *tool) tellHurt(r harmReport, back time.Duration) {
	if !r.Whole {
		defer t.say("only the newest %d are counted; give a shorter --since", maxHurt)
	}
	if len(r.Harms) == 0 {
		t.say("%s: nobody known was refused or made to wait in the last %s", t.paint(green, "nobody"), span(back))
		return
	}
	peers, times := make(map[netip.Addr]bool), 0
	for _, h := range r.Harms {
		peers[h.Peer] = true
		times += h.Times
	}
	t.say("%s refused or made to wait, %s in the last %s", t.paint(red, count(len(peers), "known peer")), count(times, "time"), span(back))
	for _, h := range r.Harms {
		t.tellHarm(h)
	}
}

// tellHarm tells of one peer and rule. The strings are as the journal has them.
func (t *tool) tellHarm(h *harm) {
	when := t.clock(h.Last)
	if h.Times > 1 {
		when = t.clock(h.First) + " to " + when
	}
	t.say("\n%s  %s %s, %s on %s, %s, %s (%s)", t.paint(bold, h.Peer.String()), string(h.Class), evidenceText[string(h.Evidence)],
		t.paint(red, h.Rule), h.Listener, count(h.Times, "time"), when, t.ago(h.Last))
	tab := newTable("", "")
	tab.indent = "  "
	t.wrappedRow(tab, "why", h.Why)
	if h.Queued > 0 {
		tab.row("waited", span(seconds(h.Queued))+" at most, ref "+h.Ref)
	} else {
		tab.row("ref", h.Ref+", the last one")
	}
	if h.Do != "" {
		tab.row("do", h.Do)
	}
	tab.write(t.out)
}
