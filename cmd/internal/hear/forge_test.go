package hear

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The stranger, and whom it wants to be taken for.
const (
	stranger = "198.51.100.66"
	victim   = "203.0.113.99"
)

// Lines as the programs write them for a stranger: %s is what it chose, after each program's own escaping. (Of those in
// which a program lets nothing through, what it writes then is in testdata.) What is heard of each is the failure of the
// stranger itself, or nothing.
var strangers = []string{
	// Dovecot: the user name
	"Nov 23 00:45:13 mx dovecot: imap-login: Disconnected: Connection closed (auth failed, 1 attempts in 1 secs): user=<%s>, method=PLAIN, rip=" + stranger + ", lip=203.0.113.25, session=<IvsR6OZgXBHGM2QI>",
	"Nov 23 00:45:13 imap-login: Info: Login aborted: Logged out (auth failed, 1 attempts in 0 secs) (auth_failed): user=<%s>, method=PLAIN, rip=" + stranger + ", lip=203.0.113.25, secured, session=<XKZh9uZgXBHGM2RC>",
	"Nov 23 00:45:13 imap-login: Info: Login aborted: Logged out (no auth attempts in 0 secs) (no_auth_attempts): user=<%s>, rip=" + stranger + ", lip=203.0.113.25, session=<XKZh9uZgXBHGM2RC>",
	// Postfix: the user name, the mechanism, HELO, sender and recipient, what another server says
	"Nov 23 00:51:00 mx postfix/submission/smtpd[94]: warning: unknown[" + stranger + "]: SASL LOGIN authentication failed: (reason unavailable), sasl_username=%s",
	"Nov 23 00:51:00 mx postfix/submission/smtpd[94]: warning: unknown[" + stranger + "]:4444: SASL %s authentication failed: Invalid authentication mechanism",
	"Nov 23 00:51:00 mx postfix/smtpd[94]: NOQUEUE: reject: RCPT from unknown[" + stranger + "]: 554 5.7.1 <%[1]s>: Relay access denied; from=<%[1]s> to=<%[1]s> proto=ESMTP helo=<%[1]s>",
	"Nov 23 00:51:00 mx postfix/qmgr[92]: 4BFD998E4C2: from=<%s>, size=255, nrcpt=1 (queue active)",
	"Nov 23 00:51:00 mx postfix/cleanup[92]: 4BFD998E4C2: message-id=<%s>",
	"Nov 23 00:51:00 mx postfix/smtpd[92]: warning: non-SMTP command from unknown[" + stranger + "]: %s",
	"Nov 23 00:51:00 mx postfix/smtpd[92]: warning: hostname %s does not resolve to address " + stranger,
	"Nov 23 00:51:57 mx postfix/smtp[186]: 5273598E9D9: to=<target@forwarded.test>, orig_to=<%[1]s>, relay=mx.friend.test[192.0.2.44]:25, delay=1, dsn=2.0.0, status=sent (%[1]s)",
	"Nov 23 00:51:57 mx postfix/smtp[186]: 5273598E9D9: to=<%[1]s>, relay=mx.friend.test[192.0.2.44]:25, delay=1, dsn=5.0.0, status=bounced (%[1]s)",
	// Exim: HELO (as with helo_accept_junk_hosts), sender, subject, user name
	"2026-11-23 00:54:12 1xVIJw-00001R-15 <= bad@stranger.test H=(%s) [" + stranger + "] P=esmtp S=311 id=1@example.org",
	"2026-11-23 00:54:12 1xVIJw-00001R-15 <= %s H=(client.test) [" + stranger + "]:4444 I=[192.0.2.1]:25 P=esmtps X=TLS1.3:x:256 CV=no S=311 id=1@example.org",
	"2026-11-23 00:54:12 1xVIJw-00001R-15 <= bad@stranger.test H=(client.test) [" + stranger + "] P=esmtp S=311 id=%[1]s T=\"%[1]s\"",
	"2026-11-23 00:54:12 1xVIJw-00001R-15 <= bad@stranger.test H=(client.test) [" + stranger + "] U=%s P=esmtp S=311",
	"2026-11-23 00:54:12 1xVIJw-00001R-15 <= bad@stranger.test H=(client.test) [" + stranger + "] P=esmtps X=TLS1.3:x:256 CV=no SNI=\"%s\" S=311",
	"2026-11-23 00:54:12 dovecot_login authenticator failed for (%s) [" + stranger + "]: 535 Incorrect authentication data (set_id=me)",
	"2026-11-23 00:54:12 dovecot_login authenticator failed for (client.test) [" + stranger + "]: 535 Incorrect authentication data (set_id=%s)",
	"2026-11-23 00:54:12 rejected EHLO from [" + stranger + "]: syntactically invalid argument(s): %s",
	"2026-11-23 00:54:12 1xVIJw-00001R-15 ** x@full.test R=fullhost T=full H=mx.friend.test [192.0.2.44]: SMTP error from remote mail server: 550 %s",
	"2026-11-23 00:54:12 H=(%[1]s) [" + stranger + "] F=<%[1]s> rejected RCPT <%[1]s>: relay not permitted",
	// OpenSMTPD: user name, commands, addresses
	"Nov 23 00:59:12 mx smtpd[67]: ccd32d389ac0a159 smtp authentication user=%s result=permfail",
	"Nov 23 00:59:12 mx smtpd[67]: ccd32d389ac0a159 smtp connected address=" + stranger + " host=%s",
	"Nov 23 00:59:12 mx smtpd[67]: ccd32d389ac0a159 smtp failed-command command=\"EHLO %s\" result=\"501 5.5.4 Invalid\"",
	"Nov 23 00:59:12 mx smtpd[67]: ccd32d3aa6c4128e smtp envelope evpid=7643264650855596 from=<%[1]s> to=<%[1]s>",
	"Nov 23 00:59:12 mx smtpd[67]: ccd32d434a33de09 mta delivery evpid=902811a5d39202dd from=<%[1]s> to=<target@forwarded.test> rcpt=<%[1]s> source=\"192.0.2.44\" relay=\"192.0.2.44 (mx.friend.test)\" delay=1s result=\"Ok\" stat=\"%[1]s\"",
	// Somebody else
	"Nov 23 00:59:12 mx sshd[67]: Invalid user %s from " + stranger + " port 4444",
}

// forgeries are what a stranger might choose.
var forgeries = []string{
	"me>, method=PLAIN, rip=" + victim + ", lip=203.0.113.25, session=<x",
	"me>, method=PLAIN, rip=" + victim + ", lip=203.0.113.25, mpid=7, session=<x>",
	"x, rip=" + victim,
	": user=<me>, method=PLAIN, rip=" + victim + ", lip=203.0.113.25",
	"Login: user=<me>, method=PLAIN, rip=" + victim + ", lip=203.0.113.25",
	"imap-login: Login: user=<me>, method=PLAIN, rip=" + victim + ", lip=203.0.113.25",
	"x?Nov 22 21:00:00 imap-login: Info: Login: user=<me>, method=PLAIN, rip=" + victim + ", lip=203.0.113.25, session=<x>",
	"x, sasl_method=PLAIN, sasl_username=me",
	"x[" + victim + "], sasl_method=PLAIN, sasl_username=me",
	"4BFD998E4C2: client=x[" + victim + "], sasl_method=PLAIN, sasl_username=me",
	"]: SASL PLAIN authentication failed: x, sasl_username=me",
	"x[" + victim + "]: SASL PLAIN authentication failed: x",
	"a@evil.test>, relay=x[192.0.2.4]:25, delay=1, dsn=2.0.0, status=sent (ok), to=<b@evil.test",
	"x) [" + victim + "] P=esmtpsa A=plain:me (",
	"x) [" + victim + "] P=esmtpsa A=plain:me S=3 (",
	"x [" + victim + "]:4444 P=esmtpa A=plain:me S=3",
	"(x) [" + victim + "]",
	"[" + victim + "]",
	"x [" + victim + "]",
	"x> H=a [" + victim + "] P=esmtpsa A=dovecot_plain:me S=1",
	"A=dovecot_plain:me",
	" A=dovecot_plain:me",
	"x P=local",
	"x\" A=dovecot_plain:me SNI=\"y",
	"x) [" + victim + "]: 535 Incorrect authentication data (set_id=me) (",
	"me) [" + victim + "]: 535 x (set_id=z",
	"1abcde-00001R-15 <= a@b H=x [" + victim + "] P=esmtpsa A=p:me S=1",
	"me result=ok",
	"me address=" + victim + " result=ok",
	"me\\040result=ok",
	"x smtp authentication user=me result=ok",
	"x\" result=\"Ok\" relay=\"192.0.2.4 (x)\"",
	"a@evil.test> to=<b@evil.test> relay=\"192.0.2.4 (x)\" result=\"Ok\"",
}

// honest reports whether what was heard of a stranger's lines is the stranger's own failure, or nothing.
func honest(reports []string) bool {
	return !slices.ContainsFunc(reports, func(r string) bool {
		return !strings.Contains(r, " failed ") || !strings.HasSuffix(r, " "+stranger)
	})
}

func TestForgeries(t *testing.T) {
	for _, template := range strangers {
		heard := read(fmt.Sprintf(template, "me"))
		fails := strings.Contains(template, "auth failed, ") || strings.Contains(template, "authenticat") && !strings.Contains(template, "user=%s")
		if fails != (len(heard) == 1) {
			t.Errorf("%s\nwas heard as %q", template, heard)
		}
		for _, f := range forgeries {
			line := fmt.Sprintf(template, f)
			// In a session, and in a queue, that OpenSMTPD and the others know as a stranger's.
			got := read("Nov 23 00:59:12 mx smtpd[67]: ccd32d389ac0a159 smtp connected address="+stranger+" host=<unknown>", line)
			if !honest(got) {
				t.Errorf("%s\nwas heard as %q", line, got)
			}
		}
	}
}

// FuzzForge lets a stranger choose anything that fits in a line.
func FuzzForge(f *testing.F) {
	for _, s := range forgeries {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, chosen string) {
		if strings.ContainsAny(chosen, "\n\r\x00") || len(chosen) > 1000 {
			t.Skip("no program writes that")
		}
		for _, template := range strangers {
			line := fmt.Sprintf(template, chosen)
			if got := read(line); !honest(got) {
				t.Errorf("%q\nwas heard as %q", line, got)
			}
		}
	})
}

// FuzzLine reads anything at all, in the midst of what the programs wrote.
func FuzzLine(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			f.Add(strings.TrimSuffix(line, "\n"))
		}
	}
	f.Fuzz(func(t *testing.T, line string) {
		var l ledger
		s := parse(line)
		for range 2 {
			r := l.take(s)
			if r.login.From != "" && !r.login.Addr.IsValid() {
				t.Errorf("%q: a login from nowhere", line)
			}
			if r.domain != "" {
				t.Errorf("%q: sent, and never accepted", line)
			}
		}
	})
}
