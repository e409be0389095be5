package proxy

import (
	"strings"
	"testing"

	"moggy/proxy/dialogue"
)

// An observer listens until the message, and no longer, however the peer's bytes
// are cut.
func TestObserverListensUntilTheMessage(t *testing.T) {
	const said = "EHLO x.test\r\nMAIL FROM:<a@x.test>\r\nDATA\r\nRSET\r\n.\r\n"
	for size := 1; size <= len(said); size++ {
		o := &observer{talk: dialogue.Options{Offer: everything, Errors: 1 << 30}}
		o.m = dialogue.New(&o.talk)
		for rest := said; rest != ""; rest = rest[min(size, len(rest)):] {
			if n, err := o.Write([]byte(rest[:min(size, len(rest))])); n != min(size, len(rest)) || err != nil {
				t.Fatalf("in pieces of %d: %d, %v", size, n, err)
			}
		}
		if e := o.m.Envelope(); !o.deaf || o.buf != nil || e.From.Text != "a@x.test" {
			t.Errorf("in pieces of %d: deaf %v, %q kept, envelope %v", size, o.deaf, o.buf, e)
		}
	}
}

// A line that never ends is not kept.
func TestObserverKeepsNoLongLine(t *testing.T) {
	o := &observer{talk: dialogue.Options{Offer: everything, Errors: 1 << 30}}
	o.m = dialogue.New(&o.talk)
	for range 100 {
		o.Write([]byte(strings.Repeat("x", 1000)))
	}
	if len(o.buf) > dialogue.MaxLine {
		t.Errorf("%d bytes kept", len(o.buf))
	}
}

// One recipient too many is the last that is judged and kept.
func TestObserverKeepsNoEndOfRecipients(t *testing.T) {
	inLab(t, func(s *Settings) { s.Policy.Observe, s.Recipients = true, 3 }, 10, func(l *lab) {
		c := l.call(stranger)
		c.say("", "220 backend")
		c.say("EHLO x.test\nMAIL FROM:<a@x.test>\n", "250-", "250 ")
		for range 10 {
			c.say("RCPT TO:<b@example.net>\n", "250 2.0.0 RCPT ok")
		}
		c.say("QUIT\n", "221 2.0.0 bye")
		c.Close()
		const rules = "stranger first-seen too-early too-early excessive"
		if got := l.rules(stranger); got != rules {
			t.Errorf("decided by %q, want %q", got, rules)
		}
	})
}
