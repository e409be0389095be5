package dnsbl

import (
	"fmt"
	"net/netip"
	"strings"
)

// A Score is what all lists together say of a peer. Lists are named as they may
// be shown, in the order of the configuration.
type Score struct {
	Total     int         `json:"total"`              // sum of the weights of Hits
	Threshold int         `json:"threshold"`          // 0 in the score of nobody
	Hits      []Hit       `json:"hits,omitempty"`     // what counted
	Silent    []string    `json:"silent,omitempty"`   // lists that did not answer
	Withheld  []Withheld  `json:"withheld,omitempty"` // lists that count for nothing now
	Errors    []ListError `json:"errors,omitempty"`   // answers that are no listings
}

// A Hit is a listing that counted.
type Hit struct {
	List   string     `json:"list"`
	Weight int        `json:"weight"`
	Code   netip.Addr `json:"code"`
}

// Withheld is a list whose weight does not count, because it is suspended, in
// doubt, or was not tested yet.
type Withheld struct {
	List  string `json:"list"`
	State State  `json:"state"`
}

// A ListError is an answer that is no listing, with its meaning in words.
type ListError struct {
	List    string     `json:"list"`
	Answer  Answer     `json:"answer"` // Other, Refused or Foreign
	Code    netip.Addr `json:"code"`
	Meaning string     `json:"meaning"`
}

// Listed reports whether the lists are against the peer.
func (s Score) Listed() bool { return s.Threshold > 0 && s.Total >= s.Threshold }

// Allowed reports whether the lists vouch for the peer: the sum of all that
// counted, block lists too, is as far below zero as the threshold is above. With
// a threshold of 3 an allow list of weight -3 lets a stranger in at once, unless
// a block list has it as well.
func (s Score) Allowed() bool { return s.Threshold > 0 && s.Total <= -s.Threshold }

// Degraded reports whether some list said nothing, or could not be believed.
func (s Score) Degraded() bool { return len(s.Silent) > 0 || len(s.Withheld) > 0 }

// hangsOn reports whether the peer would fare otherwise without one weight.
func (s Score) hangsOn(weight int) bool {
	without := Score{Total: s.Total - weight, Threshold: s.Threshold}
	return without.Listed() != s.Listed() || without.Allowed() != s.Allowed()
}

// String is the score in words: "3 of 3: zen 127.0.0.4 (+3); silent: wl".
func (s Score) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d", s.Total, s.Threshold)
	for i, h := range s.Hits {
		fmt.Fprintf(&b, "%s %s %s (%+d)", separator(i, ":"), h.List, h.Code, h.Weight)
	}
	for i, l := range s.Silent {
		fmt.Fprintf(&b, "%s %s", separator(i, "; silent:"), l)
	}
	for i, w := range s.Withheld {
		fmt.Fprintf(&b, "%s %s (%s)", separator(i, "; not counted:"), w.List, w.State)
	}
	for i, e := range s.Errors {
		fmt.Fprintf(&b, "%s %s answered %s", separator(i, "; no listing:"), e.List, e.Code)
	}
	return b.String()
}

func separator(i int, first string) string {
	if i == 0 {
		return first
	}
	return ","
}

// said is what one list said, and how far it is believed.
type said struct {
	reading
	name   string
	weight int
	state  State
}

// counts reports whether the weight goes into the total.
func (s said) counts() bool { return s.state == Working && s.answer == Listed }

// tally is the score of all that was said.
func tally(threshold int, all []said) Score {
	score := Score{Threshold: threshold}
	for _, s := range all {
		switch {
		case s.answer == "":
			continue
		case s.state == Silent || s.state == Working && s.answer.silent():
			score.Silent = append(score.Silent, s.name)
		case s.state != Working:
			score.Withheld = append(score.Withheld, Withheld{s.name, s.state})
		case s.counts():
			score.Total += s.weight
			score.Hits = append(score.Hits, Hit{s.name, s.weight, s.code})
		}
		if s.answer == Other || s.answer.wrong() {
			score.Errors = append(score.Errors, ListError{s.name, s.answer, s.code, s.meaning()})
		}
	}
	return score
}

// alone reports whether no other list on the same side has what s has.
func alone(s said, all []said) bool {
	same := 0
	for _, o := range all {
		if o.counts() && (o.weight < 0) == (s.weight < 0) {
			same++
		}
	}
	return same == 1
}
