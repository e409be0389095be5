package dnsbl

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// An Answer says what became of a question to a list.
type Answer string

// The answers, from harmless to worst. Of several records the worst decides.
const (
	Clean   Answer = "clean"   // not on the list
	Other   Answer = "other"   // in 127.0.0.0/8, and not among the codes that count
	Listed  Answer = "listed"  // on the list
	Refused Answer = "refused" // 127.255.255.0/24: the list speaks of the question, not of the peer
	Foreign Answer = "foreign" // outside 127.0.0.0/8: not a list that works (RFC 6471 §3.3)
	Late    Answer = "late"    // none in time
	Failed  Answer = "failed"  // the resolver could not say
)

// Answers returns them all: the values of a metric label.
func Answers() []Answer { return []Answer{Clean, Other, Listed, Refused, Foreign, Late, Failed} }

// silent reports whether the list did not say anything.
func (a Answer) silent() bool { return a == Late || a == Failed }

// wrong reports whether the list said what no working list says.
func (a Answer) wrong() bool { return a == Refused || a == Foreign }

// worse reports whether a decides when b is there too.
func (a Answer) worse(b Answer) bool { return slices.Index(Answers(), a) > slices.Index(Answers(), b) }

// A reading is what a list said of one address. The zero reading is of a list
// that was not asked.
type reading struct {
	answer Answer
	code   netip.Addr // the record that decided; not valid where there was none
}

// named reports whether the list has the address, whichever its code.
func (r reading) named() bool { return r.answer == Listed || r.answer == Other }

// read makes sense of what the resolver found. RFC 5782 §6 has any record taken
// for a listing; that was before lists answered with errors.
func read(codes []Range, addrs []netip.Addr, err error) reading {
	if err != nil {
		return reading{answer: failure(err)}
	}
	r := reading{answer: Clean}
	for _, code := range addrs {
		code = code.Unmap()
		a := kindOf(codes, code)
		if a.worse(r.answer) || a == r.answer && code.Less(r.code) {
			r = reading{a, code}
		}
	}
	return r
}

// failure tells an answer that took too long from one that cannot be had.
func failure(err error) Answer {
	if t, ok := errors.AsType[interface {
		error
		Timeout() bool
	}](err); ok && t.Timeout() {
		return Late
	}
	return Failed
}

// kindOf says what one record means.
func kindOf(codes []Range, code netip.Addr) Answer {
	if !code.Is4() || code.As4()[0] != 127 {
		return Foreign
	}
	if a := code.As4(); a[1] == 255 && a[2] == 255 {
		return Refused
	}
	for _, r := range codes {
		if r.Contains(code) {
			return Listed
		}
	}
	return Other
}

// meaning says in words what is wrong with a reading, and what to do about it.
func (r reading) meaning() string {
	switch r.answer {
	case Other:
		return fmt.Sprintf("%s is not among the codes that count", r.code)
	case Foreign:
		return fmt.Sprintf("%s is no answer of a DNS list: its zone has expired, or the resolver makes up answers; "+
			"ask another resolver, or remove the list", r.code)
	case Refused:
		return r.refusal()
	case Late:
		return "no answer in time"
	case Failed:
		return "the resolver cannot get an answer"
	}
	return ""
}

// refusal is the meaning of 127.255.255.0/24, as Spamhaus gave it.
func (r reading) refusal() string {
	said := "it answers with an error; ask whoever runs it"
	switch r.code.As4()[3] {
	case 252:
		said = "there is a typing error in its zone; correct the zone"
	case 254:
		said = "it does not answer public resolvers; set servers to a resolver of your own"
	case 255:
		said = "it was asked too often; get a key for it, or remove the list"
	}
	return fmt.Sprintf("%s: %s", r.code, said)
}
