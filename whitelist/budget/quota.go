package budget

import (
	"math"
	"math/bits"
	"time"
)

// token is what one connection, or one recipient, costs in the unit that debts are
// kept in: a nanosecond pays back as many units as the rate has tokens a minute. So
// all sums are of whole numbers and nothing is ever rounded.
const token = int64(time.Minute)

// maxTokens bounds a burst, so that sums of debts fit 64 bits. A burst beyond it
// counts as this many.
const maxTokens = 100_000_000

// A quota is one of the two rates of a [Limit], and what goes with it. With a rate
// of 0 nothing is counted, and nothing owed.
type quota struct {
	rate  int           // tokens a minute
	burst int           // tokens at once after a pause
	wait  time.Duration // in line, at most
}

func (l Limit) connections() quota {
	return quota{max(0, l.Rate), min(max(1, l.Burst), maxTokens), max(0, l.Wait)}
}

// recipients stand in no line, and as many as in a minute may come at once.
func (l Limit) recipients() quota {
	rate := max(0, l.Recipients)
	return quota{rate: rate, burst: min(rate, maxTokens)}
}

// MostOwed is the most tokens of each kind that a client comes to owe when others
// charge what it used there: M + B, see [Fleet]. It is 0 of what is not counted.
func (l Limit) MostOwed() (connections, recipients float64) {
	return inTokens(l.connections().mostCharged()), inTokens(l.recipients().mostCharged())
}

// Excess is how many connections, and how many new recipients, more than its budget
// a client gets that uses so many doors at once, when an exchange takes no longer
// than given: see [Fleet].
func (l Limit) Excess(doors int, took time.Duration) (connections, recipients float64) {
	return l.connections().excess(doors, took), l.recipients().excess(doors, took)
}

func (q quota) excess(doors int, took time.Duration) float64 {
	blind := 2 * float64(q.rate) * (interval + took).Minutes()
	return float64(max(0, doors-1)) * (inTokens(q.mostDebt()) + blind)
}

// mostDebt is the most that a client can come to owe at one door: the burst, and
// what can stand in line.
func (q quota) mostDebt() int64 {
	if q.rate == 0 {
		return 0
	}
	burst, rate, wait := int64(q.burst)*token, int64(q.rate), int64(q.wait)
	if wait > (math.MaxInt64-burst)/rate {
		return math.MaxInt64
	}
	return burst + wait*rate
}

// beyond is how much a charge may owe more than that: a burst, and no less than
// what is paid back in 20 s. Without it a client that is at its limit at several
// doors would not be charged for what each of them lets in between two exchanges;
// without an end to it the client would be refused for ever longer.
func (q quota) beyond() int64 {
	if q.rate == 0 {
		return 0
	}
	return max(int64(q.burst)*token, int64(min(q.rate, maxTokens))*int64(20*time.Second))
}

func (q quota) mostCharged() int64 { return plus(q.mostDebt(), q.beyond()) }

// charge adds tokens that were used elsewhere to a debt, or takes off as many that
// were given back. Nobody is refused for longer than it takes to pay back what is
// beyond and one token.
func (q quota) charge(debt int64, n int) int64 {
	n = min(max(n, -maxTokens), maxTokens)
	return min(max(0, plus(debt, int64(n)*token)), q.mostCharged())
}

// paidBack is what is left of a debt after some nanoseconds.
func paidBack(debt int64, rate int, gone int64) int64 {
	if debt == 0 || rate <= 0 {
		return 0
	}
	high, paid := bits.Mul64(uint64(gone), uint64(rate))
	if high > 0 || paid >= uint64(debt) {
		return 0
	}
	return debt - int64(paid)
}

// until is the time until a debt is no more than burst tokens, rounded up.
func until(debt int64, burst, rate int) time.Duration {
	over := debt - int64(burst)*token
	if over <= 0 {
		return 0
	}
	return time.Duration((over-1)/int64(rate) + 1)
}

// plus adds, and stays at the end of what 64 bits hold.
func plus(debt, more int64) int64 {
	if more > 0 && debt > math.MaxInt64-more {
		return math.MaxInt64
	}
	return debt + more
}

// tokens counts a debt in tokens, rounded up.
func tokens(debt int64) int {
	if debt <= 0 {
		return 0
	}
	return int((debt-1)/token + 1)
}

func inTokens(debt int64) float64 { return float64(debt) / float64(token) }
