package proxy

import (
	"context"
	"testing"

	"moggy/greylist"
)

// faulty is a greylist whose Try is a fault of ours.
type faulty struct{ greylist.Store }

func (faulty) Try(context.Context, greylist.Try) (greylist.Result, error) { panic("a fault of ours") }

func TestFaultEndsOneConnectionOnly(t *testing.T) {
	inWorld(t, nil, 10, func(_ *lab, j *Judge) { j.Greylist = faulty{j.Greylist} }, func(l *lab) {
		allow(l, friend, false)
		known := l.call(friend)
		known.say("", "220 backend")
		c := l.call(stranger)
		c.say("", "220 mx.test")
		c.say(envelope, append(greeted[1:], "421 4.3.0 Internal error, come back later (ref ", "<EOF>")...)
		known.say("NOOP\n", "250 2.0.0 NOOP ok")
		known.Close()
	})
}
