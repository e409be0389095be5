package hear

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"moggy/cmd/internal/peers"
)

// TestJournalEntries reads what journalctl 252 wrote, of what was logged with bytes that are not UTF-8, with a line break,
// and with more than fits.
func TestJournalEntries(t *testing.T) {
	text, err := os.ReadFile("testdata/journal-252.json")
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{}
	s := scribe{hints: h}
	j := journal{message: s.message}
	j.read(strings.NewReader(string(text)))
	want := []string{
		`dovecot ok "me" imap 198.51.100.7`,
		`postfix ok "a\xff\xfeb" submission 198.51.100.7`,
		`dovecot failed "a\nNov 22 21:00:00 mx dovecot: imap-login: Login: user=<me>" imap 198.51.100.8`,
	}
	if got := h.list(); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}

func TestJournalNonsense(t *testing.T) {
	const login = `imap-login: Login: user=<me>, method=PLAIN, rip=198.51.100.7, lip=1`
	for _, line := range []string{
		"", "null", "5", "[]", "{}", "-- No entries --",
		`{"SYSLOG_IDENTIFIER":"dovecot"}`,
		`{"SYSLOG_IDENTIFIER":"dovecot","MESSAGE":null}`,
		`{"SYSLOG_IDENTIFIER":"dovecot","MESSAGE":5}`,
		`{"SYSLOG_IDENTIFIER":"dovecot","MESSAGE":["` + login + `"]}`,
		`{"SYSLOG_IDENTIFIER":["dovecot","x"],"MESSAGE":"` + login + `"}`,
		`{"MESSAGE":"` + login + `"}`,
		`{"SYSLOG_IDENTIFIER":"sshd","MESSAGE":"` + login + `"}`,
		`{"SYSLOG_IDENTIFIER":"dovecot","MESSAGE":"` + login + strings.Repeat(" ", maxLine) + `"}`,
		`{"SYSLOG_IDENTIFIER":"dovecot","MESSAGE":"` + login + `","x":"` + strings.Repeat("x", maxEntry) + `"}`,
	} {
		h := &heard{}
		s := scribe{hints: h}
		j := journal{message: s.message}
		j.read(strings.NewReader(line + "\n"))
		if got := h.list(); got != nil {
			t.Errorf("%.100s: %q", line, got)
		}
	}
}

// fake makes a program that stands in for journalctl, and runs it until the test ends. It gives what was heard, and the
// ears with their faults.
func fake(t *testing.T, script string) (*heard, *Ears) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "journalctl")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return journalBy(t, name)
}

// journalBy follows a journal by the named program.
func journalBy(t *testing.T, name string) (*heard, *Ears) {
	t.Helper()
	h := &heard{}
	e, err := New(Options{Hints: h})
	if err != nil {
		t.Fatal(err)
	}
	s := scribe{hints: h}
	j := journal{command: name, message: s.message, fault: func(err error) { e.fault(Journal, err) }}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); j.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(20 * time.Second):
			t.Error("the journal is still followed")
		}
	})
	return h, e
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	if err := peers.Poll(t.Context(), holds); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

const entry = `echo '{"SYSLOG_IDENTIFIER":"dovecot","MESSAGE":"imap-login: Login: user=<me>, method=PLAIN, rip=198.51.100.7, lip=1"}'` + "\n"

func TestJournalIsStartedAgain(t *testing.T) {
	h, e := fake(t, `echo "$*" >>"$0.args"`+"\n"+entry+"echo no more >&2; exit 3")
	n := 0
	eventually(t, "two reports", func() bool { n += len(h.list()); return n >= 2 })
	eventually(t, "a fault", func() bool { return e.Faults()[Journal] != "" })
	if got := e.Faults()[Journal]; !strings.Contains(got, "no more") {
		t.Errorf("fault %q", got)
	}
}

func TestJournalComplains(t *testing.T) {
	h, e := fake(t, entry+"echo 'Hint: You are currently not seeing messages from other users and the system.' >&2; exec sleep 60")
	eventually(t, "a report", func() bool { return len(h.list()) == 1 })
	eventually(t, "a fault", func() bool { return strings.HasPrefix(e.Faults()[Journal], "Hint: You are") })
}

func TestJournalIsAbsent(t *testing.T) {
	_, e := journalBy(t, "no-such-journalctl")
	eventually(t, "a fault", func() bool { return e.Faults()[Journal] != "" })
	if got := e.Faults()[Journal]; !strings.Contains(got, "no-such-journalctl") || !strings.Contains(got, `logs = ["/var/log/mail.log"]`) {
		t.Errorf("fault %q", got)
	}
}

func TestJournalOfOthersEndsWithUs(t *testing.T) {
	h, _ := fake(t, entry+"trap '' TERM INT; while :; do sleep 1; done")
	eventually(t, "a report", func() bool { return len(h.list()) == 1 })
} // what fake left behind ends it
