package hints

import (
	"net/netip"
	"strings"
	"time"

	"moggy/whitelist"
)

// Login takes the report of a login. Whoever knew a password from an address makes it class user for 30 days, from
// that moment on, and is forgiven what was guessed from there. Who knows none is counted, see [guesses].
func (h *Hints) Login(l Login) {
	h.last.Store(l.Time.UnixNano())
	addr := whitelist.CanonicalAddr(l.Addr)
	if !h.learnable(addr) {
		return
	}
	if l.OK {
		h.welcome(whitelist.Entry{
			Net: whitelist.Net(addr), Class: whitelist.User, Source: whitelist.Login, Note: l.note(),
			Added: l.Time, Expires: l.Time.Add(loginFor),
		})
		return
	}
	h.failed(addr, l)
}

// Session takes the report of a session of the operator: its address is class own for 30 days.
func (h *Hints) Session(s Session) {
	addr := whitelist.CanonicalAddr(s.Addr)
	if !h.learnable(addr) {
		return
	}
	note := "ssh"
	if s.User != "" {
		note = word(s.User) + " by ssh"
	}
	h.welcome(whitelist.Entry{
		Net: whitelist.Net(addr), Class: whitelist.Own, Source: whitelist.Session, Note: note,
		Added: s.Time, Expires: s.Time.Add(sessionFor),
	})
}

// welcome learns that an address is good, and forgets that passwords were guessed from it.
func (h *Hints) welcome(e whitelist.Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.guesses.forget(e.Net)
	h.learn(e, e.Added)
	if _, had := h.book.List().Get(e.Net, whitelist.Guessing); had {
		h.book.Forget(e.Net, whitelist.Guessing)
	}
}

// failed counts a wrong password. From an address that is known to be good at a mail program's door it says nothing.
// A guesser stays one until ten minutes after its last failure; within a minute of the one before, none is written down.
func (h *Hints) failed(addr netip.Addr, l Login) {
	if h.book.List().Look(addr, whitelist.Client, l.Time).Known() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	net := whitelist.Net(addr)
	tried := h.guesses.failed(net, l)
	if tried < enough && !h.guessing(net, l.Time) {
		return
	}
	h.learn(whitelist.Entry{
		Net: net, Class: whitelist.Guesser, Source: whitelist.Guessing, Note: guessNote(l),
		Added: l.Time, Expires: l.Time.Add(within),
	}, l.Time)
}

// guessing reports whether net is taken for a guesser already: then each failure counts, whatever was tried.
func (h *Hints) guessing(net netip.Prefix, now time.Time) bool {
	e, had := h.book.List().Get(net, whitelist.Guessing)
	return had && now.Before(e.End())
}

// note says who logged in, where, and who reported it: "me by imap (dovecot)".
func (l Login) note() string {
	var b strings.Builder
	b.WriteString(word(l.User))
	if l.Service != "" {
		b.WriteString(" by " + word(l.Service))
	}
	if l.From != "" {
		b.WriteString(" (" + word(l.From) + ")")
	}
	return strings.TrimSpace(b.String())
}

// guessNote says what was tried, without the names that were: they are the guesser's.
func guessNote(l Login) string {
	if l.From == "" {
		return "many wrong passwords"
	}
	return "many wrong passwords (" + word(l.From) + ")"
}
