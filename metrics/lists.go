package metrics

import (
	"runtime"
	"time"

	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// other is the label for a class that an operator made up, and for a listener
// that New was not given.
const other = "other"

// The states of an open connection, for [Metrics.Open].
const (
	Talking  = "talk"  // moggy holds the dialogue
	Holding  = "hold"  // moggy speaks slowly, to a refusal
	Waiting  = "wait"  // it waits for its turn
	Carrying = "carry" // the backend has it
)

func states() []string { return []string{Talking, Holding, Waiting, Carrying} }

// An Alarm is something that is wrong with the set-up and not with a peer.
type Alarm string

// The alarms.
const (
	OpenRelay      Alarm = "open_relay"                   // the backend relays for everybody who comes through moggy
	SourceLost     Alarm = "source_address_lost"          // one private address makes most of the connections
	StoreDown      Alarm = "store_down"                   // what is learned is not kept, and the greylist may not be asked
	Harm           Alarm = "harm"                         // a known peer was refused or made to wait within the last hour
	BlockedElse    Alarm = "known_good_blocked_elsewhere" // something else on this machine keeps a known-good address out
	ListSuspended  Alarm = "dnsbl_suspended"              // a DNS list is wrong or silent, and counts for nothing
	JournalFailing Alarm = "journal_failing"              // decisions are not recorded
	InternalError  Alarm = "internal_error"               // a fault of ours ended a connection; stands until the restart
)

// Alarms returns them all.
func Alarms() []Alarm {
	return []Alarm{OpenRelay, SourceLost, StoreDown, Harm, BlockedElse, ListSuspended, JournalFailing, InternalError}
}

// The results of a hand-over, by the backend's answer to the recipient.
const (
	accepted = "accepted" // 2yz
	deferred = "deferred" // 4yz
	refused  = "refused"  // 5yz
	failed   = "failed"   // none, or no reply at all
)

func results() []string { return []string{accepted, deferred, refused, failed} }

// resultOf sorts a reply code; 0 is no reply.
func resultOf(code int) string {
	switch code / 100 {
	case 2:
		return accepted
	case 4:
		return deferred
	case 5:
		return refused
	}
	return failed
}

// An arrival is what is decided when a connection is accepted.
type arrival struct {
	class    whitelist.Class
	action   verdict.Action
	observed bool
}

// arrivals returns those that can be: the rules themselves are asked.
func arrivals() (all []arrival) {
	seen := make(map[arrival]bool)
	for _, class := range classes() {
		for i := range 1 << 6 {
			f := arrivalFacts(class, i)
			v := verdict.Decide(&f, &verdict.Policy{Observe: i&1 != 0})
			if a := (arrival{class, v.Action, v.Observed}); !seen[a] {
				seen[a] = true
				all = append(all, a)
			}
		}
	}
	return all
}

// arrivalFacts are facts at the moment of a connection, one for each i below 64.
func arrivalFacts(class whitelist.Class, i int) verdict.Facts {
	f := verdict.Facts{Stage: verdict.Connect, Service: whitelist.Mail, Full: i&2 != 0, Gateway: i&4 != 0}
	f.Standing.Class, f.Standing.Deny = class, class == journal.Denied
	if i&8 != 0 {
		f.Service = whitelist.Client
	}
	if i&16 != 0 {
		f.Budget.Over = budget.OverRate
	}
	if i&32 != 0 {
		f.Budget.Wait = time.Second
	}
	return f
}

// overs are what of a budget can be used up.
func overs() []budget.Over {
	return []budget.Over{budget.OverRate, budget.OverOpen, budget.OverRecipients, budget.OverLine}
}

func classes() (all []whitelist.Class) {
	for _, k := range whitelist.Kinds() {
		all = append(all, k.Class)
	}
	return append(all, other, journal.Denied)
}

// known returns the classes that can come to harm.
func known() (all []whitelist.Class) {
	for _, k := range whitelist.Kinds() {
		if k.Known {
			all = append(all, k.Class)
		}
	}
	return append(all, other)
}

// A ruling is a rule that decided.
type ruling struct {
	rule     string
	observed bool
}

// rulings returns those that can be, with their actions.
func rulings() map[ruling]verdict.Action {
	all := make(map[ruling]verdict.Action)
	for _, r := range verdict.Rules() {
		all[ruling{r.Name, false}] = r.Action
		untouched := r.Action == verdict.Carry || r.Action == verdict.HandOver
		if !untouched && r.Name != "full" && r.Stages[0] != verdict.Backend {
			all[ruling{r.Name, true}] = r.Action
		}
	}
	return all
}

// act is an action as verdict.Verdict.Act shows it.
func act(a verdict.Action, observed bool) string {
	return (&verdict.Verdict{Action: a, Observed: observed}).Act()
}

func goVersion() string { return runtime.Version() }
