package desk

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"moggy/greylist"
)

// StuckFilter says how many rows are wanted.
type StuckFilter struct {
	Limit int `json:"limit,omitempty"` // 0: MaxRows
}

// StuckList is the mail that comes back and does not pass.
type StuckList struct {
	Mails []Stuck `json:"mails"` // the latest try first
	Total int     `json:"total"` // without the limit
}

// A Stuck is a mail that was deferred and came back several times without
// passing, from however many networks.
type Stuck struct {
	Sender    string            `json:"sender"` // "" is the null sender
	Recipient string            `json:"recipient"`
	Tries     int               `json:"tries"`
	Origins   []greylist.Origin `json:"origins"` // that it came as, at most maxOrigins
	From      int               `json:"from"`    // how many origins there are
	Peer      netip.Addr        `json:"peer"`    // the address that tried last
	First     time.Time         `json:"first"`
	Last      time.Time         `json:"last"`

	pass  time.Duration // the shortest that one of its origins has to wait
	known bool          // one of its origins is known: it has passed, or will
}

// What makes a mail stuck: so many tries, or one more after so long. Before it
// has tried for as long as it has to wait nobody is stuck: the sender is hasty.
const (
	stuckTries = 3
	stuckAfter = time.Hour
	maxOrigins = 5
)

func (s *Stuck) stuck() bool {
	tried := s.Last.Sub(s.First)
	return !s.known && tried >= s.pass && (s.Tries >= stuckTries || s.Tries > 1 && tried >= stuckAfter)
}

// An envelope is what the tries of one mail have in common, whoever brings it.
type envelope struct{ sender, recipient string }

// Stuck implements Desk. It tells at most MaxRows envelopes apart that were tried
// once; beyond those a mail has to come twice from one origin to be seen.
func (l *Local) Stuck(ctx context.Context, q StuckFilter) (StuckList, error) {
	known, err := l.origins(ctx, GreyFilter{}, &GreyList{})
	if err != nil {
		return StuckList{}, err
	}
	mails := make(map[envelope]*Stuck)
	for r, err := range l.Judge.Greylist.Triplets(ctx, l.now()) {
		if err != nil {
			return StuckList{}, err
		}
		e := envelope{r.Sender, r.Recipient}
		switch s := mails[e]; {
		case s != nil:
			s.add(r, known[r.Origin.Key()], l.passFor(r))
		case len(mails) < MaxRows || r.Tries > 1 && len(mails) < 2*MaxRows:
			s = &Stuck{Sender: r.Sender, Recipient: r.Recipient, First: r.First, pass: l.passFor(r)}
			s.add(r, known[r.Origin.Key()], s.pass)
			mails[e] = s
		}
	}
	return stuckOf(mails, rows(q.Limit)), nil
}

func (l *Local) passFor(r greylist.Row) time.Duration { return l.Judge.Timers.Load().PassFor(r.Origin) }

// add counts the tries of one more origin.
func (s *Stuck) add(r greylist.Row, known bool, pass time.Duration) {
	s.Tries += int(r.Tries)
	s.From++
	if len(s.Origins) < maxOrigins {
		s.Origins = append(s.Origins, r.Origin)
	}
	if r.First.Before(s.First) {
		s.First = r.First
	}
	if !r.Last.Before(s.Last) {
		s.Last, s.Peer = r.Last, r.Peer
	}
	s.pass, s.known = min(s.pass, pass), s.known || known
}

func stuckOf(mails map[envelope]*Stuck, limit int) StuckList {
	out := StuckList{Mails: []Stuck{}}
	for _, s := range mails {
		if s.stuck() {
			s.First, s.Last = s.First.UTC(), s.Last.UTC()
			slices.SortFunc(s.Origins, func(a, b greylist.Origin) int { return strings.Compare(a.Name, b.Name) })
			out.Mails = append(out.Mails, *s)
		}
	}
	slices.SortFunc(out.Mails, func(a, b Stuck) int {
		return cmp.Or(b.Last.Compare(a.Last), strings.Compare(a.Sender, b.Sender), strings.Compare(a.Recipient, b.Recipient))
	})
	out.Total = len(out.Mails)
	out.Mails = out.Mails[:min(len(out.Mails), limit)]
	return out
}
