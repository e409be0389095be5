package desk

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// EvidenceFilter names an address.
type EvidenceFilter struct {
	Addr netip.Addr `json:"addr"`
}

// Evidence is what is held of an address.
type Evidence struct {
	Addr netip.Addr `json:"addr"`
	At   []Regard   `json:"at"` // one for each service that has a listener, in their order

	Daemon bool `json:"daemon"` // moggyd runs; without it nobody gets in
}

// A Regard is what an address is at one service, and why.
type Regard struct {
	Service   whitelist.Service   `json:"service"`
	Listeners []string            `json:"listeners"`        // their names
	Faults    map[string]string   `json:"faults,omitempty"` // why the backends of some of them cannot be used
	Standing  Standing            `json:"standing"`
	Findings  []whitelist.Finding `json:"findings"` // of all sources, the strongest first
	Budget    budget.Usage        `json:"budget"`   // as it stands for its next connection
}

// Evidence implements Desk.
func (l *Local) Evidence(ctx context.Context, q EvidenceFilter) (Evidence, error) {
	if !q.Addr.IsValid() {
		return Evidence{}, wrongUse("no address; give 192.0.2.7")
	}
	out, faults := Evidence{Addr: whitelist.CanonicalAddr(q.Addr), At: []Regard{}, Daemon: l.Daemon != nil}, map[string]error{}
	if l.Daemon != nil {
		l.recheck(ctx)
		faults = l.Daemon.Ready()
	}
	for _, d := range l.Settings().Listeners {
		i := slices.IndexFunc(out.At, func(r Regard) bool { return r.Service == d.Service })
		if i < 0 {
			i = len(out.At)
			out.At = append(out.At, l.regard(out.Addr, d.Service))
		}
		out.At[i].Listeners = append(out.At[i].Listeners, d.Name)
		out.At[i].broken(d.Name, faults[d.Name])
	}
	return out, nil
}

// broken notes what keeps a listener's backend from being used; nil: nothing.
func (r *Regard) broken(listener string, fault error) {
	if fault == nil {
		return
	}
	if r.Faults == nil {
		r.Faults = make(map[string]string)
	}
	r.Faults[listener] = fault.Error()
}

func (l *Local) regard(addr netip.Addr, at whitelist.Service) Regard {
	now, list := l.now(), l.Judge.Book.List()
	s := list.Look(addr, at, now)
	return Regard{Service: at, Standing: standingOf(s), Findings: list.Evidence(addr, at, now), Budget: l.budget(s.Class, addr)}
}

// budget is how the budget of an address stands for its next connection.
func (l *Local) budget(c whitelist.Class, addr netip.Addr) budget.Usage {
	return l.Judge.Meter.Look(budget.KeyOf(c, addr), budget.For(*l.Judge.Limits.Load(), c), l.now())
}

// TopFilter says how many rows are wanted.
type TopFilter struct {
	Limit int `json:"limit,omitempty"` // 0: MaxRows
}

// TopList is who uses the most, the most used first.
type TopList struct {
	Rows []TopRow `json:"rows"`
}

// A TopRow is a budget that is used.
type TopRow struct {
	Class    whitelist.Class  `json:"class"`
	Net      netip.Prefix     `json:"net,omitzero"`     // not valid where Origin is set
	Origin   string           `json:"origin,omitempty"` // all of whose addresses share the budget
	Usage    budget.Usage     `json:"usage"`            // as it stands
	Evidence whitelist.Source `json:"evidence"`
}

// Top implements Desk.
func (l *Local) Top(_ context.Context, q TopFilter) (TopList, error) {
	out := TopList{Rows: []TopRow{}}
	if l.Daemon == nil {
		return out, &Error{Fault, "moggyd is not running: nobody uses anything; type: moggy status"}
	}
	meter, ok := l.Judge.Meter.(interface {
		Top(n int, now time.Time) []budget.Row
	})
	if !ok {
		return out, &Error{Fault, "budgets are not counted in this process, and cannot be listed; type: moggy why ADDRESS"}
	}
	now, list := l.now(), l.Judge.Book.List()
	for _, r := range meter.Top(rows(q.Limit), now) {
		row := TopRow{Class: r.Key.Class, Net: r.Key.Net, Origin: r.Key.Origin, Usage: r.Usage, Evidence: whitelist.Nothing}
		if r.Key.Origin != "" {
			row.Evidence = whitelist.Passed
		} else {
			row.Evidence = evidenceFor(list, r.Key, now)
		}
		out.Rows = append(out.Rows, row)
	}
	return out, nil
}

// evidenceFor is what puts an address into the class that its budget is of: the
// same address may be of another class at another service.
func evidenceFor(list *whitelist.List, k budget.Key, now time.Time) whitelist.Source {
	for _, f := range list.Evidence(k.Net.Addr(), whitelist.Anywhere, now) {
		if e := f.Entry; e.Net.IsValid() && (e.Class == k.Class || e.Deny && k.Class == whitelist.Listed) {
			return f.Source
		}
	}
	return whitelist.Nothing
}
