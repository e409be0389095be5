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
