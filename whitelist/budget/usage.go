package budget

import (
	"fmt"
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
	Open       int           `json:"open,omitempty"`       // this one included
	Recipients int           `json:"recipients,omitempty"` // new ones, of Limit.Recipients
	Wait       time.Duration `json:"wait,omitempty"`       // in line: until its turn; over rate or recipients: until it would be taken
	Over       Over          `json:"over,omitempty"`       // empty: within
}

// String says it in words.
func (u Usage) String() string {
	return fmt.Sprintf("%d of %d burst, %d/min; %d of %d open", u.Used, u.Limit.Burst, u.Limit.Rate, u.Open, u.Limit.Open)
}
