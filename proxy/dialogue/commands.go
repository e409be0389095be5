package dialogue

import (
	"strconv"
	"strings"
)

// commands are the verbs that are known; nothing changes the map. The argument
// has no white space around it.
var commands = map[string]func(m *Machine, arg string) Turn{
	"EHLO": func(m *Machine, arg string) Turn { return m.hello("EHLO", arg) },
	"HELO": func(m *Machine, arg string) Turn { return m.hello("HELO", arg) },
	"MAIL": (*Machine).mail,
	"RCPT": (*Machine).rcpt,
	"DATA": (*Machine).data,
	"BDAT": (*Machine).bdat,
	"RSET": (*Machine).rset,
	"QUIT": func(m *Machine, _ string) Turn {
		return Turn{Reply: Reply{221, "2.0.0", "Goodbye"}, End: true}
	},
	"NOOP": func(m *Machine, _ string) Turn { return m.chat(Reply{250, "2.0.0", "Ok"}) },
	"HELP": func(m *Machine, _ string) Turn { return m.chat(Reply{214, "2.0.0", "See RFC 5321"}) },
	// RFC 5321 §7.3: a server that does not verify says 252, never 250.
	"VRFY": func(m *Machine, _ string) Turn {
		return m.chat(Reply{252, "2.5.0", "Cannot verify, send some mail and see"})
	},
	"EXPN":     refuse(Reply{502, "5.5.1", "Not implemented"}),
	"ETRN":     refuse(Reply{458, "4.7.0", "Not for you, not now"}), // RFC 1985 §5.3
	"TURN":     refuse(Reply{502, "5.5.1", "Not implemented"}),
	"AUTH":     refuse(Reply{502, "5.5.1", "Not offered here"}),
	"XCLIENT":  refuse(Reply{502, "5.5.1", "Not offered here"}),
	"XFORWARD": refuse(Reply{502, "5.5.1", "Not offered here"}),
	"STARTTLS": (*Machine).startTLS,
}

func refuse(r Reply) func(*Machine, string) Turn {
	return func(m *Machine, _ string) Turn { return m.fault(r) }
}

// maxDomain bounds a domain or an EHLO argument (RFC 5321 §4.5.3.1.2).
const maxDomain = 255

// hello is EHLO and HELO. Text after the first word is ignored: §4.1.1.1 says
// to be prepared for it.
func (m *Machine) hello(verb, arg string) Turn {
	name, _, _ := strings.Cut(strings.ReplaceAll(arg, "\t", " "), " ")
	if name == "" || len(name) > maxDomain || !ascii(name) {
		return m.fault(Reply{501, "5.5.4", "Syntax: " + verb + " hostname"})
	}
	again := m.e.Verb != ""
	m.e = Envelope{Verb: verb, Helo: name}
	m.reset()
	r := Reply{Code: 250, Text: m.o.Hostname}
	if verb == "EHLO" {
		r.Text = strings.Join(append([]string{m.o.Hostname}, m.o.Offer.lines()...), "\n")
	}
	if again {
		return m.chat(r)
	}
	return Turn{Reply: r}
}

func (m *Machine) mail(arg string) Turn {
	switch {
	case m.e.Verb == "":
		return m.fault(Reply{503, "5.5.1", "Say EHLO or HELO first"})
	case m.e.Mail:
		return m.fault(Reply{503, "5.5.1", "A MAIL command is open already"})
	}
	path, ok := parsePath(arg, "FROM:")
	if !ok {
		return m.fault(Reply{501, "5.5.4", "Syntax: MAIL FROM:<address>"})
	}
	if r := m.o.Offer.check(path.Params, mailParams); r.Code != 0 {
		return m.fault(r)
	}
	utf8 := hasParam(path.Params, "SMTPUTF8")
	if !utf8 && !ascii(path.Text) {
		return m.fault(Reply{550, "5.6.7", "An address that is not ASCII needs SMTPUTF8"})
	}
	m.e.Mail, m.e.From, m.utf8 = true, path, utf8
	return Turn{Reply: Reply{250, "2.1.0", "Ok"}}
}

func (m *Machine) rcpt(arg string) Turn {
	if !m.e.Mail {
		return m.fault(Reply{503, "5.5.1", "Say MAIL FROM first"})
	}
	path, ok := parsePath(arg, "TO:")
	if !ok || path.Mailbox() == "" {
		return m.fault(Reply{501, "5.1.3", "Syntax: RCPT TO:<address>"})
	}
	if r := m.o.Offer.check(path.Params, rcptParams); r.Code != 0 {
		return m.fault(r)
	}
	if !m.utf8 && !ascii(path.Text) {
		return m.fault(Reply{553, "5.6.7", "An address that is not ASCII needs SMTPUTF8"})
	}
	m.asked++
	m.path, m.settling = path, Recipient
	return Turn{Ask: Recipient, Path: path, Excessive: m.asked > m.o.Recipients}
}

func (m *Machine) data(arg string) Turn {
	if arg != "" {
		return m.fault(Reply{501, "5.5.4", "DATA takes no argument"})
	}
	return m.message()
}

// message is DATA, or the chunk of BDAT. A sender whose recipients were all
// deferred and who sends DATA all the same, as pipelining lets it, is deferred
// again: to hear 5yz now would make some give the mail up.
func (m *Machine) message() Turn {
	switch {
	case len(m.e.To) > 0:
		m.settling = Message
		return Turn{Ask: Message}
	case m.refusal.Permanent():
		return Turn{Reply: Reply{554, "5.5.1", "No valid recipients"}}
	case m.refusal.Code != 0:
		return Turn{Reply: Reply{451, "4.7.0", "No recipient was taken yet, come back later"}}
	}
	return m.fault(Reply{503, "5.5.1", "Say RCPT TO first"})
}

// bdat swallows the chunk whether or not it is welcome: taken for commands it
// could say anything (RFC 3030 §2).
func (m *Machine) bdat(arg string) Turn {
	number, last, _ := strings.Cut(arg, " ")
	size, err := strconv.ParseUint(number, 10, 63)
	if err != nil || (last != "" && !strings.EqualFold(strings.TrimSpace(last), "LAST")) {
		t := m.fault(Reply{501, "5.5.4", "Syntax: BDAT size [LAST]"})
		t.End = true // nobody knows where its data would end
		return t
	}
	t := m.message()
	t.Skip = int64(size)
	return t
}

func (m *Machine) rset(arg string) Turn {
	if arg != "" {
		return m.fault(Reply{501, "5.5.4", "RSET takes no argument"})
	}
	m.reset()
	return m.chat(Reply{250, "2.0.0", "Ok"})
}

func (m *Machine) startTLS(arg string) Turn {
	if arg != "" {
		return m.fault(Reply{501, "5.5.4", "STARTTLS takes no argument"})
	}
	return m.fault(Reply{454, "4.7.0", "TLS is not available"}) // RFC 3207 §4
}
