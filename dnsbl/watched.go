package dnsbl

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// watched is a list and all that is known of it.
type watched struct {
	List
	log    *slog.Logger
	events Events
	wake   chan struct{} // asks for a probe at once

	turning sync.Mutex // held while the health changes, so that changes are told in order; before mu

	mu       sync.Mutex // guards what follows
	health   health
	surge    surge
	value    value
	decided  decisions
	doubtful []Decision
	fault    string        // the last answer that was an error, in words
	trying   chan struct{} // closed when the list is no longer suspected; nil: it is not
	probe    probe
}

// probe is the last one.
type probe struct {
	at          time.Time
	took        time.Duration
	good, named int
}

func newWatched(l List, o *Options, now time.Time) *watched {
	return &watched{List: l.withDefaults(o.Timeout), log: o.Log, events: o.Events,
		wake: make(chan struct{}, 1), health: newHealth(o.Every, now), value: newValue()}
}

// asks reports whether the list is to be asked about addr, and its state.
func (l *watched) asks(addr netip.Addr) (bool, State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return addr.Is4() || l.health.ipv6 || l.health.state == Untested, l.health.state
}

// answered notes what became of a question about a peer.
func (l *watched) answered(peer netip.Addr, a Answer, took time.Duration, now time.Time) {
	l.mu.Lock()
	l.value.answered(a, took)
	if !a.silent() {
		l.health.answered()
	}
	l.mu.Unlock()
	l.events.Answered(l.Name, a, took)
	if a.silent() {
		l.turn(now, func(h *health) { h.unanswered(host(peer), now) })
	}
}

// turn lets the health change, and tells whom it concerns.
func (l *watched) turn(now time.Time, move func(*health)) {
	l.turning.Lock()
	defer l.turning.Unlock()
	l.mu.Lock()
	before := l.health
	move(&l.health)
	change, changed := l.changed(before, now)
	l.mu.Unlock()
	if !changed {
		return
	}
	if change.To == Suspected || change.To == Silent {
		l.probeNow()
	}
	change.tell(l.log)
	l.events.Changed(change)
}

// changed compares the health with what it was. Callers hold mu.
func (l *watched) changed(before health, now time.Time) (Change, bool) {
	h := &l.health
	if h.state == before.state && h.reason == before.reason {
		return Change{}, false
	}
	if h.state == Suspected {
		l.trying = make(chan struct{})
	} else if l.trying != nil {
		close(l.trying)
		l.trying = nil
	}
	c := Change{List: l.Name, Weight: l.Weight, From: before.state, To: h.state, Reason: h.reason, Why: h.why, Time: now}
	switch {
	case h.state == Suspended && before.state != Suspended:
		l.doubtful = l.decided.since(before.right)
		c.Doubtful = l.doubtful
	case h.state == Working:
		l.surge.settle()
	}
	return c, true
}

func (l *watched) probeNow() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// stand says what is to be thought of a reading: it looks whether the list can
// still be believed, now that it has said this.
func (l *watched) stand(peer netip.Addr, r reading, now time.Time) said {
	if reason, why := l.doubt(peer, r); reason != "" {
		l.turn(now, func(h *health) { h.suspect(reason, why, now) })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return said{reading: r, name: l.Name, weight: l.Weight, state: l.health.state}
}

// cleared waits until the test points of a suspected list were asked, and returns
// its state then: a peer that it lists must not get in because another one made
// it suspected. When ctx ends the list is still suspected.
func (l *watched) cleared(ctx context.Context) State {
	l.mu.Lock()
	trying := l.trying
	l.mu.Unlock()
	if trying != nil {
		select {
		case <-trying:
		case <-ctx.Done():
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health.state
}

// doubt is a reason to ask the test points, "" if there is none.
func (l *watched) doubt(peer netip.Addr, r reading) (Reason, string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if r.answer.wrong() {
		l.note(r.meaning())
	}
	switch {
	case r.answer == Refused:
		return Refuses, l.fault
	case r.answer == Foreign:
		return Astray, l.fault
	case l.health.state != Working || r.answer != Listed && r.answer != Clean:
		return "", ""
	case l.surge.see(host(peer), r.answer == Listed):
		return Surge, "it lists one peer after the other as never before"
	}
	return "", ""
}

// note logs an error that is not the same as the last. Callers hold mu.
func (l *watched) note(fault string) {
	if l.fault != fault {
		l.fault = fault
		l.log.Warn("a DNS list answers with an error, which is no listing", "list", l.Name, "error", fault)
	}
}

// hit counts a listing that counted in a score.
func (l *watched) hit(peer netip.Addr, alone, decisive bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.value.hit(alone, decisive)
	if decisive {
		l.decided.add(peer, now)
	}
}

// passed counts a hit on a peer that turned out to be good.
func (l *watched) passed() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.value.passed++
}

// probed takes the result of a trial.
func (l *watched) probed(t *trial, took time.Duration, now time.Time) {
	f := t.find()
	l.mu.Lock()
	l.probe = probe{at: now, took: took, good: t.good, named: t.named}
	l.mu.Unlock()
	l.turn(now, func(h *health) { h.probed(f, now) })
}

// rest waits until the next probe is due. It reports false when ctx ends.
func (l *watched) rest(ctx context.Context) bool {
	l.mu.Lock()
	t := time.NewTimer(l.health.pause)
	l.mu.Unlock()
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
	case <-l.wake:
	}
	return true
}

func (l *watched) ipv6() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health.ipv6
}

func (l *watched) status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := &l.health
	s := Status{Name: l.Name, Weight: l.Weight, State: h.state, Since: h.since, Reason: h.reason, Why: h.why, IPv6: h.ipv6,
		Probed: l.probe.at, ProbeTook: l.probe.took, Good: l.probe.good, GoodListed: l.probe.named,
		LastError: l.fault, Doubtful: l.doubtful}
	if !s.Probed.IsZero() {
		s.Next = s.Probed.Add(h.pause)
	}
	l.value.fill(&s)
	return s
}
