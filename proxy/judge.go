package proxy

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"moggy/dnsbl"
	"moggy/greylist"
	"moggy/greylist/origin"
	"moggy/proxy/dialogue"
	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// A Judge gathers facts and has them decided. The same Judge serves connections
// and the operator's questions.
type Judge struct {
	Book     *whitelist.Book
	Greylist greylist.Store
	Traps    *greylist.Traps
	Finder   origin.Finder
	Lists    *dnsbl.Checker // nil: none
	Timers   atomic.Pointer[greylist.Timers]

	Newcomers *greylist.Newcomers
	Meter     budget.Meter
	Limits    atomic.Pointer[Limits]
	Crawlers  *Crawlers   // nil: nobody is asked whether a client is one
	Degraded  func() bool // whether the greylist answers from its own memory for now; nil: never
}

// Limits are what clients of each class may use.
type Limits map[whitelist.Class]budget.Limit

// NewJudge makes a Judge that asks no lists. The fields may be changed before it
// is used.
func NewJudge(book *whitelist.Book, store greylist.Store, traps *greylist.Traps, t greylist.Timers) *Judge {
	j := &Judge{Book: book, Greylist: store, Traps: traps, Finder: origin.Networks{},
		Newcomers: greylist.NewNewcomers(newcomersHourly), Meter: budget.NewLocal()}
	j.Timers.Store(&t)
	limits := Limits(budget.Defaults())
	j.Limits.Store(&limits)
	return j
}

// Connect decides about a peer that has just connected, from memory alone, and has
// it take its share of the budget.
func (j *Judge) Connect(f *verdict.Facts, p *verdict.Policy, now time.Time) (verdict.Verdict, Share) {
	f.Stage = verdict.Connect
	f.Standing = j.Book.List().Classify(f.Peer.Addr(), f.Service, now)
	var s Share
	if f.Gateway = f.Gateway && !answeredFor(f.Standing); !f.Gateway {
		c := f.Standing.Class
		s, f.Budget = j.take(budget.KeyOf(c, f.Peer.Addr()), j.limit(c), now)
	}
	return verdict.Decide(f, p), s
}

// An Ask is how the greylist is asked: [Judge.Try], or [Judge.Peek].
type Ask func(context.Context, greylist.Try) (greylist.Result, error)

// Recipient decides about one recipient. The greylist is asked only where the
// other facts leave it to the greylist.
func (j *Judge) Recipient(ctx context.Context, f *verdict.Facts, p *verdict.Policy, ask Ask, now time.Time) verdict.Verdict {
	f.Stage = verdict.Recipient
	f.Standing = j.Book.List().Look(f.Peer.Addr(), f.Service, now)
	f.Trap = j.Traps.Has(f.Recipient)
	f.Origin, f.Grey, f.GreyDown, f.Degraded = greylist.Origin{}, greylist.Result{}, false, nil
	degrade(f, f.DNS.Degraded(), verdict.DNS)
	v := verdict.Decide(f, p)
	if !v.LeftToGreylist() {
		return v
	}
	j.askGreylist(ctx, f, ask, now)
	return verdict.Decide(f, p)
}

func (j *Judge) askGreylist(ctx context.Context, f *verdict.Facts, ask Ask, now time.Time) {
	found, poorer := j.Finder.Find(ctx, origin.Question{Peer: f.Peer.Addr(), Helo: f.Helo, Sender: f.Sender})
	try := greylist.Try{
		Triplet: greylist.Triplet{Origin: found, Sender: f.Sender, Recipient: f.Recipient},
		Peer:    f.Peer.Addr(), Now: now, Timers: *j.Timers.Load(),
	}
	result, err := ask(ctx, try)
	f.Origin, f.Grey, f.GreyDown = found, result, err != nil
	degrade(f, poorer, verdict.DNS)
	degrade(f, err != nil || j.Degraded != nil && j.Degraded(), verdict.Store)
}

// asNetwork looks whether a try that is new for its named origin was known by its
// network alone: DNS did not answer at its first try, and that is not its fault.
func (j *Judge) asNetwork(ctx context.Context, t greylist.Try, named greylist.Result) greylist.Result {
	if !named.New() || !t.Origin.Named() {
		return named
	}
	t.Origin = origin.Network(t.Peer)
	if r, err := j.Greylist.Peek(ctx, t); err == nil && r.Passes() {
		return r
	}
	return named
}

// newcomersHourly is how many strangers of one /24 or /64 get in within an hour
// (snowshoe).
const newcomersHourly = 20

// Try is [greylist.Store.Try] for a stranger that may be one newcomer too many of
// its network: then it is Crowded. A session counts once: *counted is set when it
// did.
func (j *Judge) Try(counted *bool) Ask {
	return func(ctx context.Context, t greylist.Try) (greylist.Result, error) {
		r, err := j.Greylist.Try(ctx, t)
		if err == nil {
			r = j.asNetwork(ctx, t, r)
		}
		if err != nil || r.Outcome != greylist.Returned || *counted {
			return r, err
		}
		if *counted = j.Newcomers.Admit(origin.Net(t.Peer), t.Now); !*counted {
			r.Outcome = greylist.Crowded
		}
		return r, nil
	}
}

// Peek is what [Judge.Try] would find, but for crowds, and changes nothing.
func (j *Judge) Peek(ctx context.Context, t greylist.Try) (greylist.Result, error) {
	r, err := j.Greylist.Peek(ctx, t)
	if err != nil {
		return r, err
	}
	return j.asNetwork(ctx, t, r), nil
}

// Message decides about DATA of a message whose recipients were answered 250.
func (j *Judge) Message(f *verdict.Facts, p *verdict.Policy, now time.Time) verdict.Verdict {
	f.Stage = verdict.Data
	f.Standing = j.Book.List().Look(f.Peer.Addr(), f.Service, now)
	return verdict.Decide(f, p)
}

// Remember makes an origin known, and the peer that came from it: it has proved
// itself by coming back. A peer that only DNS lists vouch for is known for a day,
// and then they are asked again. Who is known already stays known by that alone:
// what a person allows while we talk ends when the person says so.
func (j *Judge) Remember(ctx context.Context, f *verdict.Facts, now time.Time) error {
	if f.Standing.Known() {
		return nil
	}
	if j.Lists != nil {
		j.Lists.Passed(f.Peer.Addr())
	}
	e := whitelist.Entry{Net: whitelist.Net(f.Peer.Addr()), Class: whitelist.Peer, Source: whitelist.Passed, Added: now, Used: now}
	if f.Origin.Name == "" {
		e.Note, e.Expires = "vouched for by DNS lists", now.Add(vouched)
		return j.Book.Learn(e, now)
	}
	remember := j.Timers.Load().Remember
	e.Note, e.Expires, e.Renew = "came back as "+f.Origin.String(), now.Add(remember), remember
	return errors.Join(j.Book.Learn(e, now), j.Greylist.Pass(ctx, f.Origin, now))
}

// vouched is for how long a peer is known that DNS lists vouched for.
const vouched = 24 * time.Hour

// List puts a peer that named a trap among the listed.
func (j *Judge) List(f *verdict.Facts, ttl time.Duration, now time.Time) error {
	return j.Book.Learn(whitelist.Entry{
		Net: whitelist.Net(f.Peer.Addr()), Class: whitelist.Listed, Source: whitelist.Trapped,
		Note: "named the trap " + greylist.CanonicalTrap(f.Recipient), Added: now, Used: now, Expires: now.Add(ttl),
	}, now)
}

// degrade notes that a dependency could not be asked, if so.
func degrade(f *verdict.Facts, so bool, d verdict.Dependency) {
	if so && !slices.Contains(f.Degraded, d) {
		f.Degraded = append(f.Degraded, d)
	}
}

// factsOf are the facts of a connection before anything is known of it.
func factsOf(ref string, d *DoorOptions, peer netip.AddrPort) verdict.Facts {
	return verdict.Facts{Ref: ref, Listener: d.Name, Service: d.Service, Peer: netip.AddrPortFrom(whitelist.CanonicalAddr(peer.Addr()), peer.Port())}
}

// envelopeFacts puts what the peer said into the facts.
func envelopeFacts(f *verdict.Facts, e dialogue.Envelope, to dialogue.Path) {
	f.Helo, f.Sender, f.Recipient = e.Helo, e.From.Mailbox(), to.Mailbox()
}
