package budget

import "time"

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
		a.conns = min(a.conns, l.connections().mostDebt())
		a.recipients = min(a.recipients, l.recipients().mostDebt())
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
			a.share.use(1, 0, a.last)
		}
	case OverOpen:
		a.share.refused(a.last)
	}
	return u
}

// refund gives a token back.
func (a *account) refund(now int64) {
	if q := a.limit.connections(); q.rate > 0 {
		a.conns = q.charge(a.conns, -1)
		a.share.use(-1, 0, now)
	}
}

// recipient counts one more new recipient, unless that is over.
func (a *account) recipient() Usage {
	u := a.usage(0)
	u.Wait = 0 // a recipient stands in no line
	q := a.limit.recipients()
	if q.rate == 0 {
		return u
	}
	owed := plus(a.recipients, token)
	u.Recipients = tokens(owed)
	if wait := until(owed, q.burst, q.rate); wait > 0 {
		u.Over, u.Wait = OverRecipients, wait
		return u
	}
	a.recipients = owed
	a.share.use(0, 1, a.last)
	return u
}

// charge adds connections and recipients that were used elsewhere, or takes off as
// many that were given back.
func (a *account) charge(conns, recipients int) {
	a.conns = a.limit.connections().charge(a.conns, conns)
	a.recipients = a.limit.recipients().charge(a.recipients, recipients)
}

// usage says how the budget stands with so many more connections. The account is settled.
func (a *account) usage(more int) Usage {
	u := Usage{Limit: a.limit, Open: a.open + a.share.openAt(a.last) + more, Recipients: tokens(a.recipients)}
	if q := a.limit.connections(); q.rate > 0 {
		owed := plus(a.conns, int64(more)*token)
		u.Used, u.Wait = tokens(owed), until(owed, q.burst, q.rate)
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
