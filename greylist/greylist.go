// Package greylist knows how a stranger proves itself: by coming back, later
// but not too late, with the same envelope (RFC 6647).
//
// The transition is the pure function [Next]. The package does not know SMTP,
// who is behind an address (package greylist/origin finds that) or how triplets
// are kept: a [Store] keeps them and must do as Next does.
package greylist

import (
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"time"
)

// OriginKind says how an origin was found.
type OriginKind string

// The kinds of origin, the best first.
const (
	Domain  OriginKind = "spf"     // the domain of an SPF pass
	Name    OriginKind = "name"    // the registered domain of a confirmed reverse name
	Network OriginKind = "network" // neither: the /24 or /64
)

// An Origin is who is behind a stranger. Two addresses with one origin are one
// sender.
type Origin struct {
	Kind OriginKind `json:"kind"`
	Name string     `json:"name"` // "example.org", "192.0.2.0/24"
}

// Named reports whether the origin is more than a network.
func (o Origin) Named() bool { return o.Kind == Domain || o.Kind == Name }

// String is the origin as the log shows it: "192.0.2.0/24", "example.org (spf)".
func (o Origin) String() string {
	if o.Named() {
		return o.Name + " (" + string(o.Kind) + ")"
	}
	return o.Name
}

// A Triplet is the greylist key.
type Triplet struct {
	Origin    Origin
	Sender    string // canonical mailbox; "" is the null sender
	Recipient string // canonical mailbox
}

// A Key stands for a triplet or an origin: 16 bytes of SHA-256 over parts that
// carry their lengths, so that no two different triplets share one by the way
// they are put together.
type Key [16]byte

// Key returns the triplet's key. An origin keeps its key however it was found.
func (t Triplet) Key() Key {
	return keyOf("triplet", t.Origin.Name, foldDomain(t.Sender), foldDomain(t.Recipient))
}

// Key returns the origin's own key.
func (o Origin) Key() Key { return keyOf("origin", o.Name) }

func keyOf(parts ...string) (k Key) {
	var buf []byte
	for _, p := range parts {
		buf = binary.AppendUvarint(buf, uint64(len(p)))
		buf = append(buf, p...)
	}
	sum := sha256.Sum256(buf)
	copy(k[:], sum[:])
	return k
}

// foldDomain lowers the ASCII letters after the last @, and no others:
// strings.ToLower makes one of all bytes that are not UTF-8.
func foldDomain(mailbox string) string {
	i := strings.LastIndexByte(mailbox, '@') + 1
	domain := []byte(mailbox[i:])
	for j, c := range domain {
		if 'A' <= c && c <= 'Z' {
			domain[j] = c + 'a' - 'A'
		}
	}
	return mailbox[:i] + string(domain)
}

// Timers are the times of a greylist. There are two before a pass, never one: a
// retry is early until Pass after the first try and late after Window, and an
// early retry moves neither (RFC 6647 §5.2).
type Timers struct {
	Pass        time.Duration // for a named origin
	PassUnnamed time.Duration // for a network
	Window      time.Duration // a retry later than this after the first try is a first try
	Remember    time.Duration // an origin that passed, after its last use
}

// PassFor is how long o has to wait.
func (t Timers) PassFor(o Origin) time.Duration {
	if o.Named() {
		return t.Pass
	}
	return t.PassUnnamed
}

// State is what is remembered of a triplet. The zero State is one never seen.
type State struct {
	First time.Time // the first try of this attempt
	Last  time.Time // the latest try
	Tries uint32    // tries in this attempt, the first included
}

// Outcome says what a try meant.
type Outcome string

// The outcomes of a try.
const (
	FirstSeen   Outcome = "first-seen"   // nothing like it was seen before
	TooEarly    Outcome = "too-early"    // it came back before Pass was over
	TooLate     Outcome = "too-late"     // it came back after Window: a first try again
	Returned    Outcome = "returned"     // it came back in time: it has proved itself
	OriginKnown Outcome = "origin-known" // its origin passed before, with whatever mail
	Crowded     Outcome = "crowded"      // it came back in time, as one of too many newcomers of its network
)

// Result is what a try led to.
type Result struct {
	Outcome Outcome
	First   time.Time     // the first try of this attempt, this one if it is that
	Tries   uint32        // tries so far, this one included
	Wait    time.Duration // until a retry can pass; 0 where it did
}

// New reports whether nothing was remembered of the try: it is the first, or a
// first one again.
func (r Result) New() bool { return r.Outcome == FirstSeen || r.Outcome == TooLate }

// Passes reports whether the mail may go on.
func (r Result) Passes() bool { return r.Outcome == Returned || r.Outcome == OriginKnown }

// Next is what a try at the time now does to a triplet's state. pass is the
// time its origin has to wait. A triplet that returned stays so until Window is
// over, so that a backend that was down costs nobody a second wait. Times that
// run backwards are taken as no time at all.
func Next(s State, now time.Time, pass time.Duration, t Timers) (State, Result) {
	age := max(0, now.Sub(s.First))
	switch {
	case s.Tries == 0:
		return begin(now, pass, FirstSeen)
	case age > t.Window:
		return begin(now, pass, TooLate)
	}
	s.Last = later(s.Last, now)
	if s.Tries < maxTries {
		s.Tries++
	}
	r := Result{Outcome: Returned, First: s.First, Tries: s.Tries}
	if age < pass {
		r.Outcome, r.Wait = TooEarly, pass-age
	}
	return s, r
}

// maxTries is where the count of tries stops.
const maxTries = 1<<32 - 1

func begin(now time.Time, pass time.Duration, o Outcome) (State, Result) {
	return State{First: now, Last: now, Tries: 1}, Result{Outcome: o, First: now, Tries: 1, Wait: pass}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Expires is when a triplet's state can be forgotten.
func (s State) Expires(t Timers) time.Time { return s.First.Add(t.Window) }

// Known is what is remembered of an origin that passed. The zero Known is one
// that never did.
type Known struct {
	Since time.Time // when it first passed
	Used  time.Time // its latest use, which renews it
}

// Fresh reports whether the origin still counts as known.
func (k Known) Fresh(now time.Time, t Timers) bool {
	return !k.Since.IsZero() && now.Sub(k.Used) < t.Remember
}

// Renew is the origin's state after a use at the time now.
func (k Known) Renew(now time.Time, t Timers) Known {
	if !k.Fresh(now, t) {
		k.Since = now
	}
	k.Used = later(k.Used, now)
	return k
}
