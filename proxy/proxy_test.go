package proxy

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"moggy/whitelist"
)

const (
	stranger = "203.0.113.7"
	friend   = "198.51.100.9"
)

// envelope is what a stranger says up to its recipient, after its banner.
const envelope = "EHLO mail.test\nMAIL FROM:<a@mail.test> SIZE=10\nRCPT TO:<b@example.net>\n"

// greeted are the replies to it.
var greeted = []string{"220 mx.test", "250-mx.test / 250-PIPELINING / 250 SIZE 1000", "250 "}

func allow(l *lab, net string, deny bool) {
	l.t.Helper()
	e := whitelist.Entry{Net: must(whitelist.ParseNet(net)), Deny: deny, Class: whitelist.Peer}
	if deny {
		e.Class = ""
	}
	if err := l.book.Put(l.t.Context(), e, time.Now()); err != nil {
		l.t.Fatal(err)
	}
}

// firstTry lets the stranger be deferred once, at the end of a stuttered banner.
func firstTry(l *lab, from string) {
	l.t.Helper()
	c := l.call(from)
	c.say("", "220 mx.test ESMTP")
	c.after(10 * time.Second)
	c.say(envelope, append(greeted[1:], "451 4.7.0 Greylisted, please try again later (ref ")...)
	c.say("QUIT\n", "221 ", "<EOF>")
}

func TestStrangerIsHandedOverOnItsFirstValidRetry(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		firstTry(l, stranger)
		time.Sleep(24 * time.Minute) // virtual: too early still
		firstTry(l, stranger)
		time.Sleep(2 * time.Minute) // virtual
		c := l.call(stranger)
		// What is pipelined behind the RCPT is the backend's to answer.
		c.say("", "220 mx.test")
		c.say(envelope+"DATA\n", append(greeted[1:], "250 2.0.0 RCPT ok", "354 go")...)
		c.say("Subject: x\n\n..\nXCLIENT A\n.\nQUIT\n", "250 2.0.0 queued", "221 2.0.0 bye")
		c.Close()
		want := "EHLO mail.test|MAIL FROM:<a@mail.test> SIZE=10|RCPT TO:<b@example.net>|DATA|Subject: x||..|XCLIENT A|.|QUIT"
		if told := l.backend.told(stranger); len(told) != 1 || told[0] != want {
			t.Errorf("the backend was told %q, want %q", told, want)
		}
		again := l.call(stranger)
		again.say("", "220 backend ESMTP")
		again.after(0)
		again.Close()
		const rules = "stranger first-seen stranger too-early stranger returned known"
		if got := l.rules(stranger); got != rules {
			t.Errorf("decided by %q, want %q", got, rules)
		}
	})
}

func TestSiblingOfAKnownOriginIsHandedOverAtOnce(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		firstTry(l, stranger)
		time.Sleep(26 * time.Minute) // virtual
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say(envelope, append(greeted[1:], "250 2.0.0 RCPT")...)
		c.Close()
		sibling := l.call("203.0.113.200")
		sibling.say("", "220 mx.test")
		sibling.say("EHLO x.test\nMAIL FROM:<other@x.test>\nRCPT TO:<c@example.net>\n", "250", "250", "250 2.0.0 RCPT ok")
		sibling.Close()
		if got := l.rules("203.0.113.200"); got != "stranger origin-known" {
			t.Errorf("decided by %q", got)
		}
	})
}

func TestKnownPeerWaitsForNothing(t *testing.T) {
	inLab(t, nil, 0, func(l *lab) { // no slot for strangers at all
		allow(l, friend, false)
		c := l.call(friend)
		c.say("", "220 backend ESMTP")
		c.say("NOOP\n", "250 2.0.0 NOOP ok")
		c.after(0)
		c.Close()
		s := l.call(stranger)
		s.say("", "421 4.3.2 Too many connections, come back later (ref ", "<EOF>")
		s.after(0)
	})
}

func TestEarlyTalkerNeverPasses(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		for range 2 {
			c := l.call(stranger)
			c.say(envelope+"QUIT\n", append(greeted, "451 4.7.0", "221", "<EOF>")...)
			time.Sleep(time.Hour) // virtual
		}
		if got := l.rules(stranger); got != "stranger early stranger early" || len(l.backend.told(stranger)) > 0 {
			t.Errorf("decided by %q, the backend was told %q", got, l.backend.told(stranger))
		}
	})
}

func TestBackendDownKeepsWhatWasProved(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		firstTry(l, stranger)
		time.Sleep(26 * time.Minute) // virtual
		l.backend.set(true)
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say(envelope, append(greeted[1:], "421 4.3.2 The mail system is not available, come back later (ref ", "<EOF>")...)
		allow(l, friend, false)
		known := l.call(friend)
		known.say("", "421 4.3.2", "<EOF>")
		l.backend.set(false)
		again := l.call(stranger)
		again.say("", greeted[0])
		again.say(envelope, append(greeted[1:], "250 2.0.0 RCPT ok")...)
		again.Close()
	})
}

func TestBackendsOwnAnswerReachesTheStranger(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		const bad = "EHLO mail.test\nMAIL FROM:<a@mail.test>\nRCPT TO:<nobody@example.net>\n"
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say(bad+"QUIT\n", append(greeted[1:], "451 4.7.0", "221", "<EOF>")...)
		time.Sleep(26 * time.Minute) // virtual
		c = l.call(stranger)
		c.say("", "220 mx.test")
		c.say(bad, append(greeted[1:], "550 5.1.1 No such user")...)
		c.say("RCPT TO:<b@example.net>\n", "250 2.0.0 RCPT ok")
		c.Close()
		synctest.Wait()
		if s := l.book.List().Look(netip.MustParseAddr(stranger), whitelist.Mail, time.Now()); s.Class != whitelist.Stranger {
			t.Errorf("who only named a user that does not exist became %s", s.Class)
		}
	})
}

func TestNullSenderIsDeferredAtData(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		const bounce = "EHLO mail.test\nMAIL FROM:<>\nRCPT TO:<b@example.net>\n"
		c := l.call(stranger)
		c.say("", "220 mx.test")
		c.say(bounce+"DATA\nQUIT\n", append(greeted[1:], "250 2.1.5 Ok", "451 4.7.0", "221", "<EOF>")...)
		time.Sleep(26 * time.Minute) // virtual
		c = l.call(stranger)
		c.say("", "220 mx.test")
		c.say(bounce, append(greeted[1:], "250 2.0.0 RCPT ok")...)
		c.Close()
		if got := l.rules(stranger); got != "stranger null-sender first-seen stranger returned" {
			t.Errorf("decided by %q", got)
		}
	})
}

func TestTrapHoldsAllConnectionsOfThePeer(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		c := l.call(stranger)
		c.say("", "220 mx.test")
		other := l.call(stranger)
		other.say("", "220 mx.test")
		c.say("EHLO x\nMAIL FROM:<a@x.test>\nRCPT TO:<Trap@Example.net>\n", append(greeted[1:], "451 4.7.0 Greylisted")...)
		began := time.Now()
		other.say("NOOP\n", "250 2.0.0 Ok") // 14 bytes
		if took := time.Since(began); took != 13*time.Second {
			t.Errorf("the other connection was answered in %v, want a byte a second", took)
		}
		c.Close()
		other.Close()
		late := l.call(stranger)
		began = time.Now()
		late.say("", "220 mx.test ESMTP") // 19 bytes
		if took := time.Since(began); took != 18*time.Second {
			t.Errorf("a listed peer was greeted in %v, want 18 s", took)
		}
		late.Close()
		sibling := l.call("203.0.113.8")
		sibling.say("", "220 mx.test")
		sibling.after(10 * time.Second)
		sibling.Close()
	})
}

func TestNullSenderIsNeverTrapped(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		c := l.call(stranger)
		c.say("", "220 mx.test")
		c.say("EHLO x\nMAIL FROM:<>\nRCPT TO:<trap@example.net>\nQUIT\n", append(greeted[1:], "250 2.1.5 Ok", "221", "<EOF>")...)
		if s := l.book.List().Look(netip.MustParseAddr(stranger), whitelist.Mail, time.Now()); s.Class != whitelist.Stranger {
			t.Errorf("a bounce to a trap made its sender %s", s.Class)
		}
	})
}

func TestAllowActsAtOnceOnAHeldConnection(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		allow(l, stranger, true)
		c := l.call(stranger)
		go func() {
			time.Sleep(5 * time.Second) // virtual: in the middle of the stutter
			allow(l, stranger, false)
		}()
		c.say("", "220 mx.test ESMTP")
		c.after(5 * time.Second)
		c.say(envelope, append(greeted[1:], "250 2.0.0 RCPT ok")...)
		c.after(5 * time.Second)
		c.Close()
		if got := l.rules(stranger); got != "denied known-recipient" {
			t.Errorf("decided by %q", got)
		}
	})
}

func TestDeniedPeerIsRefusedSlowly(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		allow(l, "203.0.113.0/24", true)
		c := l.call(stranger)
		c.say("HELO x\nMAIL FROM:<a@x.test>\nRCPT TO:<b@example.net>\nDATA\nQUIT\n",
			"220", "250 mx.test", "250", "550 5.7.1 Your address is not welcome here (ref ", "554", "221", "<EOF>")
		if took := time.Since(c.came); took < 100*time.Second {
			t.Errorf("the dialogue took %v, want a second for each byte", took)
		}
	})
}

func TestObserveLetsEverythingThroughAndJudgesIt(t *testing.T) {
	inLab(t, func(s *Settings) { s.Policy.Observe = true }, 10, func(l *lab) {
		allow(l, friend, true)
		for _, from := range []string{stranger, friend} {
			c := l.call(from)
			c.say("", "220 backend ESMTP")
			c.say("EHLO x\nMAIL FROM:<a@x.test>\nRCPT TO:<b@example.net>\nDATA\n", "250-", "250", "250 2.0.0 RCPT", "354")
			c.say("RCPT TO:<c@example.net>\n.\nQUIT\n", "250 2.0.0 queued", "221")
			c.after(0)
			c.Close()
		}
		if got := l.rules(stranger) + "; " + l.rules(friend); got != "stranger first-seen; denied denied-recipient" {
			t.Errorf("decided by %q", got)
		}
		if got := l.records(stranger)[1].Action; got != "observe:defer" {
			t.Errorf("the record says %q", got)
		}
	})
}

func TestShutDownGivesCarriedConnectionsTheirGrace(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		allow(l, friend, false)
		c := l.call(friend)
		c.say("", "220 backend")
		lasting := l.call(friend)
		lasting.say("", "220 backend")
		s := l.call(stranger)
		s.say("", "220 mx.test")
		began := time.Now()
		l.stop()
		s.say("", "421 4.3.2 Shutting down", "<EOF>")
		time.Sleep(20 * time.Second) // virtual
		c.say("DATA\nx\n.\nQUIT\n", "354", "250 2.0.0 queued", "221")
		c.Close()
		lasting.say("", "<EOF>")
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("the last carried connection ended after %v, want the grace of 30 s", took)
		}
		<-l.served
	})
}

func TestPeerThatSpeaksHTTPIsLetGo(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		c := l.call(stranger)
		c.say("", "220 mx.test")
		c.say("POST / HTTP/1.1\nHost: x\n\nEHLO x\n", "421 4.7.0", "<")
		if got := l.rules(stranger); got != "stranger not-smtp" {
			t.Errorf("decided by %q", got)
		}
	})
}

func TestRecipientsBeyondTheLimitAreNotRemembered(t *testing.T) {
	inLab(t, func(s *Settings) { s.Recipients = 3 }, 10, func(l *lab) {
		c := l.call(stranger)
		c.say("", "220 mx.test")
		c.say("EHLO x\nMAIL FROM:<a@x.test>\n"+strings.Repeat("RCPT TO:<b@example.net>\n", 4), "250", "250",
			"451 4.7.0", "451 4.7.0", "451 4.7.0", "452 4.5.3 Too many recipients (ref ")
		c.Close()
		if got := l.rules(stranger); got != "stranger first-seen too-early too-early excessive" {
			t.Errorf("decided by %q", got)
		}
	})
}

func TestHandOversTakeAShareOfTheSlots(t *testing.T) {
	inLab(t, nil, 16, func(l *lab) {
		peers := []string{"203.0.113.7", "198.51.100.7", "192.0.2.7", "100.64.0.7"}
		for _, p := range peers {
			firstTry(l, p)
		}
		time.Sleep(26 * time.Minute) // virtual
		l.backend.mu.Lock()
		l.backend.slow, l.backend.most = 5*time.Second, 0
		l.backend.mu.Unlock()
		var all sync.WaitGroup
		for _, p := range peers {
			all.Go(func() {
				c := l.call(p)
				defer c.Close()
				c.say("", greeted[0])
				c.say(envelope, append(greeted[1:], "250 2.0.0 RCPT ok")...)
			})
		}
		all.Wait()
		if l.backend.most != 2 {
			t.Errorf("%d hand-overs at a time, want an eighth of 16 slots", l.backend.most)
		}
	})
}

func TestChunkOfAStrangerIsNoCommand(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say(envelope, append(greeted[1:], "451 4.7.0")...)
		const chunk = "RSET\nMAIL FROM:<evil@x.test>\nRCPT TO:<b@example.net>\n"
		c.say("BDAT 56 LAST\n"+chunk+"NOOP\n", "451 4.7.0 No recipient was taken yet", "250 2.0.0 Ok")
		c.Close()
		if got := l.rules(stranger); got != "stranger first-seen" {
			t.Errorf("decided by %q", got)
		}
	})
}
