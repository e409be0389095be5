package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"moggy/greylist"
	"moggy/verdict"
	"moggy/verdict/journal"
)

// A mail is what tries of one mail have in common.
type mail struct{ from, to string }

// mailIn is the mail that a record is about; zero where it is about none.
func mailIn(r journal.Record) mail {
	if r.To == "" {
		return mail{}
	}
	return mail{r.From, r.To}
}

// mailsIn are the mails that records are about, in the order of their first tries.
func mailsIn(records []journal.Record) (mails []mail) {
	seen := map[mail]bool{{}: true}
	for _, r := range records {
		if m := mailIn(r); !seen[m] {
			seen[m] = true
			mails = append(mails, m)
		}
	}
	return mails
}

// tellMails tells of each mail, one line a decision.
func (t *tool) tellMails(records []journal.Record) {
	for _, m := range mailsIn(records) {
		var tries []journal.Record
		n := 0
		for _, r := range records {
			if mailIn(r) != m {
				continue
			}
			tries = append(tries, r)
			if r.Event == journal.EventDecided && r.Stage == verdict.Recipient {
				n++
			}
		}
		decided := slices.ContainsFunc(tries, func(r journal.Record) bool { return r.Event == journal.EventDecided })
		t.say("%s -> %s: %s", t.paint(bold, sender(m.from)), t.paint(bold, m.to), tryText(n, decided))
		t.tellTries(tries)
		if decided {
			t.say("  %s", t.delay(tries))
		}
	}
}

// tryText counts tries. Where nothing was decided, what there is ends a try
// that was decided on before the first record that was asked for.
func tryText(n int, decided bool) string {
	switch {
	case !decided:
		return "the end of an earlier try"
	case n == 1:
		return "1 try"
	}
	return fmt.Sprintf("%d tries", n)
}

func (t *tool) tellTries(tries []journal.Record) {
	s := newSheet(t, true)
	var first time.Time
	for _, r := range tries {
		text := tryDetail(r)
		switch r.Rule {
		case string(greylist.FirstSeen), string(greylist.TooLate):
			first = r.Time
		case string(greylist.Returned):
			if !first.IsZero() {
				text = "returned " + span(r.Time.Sub(first)) + " after the first try, as " + r.Origin
			}
		}
		s.add(r, text)
	}
	s.write()
}

// delay says how long a mail was delayed, and by whom.
func (t *tool) delay(tries []journal.Record) string {
	var first, last journal.Record
	origins := make(map[string]bool)
	for _, r := range tries {
		if r.Event != journal.EventDecided {
			continue
		}
		if first.Time.IsZero() || r.Rule == string(greylist.TooLate) {
			first = r
		}
		last = r
		origins[r.Origin] = true
		if r.Passed() {
			break
		}
	}
	took := last.Time.Sub(first.Time)
	switch {
	case first.Rule == string(greylist.Returned):
		return "its first try is older than what is shown"
	case last.Passed() && took < time.Second:
		return "no delay"
	case last.Passed():
		return "delay " + span(took) + blame(first, len(origins)) + "; the next mail from " + last.Origin + " waits 0s"
	case last.Wait > 0:
		return t.waits(last)
	case last.Rule == "dns-listed":
		return "it was not let through, because of DNS lists: it can pass when they have dropped it"
	}
	return "it was not let through"
}

// blame divides a delay between moggy and the sender.
func blame(first journal.Record, origins int) string {
	switch {
	case first.Wait == 0:
		return ""
	case origins > 1:
		return fmt.Sprintf(": it came from %d origins, and each has to wait by itself", origins)
	}
	return ": moggy asks for " + span(seconds(first.Wait)) + ", the rest is the sender's retry time"
}

// waits says when a mail that has not passed can.
func (t *tool) waits(last journal.Record) string {
	from := last.Time.Add(seconds(last.Wait))
	if t.now().Before(from) {
		return fmt.Sprintf("it waits: a try from %s on passes (%s)", t.clock(from), t.when(from))
	}
	return fmt.Sprintf("it waits for its sender: a try has passed since %s (%s), and none came", t.clock(from), t.ago(from))
}

// detail says why a decision was taken, in the words of the log.
func detail(r journal.Record) string {
	text := tryDetail(r)
	if m := mailIn(r); m.to != "" {
		text += "; " + sender(m.from) + " -> " + m.to
	}
	if r.Node != "" {
		text += "; at " + r.Node
	}
	return text
}

// tryDetail is detail without the mail.
func tryDetail(r journal.Record) string {
	var more []string
	switch {
	case r.Event == journal.EventNoted:
		return r.Rule + ": " + r.Why
	case r.Wait > 0 && r.Origin != "":
		more = append(more, "origin "+r.Origin+" has to wait "+span(seconds(r.Wait)))
		if lists, _, ok := strings.Cut(r.Why, "; try "); ok { // see verdict.Verdict.Why
			more = append(more, "lists "+lists)
		}
	case r.Why != "":
		more = append(more, r.Why)
	case evidenceText[string(r.Evidence)] != "":
		more = append(more, evidenceText[string(r.Evidence)])
	}
	for _, d := range r.Degraded {
		more = append(more, degradedText(d))
	}
	if len(more) == 0 {
		return r.Rule
	}
	return r.Rule + ": " + strings.Join(more, ", ")
}

// evidenceText says what made a peer what it was.
var evidenceText = map[string]string{
	"operator": "by a person",
	"ssh":      "by an ssh session",
	"local":    "by local_networks",
	"login":    "by a login",
	"crawler":  "by its confirmed name",
	"passed":   "it passed before",
	"wrote":    "by what our users wrote",
	"trap":     "it named a trap",
	"guess":    "it tried many passwords",
}
