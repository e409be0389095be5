package proxy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"moggy/proxy/dialogue"
	"moggy/proxy/handover"
	"moggy/proxy/relay"
	"moggy/proxy/tarpit"
	"moggy/verdict/journal"
)

// handOver gives a stranger that has just proved itself to the backend. It is
// the only way from talk to carry, and the RCPT that is being answered the only
// moment: nothing was promised yet that the backend does not know of.
func (s *session) handOver(ctx context.Context, e dialogue.Envelope, to dialogue.Path) tarpit.Say {
	if err := s.door.state().shut(s.Backend.Form); err != nil {
		return s.notTaken(err)
	}
	opened, err := s.open(ctx, e, to)
	if err != nil {
		return s.notTaken(err)
	}
	s.opened = opened
	if opened.Reply.Code/100 == 2 {
		s.remember(ctx)
	}
	s.metrics.HandedOver(s.Name, opened.Reply.Code)
	return tarpit.Say{Text: append(opened.Reply.Raw, opened.Early...), Then: tarpit.Part}
}

// open opens a session with the backend. Strangers have an eighth of their slots
// for it at a time: a backend that is slow to answer must not let them take the
// descriptors of known peers. Who finds no place waits, within ctx.
func (s *session) open(ctx context.Context, e dialogue.Envelope, to dialogue.Path) (*handover.Opened, error) {
	select {
	case s.opening <- struct{}{}:
		defer func() { <-s.opening }()
	case <-ctx.Done():
		return nil, fmt.Errorf("too many hand-overs wait for the backend: %w", ctx.Err())
	}
	return handover.Open(ctx, s.Backend, s.handover(), s.guest.peer, s.guest.local, e, to)
}

// remember makes the stranger known: the backend took its recipient.
func (s *session) remember(ctx context.Context) {
	now := time.Now()
	if !s.f.Grey.First.IsZero() {
		s.metrics.Delayed(now.Sub(s.f.Grey.First))
	}
	if err := s.judge.Remember(ctx, &s.f, now); err != nil {
		s.log.Warn("cannot remember who came back", "conn", s.f.Ref, "error", err)
	}
}

// notTaken answers a recipient whose hand-over failed. What the backend said of
// the envelope is passed on; all else is a 421, and the triplet stays mature.
func (s *session) notTaken(err error) tarpit.Say {
	s.told = true
	refused, ok := errors.AsType[*handover.Refused](err)
	if ok {
		s.refusal = refused.Error()
	}
	switch {
	case ok && refused.Reply.Code >= 400 && (refused.Stage == handover.EHLO || refused.Stage == handover.Mail):
		s.metrics.HandedOver(s.Name, refused.Reply.Code)
		s.m.Settle(dialogue.Reply{Code: refused.Reply.Code}) // DATA may be pipelined behind it
		return tarpit.Say{Text: refused.Reply.Raw, Then: thenOf(refused.Reply.Code)}
	case ok && refused.Stage == handover.EarlierRcpt:
		// It was promised 250 and cannot be taken back; DATA will defer it.
		return s.say(s.m.Settle(dialogue.Reply{Code: 451, Enhanced: "4.3.0", Text: "Try this recipient again later"}), false)
	}
	s.metrics.HandedOver(s.Name, 0)
	s.have.share.refund()
	s.pool.refund()
	s.v = s.backendDown(&s.f, err)
	return s.say(s.m.Settle(s.v.Reply), true)
}

func thenOf(code int) tarpit.Then {
	if code == 421 {
		return tarpit.Close
	}
	return tarpit.Listen
}

// carryOn carries a stranger that was handed over, until it ends.
func (s *session) carryOn(l tarpit.Left) journal.End {
	s.guests.carryOn(s.guest, s.v.Rule)
	end := journal.End{Held: l.Held, Answer: s.opened.Reply.String()}
	peer, ahead := l.Conn, 0
	if s.Backend.Form == relay.XClient {
		peer = handover.Guard(l.Conn, l.Rest)
	} else if n, err := deliver(s.opened.Conn, l.Rest); err == nil {
		ahead = n
	} else {
		l.Conn.Close()
		s.opened.Conn.Close()
		end.Outcome = journal.Failed
		return end
	}
	r := relay.Carry(s.carrying, peer, s.opened.Conn, relay.Options{Idle: s.Idle})
	end.Outcome = outcomeOf(r, journal.HandedOver)
	end.In, end.Out = r.Up+int64(ahead), r.Down
	return end
}
