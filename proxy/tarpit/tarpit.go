// Package tarpit holds connections and speaks slowly.
//
// It knows bytes, time and how many connections may be held. It does not know
// SMTP: a [Talker] has the words, and says with each of them how slowly they
// are to be spoken. How connections are kept (here: a goroutine for each) is
// nobody's business but the Pit's.
package tarpit

import (
	"net"
	"time"
)

// Whole, as the Slow of a Say, asks for every byte to be stuttered.
const Whole time.Duration = 1<<63 - 1

// Say is what a Talker wants said, and what comes after it.
type Say struct {
	Text []byte        // nil: nothing
	Slow time.Duration // stutter at the peer for this long, then say the rest at once
	Then Then
}

// Then says what follows a Say.
type Then uint8

// What can follow a Say.
const (
	Listen Then = iota // wait for the peer's next word
	Part               // give the connection back to the Talker, in Left
	Close              // hang up
)

// A Talker is the other half of a conversation. The Pit calls it from one
// goroutine at a time. Hear may take its time (a store, a backend): the Pit
// sees to it that nobody else waits for it.
type Talker interface {
	// Greet is what is said before anything is heard.
	Greet() Say

	// Early is called once if the peer speaks before the greeting is out.
	Early()

	// Hear takes bytes that came and returns how many of them it used. It is
	// called again with the rest, and with more. Where it used none it is called
	// again when there are more; it must use some of 4 KiB. A Say without Text
	// and Then changes nothing.
	Hear(in []byte) (used int, s Say)

	// Lapse is what is said to a peer that let its time pass, or when the Pit
	// closes; the connection is closed after it.
	Lapse(why Why) Say

	// Left is called once, last: the Pit no longer knows the connection.
	Left(l Left)
}

// Why says how a held connection came to its end.
type Why uint8

// How a held connection can end.
const (
	Parted Why = iota // the Talker asked for it back
	Done              // the Talker hung up
	Gone              // the peer hung up, or its connection broke
	Lapsed            // the peer said nothing in time
	LetGo             // the Pit was closed
)

// Left is how a connection left the Pit. Conn is the Talker's to close if Why is
// Parted, and nil otherwise: then it is closed already.
type Left struct {
	Conn     net.Conn
	Rest     []byte // what the peer said beyond what was heard; only if Parted
	Why      Why
	Held     time.Duration
	In, Out  int64 // bytes
	Stutters int64 // bytes of Out that were spoken slowly
}

// Options say how a Pit holds.
type Options struct {
	Slots   int           // connections held at the most
	Gap     time.Duration // between two bytes that are stuttered
	Timeout time.Duration // for one word of the peer, from its first byte to its last
	Write   time.Duration // for the peer to take a reply; 0: Timeout
	Linger  time.Duration // a peer that is hung up on may take this long to read the last word
}
