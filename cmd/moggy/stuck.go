package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/greylist"
	"moggy/verdict"
	"moggy/verdict/journal"
)

// maxStuck is how many stuck mails are shown, and looked up in the journal.
const maxStuck = 50

// A stuckMail is a mail that does not pass, with what the journal adds.
type stuckMail struct {
	desk.Stuck
	Rule string `json:"rule,omitempty"` // that decided last; "" not known
	Do   string `json:"do"`
}

// stuck lists the mail that comes back and does not pass. It says no where there is
// none.
func (t *tool) stuck(c *cli.Context) error {
	if c.NArg() > 0 || c.IsSet("state") || c.IsSet("class") || c.IsSet("by") {
		return fmt.Errorf("--stuck lists mail and not connections: it goes alone; type: moggy why ADDRESS")
	}
	var list desk.StuckList
	err := t.ask(c.Context, func(ctx context.Context, d desk.Desk) (err error) {
		list, err = d.Stuck(ctx, desk.StuckFilter{Limit: maxStuck})
		return err
	})
	if err != nil {
		return err
	}
	mails := []stuckMail{}
	for _, s := range list.Mails {
		m, passed, err := t.lastSaid(c.Context, s)
		if err != nil {
			return err
		}
		if passed {
			list.Total--
			continue
		}
		mails = append(mails, m)
	}
	if t.json {
		err = t.writeJSON(map[string]any{"mails": mails, "total": list.Total})
	} else {
		t.tellStuck(mails, list.Total)
	}
	if err == nil && len(mails) == 0 {
		return errNo
	}
	return err
}

// lastSaid asks the journal what was said last, and whether the mail has passed all
// the same, from an origin that is known.
func (t *tool) lastSaid(ctx context.Context, s desk.Stuck) (m stuckMail, passed bool, err error) {
	records, err := t.find(ctx, journal.Query{Mailbox: s.Recipient, Since: s.First, Limit: 1000})
	m = stuckMail{Stuck: s}
	for _, r := range slices.Backward(records) {
		if r.Event != journal.EventDecided || r.Stage == verdict.Connect || r.From != journal.Printable(s.Sender) {
			continue
		}
		if r.Passed() {
			return m, true, err
		}
		if m.Rule == "" {
			m.Rule = r.Rule
		}
	}
	m.Do = stuckRemedy(m)
	return m, false, err
}

// stuckRemedy is what to type so that a mail passes at its next try.
func stuckRemedy(m stuckMail) string {
	waits := slices.Contains([]string{"", string(greylist.FirstSeen), string(greylist.TooEarly), string(greylist.TooLate), string(greylist.Crowded)}, m.Rule)
	switch {
	case !waits:
		return verdict.RemedyFor(m.Rule, m.Peer.String())
	case m.Sender == "":
		return "moggy allow add " + m.Peer.String() + " --note WHY"
	}
	return "moggy pardon " + printable(m.Sender)
}

// stuckWhy says why a mail does not pass.
func stuckWhy(m stuckMail) string {
	named := slices.ContainsFunc(m.Origins, greylist.Origin.Named)
	switch {
	case m.Rule == string(greylist.Crowded):
		return "too many newcomers of its network"
	case m.From > 1 && !named:
		return count(m.From, "network") + " without a common name: each waits by itself"
	case m.From > 1:
		return count(m.From, "origin") + ": each waits by itself"
	case m.Rule != "":
		return m.Rule
	}
	return "it comes back at the wrong times"
}

func (t *tool) tellStuck(mails []stuckMail, total int) {
	if len(mails) == 0 {
		t.say("no mail is stuck: what came back in time was let in")
		return
	}
	t.say("%s", t.paint(bold, count(total, "mail")+" came back and did not pass"))
	tab := newTable("FROM", "TO", ">TRIES", ">NETS", "FIRST", "LAST", "WHY", "DO")
	for _, m := range mails {
		tab.row(printable(sender(m.Sender)), printable(m.Recipient), decimal(int64(m.Tries)), decimal(int64(m.From)),
			t.ago(m.First), t.ago(m.Last), stuckWhy(m), m.Do)
	}
	tab.write(t.out)
	if total > len(mails) {
		t.say("… and %d more, older ones", total-len(mails))
	}
}
