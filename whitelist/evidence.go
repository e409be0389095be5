package whitelist

import (
	"net/netip"
	"time"
)

// A State says what became of one source when an address was judged.
type State string

// The states.
const (
	Decides   State = "decides"   // it has an entry in force, and is the strongest that has
	Also      State = "also"      // it has one, but something stronger decided
	None      State = "none"      // it was asked and has none
	Elsewhere State = "elsewhere" // it does not count at this service
)

// A Finding is what one source has on an address.
type Finding struct {
	Source Source `json:"source"`
	State  State  `json:"state"`
	Entry  Entry  `json:"entry,omitzero"` // in force; zero: none. Elsewhere may have one too
}

// Evidence is what each source has on addr, the strongest first, and which of
// them decides at a service. It leaves no trace.
func (l *List) Evidence(addr netip.Addr, at Service, now time.Time) []Finding {
	addr = CanonicalAddr(addr)
	var findings []Finding
	decider, r := l.find(addr, at, now.Unix())
	decided := r != nil
	for rank, t := range l.tables {
		f := Finding{Source: sources[rank], State: None}
		r := inForce(t, addr, now.Unix())
		if r != nil {
			f.Entry.Net, _ = addr.Prefix(int(r.bits))
			r.fill(&f.Entry, f.Source)
		}
		switch {
		case !f.Source.Counts(at):
			f.State = Elsewhere
		case r != nil && decided && rank == decider:
			f.State = Decides
		case r != nil:
			f.State = Also
		}
		findings = append(findings, f)
	}
	return findings
}

// Counts are how many entries a List has, by who made them; expired ones are counted.
type Counts struct {
	Allowed  int // by persons
	Denied   int // by persons
	Local    int // own networks; a gateway among them that is none is left out
	Passed   int // learned: came back
	Trapped  int // learned: named a trap
	Sessions int // learned: the operator's own
	Logins   int // learned: somebody logged in
	Crawlers int // learned: by name
	Wrote    int // learned: our users wrote there
	Guessing int // learned: tried many passwords
}

// Counts counts the entries. Persons' and local ones take a walk over them.
func (l *List) Counts() Counts {
	c := Counts{Passed: l.size(Passed), Trapped: l.size(Trapped), Sessions: l.size(Session), Logins: l.size(Login),
		Crawlers: l.size(Crawling), Wrote: l.size(Wrote), Guessing: l.size(Guessing)}
	for _, r := range l.tables[Operator.rank()].All() {
		if r.deny {
			c.Denied++
		}
	}
	c.Allowed = l.size(Operator) - c.Denied
	for _, r := range l.tables[Local.rank()].All() {
		if r.class.Known() {
			c.Local++
		}
	}
	return c
}
