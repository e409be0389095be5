package resolver

import (
	"fmt"
	"net/netip"
)

// Kind says why something is not known.
type Kind uint8

// The kinds of failure. All but BadName may be gone the next time.
const (
	Timeout       Kind = iota // no answer within Options.Timeout, or within the caller's own time
	ServerFailure             // SERVFAIL, or another code that says that the server could not do it
	Refused                   // REFUSED, NOTIMP, NOTAUTH, or a server that does not recurse
	Malformed                 // an answer that cannot be read, over TCP too, or whose CNAMEs go round in a circle
	Unreachable               // nobody there, no route, or a connection that was closed
	Busy                      // too many questions under way, or too few descriptors: ours, not the server's
	Closed                    // the Resolver is closed
	BadName                   // no name that the DNS can hold: nobody was asked
)

// kinds are the words for the kinds, by value.
var kinds = [...]string{
	Timeout: "timeout", ServerFailure: "servfail", Refused: "refused", Malformed: "malformed",
	Unreachable: "unreachable", Busy: "busy", Closed: "closed", BadName: "badname",
}

// String returns the word for the kind, as metrics have it.
func (k Kind) String() string { return kinds[k] }

// An Error says that something is not known, and why. That a name does not exist is known, and no error.
type Error struct {
	Kind   Kind
	Name   string         // that was asked for; it may hold the key of a DNS list, so Error leaves it out
	Type   string         // "A", "AAAA", "TXT", "MX" or "PTR"
	Server netip.AddrPort // that failed; the zero value if it was none in particular
	Err    error          // the cause; may be nil
}

// Error says what failed, without the name.
func (e *Error) Error() string {
	text := "asking for " + e.Type
	if e.Server.IsValid() {
		text = fmt.Sprintf("asking %s for %s", e.Server, e.Type)
	}
	text += ": " + e.Kind.String()
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout tells whether time ran out, as net.Error has it.
func (e *Error) Timeout() bool { return e.Kind == Timeout }

// Temporary tells whether asking again later can help: not for a name that the DNS cannot hold.
func (e *Error) Temporary() bool { return e.Kind != BadName }

// lasting tells whether the failure is the answer's or the server's, and worth remembering for a while (RFC 9520 §3.2).
func (e *Error) lasting() bool { return e.Kind != Busy && e.Kind != Closed }
