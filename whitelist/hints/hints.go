// Package hints turns what others saw into entries of the allow list: who logged in, who tries passwords, from where
// the operator works, and to which domains our users write.
//
// It knows the rules alone. How reports are heard (cmd/internal/hear reads Dovecot, logs and ssh), what an entry does
// (package whitelist) and how DNS is asked are not its business.
package hints

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"

	"moggy/whitelist"
)

// How long what was learned lasts. Nothing but another report of the same kind renews it.
const (
	loginFor   = 30 * 24 * time.Hour
	sessionFor = 30 * 24 * time.Hour
	wroteFor   = 60 * 24 * time.Hour
)

// again is how old an entry is before it is written once more with nothing new in it but its time.
const again = time.Minute

// A Book is where hints are learned; *[whitelist.Book] is one.
type Book interface {
	Learn(e whitelist.Entry, now time.Time) error
	List() *whitelist.List
	Forget(net netip.Prefix, sources ...whitelist.Source) []whitelist.Entry
}

// A Resolver asks DNS. An answer of nil and a nil error means that there is nothing. What it returns is the text of
// strangers.
type Resolver interface {
	// MX returns the mail hosts of name, the preferred first.
	MX(ctx context.Context, name string) ([]string, error)

	// IP returns the A and AAAA records of name; with an error, possibly only some of them.
	IP(ctx context.Context, name string) ([]netip.Addr, error)
}

// Options are what New needs.
type Options struct {
	Book     Book
	Resolver Resolver     // finds the hosts of domains our users wrote to; nil: they are not learned
	Log      *slog.Logger // told of what could not be learned; nil: nobody

	// Ours reports whether an address is this machine's own; nil: those of loopback are.
	Ours func(netip.Addr) bool

	// Origins makes an origin known, so that mail that passes SPF for the domain is let in at once; nil: nobody does.
	Origins func(ctx context.Context, domain string, now time.Time) error
}

// A Login is an attempt to log in, as the program that decided on it reported it.
type Login struct {
	Time    time.Time
	Addr    netip.Addr // of the client
	User    string     // as the client gave it; "" unknown
	Service string     // what it logged in to: "imap", "submission"
	From    string     // who reported: "dovecot", "postfix"
	OK      bool
	Hash    string // of user and password; the same for the same attempt; "" unknown
}

// A Session is a session of the operator on this machine, over ssh.
type Session struct {
	Time time.Time
	Addr netip.Addr
	User string // "" unknown
}

// Sent says that a mail of one of our users was taken by a host of its recipient.
type Sent struct {
	Time   time.Time
	Domain string // of the recipient
}

// Hints keeps the little that the rules need. Its methods may be called from many goroutines; none of them blocks.
type Hints struct {
	book     Book
	resolver Resolver
	origins  func(ctx context.Context, domain string, now time.Time) error
	log      *slog.Logger
	ours     func(netip.Addr) bool // nil: none but loopback

	last    atomic.Int64 // time of the latest Login, in ns since 1970; 0: none yet
	dropped atomic.Int64

	mu      sync.Mutex
	guesses guesses
	wrote   map[string]time.Time // domains whose hosts were learned, at most maxWrote of them

	queue chan Sent
}

// New returns Hints. Somebody must call [Hints.Run] for Sent to have any effect.
func New(o Options) *Hints {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Hints{
		book: o.Book, resolver: o.Resolver, origins: o.Origins, log: o.Log, ours: o.Ours,
		guesses: newGuesses(),
		wrote:   make(map[string]time.Time),
		queue:   make(chan Sent, maxQueue),
	}
	h.last.Store(lastLogin(o.Book.List()))
	return h
}

// lastLogin is when somebody last logged in, as far as the list knows, in ns since 1970; 0: never.
func lastLogin(list *whitelist.List) (last int64) {
	for e := range list.All() {
		switch e.Source {
		case whitelist.Operator, whitelist.Session, whitelist.Local:
		case whitelist.Login:
			last = max(last, e.Added.UnixNano())
		default:
			return last // what is weaker comes behind
		}
	}
	return last
}

// Last is the time of the latest report of a login, good or bad; zero if there was none yet.
func (h *Hints) Last() time.Time {
	if ns := h.last.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// Dropped is how many reports of sent mail were given up because too many were waiting for DNS.
func (h *Hints) Dropped() int64 { return h.dropped.Load() }

// learnable reports whether anything may be learned of addr. An address of this machine is webmail, or a relay of ours:
// whoever stands behind it is somebody else.
func (h *Hints) learnable(addr netip.Addr) bool {
	return usable(addr) && (h.ours == nil || !h.ours(addr))
}

func usable(addr netip.Addr) bool {
	return addr.IsValid() && !addr.IsLoopback() && !addr.IsUnspecified() && !addr.IsMulticast() &&
		!addr.IsLinkLocalUnicast() && addr != broadcast
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// learn puts e in the book, unless an entry that says the same is younger than a minute.
func (h *Hints) learn(e whitelist.Entry, now time.Time) {
	old, had := h.book.List().Get(e.Net, e.Source)
	if age := now.Sub(old.Added); had && old.Class == e.Class && old.Note == e.Note && 0 <= age && age < again {
		return
	}
	if err := h.book.Learn(e, now); err != nil {
		h.log.Warn("hint not learned", "net", e.Net, "source", e.Source, "err", err)
	}
}

// maxWord bounds a word of a stranger in a note, in bytes.
const maxWord = 64

// word is a user's or a program's name as it may stand in a note: short, in one line, and without tricks.
func word(s string) string {
	if len(s) > maxWord {
		s = s[:maxWord]
	}
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}
