package proxy

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"moggy/dnsbl"
	"moggy/greylist"
	"moggy/verdict"
	"moggy/whitelist"
)

// slowly reports whether NOOP is answered a byte a second.
func slowly(c *caller) bool {
	began := time.Now()
	c.say("NOOP\n", "250 2.0.0 Ok")
	return time.Since(began) > 10*time.Second
}

// onLists is a world whose DNS list has an address.
func onLists(addr string) func(*lab, *Judge) {
	return func(_ *lab, j *Judge) {
		w := &world{DNSBL: []netip.Addr{netip.MustParseAddr(addr)}}
		j.Lists = dnsbl.New(dnsbl.Options{Resolver: w, Threshold: 3, Lists: []dnsbl.List{{Zone: listZone, Weight: 3}}})
	}
}

// Who is slow because DNS lists name it stays so, whatever else the allow list
// learns of its network, and is hurried by an entry only.
func TestListedByDNSStaysSlow(t *testing.T) {
	inHouse(t, labSet{slots: 10, learn: onLists(stranger)}, func(l *lab) {
		time.Sleep(time.Minute) // virtual: the list was probed
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say(envelope, append(greeted[1:], "450 4.7.0")...)
		now := time.Now()
		if err := l.book.Learn(whitelist.Entry{Net: netip.MustParsePrefix(stranger + "/32"), Class: whitelist.Guesser,
			Source: whitelist.Guessing, Expires: now.Add(time.Hour)}, now); err != nil {
			t.Fatal(err)
		}
		l.book.Forget(netip.MustParsePrefix(stranger + "/32"))
		if !slowly(c) {
			t.Error("it was answered at once")
		}
		allow(l, stranger, false)
		synctest.Wait()
		if slowly(c) {
			t.Error("an allow entry did not hurry it")
		}
		c.Close()
	})
}

// Who is forgiven a trap is slow no longer, also in the session that named it.
func TestForgivenATrapIsNotSlow(t *testing.T) {
	inLab(t, nil, 10, func(l *lab) {
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say("EHLO x\nMAIL FROM:<a@x.test>\nRCPT TO:<trap@example.net>\n", append(greeted[1:], "451 4.7.0 Greylisted")...)
		if !slowly(c) {
			t.Error("a trapped peer was answered at once")
		}
		l.book.Forget(netip.MustParsePrefix(stranger + "/32"))
		synctest.Wait()
		if slowly(c) {
			t.Error("it was not forgiven")
		}
		c.Close()
	})
}

// away is a greylist that cannot be asked.
type away struct{ greylist.Store }

func (away) Try(context.Context, greylist.Try) (greylist.Result, error) {
	return greylist.Result{}, errors.New("no answer")
}

// Where the greylist cannot be asked strangers come back later, and the known come
// as ever.
func TestGreylistAway(t *testing.T) {
	inWorld(t, nil, 10, func(_ *lab, j *Judge) { j.Greylist = away{j.Greylist} }, func(l *lab) {
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say(envelope, append(greeted[1:], "451 4.3.0 Try again later (ref ")...)
		c.Close()
		allow(l, friend, false)
		known := l.call(friend)
		known.say("", "220 backend")
		known.after(0)
		known.Close()
		if r := l.records(stranger)[1]; r.Rule != "greylist-down" || !slices.Contains(r.Degraded, verdict.Store) {
			t.Errorf("the record says %+v", r)
		}
	})
}

// What was learned, open or not, is the same after a restart; what was open counts
// no more.
func TestRestart(t *testing.T) {
	inHouse(t, labSet{slots: 10, ports: []uint16{25, 993}, grace: time.Second}, func(l *lab) {
		l.loggedIn(friend)
		firstTry(l, stranger)
		lasting := l.connects(993, friend, 0)
		c := l.call(stranger)
		time.Sleep(26 * time.Minute) // virtual
		l.end()
		lasting.say("", "<EOF>")
		closeAll(lasting, c)
		l.start()
		l.connects(993, friend, 0).Close()
		c = l.call(stranger)
		c.say("", greeted[0])
		c.say(envelope, append(greeted[1:], "250 2.0.0 RCPT")...)
		c.Close()
		if got := l.class(friend); got != whitelist.User {
			t.Errorf("who logged in is %s", got)
		}
	})
}
