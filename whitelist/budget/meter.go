package budget

import "time"

// A Meter counts what the peers use. It is safe for use by many goroutines.
type Meter interface {
	// Take counts one more connection. When Usage.Over is empty a token is taken
	// and the connection counts as open; Usage.Wait is how long it has to wait
	// for its turn. When it is over nothing is taken.
	Take(k Key, l Limit, now time.Time) Usage
	// Done says that a connection that was taken has ended.
	Done(k Key, now time.Time)
	// Refund gives the token of a connection back: a fault or a refusal of ours
	// costs the peer nothing. It still counts as open until Done.
	Refund(k Key, l Limit, now time.Time)
	// Recipient counts one more new recipient. When Usage.Over is
	// OverRecipients it was not counted.
	Recipient(k Key, l Limit, now time.Time) Usage
	// Look is what Take would say. It changes nothing.
	Look(k Key, l Limit, now time.Time) Usage
}

// A Row is a key and how its budget stands.
type Row struct {
	Key   Key
	Usage Usage
}
