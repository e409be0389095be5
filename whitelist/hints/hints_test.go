package hints

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"testing"
	"time"

	"moggy/whitelist"
)

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// nowhere is a store that keeps nothing.
type nowhere struct{}

func (nowhere) Entries(context.Context) iter.Seq2[whitelist.Entry, error] {
	return func(func(whitelist.Entry, error) bool) {}
}
func (nowhere) PutEntry(context.Context, whitelist.Entry) error                   { return nil }
func (nowhere) DeleteEntry(context.Context, netip.Prefix, whitelist.Source) error { return nil }
func (nowhere) LearnEntries(...whitelist.Entry)                                   {}
func (nowhere) ForgetEntries(...whitelist.EntryKey)                               {}

// counting is a real book that counts what is written to it.
type counting struct {
	*whitelist.Book
	learned, forgot int
}

func (c *counting) Learn(e whitelist.Entry, now time.Time) error {
	c.learned++
	return c.Book.Learn(e, now)
}

func (c *counting) Forget(net netip.Prefix, s ...whitelist.Source) []whitelist.Entry {
	c.forgot++
	return c.Book.Forget(net, s...)
}

func book(t testing.TB, local ...whitelist.Entry) *counting {
	t.Helper()
	b, err := whitelist.Open(context.Background(), whitelist.Options{Store: nowhere{}, Local: local, Now: epoch})
	if err != nil {
		t.Fatal(err)
	}
	return &counting{Book: b}
}

// entries are the entries of the book, in short.
func (c *counting) entries() (all []string) {
	for e := range c.List().All() {
		all = append(all, fmt.Sprintf("%s %s %s until %v: %s", e.Net, e.Class, e.Source, e.Expires.Sub(epoch), e.Note))
	}
	return all
}

func (c *counting) want(t *testing.T, entries ...string) {
	t.Helper()
	if got := c.entries(); !slices.Equal(got, entries) {
		t.Errorf("the book has\n%q\nnot\n%q", got, entries)
	}
}

// at is a login of user me by imap, d after the epoch.
func at(d time.Duration, from string, ok bool, hash string) Login {
	return Login{Time: epoch.Add(d), Addr: addr(from), User: "me", Service: "imap", From: "dovecot", OK: ok, Hash: hash}
}

func TestLogin(t *testing.T) {
	b := book(t)
	h := New(Options{Book: b})
	if !h.Last().IsZero() {
		t.Errorf("heard of a login at %v", h.Last())
	}
	h.Login(at(0, "::ffff:192.0.2.7", true, "a"))
	h.Login(at(0, "2001:db8::dead:beef%eth0", true, "a"))
	b.want(t, "192.0.2.7/32 user login until 720h0m0s: me by imap (dovecot)",
		"2001:db8::/64 user login until 720h0m0s: me by imap (dovecot)")
	if !h.Last().Equal(epoch) {
		t.Errorf("last login at %v", h.Last())
	}
	if at := b.List().Look(addr("192.0.2.7"), whitelist.Mail, epoch); at.Class != whitelist.User {
		t.Errorf("for the mail listener it is %s", at.Class)
	}
}

func TestLoginIsRenewedByLogins(t *testing.T) {
	b := book(t)
	h := New(Options{Book: b})
	for _, d := range []time.Duration{0, time.Second, 59 * time.Second} {
		h.Login(at(d, "192.0.2.7", true, ""))
	}
	if b.learned != 1 {
		t.Errorf("written %d times within a minute", b.learned)
	}
	other := at(59*time.Second, "192.0.2.7", true, "")
	other.User = "you"
	h.Login(other)
	b.want(t, "192.0.2.7/32 user login until 720h0m59s: you by imap (dovecot)")
	h.Login(at(10*24*time.Hour, "192.0.2.7", true, ""))
	b.want(t, "192.0.2.7/32 user login until 960h0m0s: me by imap (dovecot)")
	b.List().Classify(addr("192.0.2.7"), whitelist.Client, epoch.Add(959*time.Hour))
	if got := b.List().Look(addr("192.0.2.7"), whitelist.Client, epoch.Add(960*time.Hour)); got.Class != whitelist.MUA {
		t.Errorf("use renewed it: %+v", got)
	}
}

func TestNothingIsLearnedOfNobody(t *testing.T) {
	b := book(t)
	h := New(Options{Book: b})
	for _, a := range []netip.Addr{{}, addr("127.0.0.1"), addr("127.3.4.5"), addr("::1"), addr("::ffff:127.0.0.1"),
		addr("0.0.0.0"), addr("::"), addr("224.0.0.1"), addr("ff02::1"), addr("fe80::1%eth0"), addr("255.255.255.255")} {
		h.Login(Login{Time: epoch, Addr: a, User: "me", OK: true})
		h.Session(Session{Time: epoch, Addr: a, User: "root"})
		for i := range 2 * enough {
			h.Login(Login{Time: epoch, Addr: a, User: fmt.Sprint(i)})
		}
	}
	b.want(t)
	if len(h.guesses.nets) != 0 {
		t.Errorf("watched: %v", h.guesses.nets)
	}
}

func TestSession(t *testing.T) {
	b := book(t)
	h := New(Options{Book: b})
	h.Session(Session{Time: epoch, Addr: addr("192.0.2.7"), User: "root"})
	h.Session(Session{Time: epoch.Add(30 * time.Second), Addr: addr("192.0.2.7"), User: "root"})
	h.Session(Session{Time: epoch, Addr: addr("2001:db8::1")})
	b.want(t, "192.0.2.7/32 own ssh until 720h0m0s: root by ssh", "2001:db8::/64 own ssh until 720h0m0s: ssh")
	if b.learned != 2 {
		t.Errorf("written %d times", b.learned)
	}
}

func TestNotesAreTame(t *testing.T) {
	b := book(t)
	h := New(Options{Book: b})
	h.Login(Login{Time: epoch, Addr: addr("192.0.2.7"), OK: true, From: "dovecot", Service: "imap",
		User: "a\x1b[2J\nb\xff\u202ec" + string(make([]byte, 1000))})
	e, _ := b.List().Get(whitelist.Net(addr("192.0.2.7")), whitelist.Login)
	if want := "a?[2J?b??c"; len(e.Note) > 90 || e.Note[:len(want)] != want {
		t.Errorf("note %q", e.Note)
	}
}

func TestFullBook(t *testing.T) {
	h := New(Options{Book: full{book(t)}})
	h.Login(at(0, "192.0.2.7", true, "")) // is logged, and harms nobody
}

type full struct{ *counting }

func (full) Learn(whitelist.Entry, time.Time) error { return whitelist.ErrFull }

// Webmail on this machine logs in from its address: that says nothing of anybody.
func TestNothingIsLearnedOfOurselves(t *testing.T) {
	b := book(t)
	h := New(Options{Book: b, Ours: func(a netip.Addr) bool { return a == addr("192.0.2.25") }})
	h.Login(at(0, "192.0.2.25", true, ""))
	h.Login(at(0, "::ffff:192.0.2.25", true, ""))
	b.want(t)
}

// When somebody last logged in is known after a restart, too.
func TestLastSurvives(t *testing.T) {
	b := book(t)
	New(Options{Book: b}).Login(at(time.Hour, "192.0.2.7", true, ""))
	if got := New(Options{Book: b}).Last(); !got.Equal(epoch.Add(time.Hour)) {
		t.Errorf("last at %v", got)
	}
}
