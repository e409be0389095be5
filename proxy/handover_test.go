package proxy

import (
	"context"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"moggy/whitelist"
)

// Who goes away while it is being handed over leaves nothing open behind.
func TestBackendIsLeftWhereThePeerWentAway(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		firstTry(l, stranger)
		time.Sleep(26 * time.Minute) // virtual
		c := l.call(stranger)
		c.say("", greeted[0])
		var open atomic.Int32
		door := l.server.doors[0]
		door.Backend.Dialer = func(ctx context.Context, network, address string) (net.Conn, error) {
			c.Close()
			conn, err := l.backend.dial(ctx, network, address)
			open.Add(1)
			return &countedConn{conn, &open}, err
		}
		c.say(envelope, greeted[1:]...)
		synctest.Wait()
		if got := l.rules(stranger); got != "stranger first-seen stranger returned" || open.Load() != 0 {
			t.Errorf("decided by %q, %d connections to the backend are open", got, open.Load())
		}
	})
}

// What the backend says of the sender is the answer to the recipient, DATA that was
// pipelined behind it is deferred as well, and the journal has it.
func TestBackendsAnswerToMailReachesTheStranger(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		const busy = "EHLO mail.test\nMAIL FROM:<busy@mail.test>\nRCPT TO:<b@example.net>\nDATA\nQUIT\n"
		for _, reply := range []string{"451 4.7.0", "450 4.3.2 Busy"} {
			c := l.call(stranger)
			c.say("", greeted[0])
			c.say(busy, append(greeted[1:], reply, "451 4.7.0 No recipient was taken yet", "221", "<EOF>")...)
			time.Sleep(26 * time.Minute) // virtual
		}
		all := l.records(stranger)
		if last := all[len(all)-1]; last.Answer != "refused at mail: 450 4.3.2 Busy" {
			t.Errorf("in the end %q, answer %q", last.Outcome, last.Answer)
		}
	})
}

// What a person allows while we talk proves nothing: when it ends, it is over, and
// the origin of the peer was never known.
func TestAllowedForAMomentIsNotRemembered(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say(envelope, append(greeted[1:], "451 4.7.0")...)
		allow(l, stranger, false)
		c.say("RCPT TO:<c@example.net>\n", "250 2.0.0 RCPT ok")
		c.Close()
		synctest.Wait()
		if _, ok, err := l.book.Remove(t.Context(), netip.MustParsePrefix(stranger+"/32")); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if s := l.book.List().Look(netip.MustParseAddr(stranger), whitelist.Mail, time.Now()); s.Class != whitelist.Stranger {
			t.Errorf("it stays %s: %s", s.Class, s.Entry.Note)
		}
		for o := range l.store.Origins(t.Context(), time.Now()) {
			t.Errorf("%s is known", o.Origin)
		}
	})
}

// A countedConn counts down when it is closed.
type countedConn struct {
	net.Conn
	open *atomic.Int32
}

func (c *countedConn) Close() error {
	c.open.Add(-1)
	return c.Conn.Close()
}
