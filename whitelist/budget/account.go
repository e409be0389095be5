package budget

import (
	"math"
	"math/bits"
	"time"
)

// token is what one connection, or one recipient, costs in the unit that
// accounts are kept in: a nanosecond pays back as many units as the rate has
// tokens a minute. So all sums are of whole numbers and nothing is ever rounded.
const token = int64(time.Minute)

// maxTokens bounds a burst, so that sums of debts fit 64 bits. A burst beyond it
// counts as this many.
const maxTokens = 100_000_000

// An account is what one key has used. It is the generic cell rate algorithm in
// its leaky bucket form (ITU-T I.371, annex A): what is owed, and when that was
// true. One time of arrival would say the same, but owing tokens instead of time
// survives a change of the rate and a step of the clock: neither makes anybody
// owe more than it used.
type account struct {
	limit      Limit // as last given
	last       int64 // nanoseconds since 1970: when the debts below were true
	conns      int64 // owed for connections
	recipients int64 // owed for new recipients
	open       int
	share      *share // nil: there are no other doors
}

// settle brings the account to the time now and the limit l. When the clock went
// back nothing is paid back, and time counts from there: what is given up is that
// the span which comes twice pays back twice.
func (a *account) settle(l Limit, now int64) {
	if l != a.limit {
		a.limit = l
		a.conns = min(a.conns, l.mostDebt())
		a.recipients = min(a.recipients, int64(l.recipients())*token)
	}
	gone := max(0, now-a.last)
	a.last = now
	a.conns = paidBack(a.conns, l.Rate, gone)
	a.recipients = paidBack(a.recipients, l.Recipients, gone)
}

// ask says how the budget would stand with one more connection. The account is settled.
func (a *account) ask() Usage {
	u := a.usage(1)
	patience := max(0, a.limit.Wait)
	switch {
	case a.limit.Open > 0 && u.Open > a.limit.Open:
		u.Over, u.Wait = OverOpen, 0
	case u.Wait > patience:
		u.Over, u.Wait = OverRate, u.Wait-patience
	}
	return u
}

// take takes one more connection in, unless that is over.
func (a *account) take() Usage {
	u := a.ask()
	switch u.Over {
	case Within:
		a.open++
		if a.limit.Rate > 0 {
			a.conns = plus(a.conns, token)
			a.share.use(1, a.last)
		}
	case OverOpen:
		a.share.refused(a.last)
	}
	return u
}

// refund gives a token back.
func (a *account) refund(now int64) {
	a.charge(-1)
	if a.limit.Rate > 0 {
		a.share.use(-1, now)
	}
}

// recipient counts one more new recipient, unless that is over.
func (a *account) recipient() Usage {
	u := a.usage(0)
	u.Wait = 0 // a recipient stands in no line
	if a.limit.Recipients <= 0 {
		return u
	}
	owed := plus(a.recipients, token)
	u.Recipients = tokens(owed)
	if wait := until(owed, a.limit.recipients(), a.limit.Recipients); wait > 0 {
		u.Over, u.Wait = OverRecipients, wait
		return u
	}
	a.recipients = owed
	return u
}

// charge adds tokens that were used elsewhere, or takes off as many that were
// given back.
func (a *account) charge(n int) {
	if a.limit.Rate <= 0 {
		return
	}
	n = min(max(n, -maxTokens), maxTokens)
	a.conns = min(max(0, plus(a.conns, int64(n)*token)), a.limit.mostCharged())
}

// usage says how the budget stands with so many more connections. The account is settled.
func (a *account) usage(more int) Usage {
	u := Usage{Limit: a.limit, Open: a.open + a.share.openAt(a.last) + more, Recipients: tokens(a.recipients)}
	if a.limit.Rate > 0 {
		owed := plus(a.conns, int64(more)*token)
		u.Used, u.Wait = tokens(owed), until(owed, a.limit.burst(), a.limit.Rate)
	}
	return u
}

// blank reports whether the account equals none at all. It is settled.
func (a *account) blank() bool {
	return a.open == 0 && a.conns == 0 && a.recipients == 0 && a.share.blank(a.last)
}

// rest is the time until all is paid back. The account is settled.
func (a *account) rest() time.Duration {
	return max(until(a.conns, 0, a.limit.Rate), until(a.recipients, 0, a.limit.Recipients))
}

// burst is how many connections may come at once.
func (l Limit) burst() int { return min(max(1, l.Burst), maxTokens) }

// recipients is how many new ones may come at once: as many as in a minute.
func (l Limit) recipients() int { return min(max(0, l.Recipients), maxTokens) }

// MostOwed is the most tokens that a client comes to owe when others charge what
// it used there: what it could come to owe here, and [Limit.MostBeyond].
func (l Limit) MostOwed() float64 { return inTokens(l.mostCharged()) }

// MostBeyond is how many tokens a charge may owe more than a connection: a burst,
// and no less than what is paid back in 20 s. Without them a client that is at its
// limit at several doors would not be charged for what each of them lets in
// between two exchanges; without an end to them it would be refused for ever longer.
func (l Limit) MostBeyond() float64 { return inTokens(l.beyond()) }

// beyond is that in the unit of accounts.
func (l Limit) beyond() int64 {
	return max(int64(l.burst())*token, int64(min(max(0, l.Rate), maxTokens))*int64(20*time.Second))
}

func (l Limit) mostCharged() int64 { return plus(l.mostDebt(), l.beyond()) }

func inTokens(debt int64) float64 { return float64(debt) / float64(token) }

// mostDebt is the most that a client can come to owe at one door: the burst, and
// what can stand in line.
func (l Limit) mostDebt() int64 {
	burst := int64(l.burst()) * token
	rate, wait := int64(max(0, l.Rate)), int64(max(0, l.Wait))
	if rate > 0 && wait > (math.MaxInt64-burst)/rate {
		return math.MaxInt64
	}
	return burst + wait*rate
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
