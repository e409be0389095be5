package desk

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"moggy/greylist"
	"moggy/whitelist"
)

// GreyFilter says what of the greylist is meant: what fits all that is given.
type GreyFilter struct {
	Net     netip.Prefix `json:"net,omitzero"`      // the last peer, or the origin where it is a network
	Mailbox string       `json:"mailbox,omitempty"` // sender or recipient; "@example.org": of the domain
	Origin  string       `json:"origin,omitempty"`  // its name
	Limit   int          `json:"limit,omitempty"`   // rows of each list; 0: MaxRows
}

func (q *GreyFilter) empty() bool { return !q.Net.IsValid() && q.Mailbox == "" && q.Origin == "" }

// A Waiting is a triplet that has been deferred.
type Waiting struct {
	Origin    greylist.Origin `json:"origin"`
	Sender    string          `json:"sender"` // "" is the null sender
	Recipient string          `json:"recipient"`
	Peer      netip.Addr      `json:"peer"` // the address that tried last
	First     time.Time       `json:"first"`
	Last      time.Time       `json:"last"`
	Tries     uint32          `json:"tries"`
	Passes    time.Time       `json:"passes"`  // a retry passes from here on
	Expires   time.Time       `json:"expires"` // and until here
	Known     bool            `json:"known"`   // its origin is known: it does not wait any more
}

// A KnownOrigin is an origin that passed before.
type KnownOrigin struct {
	greylist.Origin
	Since   time.Time `json:"since"`
	Used    time.Time `json:"used"`
	Expires time.Time `json:"expires"` // unless it is used
}

// GreyList is what the greylist holds.
type GreyList struct {
	Waiting      []Waiting     `json:"waiting"` // the newest so many, the oldest of them first
	Origins      []KnownOrigin `json:"origins"` // by name
	TotalWaiting int           `json:"total_waiting"`
	TotalOrigins int           `json:"total_origins"`
}

// Grey implements Desk.
func (l *Local) Grey(ctx context.Context, q GreyFilter) (GreyList, error) {
	out := GreyList{Waiting: []Waiting{}, Origins: []KnownOrigin{}}
	known, err := l.origins(ctx, q, &out)
	if err != nil {
		return GreyList{}, err
	}
	for r, err := range l.Judge.Greylist.Triplets(ctx, l.now()) {
		if err != nil {
			return GreyList{}, err
		}
		if !q.triplet(r) {
			continue
		}
		if out.TotalWaiting++; out.TotalWaiting <= MaxRows {
			out.Waiting = append(out.Waiting, l.waiting(r, known[r.Origin.Key()]))
		}
	}
	slices.SortStableFunc(out.Waiting, func(a, b Waiting) int { return a.First.Compare(b.First) })
	out.Waiting = out.Waiting[max(0, len(out.Waiting)-rows(q.Limit)):]
	return out, nil
}

// origins adds the known origins that are meant, and returns the keys of all.
func (l *Local) origins(ctx context.Context, q GreyFilter, out *GreyList) (map[greylist.Key]bool, error) {
	known := make(map[greylist.Key]bool)
	for r, err := range l.Judge.Greylist.Origins(ctx, l.now()) {
		if err != nil {
			return nil, err
		}
		known[r.Key()] = true
		if !q.origin(r) {
			continue
		}
		if out.TotalOrigins++; out.TotalOrigins <= MaxRows {
			out.Origins = append(out.Origins, l.origin(r))
		}
	}
	slices.SortStableFunc(out.Origins, func(a, b KnownOrigin) int { return strings.Compare(a.Name, b.Name) })
	out.Origins = out.Origins[:min(len(out.Origins), rows(q.Limit))]
	return known, nil
}

func (l *Local) waiting(r greylist.Row, known bool) Waiting {
	t := l.Judge.Timers.Load()
	return Waiting{Origin: r.Origin, Sender: r.Sender, Recipient: r.Recipient, Peer: r.Peer,
		First: r.First.UTC(), Last: r.Last.UTC(), Tries: r.Tries,
		Passes: r.First.Add(t.PassFor(r.Origin)).UTC(), Expires: r.State.Expires(*t).UTC(), Known: known}
}

func (l *Local) origin(r greylist.OriginRow) KnownOrigin {
	return KnownOrigin{Origin: r.Origin, Since: r.Since.UTC(), Used: r.Used.UTC(),
		Expires: r.Used.Add(l.Judge.Timers.Load().Remember).UTC()}
}

func (q *GreyFilter) triplet(r greylist.Row) bool {
	switch {
	case q.Net.IsValid() && !q.Net.Contains(whitelist.CanonicalAddr(r.Peer)) && !q.network(r.Origin):
		return false
	case q.Mailbox != "" && !names(q.Mailbox, r.Sender) && !names(q.Mailbox, r.Recipient):
		return false
	}
	return q.Origin == "" || strings.EqualFold(q.Origin, r.Origin.Name)
}

// origin is never true for a mailbox: an origin sends more than one.
func (q *GreyFilter) origin(r greylist.OriginRow) bool {
	if q.Mailbox != "" || q.Net.IsValid() && !q.network(r.Origin) {
		return false
	}
	return q.Origin == "" || strings.EqualFold(q.Origin, r.Name)
}

// network reports whether o is a network that overlaps the one that is meant.
func (q *GreyFilter) network(o greylist.Origin) bool {
	net, err := netip.ParsePrefix(o.Name)
	return err == nil && net.Overlaps(q.Net)
}

// names reports whether mailbox is the one asked for, or in the domain asked for.
func names(asked, mailbox string) bool {
	if strings.HasPrefix(asked, "@") {
		mailbox = mailbox[max(0, strings.LastIndexByte(mailbox, '@')):]
	}
	return strings.EqualFold(asked, mailbox)
}

// Forgotten is what was taken out of the greylist.
type Forgotten struct {
	Triplets int               `json:"triplets"`
	Origins  int               `json:"origins"`
	Names    []greylist.Origin `json:"names"`           // of the first of these origins
	Still    *Standing         `json:"still,omitempty"` // of the address, where it is let in all the same
}

// maxNames bounds Forgotten.Names.
const maxNames = 100

// Forget implements Desk. With an address go the origins that it last came as.
func (l *Local) Forget(ctx context.Context, q GreyFilter) (Forgotten, error) {
	if q.empty() {
		return Forgotten{}, wrongUse("nothing named to forget; give an address, a network, a mail address or an origin")
	}
	came, err := l.cameAs(ctx, q)
	if err != nil {
		return Forgotten{}, err
	}
	out := Forgotten{Names: []greylist.Origin{}}
	out.Triplets, out.Origins, err = l.Judge.Greylist.Forget(ctx, q.triplet, func(r greylist.OriginRow) bool {
		hit := q.origin(r) || came[r.Key()]
		if hit && len(out.Names) < maxNames {
			out.Names = append(out.Names, r.Origin)
		}
		return hit
	})
	if err != nil {
		return Forgotten{}, err
	}
	if st := l.look(q.Net); q.Net.IsValid() && st.Known {
		out.Still = &st
	}
	if out.Triplets+out.Origins == 0 {
		return Forgotten{}, sayNo("%s", q.nothing(out.Still))
	}
	return out, nil
}

// cameAs returns the origins of the triplets that are meant, where a network is.
func (l *Local) cameAs(ctx context.Context, q GreyFilter) (map[greylist.Key]bool, error) {
	came := make(map[greylist.Key]bool)
	if !q.Net.IsValid() {
		return came, nil
	}
	for r, err := range l.Judge.Greylist.Triplets(ctx, l.now()) {
		if err != nil {
			return nil, err
		}
		if q.triplet(r) {
			came[r.Origin.Key()] = true
		}
	}
	return came, nil
}

func (q *GreyFilter) nothing(still *Standing) string {
	const text = "the greylist holds nothing of it"
	if still != nil && still.Evidence != whitelist.Local {
		return text + "; it is let in by itself; type: moggy allow rm " + Text(still.Entry.Net)
	}
	return text + "; type: moggy grey ls"
}
