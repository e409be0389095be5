package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"moggy/cmd/internal/desk"
	"moggy/dnsbl"
)

func (t *tool) listsVerb() *cli.Command {
	return &cli.Command{Name: "lists", Usage: "do the DNS lists work, and what is each of them worth?", Action: t.lists}
}

// lists ends with no where one of them does not work.
func (t *tool) lists(c *cli.Context) error {
	var a desk.ListsAnswer
	err := t.ask(c.Context, func(ctx context.Context, d desk.Desk) (err error) {
		a, err = d.Lists(ctx, desk.ListsFilter{})
		return err
	})
	if err != nil {
		return err
	}
	if t.json {
		err = t.writeJSON(a)
	} else {
		t.tellLists(a)
	}
	for _, s := range a.Lists {
		if !works(s) && err == nil {
			return errNo
		}
	}
	return err
}

// works reports whether a list counts, but for a doubt that is being looked into.
func works(s dnsbl.Status) bool { return s.State == dnsbl.Working || s.State == dnsbl.Suspected }

func (t *tool) tellLists(a desk.ListsAnswer) {
	if a.Watched {
		t.valueTable(a.Lists)
	} else {
		t.testTable(a.Lists)
	}
	t.say("A stranger is deferred from a sum of %d on, and let in at once from %d on.", a.Threshold, -a.Threshold)
	for _, s := range a.Lists {
		if !works(s) || t.recentlyBack(s) {
			t.say("")
			t.tellList(s, a.Watched)
		}
	}
	if !a.Watched {
		fmt.Fprintln(t.err, "moggyd is not running: the lists were tested just now, and nothing was counted")
	}
}

// valueTable shows what each list said, and what that was worth.
func (t *tool) valueTable(lists []dnsbl.Status) {
	tab := newTable("LIST", "STATE", ">WEIGHT", ">ASKED", ">HITS", ">ONLY-IT", ">ON-GOOD", ">MEAN", ">P95", ">ERRORS")
	tab.paint = t.listColumn
	for _, s := range lists {
		tab.row(printable(s.Name), string(s.State), fmt.Sprintf("%+d", s.Weight), amount(s.Asked), amount(s.Hits), amount(s.Alone),
			amount(s.Passed), latency(s.Mean), latency(s.P95), amount(errorsOf(s)))
	}
	tab.write(t.out)
}

// testTable shows what the tests of a moment ago showed.
func (t *tool) testTable(lists []dnsbl.Status) {
	tab := newTable("LIST", "STATE", ">WEIGHT", ">TESTED-IN", "IPV6")
	tab.paint = t.listColumn
	for _, s := range lists {
		ipv6 := "no"
		if s.IPv6 {
			ipv6 = "yes"
		}
		tab.row(printable(s.Name), string(s.State), fmt.Sprintf("%+d", s.Weight), latency(s.ProbeTook), ipv6)
	}
	tab.write(t.out)
}

// listColumn paints the second column, which is a state.
func (t *tool) listColumn(column int, text string) string {
	if column != 1 {
		return text
	}
	return t.paint(listColour(dnsbl.State(text)), text)
}

func listColour(s dnsbl.State) string {
	switch s {
	case dnsbl.Working:
		return green
	case dnsbl.Suspended, dnsbl.Silent:
		return red
	}
	return yellow
}

// errorsOf counts the questions that a list gave no usable answer to.
func errorsOf(s dnsbl.Status) uint64 {
	return s.Answers[dnsbl.Refused] + s.Answers[dnsbl.Foreign] + s.Answers[dnsbl.Late] + s.Answers[dnsbl.Failed]
}

// recently is how long what a list did wrong is told of after it is back.
const recently = 24 * time.Hour

func (t *tool) recentlyBack(s dnsbl.Status) bool {
	return len(s.Doubtful) > 0 && t.now().Sub(s.Since) < recently
}

// tellList says why a list does not work, what it did before that was known, and
// what to type.
func (t *tool) tellList(s dnsbl.Status, watched bool) {
	headline := t.paint(listColour(s.State), string(s.State))
	if watched {
		headline += fmt.Sprintf(" since %s (%s)", t.clock(s.Since), span(t.now().Sub(s.Since)))
	}
	t.say("%s  %s", t.paint(bold, printable(s.Name)), headline)
	tab := newTable("", "")
	tab.indent = "  "
	t.wrappedRow(tab, "why", listWhy(s))
	if watched && !works(s) {
		t.wrappedRow(tab, "next", t.nextProbe(s))
	}
	t.wrappedRow(tab, "doubt", t.doubtText(s))
	for _, do := range remedies(s) {
		tab.row("do", do)
	}
	tab.write(t.out)
}

// wrappedRow adds a row of text, of several lines if need be; none without text.
func (t *tool) wrappedRow(tab *table, name, text string) {
	if text == "" {
		return
	}
	for _, line := range t.wrapped(text) {
		tab.row(name, line)
		name = ""
	}
}

// listWhy says why a list does not count.
func listWhy(s dnsbl.Status) string {
	switch {
	case s.State == dnsbl.Untested && s.Probed.IsZero():
		return "it was not tested yet"
	case s.State == dnsbl.Untested:
		return "its test points were not answered; see that the name servers reach it"
	}
	return printable(s.Why)
}

// nextProbe says when a list can be back.
func (t *tool) nextProbe(s dnsbl.Status) string {
	when := "at once"
	if s.Next.After(t.now()) {
		when = t.when(s.Next)
	}
	return "it is tested again " + when + ", and counts again by itself when it is right"
}

// doubtsShown are as many decisions as are named; --json has all.
const doubtsShown = 5

// doubtText names the decisions that should be looked at again.
func (t *tool) doubtText(s dnsbl.Status) string {
	if len(s.Doubtful) == 0 {
		return ""
	}
	last := s.Doubtful[max(0, len(s.Doubtful)-doubtsShown):]
	named := make([]string, len(last))
	for i, d := range last {
		named[i] = d.Addr.String() + " at " + t.clock(d.Time)
	}
	text := count(len(s.Doubtful), "decision") + " hung on it between its last right test and its suspension: " + strings.Join(named, ", ")
	if more := len(s.Doubtful) - len(last); more > 0 {
		text += fmt.Sprintf(", and %d before (--json has them)", more)
	}
	return text
}

// listRemedies are what to do about a list, by the reason why it does not work.
// Where there is none, the reason's own words end with it.
var listRemedies = map[dnsbl.Reason]string{
	dnsbl.ListsEverybody: "if it stays so, take its [[dnsbl.list]] out of moggy.toml",
	dnsbl.ListsGood:      "if it stays so, take its [[dnsbl.list]] out of moggy.toml",
	dnsbl.NoAnswer:       askYourself,
}

const askYourself = "host 2.0.0.127.ZONE [SERVER]    ZONE and SERVER as in moggy.toml; 127.0.0.2 is right"

// remedies are what to type. Who was deferred because of a block list comes back
// and is judged anew; who was let in because of an allow list stays known.
func remedies(s dnsbl.Status) (do []string) {
	switch n := len(s.Doubtful); {
	case n > 0 && s.Weight < 0:
		do = append(do, "moggy allow rm "+s.Doubtful[n-1].Addr.String()+"    it has to prove itself again")
	case n > 0:
		do = append(do, "moggy allow add "+s.Doubtful[n-1].Addr.String()+" --note WHY    lets it in at once; otherwise each is judged anew when it comes back")
	case s.State == dnsbl.Untested && !s.Probed.IsZero():
		do = append(do, askYourself)
	}
	if text := listRemedies[s.Reason]; text != "" {
		do = append(do, text)
	}
	return do
}

// scoreText is the score of a peer, and what counted for it.
func scoreText(s *dnsbl.Score) string {
	hits := make([]string, len(s.Hits))
	for i, h := range s.Hits {
		hits[i] = fmt.Sprintf("%s %s (%+d)", printable(h.List), h.Code, h.Weight)
	}
	if len(hits) == 0 {
		hits = []string{"no list that counts has it"}
	}
	return fmt.Sprintf("%d of %d: ", s.Total, s.Threshold) + strings.Join(hits, ", ")
}

// scoreRows adds what the lists say of a peer, and which of them say nothing.
func (t *tool) scoreRows(tab *table, s *dnsbl.Score) {
	t.wrappedRow(tab, "lists", scoreText(s))
	if len(s.Silent) > 0 {
		t.wrappedRow(tab, "", silentText(s))
	}
	if len(s.Withheld) > 0 {
		t.wrappedRow(tab, "", "not counted: "+withheldText(s)+"; moggy lists says why")
	}
	for _, e := range s.Errors {
		t.wrappedRow(tab, "", printable(e.List)+" gives no listing: "+printable(e.Meaning))
	}
}

func silentText(s *dnsbl.Score) string {
	return "no answer from " + printable(strings.Join(s.Silent, ", "))
}

func withheldText(s *dnsbl.Score) string {
	lists := make([]string, len(s.Withheld))
	for i, w := range s.Withheld {
		lists[i] = printable(w.List) + " (" + string(w.State) + ")"
	}
	return strings.Join(lists, ", ")
}

func amount(n uint64) string { return decimal(int64(n)) }

// latency writes how long an answer takes: 0.4ms, 38ms, 1.2s; "-" where there was
// none.
func latency(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < 10*time.Millisecond:
		return strconv.FormatFloat(math.Round(float64(d)/float64(time.Millisecond/10))/10, 'f', -1, 64) + "ms"
	case d < time.Second:
		return decimal(d.Round(time.Millisecond).Milliseconds()) + "ms"
	}
	return span(d)
}
