package desk

import (
	"errors"
	"fmt"

	"moggy/whitelist"
)

// A Kind says what an error means to whoever asked.
type Kind string

// The kinds of errors.
const (
	No    Kind = "no"    // the answer is no: there is nothing to take away
	Usage Kind = "usage" // what was asked makes no sense
	Fault Kind = "fault" // it could not be done, or is not known
)

// An Error is a sentence for an operator that ends with what to type. It
// survives the way over the socket.
type Error struct {
	Kind Kind   `json:"kind"`
	Text string `json:"error"`
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// KindOf returns the kind of err; Fault where it has none.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if errors.Is(err, whitelist.ErrEntry) {
		return Usage
	}
	return Fault
}

func sayNo(format string, args ...any) error {
	return &Error{Kind: No, Text: fmt.Sprintf(format, args...)}
}

func wrongUse(format string, args ...any) error {
	return &Error{Kind: Usage, Text: fmt.Sprintf(format, args...)}
}
