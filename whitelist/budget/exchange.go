package budget

import (
	"context"
	"time"
)

// A Use is what one door has used of a budget.
type Use struct {
	Key        Key
	Limit      Limit
	Tokens     int // of connections, taken since the door last told; below zero: given back
	Recipients int // new ones, counted since then
	Open       int // connections open at this door now
}

// Others is what the other doors have used of it.
type Others struct {
	Key        Key
	Tokens     int // taken since this door last asked, as far as they are owed still; below zero: given back
	Recipients int // counted since then, as far as they are owed still
	Open       int // connections open there now
}

// An Exchanger tells the other doors what this one has used, and returns what they
// have. Each use is counted once or, where its key is missing in what comes back,
// perhaps not at all: the error says why. Open connections count at the other doors
// for as long as the lease says, or until they are told anew.
type Exchanger interface {
	Exchange(ctx context.Context, uses []Use, lease time.Duration) ([]Others, error)
}
