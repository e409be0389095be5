package handover

import "fmt"

// Stage is a step of a session on the way to the peer's RCPT.
type Stage uint8

// The stages.
const (
	Greeting    Stage = iota // "greeting": what the backend says first
	EHLO                     // "ehlo": the peer's EHLO or HELO, or an EHLO of our own
	XClient                  // "xclient": telling the peer's address
	Mail                     // "mail": the sender
	EarlierRcpt              // "rcpt-earlier": a recipient that the peer was promised already
)

// stages are the names of the stages, by value.
var stages = [...]string{"greeting", "ehlo", "xclient", "mail", "rcpt-earlier"}

// String returns the stage as a word for logs and labels.
func (s Stage) String() string {
	if int(s) < len(stages) {
		return stages[s]
	}
	return fmt.Sprintf("stage(%d)", uint8(s))
}

// Refused is the error of a backend that is there, and said no: it answered a step
// with other than 2yz.
type Refused struct {
	Stage Stage
	Reply Reply
}

// Error says at which stage, and what the backend answered.
func (r *Refused) Error() string {
	return fmt.Sprintf("refused at %s: %s", r.Stage, r.Reply)
}
