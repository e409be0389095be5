package proxy

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"moggy/greylist"
	"moggy/metrics"
	"moggy/verdict/journal"
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

// A panicky recorder is a fault of ours wherever something of a peer is written
// down.
type panicky struct {
	Recorder
	when func(*journal.Record) bool
}

func (p panicky) Append(r journal.Record) {
	if p.when(&r) {
		panic("a fault of ours")
	}
	p.Recorder.Append(r)
}

// A fault wherever it happens ends one connection, and leaves nothing open: the
// lab looks when it ends.
func TestFaultsLeaveNothingOpen(t *testing.T) {
	for name, when := range map[string]func(*journal.Record) bool{
		"decided at connect": func(r *journal.Record) bool { return r.Event == journal.EventDecided && r.Stage == "connect" },
		"decided later":      func(r *journal.Record) bool { return r.Event == journal.EventDecided && r.Stage != "connect" },
		"ended":              func(r *journal.Record) bool { return r.Event == journal.EventEnded },
	} {
		t.Run(name, func(t *testing.T) {
			var faulty atomic.Bool
			set := labSet{slots: 10, ports: []uint16{25, 993}, recorder: func(r Recorder) Recorder {
				return panicky{r, func(r *journal.Record) bool { return faulty.Load() && when(r) }}
			}}
			inHouse(t, set, func(l *lab) {
				firstTry(l, stranger)
				time.Sleep(26 * time.Minute) // virtual
				l.loggedIn(friend)
				faulty.Store(true)
				for _, c := range []*caller{l.call(stranger), l.callAt(993, friend), l.callAt(993, stranger), l.call("203.0.113.99")} {
					c.ask("")
					if strings.HasPrefix(name, "decided") {
						go c.tell("EHLO x\nMAIL FROM:<a@mail.test>\nRCPT TO:<b@example.net>\n", 3)
						synctest.Wait()
					}
					c.Close()
					synctest.Wait()
				}
				if got := l.server.Alarms(); len(got) != 1 || got[0].Name != AlarmName(metrics.InternalError) {
					t.Errorf("the alarms are %+v", got)
				}
				for _, left := range l.leftOpen() {
					t.Error(left)
				}
				faulty.Store(false)
				l.connects(993, friend, 0).Close()
			})
		})
	}
}

// A fault while a stranger is carried, after its hand-over, closes both ends.
func TestFaultAfterAHandOver(t *testing.T) {
	inHouse(t, labSet{slots: 10, recorder: func(r Recorder) Recorder {
		return panicky{r, func(r *journal.Record) bool { return r.Outcome == journal.HandedOver }}
	}}, func(l *lab) {
		firstTry(l, stranger)
		time.Sleep(26 * time.Minute) // virtual
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say(envelope, append(greeted[1:], "250 2.0.0 RCPT")...)
		c.say("QUIT\n", "221", "<EOF>")
		synctest.Wait()
		for _, left := range l.leftOpen() {
			t.Error(left)
		}
	})
}

// A fault in what is asked beside the connections ends nothing at all.
func TestFaultBesideTheConnections(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		done := make(chan struct{})
		l.server.background("X", func() { defer close(done); panic("a fault of ours") })
		<-done
		synctest.Wait()
		if got := l.server.Alarms(); len(got) != 1 || got[0].Name != AlarmName(metrics.InternalError) {
			t.Errorf("the alarms are %+v", got)
		}
	})
}
