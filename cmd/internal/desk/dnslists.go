package desk

import (
	"context"
	"time"

	"moggy/dnsbl"
	"moggy/verdict"
)

// ListsFilter asks for all DNS lists.
type ListsFilter struct{}

// ListsAnswer is how the DNS lists do, in the order of the configuration.
type ListsAnswer struct {
	Lists     []dnsbl.Status `json:"lists"`
	Threshold int            `json:"threshold"` // from which sum of weights a peer is listed
	Watched   bool           `json:"watched"`   // by a daemon; else they were tested just now, and their counts are 0
}

// Lists implements Desk.
func (l *Local) Lists(ctx context.Context, _ ListsFilter) (ListsAnswer, error) {
	if err := l.ready(ctx); err != nil {
		return ListsAnswer{}, err
	}
	if l.Judge.Lists == nil {
		return ListsAnswer{}, sayNo("no DNS lists are configured; add [[dnsbl.list]]")
	}
	return ListsAnswer{Lists: l.Judge.Lists.Lists(), Threshold: l.Settings().Threshold, Watched: l.Daemon != nil}, nil
}

// probeTime is how long lists that nobody watches may take to show that they
// work. It is more than config lets a list have for one answer, so that one that
// does not answer is found out.
const probeTime = 12 * time.Second

// ready sees to it that the lists can be asked. Where no daemon watches them,
// they are tested first: a list that was not does not count.
func (l *Local) ready(ctx context.Context) error {
	if l.nameless != nil {
		return &Error{Fault, "DNS cannot be asked: " + l.nameless.Error()}
	}
	if l.Judge.Lists == nil || l.Daemon != nil {
		return nil
	}
	l.probed.Do(func() {
		ctx, cancel := context.WithTimeout(ctx, probeTime)
		defer cancel()
		l.Judge.Lists.Probe(ctx)
	})
	return nil
}

// askLists asks the DNS lists about a peer; nil where there are none.
func (l *Local) askLists(ctx context.Context, f *verdict.Facts) (*dnsbl.Score, error) {
	if err := l.ready(ctx); err != nil || l.Judge.Lists == nil {
		return nil, err
	}
	f.DNS = l.Judge.Lists.Check(ctx, f.Peer.Addr())
	score := f.DNS
	return &score, nil
}

// listStates counts the DNS lists by state; nil where there are none.
func (l *Local) listStates() map[dnsbl.State]int {
	if l.Judge.Lists == nil {
		return nil
	}
	states := make(map[dnsbl.State]int)
	for _, s := range l.Judge.Lists.Lists() {
		states[s.State]++
	}
	return states
}
