package dnsbl

import (
	"log/slog"
	"time"
)

// Events is told what happens to lists. Its methods must not block, and must not
// call the Checker.
type Events interface {
	// Answered is the end of a question about a peer.
	Answered(list string, a Answer, took time.Duration)
	// Changed is a list that went from one state to another, or is suspended
	// for another reason. The changes of one list come one after the other.
	Changed(Change)
}

// A Change is how a list's health changed.
type Change struct {
	List     string     `json:"list"`
	Weight   int        `json:"weight"`
	From     State      `json:"from"`
	To       State      `json:"to"`
	Reason   Reason     `json:"reason,omitempty"` // "" when it works
	Why      string     `json:"why,omitempty"`    // the same in words
	Time     time.Time  `json:"time"`
	Doubtful []Decision `json:"doubtful,omitempty"` // decisions that hung on a list that is suspended now, since it was last right
}

// Alarm reports whether an operator should know: the list has ceased to work.
func (c Change) Alarm() bool { return c.To == Suspended || c.To == Silent }

// tell logs the change.
func (c Change) tell(log *slog.Logger) {
	switch {
	case c.To == Suspended:
		log.Warn("a DNS list is suspended and counts for nothing", "list", c.List, "reason", c.Reason, "why", c.Why, "doubtful", len(c.Doubtful))
	case c.To == Silent:
		log.Warn("a DNS list does not answer and is not waited for", "list", c.List, "reason", c.Reason, "why", c.Why)
	case c.To == Suspected:
		log.Debug("a DNS list is in doubt, its test points are asked", "list", c.List, "reason", c.Reason, "why", c.Why)
	case c.From == Suspended || c.From == Silent:
		log.Info("a DNS list works again", "list", c.List, "was", c.From)
	default:
		log.Debug("a DNS list works", "list", c.List, "was", c.From)
	}
}

// deaf is Events that nobody listens to.
type deaf struct{}

func (deaf) Answered(string, Answer, time.Duration) {}
func (deaf) Changed(Change)                         {}
