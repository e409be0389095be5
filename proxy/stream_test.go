package proxy

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"moggy/proxy/dialogue"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

func TestTongues(t *testing.T) {
	r := dialogue.Reply{Code: 421, Enhanced: "4.7.0", Text: "Too much (ref X)"}
	for port, want := range map[uint16]string{
		25: "421 4.7.0 Too much (ref X)\r\n", 587: "421 4.7.0 Too much (ref X)\r\n",
		143: "* BYE [UNAVAILABLE] Too much (ref X)\r\n", 110: "-ERR [SYS/TEMP] Too much (ref X)\r\n",
		465: "", 993: "", 995: "", 443: "", 80: "", 4190: "",
	} {
		if got := string(TongueOf(port).put(r)); got != want {
			t.Errorf("at port %d: %q, want %q", port, got, want)
		}
	}
}

// A client that is over its budget is told so where its protocol has words for it.
func TestRefusalsInTheTongueOfThePort(t *testing.T) {
	set := labSet{ports: []uint16{110, 143, 587, 993}, learn: narrow(whitelist.MUA)}
	inHouse(t, set, func(l *lab) {
		l.loggedIn(friend)
		for port, want := range map[uint16]string{110: "-ERR [SYS/TEMP] Too much", 143: "* BYE [UNAVAILABLE] Too much", 587: "421 4.7.0 Too much", 993: "<EOF>"} {
			var all []*caller
			for range 7 {
				all = append(all, l.waits(port, stranger))
			}
			l.callAt(port, stranger).say("", want)
			known := l.callAt(port, friend)
			known.say("", "* OK backend")
			closeAll(append(all, known)...)
			time.Sleep(time.Minute) // virtual
		}
	})
}

func TestDeniedClientsAreClosedWithoutAWord(t *testing.T) {
	inHouse(t, labSet{ports: []uint16{143, 443}}, func(l *lab) {
		allow(l, stranger, true)
		for _, port := range []uint16{143, 443} {
			c := l.callAt(port, stranger)
			c.say("", "<EOF>")
			c.after(0)
		}
		if got := l.rules(stranger); got != "denied-client denied-client" || len(l.streams.sessions) > 0 {
			t.Errorf("decided by %q, %d sessions with the backend", got, len(l.streams.sessions))
		}
	})
}

// Observing carries everybody at once, and says what it would have done.
func TestObservingStreams(t *testing.T) {
	set := labSet{ports: []uint16{993}, visitors: 20, line: 1, learn: narrow(whitelist.MUA),
		settings: func(s *Settings) { s.Policy.Observe = true }}
	inHouse(t, set, func(l *lab) {
		allow(l, friend, true)
		all := []*caller{l.connects(993, friend, 0)}
		for range 10 {
			all = append(all, l.connects(993, stranger, 0))
		}
		closeAll(all...)
		var did []string
		for _, r := range append(l.records(stranger), l.records(friend)...) {
			if r.Event == journal.EventDecided {
				did = append(did, r.Action)
			}
		}
		const want = "carry carry observe:wait observe:wait observe:wait observe:wait observe:wait observe:busy observe:busy observe:busy observe:close"
		if got := strings.Join(did, " "); got != want {
			t.Errorf("did %s,\nwant %s", got, want)
		}
	})
}

// A stream's backend is knocked at, in our own name, until it answers.
func TestKnocking(t *testing.T) {
	inHouse(t, labSet{ports: []uint16{993}}, func(l *lab) {
		if synctest.Wait(); l.streams.knocks != 1 || len(l.streams.sessions) != 0 || len(l.server.Ready()) != 0 {
			t.Errorf("at first %d knocks, %d sessions, faults %v", l.streams.knocks, len(l.streams.sessions), l.server.Ready())
		}
		l.streams.set(true)
		l.callAt(993, stranger).say("", "<EOF>")
		synctest.Wait()
		if err := l.server.Ready()["port993"]; err == nil || !strings.HasPrefix(err.Error(), "nobody answers: ") {
			t.Errorf("with nobody there: %v", err)
		}
		l.streams.set(false)
		time.Sleep(3 * askSoon) // virtual
		if faults := l.server.Ready(); len(faults) != 0 {
			t.Errorf("when it is back: %v", faults)
		}
		l.connects(993, stranger, 0).Close()
	})
}

// few gives clients of a class a burst of so many, and one connection a minute.
func few(c whitelist.Class, burst int) func(*lab, *Judge) {
	return func(_ *lab, j *Judge) {
		limits := Limits(budget.Defaults())
		limits[c] = budget.Limit{Rate: 1, Burst: burst, Open: 20, Recipients: 30}
		j.Limits.Store(&limits)
	}
}

// A backend that is down costs nobody his budget.
func TestBackendDownIsNotPaidFor(t *testing.T) {
	inHouse(t, labSet{slots: 10, ports: []uint16{25, 993}, learn: few(whitelist.Stranger, 5)}, func(l *lab) {
		l.loggedIn(friend)
		l.streams.set(true)
		for range 20 {
			l.callAt(993, friend).say("", "<EOF>")
		}
		if used := l.used(whitelist.User, friend); used != 0 {
			t.Errorf("the user has used %d of its burst", used)
		}
		firstTry(l, stranger)
		time.Sleep(26 * time.Minute) // virtual
		l.backend.set(true)
		c := l.call(stranger)
		c.say("", greeted[0])
		other := l.call(stranger)
		synctest.Wait() // it is stuttered at, and has used one
		c.say(envelope, append(greeted[1:], "421 4.3.2", "<EOF>")...)
		if used := l.used(whitelist.Stranger, stranger); used != 1 {
			t.Errorf("the stranger has used %d of its burst", used)
		}
		other.Close()
		for _, r := range l.records(friend) {
			if r.Rule == "backend-down" && r.Event == journal.EventDecided && !r.Harm {
				t.Error("a user was turned away, and that is no harm")
			}
		}
	})
}

// Who is of a known origin uses the origin's budget, whichever of its addresses
// comes.
func TestPoolsHaveABudget(t *testing.T) {
	inHouse(t, labSet{slots: 10, learn: few(whitelist.Pool, 1)}, func(l *lab) {
		firstTry(l, stranger)
		time.Sleep(26 * time.Minute) // virtual
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say(envelope, append(greeted[1:], "250 2.0.0 RCPT")...)
		c.Close()
		for i, want := range []string{"250 2.0.0 RCPT", "421 4.7.0 Too much at once: 2 of 1 burst, 1/min: 1 over, free in"} {
			sibling := l.call([]string{"203.0.113.200", "203.0.113.201"}[i])
			sibling.say("", "220 mx.test")
			sibling.say(envelope, append(greeted[1:], want)...)
			sibling.Close()
		}
		if got := l.rules("203.0.113.201"); got != "stranger over-pool" {
			t.Errorf("decided by %q", got)
		}
	})
}

// A known origin whose hand-over fails for want of a backend does not pay either.
func TestBackendDownIsNotPaidForByAPool(t *testing.T) {
	inHouse(t, labSet{slots: 10}, func(l *lab) {
		firstTry(l, stranger)
		time.Sleep(26 * time.Minute) // virtual
		c := l.call(stranger)
		c.say("", greeted[0])
		c.say(envelope, append(greeted[1:], "250 2.0.0 RCPT")...)
		c.Close()
		l.backend.set(true)
		sibling := l.call("203.0.113.200")
		sibling.say("", "220 mx.test")
		sibling.say(envelope, append(greeted[1:], "421 4.3.2", "<EOF>")...)
		synctest.Wait()
		for _, row := range l.top() {
			if row.Usage.Used > 0 && row.Key.Class == whitelist.Pool {
				t.Errorf("%s has used %d", row.Key.Origin, row.Usage.Used)
			}
		}
	})
}
