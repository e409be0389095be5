package budget

import (
	"cmp"
	"slices"
	"time"
)

// How doors share. A lease outlives two renewals that fail.
const (
	interval = time.Second      // between two exchanges
	renewal  = 3 * time.Second  // between two of a key that does nothing but have connections open
	lease    = 10 * time.Second // for which open connections count elsewhere, and notes are worth telling
)

// mostTold is how many keys of a shard are told in one exchange.
const mostTold = 32

// A share is what an account has to do with other doors. The nil share is that of
// a door that is alone.
type share struct {
	key        Key
	known      bool  // its class is
	listed     bool  // in the shard's list
	gone       bool  // displaced: its account counts no more
	asks       bool  // it was refused for what is open elsewhere
	conns      int   // tokens taken less those given back, not told yet
	recipients int   // counted and not told yet
	since      int64 // when the first of both was taken
	open       int   // connections, as they were told
	told       int64 // when
	elsewhere  int   // connections open at the other doors
	heard      int64 // when that was true
}

// use notes tokens that were taken, or given back.
func (s *share) use(conns, recipients int, now int64) {
	if s == nil {
		return
	}
	if !s.used() {
		s.since = now
	}
	s.conns += conns
	s.recipients += recipients
}

// used reports whether there are tokens that were not told yet.
func (s *share) used() bool { return s.conns != 0 || s.recipients != 0 }

// openAt is what is open elsewhere. What was heard too long ago is not believed,
// also where the clock was set.
func (s *share) openAt(now int64) int {
	if s == nil || !within(now, s.heard, lease) {
		return 0
	}
	return s.elsewhere
}

// refused notes a connection that was one too many because of those elsewhere:
// they may have ended.
func (s *share) refused(now int64) {
	if s != nil {
		s.asks = s.openAt(now) > 0
	}
}

// drop forgets notes that waited too long: by now most of it is paid back.
func (s *share) drop(now int64) (lost int) {
	if !s.used() || !s.gone && within(now, s.since, lease) {
		return 0
	}
	lost = count(s.conns, s.recipients)
	s.conns, s.recipients = 0, 0
	return lost
}

// count is how many tokens it is about, those that are given back as well.
func count(conns, recipients int) int { return max(conns, -conns) + recipients }

// blank reports whether nothing is lost with it.
func (s *share) blank(now int64) bool { return s == nil || !s.listed && s.openAt(now) == 0 }

// within reports whether two times are less than d apart.
func within(a, b int64, d time.Duration) bool { return max(a-b, b-a) < int64(d) }

// due reports whether the others have to be told of the account now.
func (a *account) due(now int64) bool {
	s := a.share
	if s.used() || s.asks {
		return true
	}
	return a.limit.Open > 0 && (a.open != s.open || a.open > 0 && !within(now, s.told, renewal))
}

// tell is what the others have to be told.
func (a *account) tell(now int64) Use {
	s := a.share
	u := Use{Key: s.key, Limit: a.limit, Tokens: s.conns, Recipients: s.recipients, Open: a.open}
	s.conns, s.recipients, s.asks, s.open, s.told = 0, 0, false, a.open, now
	return u
}

// weight is how many connections and recipients it is about.
func (a *account) weight() int {
	n := count(a.share.conns, a.share.recipients) + a.open
	if a.share.asks {
		n += a.share.elsewhere
	}
	return n
}

// heavier orders what is to be told: the known first, and those with more.
func heavier(a, b *account) int {
	if a.share.known != b.share.known {
		if a.share.known {
			return -1
		}
		return 1
	}
	return cmp.Compare(b.weight(), a.weight())
}

// note puts an account on the list of those of which the others are told.
func (s *shard) note(a *account, now int64) {
	if a.share == nil || a.share.listed || !a.due(now) || len(s.noted) >= s.mostNoted() {
		return
	}
	a.share.listed = true
	s.noted = append(s.noted, a)
}

// mostNoted leaves room for accounts that were displaced since the last exchange.
func (s *shard) mostNoted() int { return 2 * (s.halves[0].max + s.halves[1].max) }

// tell appends what the others have to be told now, and counts the tokens that they
// never will be. What is too much for one exchange waits for the next.
func (s *shard) tell(uses []Use, now int64) (_ []Use, lost int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	due, lost := s.tidy(now)
	if due > mostTold {
		slices.SortFunc(s.noted, heavier)
	}
	told := 0
	for _, a := range s.noted {
		if told == mostTold {
			break
		}
		if a.due(now) {
			uses = append(uses, a.tell(now))
			told++
		}
	}
	return uses, lost
}

// tidy takes off the list what need not be told any more, and counts what is due.
func (s *shard) tidy(now int64) (due, lost int) {
	kept := s.noted[:0]
	for _, a := range s.noted {
		lost += a.share.drop(now)
		isDue := !a.share.gone && a.due(now)
		a.share.listed = isDue || a.open > 0
		if a.share.listed {
			kept = append(kept, a)
		}
		if isDue {
			due++
		}
	}
	clear(s.noted[len(kept):])
	s.noted = kept
	return due, lost
}

// hear charges what others have used, as it was at a time.
func (s *shard) hear(o Others, l Limit, at, now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.half(o.Key).open(o.Key, l, now)
	a.charge(o.Tokens, o.Recipients)
	if a.share != nil {
		a.share.elsewhere, a.share.heard = min(max(0, o.Open), maxTokens), at
	}
}
