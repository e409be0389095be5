package hear

import (
	"net/netip"
	"time"

	"moggy/whitelist/hints"
)

// maxKept bounds the mails, and the sessions, that a ledger remembers. When there are more, the oldest is forgotten: what
// it delivers from then on makes nobody a correspondent.
const maxKept = 10_000

// A mail is what a ledger remembers of a mail in the queue that one of our users submitted.
type mail struct {
	local bool // on this machine, where the mail server puts in its own bounces, too
}

// A session is what a ledger remembers of a session of OpenSMTPD, which names the client in its first line only.
type session struct {
	addr  netip.Addr
	local bool
	ours  bool // somebody has logged in
}

// A ledger puts together what several lines of a log say of one mail: who brought it in, and who took it. It is for one
// log, and for one goroutine.
type ledger struct {
	mails    recent[mail]
	sessions recent[session]
}

// A report is what a line means to hints, once the lines before it are known.
type report struct {
	login  hints.Login // if From is not empty
	domain string      // that one of our users wrote to; "" none
}

// take takes the next line.
func (l *ledger) take(s said) (r report) {
	if s.hasLogin() {
		r.login = s.login
	}
	switch s.kind {
	case accepted:
		l.accept(s)
	case delivered:
		if m, ours := l.mails.get(s.id); ours && !(m.local && s.bounce) {
			r.domain = s.domain
		}
	case ended:
		l.mails.drop(s.id)
		l.sessions.drop(s.id)
	case connected:
		l.sessions.put(s.id, session{addr: s.addr, local: s.local})
	case tried:
		r.login = l.try(s)
	case continued:
		if c, had := l.sessions.get(s.id); had && (c.ours || c.local) {
			l.mails.put(s.other, mail{local: !c.ours})
		} else {
			l.mails.drop(s.other)
		}
	}
	return r
}

// accept remembers a mail that is ours, or was made from one of ours. A queue id is used again when it is free: that of a
// stranger's mail may have been that of ours.
func (l *ledger) accept(s said) {
	_, was := l.mails.get(s.other)
	if s.ours || s.other != "" && was {
		l.mails.put(s.id, mail{})
		return
	}
	l.mails.drop(s.id)
}

// try completes the report of a login with the address of its session.
func (l *ledger) try(s said) (login hints.Login) {
	c, had := l.sessions.get(s.id)
	if !had || c.local {
		return hints.Login{}
	}
	if s.login.OK {
		c.ours = true
		l.sessions.put(s.id, c)
	}
	login = s.login
	login.Addr = c.addr
	return login
}

// recent is a map of at most maxKept entries; its zero value is empty.
type recent[V any] struct {
	values map[string]V
	order  []string // keys as they came, a ring
	next   int      // where the next key goes
}

func (r *recent[V]) get(key string) (v V, had bool) {
	v, had = r.values[key]
	return v, had
}

func (r *recent[V]) drop(key string) { delete(r.values, key) }

// put keeps a value, in place of that of the key, or else of the oldest key.
func (r *recent[V]) put(key string, v V) {
	if r.values == nil {
		r.values = make(map[string]V)
	}
	if _, had := r.values[key]; !had {
		r.enter(key)
	}
	r.values[key] = v
}

func (r *recent[V]) enter(key string) {
	if len(r.order) < maxKept {
		r.order = append(r.order, key)
		return
	}
	delete(r.values, r.order[r.next])
	r.order[r.next] = key
	r.next = (r.next + 1) % maxKept
}

// A scribe reads the lines of one log, and reports to hints.
type scribe struct {
	hints  Hints
	ledger ledger
}

// line takes a line as it stands in a file.
func (s *scribe) line(text string) { s.report(parse(text)) }

// message takes a message of the named program, without the prefix of a line.
func (s *scribe) message(program, text string) { s.report(parseMessage(program, text)) }

func (s *scribe) report(what said) {
	r := s.ledger.take(what)
	now := time.Now()
	if r.login.From != "" {
		r.login.Time = now
		s.hints.Login(r.login)
	}
	if r.domain != "" {
		s.hints.Sent(hints.Sent{Time: now, Domain: r.domain})
	}
}
