package desk

import (
	"context"
	"net/netip"
	"slices"

	"moggy/greylist"
	"moggy/whitelist"
)

// A Plea names who is to be pardoned: a network, or a sender.
type Plea struct {
	Net    netip.Prefix `json:"net,omitzero"`
	Sender string       `json:"sender,omitempty"` // a mailbox; "@example.org": any of the domain
}

// Pardoned is what a pardon did.
type Pardoned struct {
	Forgot  []whitelist.Entry `json:"forgot"`        // traps that were named, passwords that were guessed
	Passes  []greylist.Origin `json:"passes"`        // origins whose next try passes
	Waiting int               `json:"waiting"`       // triplets that waited for that
	Now     *Standing         `json:"now,omitempty"` // of the first address, for a network
}

// Pardon implements Desk.
func (l *Local) Pardon(ctx context.Context, q Plea) (Pardoned, error) {
	switch {
	case q.Net.IsValid() && q.Sender == "":
		return l.pardonNet(whitelist.Canonical(q.Net)), nil
	case q.Sender != "" && !q.Net.IsValid():
		return l.pardonSender(ctx, q.Sender)
	}
	return Pardoned{}, wrongUse("nobody named to pardon; give an address or a sender's mail address")
}

// pardonNet forgets what speaks against a network. What else was learned of it
// stays.
func (l *Local) pardonNet(net netip.Prefix) Pardoned {
	out := Pardoned{Forgot: []whitelist.Entry{}, Passes: []greylist.Origin{}}
	out.Forgot = append(out.Forgot, l.Judge.Book.Forget(net, whitelist.Trapped, whitelist.Guessing)...)
	now := l.look(net)
	out.Now = &now
	return out
}

// pardonSender makes the origins known that a sender's mail waits for.
func (l *Local) pardonSender(ctx context.Context, sender string) (Pardoned, error) {
	out := Pardoned{Forgot: []whitelist.Entry{}, Passes: []greylist.Origin{}}
	waiting, err := l.Grey(ctx, GreyFilter{Mailbox: sender})
	if err != nil {
		return Pardoned{}, err
	}
	for _, w := range waiting.Waiting {
		if w.Known || !names(sender, w.Sender) {
			continue
		}
		out.Waiting++
		if !slices.Contains(out.Passes, w.Origin) {
			out.Passes = append(out.Passes, w.Origin)
		}
	}
	for _, o := range out.Passes {
		if err := l.Judge.Greylist.Pass(ctx, o, l.now()); err != nil {
			return Pardoned{}, err
		}
	}
	return out, nil
}
