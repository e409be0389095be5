package budget

import "time"

// A table keeps at most max accounts.
type table struct {
	max      int
	shared   bool // with other doors
	accounts map[Key]*account
}

// How many old accounts a new one looks at. More than one, so that those who are
// gone are dropped faster than new ones come.
const (
	sweepAt = 4  // each new one
	sweepIn = 16 // when there is no room
)

// open returns the account of k, settled, and makes it where there is none.
func (t *table) open(k Key, l Limit, now int64) *account {
	a := t.accounts[k]
	if a == nil {
		a = t.add(k, now)
	}
	a.settle(l, now)
	return a
}

// add makes an account. Where no room can be made it is not kept.
func (t *table) add(k Key, now int64) *account {
	a := &account{last: now}
	t.sweep(now)
	if len(t.accounts) < t.max || t.displace(now) {
		t.accounts[k] = a
		if t.shared {
			a.share = &share{key: k, known: k.Class.Known()}
		}
	}
	return a
}

// sweep drops a few accounts that equal none. Which ones it looks at is left to
// the order of the map, which is random.
func (t *table) sweep(now int64) {
	looked := 0
	for k, a := range t.accounts {
		if a.settle(a.limit, now); a.blank() {
			delete(t.accounts, k)
		}
		if looked++; looked == sweepAt {
			return
		}
	}
}

// displace drops one account that has no connection open: of a few, the one that
// has paid back soonest. It reports whether it found one.
func (t *table) displace(now int64) bool {
	looked := 0
	var out Key
	var displaced *account
	least := time.Duration(-1)
	for k, a := range t.accounts {
		a.settle(a.limit, now)
		if rest := a.rest(); a.open == 0 && (least < 0 || rest < least) {
			out, displaced, least = k, a, rest
		}
		if looked++; looked == sweepIn {
			break
		}
	}
	delete(t.accounts, out)
	if displaced != nil && displaced.share != nil {
		displaced.share.gone = true
	}
	return displaced != nil
}
