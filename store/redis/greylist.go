package redis

import (
	"context"
	"strconv"
	"time"

	"moggy/greylist"
)

// Try does as greylist.Next does, with times in whole milliseconds, in one step
// for all nodes. While Redis is away, or too slow, it does so from this node's
// memory, and [Store.Degraded] says so; only a ctx that has ended is an error.
//
// The time of use of a known origin is renewed when the one kept is an hour old,
// or Remember/32 if that is less: an origin may be forgotten so much early. An
// expired triplet is gone a minute later; then a retry is FirstSeen where it would
// have been TooLate. Of two tries of which one was answered from memory, the
// count of tries may lack some.
func (s *Store) Try(ctx context.Context, t greylist.Try) (greylist.Result, error) {
	return s.ask(ctx, t, true)
}

// Peek is what Try would return.
func (s *Store) Peek(ctx context.Context, t greylist.Try) (greylist.Result, error) {
	return s.ask(ctx, t, false)
}

func (s *Store) ask(ctx context.Context, t greylist.Try, change bool) (greylist.Result, error) {
	if err := ctx.Err(); err != nil {
		return greylist.Result{}, err
	}
	q := s.question(t)
	s.remember.Store(t.Timers.Remember.Milliseconds())
	if s.breaker.isOpen() {
		return s.remembered(q, change), nil
	}
	h := s.memory.hints(q)
	r, err := s.askRedis(ctx, q, h, change)
	s.report(ctx, err)
	if err != nil {
		return s.remembered(q, change), nil
	}
	if change {
		s.memory.saw(q, h, r)
	}
	return r.result(q), nil
}

// remembered is the answer of this node's memory.
func (s *Store) remembered(q *question, change bool) greylist.Result {
	r := s.memory.try(q, change)
	s.arm()
	return r
}

func (s *Store) askRedis(ctx context.Context, q *question, h hints, change bool) (reply, error) {
	mode := "peek"
	if change {
		mode = "try"
	}
	t := &q.t.Timers
	slack := min(time.Hour, t.Remember/32)
	args := []any{mode, q.t.Now.UnixMilli(), s.wall(), up(t.PassFor(q.t.Origin)), t.Window.Milliseconds(), up(t.Remember), up(slack),
		kindWord(q.t.Origin.Kind), peerWord(q.t.Peer), q.aboutOrigin, q.aboutTriplet}
	return s.grey(s.call(ctx, s.scripts.try, []string{q.originName, q.tripletName}, h.append(args)...))
}

// wall is the clock by which Redis knows whether this node's is wrong.
func (s *Store) wall() int64 { return s.o.Clock().UnixMilli() }

// append adds the hints to a script's arguments.
func (h hints) append(args []any) []any {
	first, last, tries, since, used := "", "", "", "", ""
	if h.tripletTurn != 0 {
		first, last, tries = milli(h.state.First), milli(h.state.Last), strconv.FormatUint(uint64(h.state.Tries), 10)
	}
	if h.originTurn != 0 {
		since, used = milli(h.known.Since), milli(h.known.Used)
	}
	return append(args, first, last, tries, since, used)
}

func milli(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// Pass makes an origin known, in Redis or, while that is away, in this node's
// memory. Only a ctx that has ended is an error.
func (s *Store) Pass(ctx context.Context, o greylist.Origin, now time.Time) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	remember := time.Duration(s.remember.Load()) * time.Millisecond
	q := s.question(greylist.Try{Triplet: greylist.Triplet{Origin: o}, Now: now, Timers: greylist.Timers{Remember: remember}})
	if s.breaker.isOpen() {
		s.passHere(q)
		return nil
	}
	h := s.memory.hints(q)
	args := []any{q.t.Now.UnixMilli(), s.wall(), up(remember), kindWord(o.Kind), q.aboutOrigin}
	r, err := s.grey(s.call(ctx, s.scripts.pass, []string{q.originName}, h.append(args)...))
	s.report(ctx, err)
	if err != nil {
		s.passHere(q)
		return nil
	}
	s.memory.sawPassed(q, h, r)
	return nil
}

func (s *Store) passHere(q *question) {
	s.memory.pass(q)
	s.arm()
}

// A question is a try, its keys, and what they are about.
type question struct {
	t                         greylist.Try
	originKey, tripletKey     greylist.Key
	originName, tripletName   string // of their rows in Redis
	aboutOrigin, aboutTriplet string
}

// question also notes the caller's clock.
func (s *Store) question(t greylist.Try) *question {
	t.Now = round(t.Now)
	s.clock.Store(t.Now.UnixMilli())
	q := &question{t: t, originKey: t.Origin.Key(), tripletKey: t.Key()}
	q.originName, q.tripletName = s.originKey(q.originKey), s.tripletKey(q.originKey, q.tripletKey)
	q.aboutOrigin, q.aboutTriplet = aboutOrigin(t.Origin), aboutTriplet(t.Triplet)
	return q
}

// triplet is the question's triplet as memory keeps it.
func (q *question) triplet(state greylist.State) tripletMemory {
	return tripletMemory{state: state, window: q.t.Timers.Window, key: q.tripletName,
		who: kindWord(q.t.Origin.Kind) + " " + peerWord(q.t.Peer), about: q.aboutTriplet}
}

// origin is the question's origin as memory keeps it.
func (q *question) origin(known greylist.Known) originMemory {
	return originMemory{known: known, remember: q.t.Timers.Remember, key: q.originName, kind: q.t.Origin.Kind, about: q.aboutOrigin}
}

// A reply is what a script of the greylist answers, in the caller's clock.
type reply struct {
	outcome greylist.Outcome
	state   greylist.State // zero: none
	known   greylist.Known // zero: none
}

func (s *Store) grey(values []any, err error) (r reply, _ error) {
	if err != nil {
		return r, err
	}
	a := answer{values: values}
	r.outcome = greylist.Outcome(a.text())
	first, ok := a.number()
	last, _ := a.number()
	tries, _ := a.number()
	if ok {
		r.state = greylist.State{First: atMilli(first), Last: atMilli(last), Tries: uint32(tries)}
	}
	since, ok := a.number()
	used, _ := a.number()
	if ok {
		r.known = greylist.Known{Since: atMilli(since), Used: atMilli(used)}
	}
	return r, a.err()
}

// result is what the reply means for the question, in the words of greylist.Next.
func (r *reply) result(q *question) greylist.Result {
	if r.outcome == greylist.OriginKnown {
		return originKnown(q.t.Now)
	}
	res := greylist.Result{Outcome: r.outcome, First: r.state.First, Tries: r.state.Tries}
	if r.outcome != greylist.Returned {
		res.Wait = q.t.Timers.PassFor(q.t.Origin) - max(0, q.t.Now.Sub(r.state.First))
	}
	return res
}

// originKnown is the result for a known origin: its triplet is not looked at.
func originKnown(now time.Time) greylist.Result {
	return greylist.Result{Outcome: greylist.OriginKnown, First: now, Tries: 1}
}
