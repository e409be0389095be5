package hints

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"moggy/whitelist"
)

const guesser = "192.0.2.66/32 guesser guess until %v: many wrong passwords (dovecot)"

func TestGuessing(t *testing.T) {
	for _, c := range []struct {
		name string
		try  func(h *Hints)
		want string
	}{
		{"a telephone with an old password", func(h *Hints) {
			for i := range 1000 {
				h.Login(at(time.Duration(i)*time.Second, "192.0.2.66", false, "old"))
			}
		}, ""},
		{"five different passwords, each again and again", func(h *Hints) {
			for i := range 1000 {
				h.Login(at(time.Duration(i)*time.Second, "192.0.2.66", false, fmt.Sprint(i%5)))
			}
		}, ""},
		{"the sixth", func(h *Hints) { tries(h, 0, time.Second, 6) }, fmt.Sprintf(guesser, within+5*time.Second)},
		{"six in just ten minutes", func(h *Hints) { tries(h, 0, 2*time.Minute, 5); tries(h, within-time.Second, 0, 1) },
			fmt.Sprintf(guesser, 2*within-time.Second)},
		{"the first is ten minutes ago", func(h *Hints) { tries(h, 0, 2*time.Minute, 5); tries(h, within, 0, 1) }, ""},
		{"never six in ten minutes", func(h *Hints) { tries(h, 0, 2*time.Minute, 100) }, ""},
		{"it goes on with one", func(h *Hints) {
			tries(h, 0, time.Second, 6)
			for i := range 10 {
				h.Login(at(time.Duration(i)*9*time.Minute, "192.0.2.66", false, "same"))
			}
		}, fmt.Sprintf(guesser, 91*time.Minute)},
		{"users, where there are no hashes", func(h *Hints) {
			for i := range 6 {
				h.Login(Login{Time: epoch, Addr: addr("192.0.2.66"), User: fmt.Sprint(i), From: "dovecot"})
			}
		}, fmt.Sprintf(guesser, within)},
		{"one user without hashes", func(h *Hints) {
			for range 100 {
				h.Login(at(0, "192.0.2.66", false, ""))
			}
		}, ""},
		{"nobody knows which user", func(h *Hints) {
			for range 100 {
				h.Login(Login{Time: epoch, Addr: addr("192.0.2.66"), From: "postfix"})
			}
		}, ""},
		{"the same five attempts, told twice", func(h *Hints) {
			for i := range 5 {
				user := fmt.Sprint(i)
				h.Login(Login{Time: epoch, Addr: addr("192.0.2.66"), User: user, Hash: user})
				h.Login(Login{Time: epoch, Addr: addr("192.0.2.66"), User: user})
			}
		}, ""},
		{"forgiven by a login", func(h *Hints) {
			tries(h, 0, 0, 6)
			h.Login(at(0, "192.0.2.66", true, ""))
			tries(h, 0, 0, 100)
		}, "192.0.2.66/32 user login until 720h0m0s: me by imap (dovecot)"},
		{"started anew by a login", func(h *Hints) {
			tries(h, 0, 0, 5)
			h.Login(at(0, "192.0.2.66", true, ""))
			h.book.Forget(netip.MustParsePrefix("192.0.2.66/32"))
			tries(h, 0, 0, 5)
		}, ""},
		{"a user who has forgotten all his passwords", func(h *Hints) {
			h.Login(at(0, "192.0.2.66", true, ""))
			tries(h, 29*24*time.Hour, 0, 100)
		}, "192.0.2.66/32 user login until 720h0m0s: me by imap (dovecot)"},
		{"a month later he is a stranger", func(h *Hints) {
			h.Login(at(-loginFor, "192.0.2.66", true, ""))
			tries(h, 0, 0, 6)
		}, "192.0.2.66/32 user login until 0s: me by imap (dovecot) & " + fmt.Sprintf(guesser, within)},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := book(t)
			c.try(New(Options{Book: b}))
			if got := strings.Join(b.entries(), " & "); got != c.want {
				t.Errorf("%q, not %q", got, c.want)
			}
		})
	}
}

// tries reports n different wrong passwords, step apart, the first at d after the epoch.
func tries(h *Hints, d, step time.Duration, n int) {
	for i := range n {
		when := d + time.Duration(i)*step
		h.Login(at(when, "192.0.2.66", false, fmt.Sprint(when, i)))
	}
}

func TestGuessingAtHome(t *testing.T) {
	b := book(t, whitelist.Entry{Net: netip.MustParsePrefix("192.0.2.0/24"), Class: whitelist.Own, Source: whitelist.Local})
	tries(New(Options{Book: b}), 0, 0, 100)
	if b.learned != 0 {
		t.Errorf("learned: %q", b.entries())
	}
}

func TestGuessersAreBounded(t *testing.T) {
	h := New(Options{Book: book(t)})
	from := addr("10.0.0.0")
	fail := func(d time.Duration, n int) {
		for range n {
			from = from.Next()
			h.Login(Login{Time: epoch.Add(d), Addr: from, Hash: "x"})
		}
	}
	fail(0, maxGuessing)
	fail(0, 100)
	if n := len(h.guesses.nets); n != maxGuessing {
		t.Errorf("%d addresses are watched", n)
	}
	fail(within, 100)
	if n := len(h.guesses.nets); n != 100 {
		t.Errorf("%d addresses are watched ten minutes later", n)
	}
	tries(h, within, 0, 10_000)
	if all := h.guesses.nets[netip.MustParsePrefix("192.0.2.66/32")]; len(all) > 2*enough {
		t.Errorf("of one address %d attempts are kept", len(all))
	}
}
