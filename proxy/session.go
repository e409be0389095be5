package proxy

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"moggy/proxy/dialogue"
	"moggy/proxy/handover"
	"moggy/proxy/tarpit"
	"moggy/verdict"
	"moggy/verdict/journal"
)

// A session is the dialogue with one stranger. It is the Talker of the Pit: it
// hears lines, has them understood and judged, and says what is to be said.
type session struct {
	*door
	guest *guest
	set   *Settings
	talk  dialogue.Options // as the backend's offer was when the stranger came
	m     *dialogue.Machine
	lines dialogue.Lines
	skip  int64         // bytes of a BDAT chunk still to be thrown away
	after dialogue.Turn // what comes after them

	f       verdict.Facts   // of the last decision
	v       verdict.Verdict // the last decision
	lists   *consultation
	counted bool // among the newcomers of its network
	have    holdings
	pool    Share
	told    bool // the peer was deferred, refused or closed on
	quit    bool
	opened  *handover.Opened
	refusal string      // the backend's, of what the peer had said before its RCPT
	slow    atomic.Bool // every reply is stuttered

	mu     sync.Mutex // guards what follows
	pit    *tarpit.Held
	bad    bool // it is slow for what it did or for DNS lists, whatever the allow list says
	listed bool // it is slow because of an entry
}

func newSession(d *door, g *guest, set *Settings, f verdict.Facts, v verdict.Verdict) *session {
	s := &session{door: d, guest: g, set: set, f: f, v: v}
	s.talk = dialogue.Options{Hostname: set.Policy.Hostname, Offer: d.state().offer,
		Recipients: set.Recipients, Errors: set.Errors}
	s.m = dialogue.New(&s.talk)
	s.slow.Store(v.Action == verdict.Hold)
	s.lists = d.consult(f.Ref, g.peer.Addr())
	g.session = s
	return s
}

func (s *session) state() guestState {
	if s.slow.Load() {
		return held
	}
	return talked
}

// begin tells the session where it is held. An entry made in the meantime acts
// now.
func (s *session) begin(h *tarpit.Held) {
	s.mu.Lock()
	s.pit = h
	s.mu.Unlock()
	s.reconsider()
}

// reconsider looks at the peer's standing again, because the allow list changed:
// who is known now is no longer stuttered at, nor is who was forgiven; who is
// listed or denied now is.
func (s *session) reconsider() {
	standing := s.judge.Book.List().Look(s.guest.peer.Addr(), s.Service, time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.listed
	if s.listed = standing.Deny || standing.Listed(); was && !s.listed {
		s.bad = false
	}
	s.slow.Store(s.listed || s.bad && !standing.Known())
	s.guests.become(s.guest, s.state())
	if standing.Known() && s.pit != nil {
		s.pit.Hurry()
	}
}

// slowDown stutters at the peer from now on, for what it did.
func (s *session) slowDown() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bad = true
	s.slow.Store(true)
	s.guests.become(s.guest, held)
}

// pace is how long a reply is stuttered.
func (s *session) pace() time.Duration {
	if s.slow.Load() {
		return tarpit.Whole
	}
	return 0
}

// Greet implements tarpit.Talker.
func (s *session) Greet() (say tarpit.Say) {
	defer func() { s.spare(recover(), &say) }()
	return tarpit.Say{Text: s.talk.Greeting().Append(nil), Slow: max(s.set.Stutter, s.pace())}
}

// Early implements tarpit.Talker. The verdict stands; the log says at once what
// the peer's records will say when there are any.
func (s *session) Early() {
	defer func() { s.spare(recover(), nil) }()
	s.f.Early = true
	r := journal.Decided(time.Now(), &s.f, &s.v)
	s.log.LogAttrs(context.Background(), slog.LevelInfo, "early", r.LogAttrs()...)
}

// Hear implements tarpit.Talker.
func (s *session) Hear(in []byte) (used int, say tarpit.Say) {
	used = len(in)
	defer func() { s.spare(recover(), &say) }()
	return s.listen(in)
}

// spare sees to it that a fault of ours ends this conversation, with 421, and no
// other.
func (s *session) spare(recovered any, say *tarpit.Say) {
	if s.fault(s.f.Ref, recovered) && say != nil {
		r := dialogue.Reply{Code: 421, Enhanced: "4.3.0", Text: "Internal error, come back later (ref " + s.f.Ref + ")"}
		*say = tarpit.Say{Text: r.Append(nil), Then: tarpit.Close}
	}
}

func (s *session) listen(in []byte) (int, tarpit.Say) {
	if s.skip > 0 {
		n := min(s.skip, int64(len(in)))
		if s.skip -= n; s.skip > 0 {
			return int(n), tarpit.Say{}
		}
		return int(n), s.answer(s.after)
	}
	used, line, ok := s.lines.Cut(in)
	switch {
	case ok:
		return used, s.hear(line)
	case used == 0 && dialogue.NotSMTP(in):
		return len(in), s.command(true)
	}
	return used, tarpit.Say{}
}

func (s *session) hear(line dialogue.Line) tarpit.Say {
	t := s.m.Line(line)
	if t.Skip > 0 && t.Ask != dialogue.Faults {
		s.skip, s.after = t.Skip, t
		return tarpit.Say{}
	}
	return s.answer(t)
}

func (s *session) answer(t dialogue.Turn) tarpit.Say {
	switch t.Ask {
	case dialogue.Protocol:
		return s.command(true)
	case dialogue.Faults:
		return s.command(false)
	case dialogue.Recipient:
		return s.recipient(t)
	case dialogue.Message:
		return s.message()
	}
	s.quit = t.End
	return s.say(t.Reply, t.End)
}

// say says a reply at the peer's pace.
func (s *session) say(r dialogue.Reply, end bool) tarpit.Say {
	say := tarpit.Say{Text: r.Append(nil), Slow: s.pace()}
	if end {
		say.Then = tarpit.Close
	}
	return say
}

// command ends a dialogue that leads nowhere.
func (s *session) command(notSMTP bool) tarpit.Say {
	s.f.Stage, s.f.NotSMTP, s.f.Helo = verdict.Command, notSMTP, s.m.Envelope().Helo
	s.v = verdict.Decide(&s.f, &s.set.Policy)
	s.record(&s.f, &s.v)
	s.told = true
	return tarpit.Say{Text: s.v.Reply.Append(nil), Then: tarpit.Close}
}

// recipient has a recipient judged.
func (s *session) recipient(t dialogue.Turn) tarpit.Say {
	ctx, cancel := context.WithTimeout(s.carrying, handOverTimeout)
	defer cancel()
	now := time.Now()
	e := s.m.Envelope()
	envelopeFacts(&s.f, e, t.Path)
	s.f.Excessive, s.f.NotSMTP = t.Excessive, false
	s.f.DNS = s.lists.wait(ctx)
	s.judge.countRecipient(&s.f, now)
	s.v = s.judge.Recipient(ctx, &s.f, &s.set.Policy, s.judge.Try(&s.counted), now)
	s.askPool(now)
	s.record(&s.f, &s.v)
	if s.v.Rule == "trap" {
		s.trapped(now)
	}
	if s.v.Action == verdict.HandOver {
		return s.handOver(ctx, e, t.Path)
	}
	return s.refuse(s.v.Reply)
}

// askPool has a peer whose origin is known take its share of the origin's budget.
func (s *session) askPool(now time.Time) {
	if s.v.Rule != "origin-known" {
		return
	}
	s.pool.end()
	s.pool = s.judge.takePool(&s.f, now)
	s.v = verdict.Decide(&s.f, &s.set.Policy)
}

// message has the DATA of a message judged whose recipients were answered 250.
func (s *session) message() tarpit.Say {
	s.v = s.judge.Message(&s.f, &s.set.Policy, time.Now())
	s.record(&s.f, &s.v)
	return s.refuse(s.v.Reply)
}

// refuse says what the verdict says of a recipient or a message.
func (s *session) refuse(r dialogue.Reply) tarpit.Say {
	if s.v.Action == verdict.Hold {
		s.slowDown()
	}
	s.told = s.told || r.Code >= 400
	return s.say(s.m.Settle(r), r.Code == 421)
}

func (s *session) trapped(now time.Time) {
	if err := s.judge.List(&s.f, s.set.Policy.TrapTTL, now); err != nil {
		s.log.Warn("cannot list a trapped peer", "conn", s.f.Ref, "error", err)
	}
}

// Lapse implements tarpit.Talker.
func (s *session) Lapse(why tarpit.Why) tarpit.Say {
	r := dialogue.Reply{Code: 421, Enhanced: "4.4.2", Text: "Timeout, goodbye"}
	if why == tarpit.LetGo {
		r = goodbye
	}
	return tarpit.Say{Text: r.Append(nil)}
}

// Left implements tarpit.Talker. A fault of ours leaves nothing open.
func (s *session) Left(l tarpit.Left) {
	defer func() {
		if s.fault(s.f.Ref, recover()) {
			s.closeAll(l)
		}
	}()
	defer s.guests.leave(s.guest)
	defer s.have.giveBack()
	defer s.pool.end()
	s.metrics.Stuttered(l.Stutters, l.Held)
	end := journal.End{Outcome: s.outcome(l.Why), Held: l.Held, In: l.In, Out: l.Out, Answer: s.refusal}
	switch {
	case l.Why == tarpit.Parted:
		end = s.carryOn(l)
	case s.opened != nil:
		s.opened.Conn.Close() // the peer went away while it was being handed over
	}
	s.ended(&s.f, &s.v, end)
}

func (s *session) closeAll(l tarpit.Left) {
	if l.Conn != nil {
		l.Conn.Close()
	}
	if s.opened != nil {
		s.opened.Conn.Close()
	}
}

// outcome says how a dialogue ended that led to no hand-over.
func (s *session) outcome(why tarpit.Why) journal.Outcome {
	switch {
	case s.v.Rule == "backend-down":
		return journal.BackendDown
	case s.v.Action == verdict.Close:
		return journal.Shed
	case why == tarpit.Lapsed:
		return journal.Timeout
	case why == tarpit.LetGo:
		return journal.Cancelled
	case s.told || s.quit:
		return journal.LetGo
	}
	return journal.Left
}
