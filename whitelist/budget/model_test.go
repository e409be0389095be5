package budget

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"moggy/whitelist"
)

// model is a token bucket with real numbers, written down as one would explain
// it: tokens come at a rate, up to a burst; a connection takes one, and may take
// it on credit as long as the debt is paid back within the wait. It knows
// nothing of how an account is kept.
type model struct {
	limit             Limit
	now               time.Time
	conns, recipients bucket
	open              int
}

// A bucket has tokens of one kind.
type bucket struct {
	rate, burst int
	wait        time.Duration
	tokens      *big.Rat // of the burst; below zero: on credit
}

func newModel(l Limit, now time.Time) *model {
	burst := max(1, l.Burst)
	return &model{limit: l, now: now,
		conns:      bucket{l.Rate, burst, l.Wait, whole(burst)},
		recipients: bucket{l.Recipients, l.Recipients, 0, whole(l.Recipients)}}
}

func whole(n int) *big.Rat { return big.NewRat(int64(n), 1) }

// in is how many tokens come in d.
func in(d time.Duration, rate int) *big.Rat {
	return new(big.Rat).Mul(big.NewRat(int64(d), int64(time.Minute)), whole(rate))
}

// at moves on to now. A clock that goes back brings nothing.
func (m *model) at(now time.Time) {
	gone := max(0, now.Sub(m.now))
	m.now = now
	m.conns.fill(gone)
	m.recipients.fill(gone)
}

func (b *bucket) fill(gone time.Duration) {
	b.tokens = least(whole(b.burst), new(big.Rat).Add(b.tokens, in(gone, b.rate)))
}

func least(a, b *big.Rat) *big.Rat {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

func most(a, b *big.Rat) *big.Rat {
	if a.Cmp(b) > 0 {
		return a
	}
	return b
}

// shortOf is the time until there is a whole token, rounded up to a nanosecond.
func shortOf(tokens *big.Rat, rate int) time.Duration {
	lacks := new(big.Rat).Sub(whole(1), tokens)
	if lacks.Sign() <= 0 {
		return 0
	}
	ns := lacks.Mul(lacks, big.NewRat(int64(time.Minute), int64(rate)))
	up := new(big.Int).Add(ns.Num(), new(big.Int).Sub(ns.Denom(), big.NewInt(1)))
	return time.Duration(up.Div(up, ns.Denom()).Int64())
}

// look says what becomes of a connection: what is over, and the wait.
func (m *model) look() (Over, time.Duration) {
	if m.limit.Open > 0 && m.open >= m.limit.Open {
		return OverOpen, 0
	}
	if m.limit.Rate == 0 {
		return Within, 0
	}
	wait := shortOf(m.conns.tokens, m.limit.Rate)
	if wait > m.limit.Wait {
		return OverRate, wait - m.limit.Wait
	}
	return Within, wait
}

func (m *model) take() (Over, time.Duration) {
	over, wait := m.look()
	if over == Within {
		m.open++
		m.conns.charge(1)
	}
	return over, wait
}

// charge takes n tokens, or gives them back, within what can be owed and held: on
// credit, a burst or 20 s more than a connection may.
func (b *bucket) charge(n int) {
	if b.rate == 0 {
		return
	}
	credit := in(b.wait, b.rate)
	b.tokens = least(whole(b.burst), new(big.Rat).Sub(b.tokens, whole(n)))
	credit.Add(credit, most(whole(b.burst), in(20*time.Second, b.rate)))
	b.tokens = most(b.tokens, credit.Neg(credit))
}

func (m *model) recipient() (Over, time.Duration) {
	if m.limit.Recipients == 0 {
		return Within, 0
	}
	if wait := shortOf(m.recipients.tokens, m.limit.Recipients); wait > 0 {
		return OverRecipients, wait
	}
	m.recipients.charge(1)
	return Within, 0
}

// modelLimits are those of the classes and some with corners: rates that do not
// divide a minute, no burst, no rate, no limit of open, long waits.
func modelLimits() (all []Limit) {
	for _, k := range whitelist.Kinds() {
		all = append(all, For(nil, k.Class))
	}
	return append(all,
		Limit{},
		Limit{Rate: 7, Recipients: 7},
		Limit{Rate: 7, Burst: 3, Wait: 20 * time.Second},
		Limit{Rate: 11, Burst: 2, Open: 3, Wait: 1},
		Limit{Rate: 59_999, Burst: 5, Wait: 40 * time.Microsecond},
		Limit{Open: 2, Recipients: 1},
	)
}

// gaps are the times between two steps: mostly forward, with two steps of the
// clock back.
func gaps(l Limit, wait time.Duration) [16]time.Duration {
	each := time.Minute / time.Duration(max(1, l.Rate))
	return [...]time.Duration{0, 0, 0, 0, 1, time.Microsecond, 17 * time.Millisecond, each / 3, each, each + 1,
		wait, wait - 1, 3 * time.Second, time.Minute, -time.Second, -time.Hour}
}

// play does what script says, two bytes a step, on a Local and on the model, and
// compares what they say. The first byte chooses the limit.
func play(t *testing.T, script []byte) {
	limits := modelLimits()
	l := limits[int(script[0])%len(limits)]
	now, wait := start, time.Duration(0)
	local, want := NewLocal(), newModel(l, start)
	for i := 1; i+1 < len(script); i += 2 {
		now = now.Add(gaps(l, wait)[script[i]%16])
		over, after := step(local, want, script[i+1], now)
		if over.got != over.want || after.got != after.want {
			t.Fatalf("step %d (%d) of %+v: got %q %s, want %q %s", i/2, script[i+1]%10, l, over.got, after.got, over.want, after.want)
		}
		wait = after.got
	}
}

// pair is what the Local says, and what the model says.
type pair[T any] struct{ got, want T }

// step does one thing to both.
func step(m *Local, want *model, what byte, now time.Time) (over pair[Over], wait pair[time.Duration]) {
	var u Usage
	l := want.limit
	switch what % 10 {
	case 5, 6: // Done and Refund need no time
	case 8: // Look leaves no trace
		aside := *want
		want = &aside
		fallthrough
	default:
		want.at(now)
	}
	switch n := int(what / 10); what % 10 {
	case 0, 1, 2, 3, 4:
		over.want, wait.want = want.take()
		u = m.Take(userKey, l, now)
	case 5:
		want.open = max(0, want.open-1)
		m.Done(userKey, now)
		return over, wait
	case 6:
		want.conns.charge(-1)
		m.Refund(userKey, l, now)
		return over, wait
	case 7:
		over.want, wait.want = want.recipient()
		u = m.Recipient(userKey, l, now)
	case 8:
		over.want, wait.want = want.look()
		u = m.Look(userKey, l, now)
	case 9:
		want.conns.charge(n - 5)
		want.recipients.charge(19 - n)
		m.charge(userKey, l, n-5, 19-n, now)
		return over, wait
	}
	over.got, wait.got = u.Over, u.Wait
	if fits := u.Used <= max(1, l.Burst) || l.Rate == 0; what%10 < 5 && fits != (u.Wait == 0) && u.Over != OverOpen {
		over.got = Over(fmt.Sprintf("%d of the burst, and a wait of %s", u.Used, u.Wait))
	}
	return over, wait
}

func TestModel(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 600 {
		script := make([]byte, 1+2*(50+r.IntN(600)))
		for i := range script {
			script[i] = byte(r.Uint32())
		}
		play(t, script)
	}
}

func FuzzModel(f *testing.F) {
	f.Add([]byte{9, 0, 0, 0, 0, 8, 8, 10, 0, 11, 0})
	f.Add([]byte{12, 0, 0, 14, 0, 15, 0, 0, 6, 0, 99, 13, 7})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 0 {
			play(t, script[:min(len(script), 4000)])
		}
	})
}
