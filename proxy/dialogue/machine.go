// Package dialogue holds the SMTP dialogue with strangers (RFC 5321), as a
// machine that takes lines and gives replies.
//
// It knows the commands, their order, their syntax and their limits. It does
// not know connections, clocks, or what is to become of a recipient: for that
// it asks, and is told with [Machine.Settle].
package dialogue

import (
	"bytes"
	"strings"
)

// Options say how a Machine answers.
type Options struct {
	Hostname   string
	Offer      Offer // what EHLO offers
	Recipients int   // recipients that are asked about in one session
	Errors     int   // faulty commands, until the Machine asks to be ended
}

// A Question is what a Machine leaves to others.
type Question uint8

// The questions.
const (
	Nothing   Question = iota // none: say Reply
	Protocol                  // this is not SMTP
	Faults                    // more than Options.Errors faulty commands
	Recipient                 // may Path be written to?
	Message                   // DATA or BDAT, and there are recipients that were answered 250
)

// A Turn is what the Machine makes of one line. Where it asks something, the
// answer goes through Settle, and is then said.
type Turn struct {
	Ask       Question
	Reply     Reply // to say, where nothing is asked
	Path      Path  // the recipient that is asked about
	Excessive bool  // it is one more than Options.Recipients
	Skip      int64 // throw away so many bytes before anything is said (BDAT)
	End       bool  // hang up after the reply
}

// A Machine is the state of one dialogue. It keeps no more than the envelope.
type Machine struct {
	o        *Options
	e        Envelope
	utf8     bool  // MAIL had SMTPUTF8
	asked    int   // recipients asked about in this session
	path     Path  // the recipient that was asked about last
	refusal  Reply // the latest answer to a recipient of this transaction that was no 2yz
	faults   int
	chatter  int // commands that lead nowhere
	settling Question
}

// maxChatter is how many commands that lead nowhere (NOOP, RSET, VRFY …) are
// taken before each more is a fault, as with Postfix's smtpd_junk_command_limit.
const maxChatter = 100

// New returns a Machine that has said its greeting.
func New(o *Options) *Machine { return &Machine{o: o} }

// Greeting is the banner.
func (o *Options) Greeting() Reply { return Reply{Code: 220, Text: o.Hostname + " ESMTP"} }

// Envelope returns what the peer has said so far.
func (m *Machine) Envelope() Envelope { return m.e }

// Line takes one line of the peer's.
func (m *Machine) Line(l Line) Turn {
	switch {
	case l.Long:
		return m.fault(Reply{500, "5.5.2", "Line too long"})
	case NotSMTP(l.Text):
		return Turn{Ask: Protocol}
	case bytes.IndexFunc(l.Text, control) >= 0:
		return m.fault(Reply{500, "5.5.2", "Syntax error, control characters in command"})
	}
	verb, arg := cutVerb(string(l.Text))
	do, ok := commands[verb]
	if !ok {
		return m.fault(Reply{500, "5.5.2", "Command not recognized"})
	}
	return do(m, arg)
}

// Settle takes the answer to what the Machine asked, and returns it.
func (m *Machine) Settle(r Reply) Reply {
	if m.settling == Recipient {
		if r.Code/100 == 2 {
			m.e.To = append(m.e.To, m.path)
		} else {
			m.refusal = r
		}
	}
	if m.settling == Message {
		m.reset()
	}
	m.settling = Nothing
	return r
}

// control reports bytes that no command may have; a tab is white space.
func control(c rune) bool { return (c < ' ' && c != '\t') || c == 0x7f }

// cutVerb returns the verb in upper case and its argument without the white
// space around it.
func cutVerb(line string) (verb, arg string) {
	line = strings.TrimRight(line, " \t")
	i := strings.IndexAny(line, " \t")
	if i < 0 {
		return strings.ToUpper(line), ""
	}
	return strings.ToUpper(line[:i]), strings.TrimLeft(line[i:], " \t")
}

// fault answers a faulty command, or asks to end the dialogue.
func (m *Machine) fault(r Reply) Turn {
	m.faults++
	if m.faults > m.o.Errors {
		return Turn{Ask: Faults}
	}
	return Turn{Reply: r}
}

// chat answers a command that leads nowhere.
func (m *Machine) chat(r Reply) Turn {
	m.chatter++
	if m.chatter > maxChatter {
		return m.fault(r)
	}
	return Turn{Reply: r}
}

// reset forgets the transaction, not who said EHLO.
func (m *Machine) reset() {
	m.e = Envelope{Verb: m.e.Verb, Helo: m.e.Helo}
	m.utf8, m.refusal, m.path = false, Reply{}, Path{}
}
