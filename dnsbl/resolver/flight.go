package resolver

import (
	"context"
	"strings"
	"sync"
	"time"
)

// maxFlights is how many questions may be under way at once. Beyond, a new one fails with Busy, or is answered with what
// has expired.
const maxFlights = 4096

// A flight is a question under way. Whoever asks it meanwhile waits for the same answer. It goes on when nobody waits
// any more: the answer is for the next one who asks.
type flight struct {
	done  chan struct{} // closed when entry is there
	entry *entry
}

// flights are the questions under way.
type flights struct {
	mu      sync.Mutex
	under   map[question]*flight // at most maxFlights
	closed  bool
	running sync.WaitGroup
}

// begin returns the flight of a question, and starts it with run if there is none.
func (f *flights) begin(q question, run func(question, *flight)) (*flight, *Error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil, q.fault(Closed, nil)
	}
	if fl := f.under[q]; fl != nil {
		return fl, nil
	}
	if len(f.under) >= maxFlights {
		return nil, q.fault(Busy, nil)
	}
	q.name = strings.Clone(q.name) // it may be a piece of something large
	fl := &flight{done: make(chan struct{})}
	f.under[q] = fl
	f.running.Go(func() { run(q, fl) })
	return fl, nil
}

// land gives the waiters what was found out. Whoever asks from now on finds it in the cache, if it may be kept.
func (f *flights) land(q question, fl *flight, e *entry) {
	f.mu.Lock()
	delete(f.under, q)
	f.mu.Unlock()
	fl.entry = e
	close(fl.done)
}

// close lets nobody start any more and waits for what is under way.
func (f *flights) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.running.Wait()
}

// pending is a question that may still be under way.
type pending struct {
	question
	entry  *entry  // if it is known already
	flight *flight // else
	err    *Error  // else
	old    *entry  // expired, to be given out if the flight fails or takes long; nil if there is none
}

// lookup returns the answer from the cache, or a flight to wait for.
//
// What has expired is asked for anew before it is given out, as RFC 8767 §5 has it, and not given out at once: whether
// an address has been listed since the last time is just what a stranger's second try is to show.
func (r *Resolver) lookup(name string, t rrtype) pending {
	q, err := ask(name, t)
	if err != nil {
		return pending{question: q, err: asError(q, err)}
	}
	e := r.cache.get(q)
	switch e.state(r.now()) {
	case fresh:
		r.count.hits.Add(1)
		return pending{question: q, entry: e}
	case stale:
		r.count.stale.Add(1)
		return pending{question: q, entry: e}
	case missing:
		e = nil
	}
	r.count.misses.Add(1)
	fl, busy := r.flights.begin(q, r.fly)
	return pending{question: q, flight: fl, err: busy, old: e}
}

// wait returns the answer when it is there. If it takes long, or cannot be had, or ctx ends before, it returns what has
// expired, or else an error.
func (r *Resolver) wait(ctx context.Context, p pending) (answer, error) {
	if p.flight != nil {
		p.entry, p.err = r.land(ctx, p)
	}
	if p.entry != nil {
		p.err = p.entry.err
	}
	switch {
	case p.err == nil:
		return p.entry.answer, nil
	case p.old != nil && p.err.Kind != Closed:
		r.count.stale.Add(1)
		return p.old.answer, nil
	}
	return answer{}, p.err
}

// land waits for a flight.
func (r *Resolver) land(ctx context.Context, p pending) (*entry, *Error) {
	var long <-chan time.Time
	if p.old != nil {
		t := time.NewTimer(r.timeout * 3 / 4) // "client response timer" of RFC 8767 §5
		defer t.Stop()
		long = t.C
	}
	select {
	case <-p.flight.done:
		return p.flight.entry, nil
	case <-long:
		return nil, p.fault(Timeout, nil)
	case <-ctx.Done():
		return nil, p.fault(Timeout, ctx.Err())
	}
}

// fly asks the servers, keeps the answer and gives it to the waiters.
func (r *Resolver) fly(q question, fl *flight) {
	ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
	defer cancel()
	begun := time.Now()
	a, err := newRace(r.servers, r.exchange, r.gate, q).run(ctx)
	if r.ctx.Err() != nil && err != nil {
		err = q.fault(Closed, nil)
	}
	e := r.keep(q, a, asError(q, err))
	r.flights.land(q, fl, e)
	r.observe(q.rrtype.String(), outcome(e), time.Since(begun))
	if err == nil && len(r.servers) > 1 {
		r.probe(q)
	}
}

// keep puts what was found out into the cache. A failure does not replace an answer, only puts off renewing it.
func (r *Resolver) keep(q question, a answer, err *Error) *entry {
	now := r.now()
	e := newEntry(a, err, now, r.stale)
	kept := e
	if old := r.cache.get(q); err != nil && old.state(now) != missing && old.err == nil {
		kept = old.postponed(now)
	}
	r.cache.put(q, kept, now)
	return e
}

// probe asks failing servers that are due a question that another one has just answered. Nobody waits for them but
// Close: it is called from a flight.
func (r *Resolver) probe(q question) {
	for _, s := range r.servers {
		if s.due(time.Now()) && r.gate.enter(r.ctx, false) {
			r.flights.running.Go(func() { r.try(s, q) })
		}
	}
}

// try finds out whether a failing server answers, and leaves the gate.
func (r *Resolver) try(s *server, q question) {
	defer r.gate.leave()
	ctx, cancel := context.WithTimeout(r.ctx, r.timeout)
	defer cancel()
	begun := time.Now()
	_, err := r.exchange(ctx, s, q)
	switch {
	case err == nil:
		s.good(time.Since(begun))
	case r.ctx.Err() == nil:
		s.bad(time.Now(), time.Since(begun))
	}
}

// outcome is the word for what an entry says.
func outcome(e *entry) string {
	switch {
	case e.err != nil:
		return e.err.Kind.String()
	case e.none():
		return None
	}
	return Found
}
