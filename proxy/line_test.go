package proxy

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// narrow gives clients of a class two connections at once, then one a second, and
// five seconds of patience.
func narrow(c whitelist.Class) func(*lab, *Judge) {
	return func(_ *lab, j *Judge) {
		limits := Limits(budget.Defaults())
		limits[c] = budget.Limit{Rate: 60, Burst: 2, Open: 20, Recipients: 30, Wait: 5 * time.Second}
		j.Limits.Store(&limits)
	}
}

// inLine is a lab with a listener for mail programs, whose clients have little.
func inLine(t *testing.T, set labSet, f func(*lab)) {
	set.ports, set.learn = append([]uint16{25, 993, 143}, set.ports...), narrow(whitelist.MUA)
	inHouse(t, set, f)
}

// connects wants the backend to greet that much later.
func (l *lab) connects(port uint16, from string, after time.Duration) *caller {
	l.t.Helper()
	c := l.callAt(port, from)
	c.say("", strings.TrimSpace(streamBanner))
	c.after(after)
	return c
}

// waits calls and lets the caller get into the line.
func (l *lab) waits(port uint16, from string) *caller {
	c := l.callAt(port, from)
	synctest.Wait()
	return c
}

// used is how much of its budget an address has used, connections in line included.
func (l *lab) used(c whitelist.Class, addr string) int {
	synctest.Wait()
	k := budget.KeyOf(c, netip.MustParseAddr(addr))
	return l.judge.Meter.Look(k, l.judge.limit(c), time.Now()).Used - 1
}

func closeAll(all ...*caller) {
	for _, c := range all {
		c.Close()
	}
}

func TestOverTheBurstStandsInLine(t *testing.T) {
	inLine(t, labSet{}, func(l *lab) {
		a, b := l.connects(993, stranger, 0), l.connects(993, stranger, 0)
		third := l.waits(993, stranger)
		third.say("hello\n")
		if n := l.server.guests.count(waiting); n != 1 {
			t.Errorf("%d wait", n)
		}
		other := l.connects(993, friend, 0) // nobody waits for others
		third.say("", "* OK backend", "hello")
		third.after(time.Second)
		closeAll(a, b, third, other)
		if got := l.rules(stranger); got != "client client in-line" {
			t.Errorf("decided by %q", got)
		}
		if r := l.records(stranger)[2]; r.Queued != 1 || r.Harm || r.Used != "3/2" {
			t.Errorf("the record says %+v", r)
		}
	})
}

func TestTooFarBackInLineIsRefused(t *testing.T) {
	inLine(t, labSet{}, func(l *lab) {
		var all []*caller
		for range 7 {
			all = append(all, l.waits(143, stranger))
		}
		eighth := l.callAt(143, stranger)
		eighth.say("", "* BYE [UNAVAILABLE] Too much at once: 8 of 2 burst, 60/min: 6 over", "<EOF>")
		eighth.after(0)
		if used := l.used(whitelist.MUA, stranger); used != 7 {
			t.Errorf("%d of the burst are used: a refusal costs nothing", used)
		}
		for i, c := range all {
			c.say("", "* OK backend")
			c.after(time.Duration(max(0, i-1)) * time.Second)
		}
		closeAll(all...)
	})
}

func TestAnEntryEndsTheWaiting(t *testing.T) {
	for name, learn := range map[string]func(*lab){
		"allow": func(l *lab) { allow(l, stranger, false) },
		"login": func(l *lab) { l.loggedIn(stranger) },
	} {
		t.Run(name, func(t *testing.T) {
			inLine(t, labSet{}, func(l *lab) {
				a, b := l.connects(993, stranger, 0), l.connects(993, stranger, 0)
				third := l.waits(993, stranger)
				time.Sleep(300 * time.Millisecond) // virtual
				l.loggedIn(friend)                 // says nothing of it
				synctest.Wait()
				learn(l)
				third.say("", "* OK backend")
				third.after(300 * time.Millisecond)
				closeAll(a, b, third, l.connects(993, stranger, 0))
			})
		})
	}
}

// loggedIn has somebody log in from an address.
func (l *lab) loggedIn(addr string) {
	l.t.Helper()
	now := time.Now()
	err := l.book.Learn(whitelist.Entry{Net: whitelist.Net(netip.MustParseAddr(addr)), Class: whitelist.User,
		Source: whitelist.Login, Added: now, Expires: now.Add(30 * 24 * time.Hour)}, now)
	if err != nil {
		l.t.Fatal(err)
	}
}

func TestWhoIsDeniedInLineIsNotCarried(t *testing.T) {
	inLine(t, labSet{}, func(l *lab) {
		a, b := l.connects(143, stranger, 0), l.connects(143, stranger, 0)
		third := l.waits(143, stranger)
		allow(l, stranger, true)
		third.say("", "<EOF>")
		third.after(0)
		closeAll(a, b, third)
		if got := l.rules(stranger); got != "client client in-line denied-client" || len(l.streams.sessions) != 2 {
			t.Errorf("decided by %q, %d sessions with the backend", got, len(l.streams.sessions))
		}
	})
}

// Who hangs up in line is not carried, and its turn costs nobody anything.
func TestWhoHangsUpInLineIsNotCarried(t *testing.T) {
	inLine(t, labSet{}, func(l *lab) {
		a, b := l.connects(993, stranger, 0), l.connects(993, stranger, 0)
		for range 3 {
			l.waits(993, stranger).Close()
		}
		if used := l.used(whitelist.MUA, stranger); used != 2 {
			t.Errorf("%d of the burst are used", used)
		}
		closeAll(a, b, l.connects(993, stranger, time.Second))
		if n := len(l.streams.sessions); n != 3 {
			t.Errorf("%d sessions with the backend", n)
		}
		left := 0
		for _, r := range l.records(stranger) {
			if r.Outcome == journal.Left {
				left++
			}
		}
		if left != 3 {
			t.Errorf("%d of 3 are said to have left", left)
		}
	})
}

// What a peer says in line is heard up to a bound, and not lost beyond it.
func TestAllThatIsSaidInLineArrives(t *testing.T) {
	inLine(t, labSet{}, func(l *lab) {
		a, b := l.connects(993, stranger, 0), l.connects(993, stranger, 0)
		third := l.waits(993, stranger)
		long := strings.Repeat("x", 3*lineHears)
		third.say(long + "\n")
		third.say("", "* OK backend", long)
		third.after(time.Second)
		closeAll(a, b, third)
	})
}

func TestTheLineIsBounded(t *testing.T) {
	inLine(t, labSet{line: 1}, func(l *lab) {
		a, b := l.connects(143, stranger, 0), l.connects(143, stranger, 0)
		third := l.waits(143, stranger)
		fourth := l.callAt(143, stranger)
		fourth.say("", "* BYE [UNAVAILABLE] Too much at once: 4 of 2 burst, 60/min: 2 over, its turn in 2 s, but the line is full", "<EOF>")
		if used := l.used(whitelist.MUA, stranger); used != 3 {
			t.Errorf("%d of the burst are used: there was no room of ours", used)
		}
		third.say("", "* OK backend")
		closeAll(a, b, third)
	})
}

// Those that nothing is known of cannot take the whole line, however many guess
// passwords.
func TestTheLineHasRoomForTheKnown(t *testing.T) {
	set := labSet{line: 4, ports: []uint16{143}, learn: func(l *lab, j *Judge) {
		narrow(whitelist.MUA)(l, j)
		(*j.Limits.Load())[whitelist.User] = budget.Limit{Rate: 60, Burst: 1, Open: 20, Wait: 5 * time.Second}
	}}
	inHouse(t, set, func(l *lab) {
		l.loggedIn(friend)
		all := []*caller{l.connects(143, friend, 0), l.connects(143, stranger, 0), l.connects(143, stranger, 0)}
		for range 3 {
			all = append(all, l.waits(143, stranger))
		}
		l.callAt(143, stranger).say("", "* BYE [UNAVAILABLE] Too much at once: 6 of 2 burst, 60/min: 4 over, its turn in 4 s, but the line is full")
		known := l.waits(143, friend)
		l.callAt(143, friend).say("", "* BYE [UNAVAILABLE] Too much at once")
		known.say("", "* OK backend")
		known.after(time.Second)
		closeAll(append(all, known)...)
	})
}

// Those that nothing is known of cannot take the places of the known.
func TestVisitorsAreBoundedAndTheKnownAreNot(t *testing.T) {
	inHouse(t, labSet{visitors: 2, ports: []uint16{993, 587}}, func(l *lab) {
		l.loggedIn(friend)
		first := []*caller{l.connects(993, friend, 0), l.connects(993, friend, 0), l.connects(993, friend, 0)}
		a, b := l.connects(993, stranger, 0), l.connects(993, "203.0.113.8", 0)
		c := l.callAt(587, "203.0.113.9")
		c.say("", "421 4.3.2 Too many connections, come back later (ref ", "<EOF>")
		if used := l.used(whitelist.MUA, "203.0.113.9"); used != 0 {
			t.Errorf("%d of the burst are used: there was no room of ours", used)
		}
		known := []*caller{l.connects(993, friend, 0), l.connects(587, friend, 0), l.connects(993, friend, 0)}
		a.Close()
		synctest.Wait()
		closeAll(append(append(known, first...), b, l.connects(993, "203.0.113.9", 0))...)
	})
}

// Who has to wait needs a visitor's place as well as one in line.
func TestVisitorsInLineAreVisitors(t *testing.T) {
	inLine(t, labSet{visitors: 3}, func(l *lab) {
		all := []*caller{l.waits(143, stranger), l.waits(143, stranger), l.waits(143, stranger)}
		l.callAt(143, stranger).say("", "* BYE [UNAVAILABLE] Too many connections, come back later", "<EOF>")
		if used := l.used(whitelist.MUA, stranger); used != 3 {
			t.Errorf("%d of the burst are used", used)
		}
		closeAll(all...)
	})
}

// Those who wait when moggyd ends get what time there is.
func TestTheLineEndsWithTheGrace(t *testing.T) {
	inLine(t, labSet{grace: 2 * time.Second}, func(l *lab) {
		var all []*caller
		for range 6 {
			all = append(all, l.waits(143, stranger))
		}
		l.stop()
		for i, c := range all[2:] {
			want := "* OK backend"
			if i >= 2 { // its turn would come after the grace, or as it ends
				want = "* BYE [UNAVAILABLE] Shutting down"
			}
			if i != 1 {
				c.say("", want)
			}
		}
		<-l.served
	})
}
