package budget

import (
	"fmt"
	"strconv"
	"time"
)

// Over says which part of a budget a connection or a recipient is over.
type Over string

// What can be over.
const (
	Within         Over = ""
	OverRate       Over = "rate"       // more connections than the burst, and no time left to wait
	OverOpen       Over = "open"       // too many open at once
	OverRecipients Over = "recipients" // too many new recipients
	OverLine       Over = "line"       // the line itself is full; set by the conductor
)

// A Usage says how a budget stands, for facts, log and people.
type Usage struct {
	Limit      Limit         `json:"limit,omitzero"`
	Used       int           `json:"used,omitempty"`       // of Limit.Burst, this connection included; those in line are beyond it
	Open       int           `json:"open,omitempty"`       // this one included, and those at other doors
	Recipients int           `json:"recipients,omitempty"` // new ones, of Limit.Recipients; with those at other doors it may be more
	Wait       time.Duration `json:"wait,omitempty"`       // in line: until its turn; over rate or recipients: until it would be taken
	Over       Over          `json:"over,omitempty"`       // empty: within
}

// String says it in words, each part with its limit and by how much it is over:
// "18 of 300 burst, 600/min; 15 of 500 open".
func (u Usage) String() string {
	text := u.rate() + "; " + u.open()
	if u.Recipients > 0 {
		text += "; " + u.recipients()
	}
	return text
}

func (u Usage) rate() string {
	if u.Limit.Rate <= 0 {
		return "no limit of rate"
	}
	burst := u.Limit.connections().burst
	text := fmt.Sprintf("%d of %d burst, %d/min", u.Used, burst, u.Limit.Rate)
	over := u.Used - burst
	switch {
	case u.Over == OverRate && u.Limit.Wait > 0:
		return text + fmt.Sprintf(": %d over, would wait %s of at most %s, free in %s",
			over, span(u.Wait+u.Limit.Wait), span(u.Limit.Wait), span(u.Wait))
	case u.Over == OverRate:
		return text + fmt.Sprintf(": %d over, free in %s", over, span(u.Wait))
	case u.Over == OverLine:
		return text + fmt.Sprintf(": %d over, its turn in %s, but the line is full", over, span(u.Wait))
	case u.Over == Within && u.Wait > 0:
		return text + fmt.Sprintf(": %d over, its turn in %s", over, span(u.Wait))
	}
	return text
}

func (u Usage) open() string {
	switch {
	case u.Limit.Open <= 0:
		return fmt.Sprintf("%d open", u.Open)
	case u.Over == OverOpen:
		return fmt.Sprintf("%d of %d open: %d over", u.Open, u.Limit.Open, u.Open-u.Limit.Open)
	}
	return fmt.Sprintf("%d of %d open", u.Open, u.Limit.Open)
}

func (u Usage) recipients() string {
	text := fmt.Sprintf("%d of %d new recipients, %d/min", u.Recipients, u.Limit.Recipients, u.Limit.Recipients)
	if u.Over != OverRecipients {
		return text
	}
	return text + fmt.Sprintf(": %d over, free in %s", u.Recipients-u.Limit.Recipients, span(u.Wait))
}

// span is a time for people, rounded up so that nobody comes too early: tenths
// of a second, minutes from two on.
func span(d time.Duration) string {
	if d >= 2*time.Minute {
		return fmt.Sprintf("%d min", (d-1)/time.Minute+1)
	}
	tenths := (d + 100*time.Millisecond - 1) / (100 * time.Millisecond)
	return strconv.FormatFloat(float64(tenths)/10, 'f', -1, 64) + " s"
}

// Spent says in words what of a budget is used up, and what becomes of the next
// connection; "" if nothing is.
func (u Usage) Spent() string {
	switch l := u.Limit; {
	case l.Open > 0 && u.Open >= l.Open:
		return "all it may have open are open: the next one is refused"
	case l.Rate <= 0 || u.Used < max(1, l.Burst):
		return ""
	case u.Wait+time.Minute/time.Duration(l.Rate) > l.Wait:
		return "its burst is used up, and its place in line: the next one is refused"
	}
	return "its burst is used up: the next one waits"
}
