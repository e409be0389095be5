package resolver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// rounds is how often one server is asked one question at most (RFC 9520 §3.1).
const rounds = 3

// An exchange asks one server one question and returns when ctx ends at the latest. Its errors are of type *Error.
type exchange func(ctx context.Context, s *server, q question) (answer, error)

// maxSockets is how many tries may be under way at once, each on a socket of its own. A question waits for its first; it
// asks a second server before the first has answered only if there is room.
const maxSockets = 256

// A gate lets as many in as it has room for.
type gate chan struct{}

// enter takes a place. If there is none it waits for one until ctx ends, or returns false at once.
func (g gate) enter(ctx context.Context, wait bool) bool {
	select {
	case g <- struct{}{}:
		return true
	default:
	}
	if !wait {
		return false
	}
	select {
	case g <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// leave gives the place back.
func (g gate) leave() { <-g }

// A race is one question on its way to the servers: to the best one, to the next when that one is slow or fails, and
// round again to those that have said nothing. The first answer wins.
type race struct {
	question
	exchange
	gate    gate
	order   []*server // not yet asked in this round, the best first
	tries   []try
	round   int
	open    int // tries without a result
	results chan result
	asking  sync.WaitGroup
}

// A try is one server asked once.
type try struct {
	*server
	begun time.Time
	late  bool // it has taken so long that another one was asked
	done  bool
	err   *Error // if it is done
}

// A result is how a try ended.
type result struct {
	try int
	answer
	err *Error
}

// newRace starts nothing yet.
func newRace(servers []*server, x exchange, g gate, q question) *race {
	return &race{question: q, exchange: x, gate: g, order: ordered(servers), results: make(chan result, rounds*len(servers))}
}

// run asks, and returns the first answer, or the most telling error. All tries have ended when it returns.
func (r *race) run(ctx context.Context) (answer, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer r.asking.Wait()
	defer cancel()
	patience := time.NewTimer(r.next(ctx))
	defer patience.Stop()
	for r.open > 0 {
		select {
		case got := <-r.results:
			r.open--
			r.tries[got.try].done, r.tries[got.try].err = true, got.err
			if got.err == nil {
				r.settle(got.try)
				return got.answer, nil
			}
			if len(r.order) > 0 { // else the open ones keep their time
				patience.Reset(r.next(ctx))
			}
		case <-patience.C:
			r.late()
			patience.Reset(r.next(ctx))
		}
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		r.settle(nobody)
	}
	return answer{}, r.telling()
}

// nobody is the winner of a race that all have lost.
const nobody = -1

// next asks the next server, if there is one to ask and room for it, and returns how long to wait for it.
func (r *race) next(ctx context.Context) time.Duration {
	if !r.gate.enter(ctx, r.open == 0) {
		return minPatience
	}
	s := r.pick()
	if s == nil || ctx.Err() != nil {
		r.gate.leave()
		return time.Hour // the tries that are open end before
	}
	i := len(r.tries)
	r.tries = append(r.tries, try{server: s, begun: time.Now()})
	r.open++
	r.asking.Go(func() {
		a, err := r.exchange(ctx, s, r.question)
		r.gate.leave()
		r.results <- result{i, a, asError(r.question, err)}
	})
	return s.patience() << r.round
}

// pick takes the next server out of the order. In a new round only those are asked that have not failed yet, best first.
func (r *race) pick() *server {
	if len(r.order) == 0 && r.round+1 < rounds {
		r.round++
		r.order = r.silent()
	}
	for len(r.order) > 0 {
		s := r.order[0]
		r.order = r.order[1:]
		if !r.failed(s) {
			return s
		}
	}
	return nil
}

// silent returns the servers that were asked and have said nothing yet.
func (r *race) silent() []*server {
	var all []*server
	for _, t := range r.tries {
		if !r.failed(t.server) && !slices.Contains(all, t.server) {
			all = append(all, t.server)
		}
	}
	return all
}

// failed tells whether the server has said that it cannot answer.
func (r *race) failed(s *server) bool {
	return slices.ContainsFunc(r.tries, func(t try) bool { return t.server == s && t.done })
}

// late marks the try whose patience is over: the last one that was started.
func (r *race) late() { r.tries[len(r.tries)-1].late = true }

// settle tells each server once how it did. winner is the try that answered, or nobody.
func (r *race) settle(winner int) {
	now := time.Now()
	var told []*server
	if winner != nobody {
		t := r.tries[winner]
		t.good(now.Sub(t.begun))
		told = append(told, t.server)
	}
	for _, t := range r.tries {
		if t.blamed(winner != nobody, now) && !slices.Contains(told, t.server) {
			t.bad(now, now.Sub(t.begun))
			told = append(told, t.server)
		}
	}
	for _, s := range r.order {
		s.fade()
	}
}

// blamed tells whether a try speaks against its server. That it could not find something out does so only if another
// one could (won): broken zones are many, and strangers choose what we ask.
func (t try) blamed(won bool, now time.Time) bool {
	if !t.done {
		return t.late && won
	}
	if t.err == nil {
		return false
	}
	switch t.err.Kind {
	case Timeout:
		return now.Sub(t.begun) >= minPatience // else it was given no time
	case Unreachable:
		return true
	case ServerFailure, Refused, Malformed:
		return won
	}
	return false // ours
}

// telling returns the error that says most: what a server said, before silence.
func (r *race) telling() *Error {
	if len(r.tries) == 0 {
		return r.fault(Busy, errors.New("no socket is free"))
	}
	err := r.tries[0].err
	for _, t := range r.tries {
		if t.done && t.err.Kind != Timeout && err.Kind == Timeout {
			err = t.err
		}
	}
	return err
}

// asError returns the *Error that err is, or nil.
func asError(q question, err error) *Error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return q.fault(Unreachable, err)
}
