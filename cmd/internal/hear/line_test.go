package hear

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"moggy/whitelist/hints"
)

var _ Hints = (*hints.Hints)(nil)

// heard writes down what hints are told.
type heard struct {
	mu   sync.Mutex
	all  []string
	hash []string // of failed logins
}

func (h *heard) add(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, fmt.Sprintf(format, args...))
}

// list is what was heard since the last call.
func (h *heard) list() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all
	h.all = nil
	return all
}

func (h *heard) Login(l hints.Login) {
	word := "failed"
	if l.OK {
		word = "ok"
	}
	h.add("%s %s %q %s %s", l.From, word, l.User, l.Service, l.Addr)
	if !l.OK {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.hash = append(h.hash, l.Hash)
	}
}

func (h *heard) Sent(s hints.Sent)       { h.add("sent %s", s.Domain) }
func (h *heard) Session(s hints.Session) { h.add("session %s %s", s.User, s.Addr) }

// read reads lines as those of one log, and returns what was heard.
func read(lines ...string) []string {
	h := &heard{}
	s := scribe{hints: h}
	for _, line := range lines {
		s.line(line)
	}
	return h.list()
}

// TestLogs reads what the programs wrote. In the files of testdata, what a line means stands below it, indented.
func TestLogs(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			h := &heard{}
			s := scribe{hints: h}
			line, want := "", []string(nil)
			check := func() {
				if got := h.list(); !slices.Equal(got, want) {
					t.Errorf("%s\nwas heard as %q, not %q", line, got, want)
				}
				want = nil
			}
			for l := range strings.Lines(string(text)) {
				l = strings.TrimSuffix(l, "\n")
				if meant, ok := strings.CutPrefix(l, "\t"); ok {
					want = append(want, meant)
					continue
				}
				check()
				if line = l; !strings.HasPrefix(l, "# ") {
					s.line(l)
				}
			}
			check()
		})
	}
}

func TestSplit(t *testing.T) {
	for _, c := range []struct{ line, program, message string }{
		{"Nov  2 21:02:11 mx dovecot: a: b", "dovecot", "a: b"},
		{"Nov 22 21:02:11 mx dovecot[7]: a: b", "dovecot", "a: b"},
		{"Nov 22 21:02:11 mx.example.org postfix/submission/smtpd[7]: a", "postfix/submission/smtpd", "a"},
		{"Nov 22 21:02:11 imap-login: Info: a", "dovecot", "imap-login: Info: a"},
		{"2026-11-22T21:02:11+01:00 mx exim[7]: a", "exim", "a"},
		{"2026-11-22T21:02:11.123456Z mx exim[7]: a", "exim", "a"},
		{"2026-11-22 21:02:11 a b", "exim", "a b"},
		{"2026-11-22 21:02:11.123 [77] a b", "exim", "a b"},
		{"2026-11-22 21:02:11 +0100 [77] a b", "exim", "a b"},
		{"<22>1 2026-11-22T21:02:11.123Z mx smtpd 77 - - a b", "smtpd", "a b"},
		{"<22>1 2026-11-22T21:02:11.123Z mx smtpd 77 - - \ufeffa b", "smtpd", "a b"},
		{`<22>1 2026-11-22T21:02:11.123Z mx smtpd 77 - [x y="z"] a b`, "", ""},
		{"2026-11-22T21:02:11xyz mx exim[7]: a", "", ""},
		{"2026-11-22", "", ""},
		{"Nov 22 21:02:11 mx", "", ""},
		{"Nov 22 21:02:11 mx last message repeated 2 times", "", ""},
		{"Nov 22 21:02:11 mx two words: a", "", ""},
		{"dovecot: imap-login: Login: user=<me>, method=PLAIN, rip=192.0.2.7", "", ""},
		{"\x00\x00\x00Nov 22 21:02:11 mx dovecot: a", "", ""},
		{"", "", ""},
	} {
		program, message := split(c.line)
		if program != c.program || message != c.message {
			t.Errorf("%q: %q, %q", c.line, program, message)
		}
	}
}

func TestSaysNothing(t *testing.T) {
	const rest = "user=<me>, method=PLAIN, rip=198.51.100.7, lip=203.0.113.25, mpid=7, session=<x>"
	for _, line := range []string{
		"imap-login: Login: user=<me>, rip=203.0.113.99, lip=1>, method=PLAIN, rip=198.51.100.7, lip=203.0.113.25", // two readings
		"imap-login: Info: Proxying Login: " + rest,
		"imap(me)<7><x>: Login: " + rest,
		"imap(imap-login: Login: " + rest,
		"imap: Login: " + rest,
		"Login: " + rest,
		"imap-login: Error: Login: " + rest,
		"imap-login: Login: user=<me>, method=PLAIN, rip=, lip=, mpid=7, session=<x>",
		"imap-login: Login: user=<me>, method=PLAIN, rip=host.test, lip=203.0.113.25",
		"imap-login: Login: user=<me",
		"imap-login",
	} {
		if got := read("Nov 22 21:02:11 mx dovecot: " + line); got != nil {
			t.Errorf("%s: %q", line, got)
		}
	}
}

func TestQueueIDsAreUsedAgain(t *testing.T) {
	const (
		ours  = "Nov 22 21:02:11 mx postfix/smtpd[7]: 12345678: client=a[198.51.100.7], sasl_method=PLAIN, sasl_username=me"
		their = "Nov 22 21:02:11 mx postfix/smtpd[7]: 12345678: client=a[198.51.100.66]"
		gone  = "Nov 22 21:02:11 mx postfix/qmgr[7]: 12345678: removed"
		sent  = "Nov 22 21:02:11 mx postfix/smtp[7]: 12345678: to=<a@friend.test>, relay=b[192.0.2.44]:25, dsn=2.0.0, status=sent (ok)"
		login = `postfix ok "me" smtp 198.51.100.7`
	)
	for _, c := range []struct{ lines, want []string }{
		{[]string{sent}, nil},
		{[]string{ours, sent, sent}, []string{login, "sent friend.test", "sent friend.test"}},
		{[]string{ours, gone, sent}, []string{login}},
		{[]string{ours, their, sent}, []string{login}},
		{[]string{their, ours, sent}, []string{login, "sent friend.test"}},
	} {
		if got := read(c.lines...); !slices.Equal(got, c.want) {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}

func TestLedgerIsBounded(t *testing.T) {
	var l ledger
	id := func(i int) string { return fmt.Sprintf("%08x", i) }
	for i := range 3 * maxKept {
		l.take(said{kind: accepted, id: id(i), ours: true})
		l.take(said{kind: connected, id: id(i)})
		if i%3 == 0 {
			l.take(said{kind: ended, id: id(i / 2)})
		}
	}
	if m, s := len(l.mails.values), len(l.sessions.values); m > maxKept || s > maxKept || len(l.mails.order) > maxKept {
		t.Errorf("%d mails and %d sessions are kept", m, s)
	}
	last := id(3*maxKept - 1)
	if r := l.take(said{kind: delivered, id: last, domain: "friend.test"}); r.domain == "" {
		t.Error("the latest is forgotten")
	}
	if r := l.take(said{kind: delivered, id: id(2), domain: "friend.test"}); r.domain != "" {
		t.Error("the first is remembered")
	}
}
