package proxy

import (
	"context"
	"net/netip"
	"sync/atomic"
	"time"

	"moggy/greylist"
	"moggy/greylist/origin"
	"moggy/proxy/dialogue"
	"moggy/verdict"
	"moggy/whitelist"
)

// A Judge gathers facts and has them decided. The same Judge serves connections
// and the operator's questions.
type Judge struct {
	Book     *whitelist.Book
	Greylist greylist.Store
	Traps    *greylist.Traps
	Finder   origin.Finder
	Timers   atomic.Pointer[greylist.Timers]
}

// Connect decides about a peer that has just connected, from memory alone.
func (j *Judge) Connect(f *verdict.Facts, p *verdict.Policy, now time.Time) verdict.Verdict {
	f.Stage = verdict.Connect
	f.Standing = j.Book.List().Classify(f.Peer.Addr(), now)
	return verdict.Decide(f, p)
}

// An Ask is how the greylist is asked: [greylist.Store.Try], or Peek.
type Ask func(context.Context, greylist.Try) (greylist.Result, error)

// Recipient decides about one recipient. The greylist is asked only where the
// other facts leave it to the greylist.
func (j *Judge) Recipient(ctx context.Context, f *verdict.Facts, p *verdict.Policy, ask Ask, now time.Time) verdict.Verdict {
	f.Stage = verdict.Recipient
	f.Standing = j.Book.List().Look(f.Peer.Addr(), now)
	f.Trap = j.Traps.Has(f.Recipient)
	f.Grey, f.GreyDown = greylist.Result{}, false
	v := verdict.Decide(f, p)
	if !v.LeftToGreylist() {
		return v
	}
	j.askGreylist(ctx, f, ask, now)
	return verdict.Decide(f, p)
}

func (j *Judge) askGreylist(ctx context.Context, f *verdict.Facts, ask Ask, now time.Time) {
	var err error
	f.Origin, _ = j.Finder.Find(ctx, origin.Question{Peer: f.Peer.Addr(), Helo: f.Helo, Sender: f.Sender})
	f.Grey, err = ask(ctx, greylist.Try{
		Triplet: greylist.Triplet{Origin: f.Origin, Sender: f.Sender, Recipient: f.Recipient},
		Peer:    f.Peer.Addr(), Now: now, Timers: *j.Timers.Load(),
	})
	if f.GreyDown = err != nil; f.GreyDown {
		f.Degraded = append(f.Degraded, verdict.Store)
	}
}

// Message decides about DATA of a message whose recipients were answered 250.
func (j *Judge) Message(f *verdict.Facts, p *verdict.Policy, now time.Time) verdict.Verdict {
	f.Stage = verdict.Data
	f.Standing = j.Book.List().Look(f.Peer.Addr(), now)
	return verdict.Decide(f, p)
}

// Remember makes an origin known, and the peer that came from it: it has proved
// itself by coming back, and the backend took its mail.
func (j *Judge) Remember(ctx context.Context, f *verdict.Facts, now time.Time) error {
	remember := j.Timers.Load().Remember
	err := j.Book.Learn(whitelist.Entry{
		Net: whitelist.Net(f.Peer.Addr()), Class: whitelist.Peer, Source: whitelist.Passed,
		Note: "came back as " + f.Origin.String(), Added: now, Used: now, Expires: now.Add(remember), Renew: remember,
	}, now)
	if f.Origin.Name == "" {
		return err
	}
	if err := j.Greylist.Pass(ctx, f.Origin, now); err != nil {
		return err
	}
	return err
}

// List puts a peer that named a trap among the listed.
func (j *Judge) List(f *verdict.Facts, ttl time.Duration, now time.Time) error {
	return j.Book.Learn(whitelist.Entry{
		Net: whitelist.Net(f.Peer.Addr()), Class: whitelist.Listed, Source: whitelist.Trapped,
		Note: "named the trap " + greylist.CanonicalTrap(f.Recipient), Added: now, Used: now, Expires: now.Add(ttl),
	}, now)
}

// factsOf are the facts of a connection before anything is known of it.
func factsOf(ref, listener string, peer netip.AddrPort) verdict.Facts {
	return verdict.Facts{Ref: ref, Listener: listener, Peer: netip.AddrPortFrom(whitelist.CanonicalAddr(peer.Addr()), peer.Port())}
}

// envelopeFacts puts what the peer said into the facts.
func envelopeFacts(f *verdict.Facts, e dialogue.Envelope, to dialogue.Path) {
	f.Helo, f.Sender, f.Recipient = e.Helo, e.From.Mailbox(), to.Mailbox()
}
