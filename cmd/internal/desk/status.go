package desk

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"moggy/dnsbl"
	"moggy/proxy"
	"moggy/whitelist"
)

// WhoFilter says which connections are wanted; an empty field asks for nothing.
type WhoFilter struct {
	State string          `json:"state,omitempty"`
	Class whitelist.Class `json:"class,omitempty"`
	Net   netip.Prefix    `json:"net,omitzero"`
}

// WhoList is open connections, the oldest first.
type WhoList struct {
	Guests []proxy.Guest `json:"guests"`
}

// Who implements Desk.
func (l *Local) Who(_ context.Context, q WhoFilter) (WhoList, error) {
	if l.Daemon == nil {
		return WhoList{}, &Error{Fault, "moggyd is not running: nobody is connected; type: moggy status"}
	}
	out := WhoList{Guests: []proxy.Guest{}}
	for _, g := range l.Daemon.Guests() {
		if q.wants(g) {
			out.Guests = append(out.Guests, g)
		}
	}
	return out, nil
}

func (q *WhoFilter) wants(g proxy.Guest) bool {
	return (q.State == "" || g.State == q.State) && (q.Class == "" || g.Class == q.Class) &&
		(!q.Net.IsValid() || q.Net.Contains(whitelist.CanonicalAddr(g.Peer.Addr())))
}

// Figures are what the running parts count. What nobody counts is 0.
type Figures struct {
	Since          time.Time `json:"since,omitzero"` // the daemon runs since then
	Version        string    `json:"version,omitempty"`
	Held           int       `json:"held"`          // strangers that hold a slot
	Slots          int       `json:"slots"`         // for strangers; 0: not known
	Triplets       int64     `json:"triplets"`      // in the store
	Origins        int64     `json:"origins"`       // in the store
	StorePending   int       `json:"store_pending"` // rows not yet on disk
	StoreDropped   int64     `json:"store_dropped"` // rows there was no room for
	StoreDamaged   int64     `json:"store_damaged"` // rows that made no sense
	StoreFault     string    `json:"store_fault,omitempty"`
	Nodes          []Node    `json:"nodes,omitempty"` // machines that share the store; none: it is this one's alone
	JournalDropped int64     `json:"journal_dropped"` // records that were not written
	Notes          []string  `json:"notes,omitempty"` // what else an operator should know
}

// A Node is a machine that shares the store.
type Node struct {
	Name string    `json:"name"`
	Seen time.Time `json:"seen"` // when it last came to the store: within seconds if it is well
}

// missing is after how long a node is missed, and mostNodes how many of each kind are named.
const (
	missing   = 30 * time.Second
	mostNodes = 8
)

// SharedBy names the machines that share the store, and since when which of them are
// missed; "": there is one.
func (f *Figures) SharedBy(now time.Time) string {
	var here, missed []string
	for _, n := range f.Nodes {
		if now.Sub(n.Seen) > missing {
			missed = append(missed, n.Name+" since "+n.Seen.Local().Format("15:04"))
		} else {
			here = append(here, n.Name)
		}
	}
	text := several("shared by ", here)
	if len(missed) > 0 {
		text += several("; missed: ", missed)
	}
	return text
}

func several(before string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	text := before + strings.Join(names[:min(len(names), mostNodes)], ", ")
	if more := len(names) - mostNodes; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (l *Local) figures() Figures {
	if l.Figures == nil {
		return Figures{}
	}
	return l.Figures()
}

// StatusFilter asks for all of the status.
type StatusFilter struct{}

// Status is how the house stands.
type Status struct {
	Daemon    bool                `json:"daemon"` // it runs
	Ready     bool                `json:"ready"`  // it runs, and every listener works
	Well      bool                `json:"well"`   // and so does the store, without which it goes on from memory
	Hostname  string              `json:"hostname"`
	Mode      string              `json:"mode"` // enforce, observe
	StateDir  string              `json:"state_dir"`
	Store     string              `json:"store"`
	Listeners []ListenerStatus    `json:"listeners"`
	Open      map[string]int      `json:"open"` // connections by state
	Lists     Counts              `json:"lists"`
	Alarms    []proxy.Alarm       `json:"alarms"`              // that stand
	DNSLists  map[dnsbl.State]int `json:"dns_lists,omitempty"` // how many are in which state; nil: there are none, or nobody watches them
	Foreign   *Sight              `json:"foreign,omitempty"`   // when it was last looked at; nil: nobody looks
	Hints     HintSources         `json:"hints"`
	GoodSets  []string            `json:"good_sets,omitempty"` // tables whose sets are kept in step
	Health    Health              `json:"health"`
	Figures   Figures             `json:"figures"`
	Journal   JournalStatus       `json:"journal"`
}

// ListenerStatus is a listener and what keeps it from working.
type ListenerStatus struct {
	Listener
	Fault string `json:"fault,omitempty"`
}

// Counts are how much is on the lists.
type Counts struct {
	Allow    int `json:"allow"`    // by persons
	Deny     int `json:"deny"`     // by persons
	Local    int `json:"local"`    // networks
	Sessions int `json:"sessions"` // learned: the operator's own
	Logins   int `json:"logins"`   // learned: somebody logged in
	Crawlers int `json:"crawlers"` // learned: by name
	Passed   int `json:"passed"`   // learned: came back
	Wrote    int `json:"wrote"`    // learned: our users wrote there
	Listed   int `json:"listed"`   // learned: named a trap
	Guessing int `json:"guessing"` // learned: tried many passwords
	Traps    int `json:"traps"`
}

// JournalStatus is what the journal holds.
type JournalStatus struct {
	Dir   string `json:"dir"`
	Bytes int64  `json:"bytes"`
	Files int    `json:"files"`
}

// Status implements Desk.
func (l *Local) Status(ctx context.Context, _ StatusFilter) (Status, error) {
	set := l.Settings()
	s := Status{Daemon: l.Daemon != nil, Hostname: set.Policy.Hostname, Mode: "enforce", StateDir: set.StateDir,
		Store: set.Store, Open: make(map[string]int), Lists: l.counts(), Figures: l.figures(),
		Journal: journalStatus(JournalDir(set.StateDir)), Listeners: []ListenerStatus{}, Alarms: []proxy.Alarm{},
		Hints: set.Hints, GoodSets: set.GoodSets, Health: l.health()}
	if set.Policy.Observe {
		s.Mode = "observe"
	}
	s.Ready = s.Daemon
	for _, d := range set.Listeners {
		s.Listeners = append(s.Listeners, ListenerStatus{Listener: d})
	}
	if s.Daemon {
		l.recheck(ctx)
		s.running(l.Daemon)
		s.DNSLists = l.listStates()
		s.Foreign = l.lastSight()
	}
	s.Well = s.Ready && s.Figures.StoreFault == ""
	return s, nil
}

// recheckPatience is how long a person waits for backends that do not answer.
const recheckPatience = 2 * time.Second

// recheck has the daemon ask its backends again.
func (l *Local) recheck(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, recheckPatience)
	defer cancel()
	l.Daemon.Recheck(ctx)
}

// running adds what only a running daemon knows.
func (s *Status) running(d Daemon) {
	for _, g := range d.Guests() {
		s.Open[g.State]++
	}
	s.Alarms = append(s.Alarms, d.Alarms()...)
	faults := d.Ready()
	for i := range s.Listeners {
		if err := faults[s.Listeners[i].Name]; err != nil {
			s.Listeners[i].Fault = err.Error()
			s.Ready = false
		}
	}
}

func (l *Local) counts() Counts {
	n := l.Judge.Book.List().Counts()
	return Counts{Allow: n.Allowed, Deny: n.Denied, Local: n.Local, Sessions: n.Sessions, Logins: n.Logins, Crawlers: n.Crawlers,
		Passed: n.Passed, Wrote: n.Wrote, Listed: n.Trapped, Guessing: n.Guessing, Traps: len(l.Judge.Traps.All())}
}
