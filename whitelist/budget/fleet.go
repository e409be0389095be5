package budget

import (
	"context"
	"sync/atomic"
	"time"
)

// patience is how long an exchange may take: two fit between a renewal and the end
// of its lease.
const patience = 3 * time.Second

// A Fleet is the Meter of one of several doors that share the budgets of their
// clients. It is a [Local]: all it says comes from memory at once, whatever the
// [Exchanger] does. Run tells the other doors once a second what was used here,
// and charges what was used there.
//
// # What a client gets
//
// With N doors, and between two exchanges I (a second, and the time that one
// takes), a client that uses all doors at once gets in a time t no more
// connections than
//
//	M + Rate·t + (N-1)·(M + 2·Rate·I)
//
// where M is what it comes to owe at one door: Burst, and Rate·Wait in line. The
// first part is its budget. The second is what the other doors let in before they
// know: M each for a client that they know nothing of, once, and then what is paid
// back until they have told (I) and heard (I). So it is with new recipients, where
// Limit.Recipients is both the Rate and M. See [Limit.Excess].
//
// A charge may owe B more than that M, and no more: a burst, and no less than what
// is paid back in 20 s. So a client is refused for no longer than (B + 1) / Rate
// minutes after its last connection: with the defaults 20 s for own, 30 s for user,
// a minute or so for peers and strangers, and for recipients. What is beyond is
// forgiven: (N-1)·M - B at most, each time that a client has paid back all of it,
// which takes (M + B) / Rate, and comes to all doors at once again. At two doors
// without a line that is nothing; at three a stranger that does so gets half as much
// again.
//
// Others are heard of late, and what they let in is paid back late: who never owes
// more than M - 2·Rate·I - 1 is never refused, whichever doors it uses.
//
// Open at once are no more than Open + (N-1)·min(Open, M + 2·Rate·I), and a door
// lets none in beyond Open once it has heard of the others. Connections that are open
// elsewhere count for ten seconds after they were heard of, and are told every
// three; so those of a door that died are given back after its lease of ten seconds
// and the I in which the next refusal asks again.
//
// # What is given up
//
// When an exchange fails, or a note waits for longer than ten seconds, its tokens
// are dropped and not told again: a client gets those once more at the other doors,
// and nobody is charged twice. Each door goes on counting for itself. So it is with
// the last second of a door that dies.
//
// One exchange has at most 2,048 keys of all classes, so that a flood of strangers
// takes a known part of the Exchanger's time: those that are known first, then
// those with most to tell. The others wait. In a flood of more strangers than that
// a second, those that come only once or twice are counted at each door for itself,
// and so are the open connections of strangers when some 6,000 keys have any.
// What is to be told is bounded by [MaxKeys], some 50 MB with the keys; what is
// displaced from there is not told.
type Fleet struct {
	*Local
	exchanger  Exchanger
	told, lost atomic.Int64
}

var _ Meter = (*Fleet)(nil)

// NewFleet returns the Meter of a door that knows of no use yet. Without [Fleet.Run]
// it is alone.
func NewFleet(e Exchanger) *Fleet {
	return &Fleet{Local: newLocal(MaxKeys, true), exchanger: e}
}

// Run exchanges until ctx ends, and once more then: whoever ends it after the last
// connection gives back at once what was open. It returns within a second of that
// where the Exchanger heeds its context.
func (f *Fleet) Run(ctx context.Context) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			f.exchange(ctx, patience)
		case <-ctx.Done():
			f.exchange(context.WithoutCancel(ctx), interval)
			return
		}
	}
}

// exchange tells and hears once. Why it failed is for the Exchanger to report.
func (f *Fleet) exchange(ctx context.Context, patience time.Duration) {
	at := time.Now()
	uses := f.tell(at)
	if len(uses) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	others, _ := f.exchanger.Exchange(ctx, uses, lease)
	f.hear(uses, others, at)
}

// tell collects what the others have to be told.
func (f *Fleet) tell(now time.Time) (uses []Use) {
	for i := range f.shards {
		var lost int
		uses, lost = f.shards[i].tell(uses, now.UnixNano())
		f.lost.Add(int64(lost))
	}
	return uses
}

// hear charges what others have used, if it answers what they were told.
func (f *Fleet) hear(uses []Use, others []Others, at time.Time) {
	asked := make(map[Key]Use, len(uses))
	for _, u := range uses {
		asked[u.Key] = u
	}
	for _, o := range others {
		u, ok := asked[o.Key]
		if !ok {
			continue
		}
		delete(asked, o.Key)
		f.shard(o.Key).hear(o, u.Limit, at.UnixNano(), time.Now().UnixNano())
		f.told.Add(1)
	}
	for _, u := range asked {
		f.lost.Add(int64(count(u.Tokens, u.Recipients)))
	}
}

// Sharing are figures of a Fleet since it began.
type Sharing struct {
	Told int64 // budgets that were exchanged, each time
	Lost int64 // tokens, of connections and recipients, that the other doors were not told of, or perhaps not
}

// Sharing returns the figures. It waits for nothing.
func (f *Fleet) Sharing() Sharing { return Sharing{Told: f.told.Load(), Lost: f.lost.Load()} }
