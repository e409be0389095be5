package budget

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"moggy/whitelist"
)

// charge charges what was used elsewhere.
func (m *Local) charge(k Key, l Limit, conns, recipients int, now time.Time) {
	o := Others{Key: k, Tokens: conns, Recipients: recipients}
	m.shard(k).hear(o, l, now.UnixNano(), now.UnixNano())
}

// takeMany takes n connections at once and says what the last one was told.
func takeMany(m Meter, k Key, l Limit, n int, now time.Time) (u Usage) {
	for range n {
		u = m.Take(k, l, now)
	}
	return u
}

func TestRefusedTakesNothing(t *testing.T) {
	limits := Defaults()
	limits["line of ten"] = Limit{Rate: 60, Burst: 3, Wait: 10 * time.Second}
	for class, l := range limits {
		l.Open = 0
		m := NewLocal()
		takeMany(m, userKey, l, l.Burst, start)
		var taken int
		u := m.Take(userKey, l, start)
		for ; u.Over == Within; taken++ {
			u = m.Take(userKey, l, start)
		}
		if inLine := int(l.Wait * time.Duration(l.Rate) / time.Minute); taken != inLine {
			t.Errorf("%s: %d were let into a line for %d", class, taken, inLine)
		}
		takeMany(m, userKey, l, 100, start)
		if early := m.Take(userKey, l, start.Add(u.Wait-1)); early.Over != OverRate || early.Wait != 1 {
			t.Errorf("%s: taken too early: %s", class, early)
		}
		if due := m.Take(userKey, l, start.Add(u.Wait)); due.Over != Within || due.Wait != l.Wait {
			t.Errorf("%s: refused when it was due: %s", class, due)
		}
	}
}

func TestOpen(t *testing.T) {
	m, l := NewLocal(), Limit{Rate: 600, Burst: 100, Open: 2}
	m.Done(userKey, start)
	takeMany(m, userKey, l, 2, start)
	want := Usage{Limit: l, Used: 3, Open: 3, Over: OverOpen}
	if u := m.Take(userKey, l, start); u != want {
		t.Errorf("the third of two: got %+v, want %+v", u, want)
	}
	m.Refund(userKey, l, start)
	if u := m.Look(userKey, l, start); u.Over != OverOpen || u.Used != 2 {
		t.Errorf("a refund closed a connection, or gave no token back: %s", u)
	}
	m.Done(userKey, start)
	if u := m.Take(userKey, l, start); u.Over != Within || u.Open != 2 {
		t.Errorf("no room for the next after the end of one: %s", u)
	}
	for range 10 {
		m.Done(userKey, start)
	}
	if u := m.Look(userKey, l, start); u.Open != 1 {
		t.Errorf("open went below zero: %s", u)
	}
}

func TestRefundFillsNoFurtherThanFull(t *testing.T) {
	m, l := NewLocal(), Limit{Rate: 1, Burst: 3}
	m.Take(userKey, l, start)
	for range 5 {
		m.Refund(userKey, l, start)
	}
	if u := takeMany(m, userKey, l, 4, start); u.Over != OverRate {
		t.Errorf("refunds made the burst larger: %s", u)
	}
}

func TestRecipients(t *testing.T) {
	m, l := NewLocal(), For(nil, whitelist.Listed)
	for i := range 6 {
		if u := m.Recipient(userKey, l, start); u.Over != Within || u.Wait != 0 || u.Recipients != i+1 {
			t.Fatalf("recipient %d of 6: %s", i+1, u)
		}
	}
	if u := m.Recipient(userKey, l, start); u.Over != OverRecipients || u.Wait != 10*time.Second || u.Recipients != 7 {
		t.Errorf("recipient 7 of 6: %s, wait %s", u, u.Wait)
	}
	if u := m.Take(userKey, l, start); u.Over != Within || u.Used != 1 || u.Recipients != 6 {
		t.Errorf("recipients cost connections: %s", u)
	}
	if u := m.Recipient(userKey, l, start.Add(10*time.Second)); u.Over != Within {
		t.Errorf("refused when it was due: %s", u)
	}
	takeMany(m, userKey, For(nil, whitelist.User), 350, start)
	if u := m.Recipient(userKey, For(nil, whitelist.User), start); u.Over != Within || u.Wait != 0 {
		t.Errorf("not counted, but: %s, wait %s", u, u.Wait)
	}
}

// TestClockSteps uses up all there is, and the line, and sets the clock.
func TestClockSteps(t *testing.T) {
	for class, l := range Defaults() {
		l.Open = 0
		refill := time.Duration(l.Burst) * time.Minute / time.Duration(l.Rate)
		for _, by := range []time.Duration{-1, -time.Second, -time.Hour, -400 * 24 * time.Hour, time.Hour, 400 * 24 * time.Hour} {
			m := NewLocal()
			for m.Take(userKey, l, start).Over == Within {
			}
			now := start.Add(by)
			if u := m.Take(userKey, l, now); u.Wait < 0 || u.Over == OverRate && u.Wait > refill {
				t.Errorf("%s, clock set by %s: %s, wait %s", class, by, u, u.Wait)
			}
			if u := m.Take(userKey, l, now.Add(refill)); u.Over != Within || u.Wait < 0 {
				t.Errorf("%s, clock set by %s, refilled: %s, wait %s", class, by, u, u.Wait)
			}
		}
	}
}

func TestNewLimits(t *testing.T) {
	wide, narrow := Limit{Rate: 600, Burst: 300}, Limit{Rate: 1, Burst: 5}
	m := NewLocal()
	takeMany(m, userKey, wide, 300, start)
	if u := m.Take(userKey, narrow, start); u.Over != OverRate || u.Wait != time.Minute {
		t.Errorf("narrowed to a burst of 5: a debt of 300 stayed: %s", u)
	}
	if u := m.Take(userKey, wide, start); u.Over != Within || u.Used != 6 {
		t.Errorf("widened again: %s", u)
	}
	if u := m.Take(userKey, Limit{}, start); u.Over != Within || u.Used != 0 {
		t.Errorf("no limit any more: %s", u)
	}
}

// TestHugeLimits shows that a limit of any size is a limit, not an overflow.
func TestHugeLimits(t *testing.T) {
	const huge = 1<<31 - 1
	for _, l := range []Limit{
		{Rate: huge, Burst: huge, Open: huge, Recipients: huge, Wait: 1<<63 - 1},
		{Rate: 1, Burst: huge, Recipients: 1, Wait: 1<<63 - 1},
		{Rate: -1, Burst: -1, Open: -1, Recipients: -1, Wait: -1},
	} {
		m := NewLocal()
		for i := range 1000 {
			now := start.AddDate(i%3*100-100, 0, 0)
			m.charge(userKey, l, huge, huge, now)
			m.Recipient(userKey, l, now)
			if u := m.Take(userKey, l, now); u.Wait < 0 || u.Used < 0 || u.Recipients < 0 {
				t.Fatalf("%+v: %s, wait %s", l, u, u.Wait)
			}
			m.charge(userKey, l, -huge, -huge, now)
		}
	}
}

func TestCharge(t *testing.T) {
	l := Limit{Rate: 60, Burst: 10, Open: 100, Wait: 5 * time.Second}
	tests := []struct {
		name    string
		charges []int
		used    int // of the next connection
		over    Over
		wait    time.Duration
	}{
		{"nothing", nil, 1, Within, 0},
		{"zero", []int{0}, 1, Within, 0},
		{"some", []int{3, 4}, 8, Within, 0},
		{"all", []int{9}, 10, Within, 0},
		{"into the line", []int{12}, 13, Within, 3 * time.Second},
		{"given back", []int{12, -5}, 8, Within, 0},
		{"more given back than used", []int{2, -1000}, 1, Within, 0},
		{"much more than can be owed", []int{1000, 1 << 30}, 36, OverRate, 21 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := NewLocal()
			for _, n := range test.charges {
				m.charge(userKey, l, n, 0, start)
			}
			want := Usage{Limit: l, Used: test.used, Open: 1, Over: test.over, Wait: test.wait}
			if u := m.Take(userKey, l, start); u != want {
				t.Errorf("got %+v, want %+v", u, want)
			}
		})
	}
}

// TestChargeRecipients: they are charged as connections are, and for themselves.
func TestChargeRecipients(t *testing.T) {
	l := Limit{Recipients: 6}
	tests := []struct {
		name    string
		charges []int
		used    int // with the next one
		over    Over
		wait    time.Duration
	}{
		{"nothing", nil, 1, Within, 0},
		{"all", []int{2, 3}, 6, Within, 0},
		{"one more", []int{6}, 7, OverRecipients, 10 * time.Second},
		{"more given back than counted", []int{2, -1000}, 1, Within, 0},
		{"much more than can be owed", []int{1000, 1 << 30}, 13, OverRecipients, 70 * time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			m := NewLocal()
			for _, n := range test.charges {
				m.charge(userKey, l, 1000, n, start)
			}
			want := Usage{Limit: l, Recipients: test.used, Over: test.over, Wait: test.wait}
			if u := m.Recipient(userKey, l, start); u != want {
				t.Errorf("got %+v, want %+v", u, want)
			}
			if u := m.Take(userKey, l, start); u.Over != Within || u.Used != 0 {
				t.Errorf("recipients cost connections, which are not counted: %s", u)
			}
		})
	}
}

// TestChargeIsTheSameUse has half of the connections come elsewhere.
func TestChargeIsTheSameUse(t *testing.T) {
	here, both, l := NewLocal(), NewLocal(), Limit{Rate: 30, Burst: 20, Recipients: 40, Wait: time.Minute}
	for i := range 15 {
		now := start.Add(time.Duration(i) * 700 * time.Millisecond)
		here.Take(userKey, l, now)
		here.Recipient(userKey, l, now)
		here.charge(userKey, l, 1, 1, now)
		takeMany(both, userKey, l, 2, now)
		both.Recipient(userKey, l, now)
		both.Recipient(userKey, l, now)
	}
	after := start.Add(11 * time.Second)
	got, want := here.Look(userKey, l, after), both.Look(userKey, l, after)
	if want.Open, got.Open = 0, got.Open-16; got != want || got.Recipients == 0 {
		t.Errorf("with half of it elsewhere: %s; all here: %s", got, want)
	}
}

func TestTop(t *testing.T) {
	m, l := NewLocal(), For(nil, whitelist.User)
	keys := manyNets(whitelist.User, 200)
	for i, k := range keys {
		takeMany(m, k, l, i+1, start)
	}
	for range 200 {
		m.Done(keys[199], start)
	}
	top := m.Top(3, start.Add(5*time.Second)) // 50 are paid back
	for i, want := range []string{"150 of 300 burst, 600/min; 0 of 500 open", "149 of 300 burst, 600/min; 199 of 500 open", "148 of 300 burst, 600/min; 198 of 500 open"} {
		if top[i].Key != keys[199-i] || top[i].Usage.String() != want {
			t.Errorf("%d: %v %s, want %s", i, top[i].Key, top[i].Usage, want)
		}
	}
	if rows := m.Top(1000, start.Add(time.Hour)); len(rows) != 199 || rows[0].Usage.Open != 199 {
		t.Errorf("an hour later: %d rows, first %+v; those with open connections are left", len(rows), rows[0])
	}
	if rows := m.Top(0, start); len(rows) != 0 {
		t.Errorf("none asked for, %d rows", len(rows))
	}
}

// TestTogether takes from many goroutines, while others look.
func TestTogether(t *testing.T) {
	m, l := NewLocal(), Limit{Rate: 60, Burst: 300, Wait: 10 * time.Second}
	var taken, waits atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				switch u := m.Take(userKey, l, start); {
				case u.Over == Within && u.Wait > 0:
					waits.Add(1)
					fallthrough
				case u.Over == Within:
					taken.Add(1)
				}
				m.Look(userKey, l, start)
				m.Top(3, start)
			}
		})
	}
	all.Wait()
	if taken.Load() != 310 || waits.Load() != 10 {
		t.Errorf("%d taken, %d of them in line; want 310 and 10", taken.Load(), waits.Load())
	}
}

// TestPools counts all addresses of an origin as one.
func TestPools(t *testing.T) {
	m, l := NewLocal(), Limit{Rate: 1, Burst: 10}
	for i := range 20 {
		k := Key{Class: whitelist.Pool, Origin: fmt.Sprintf("d%d.example", i%2)}
		if u := m.Take(k, l, start); u.Over != Within || u.Used != i/2+1 {
			t.Fatalf("%v: %s", k, u)
		}
	}
}
