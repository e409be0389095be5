package dnsbl

import (
	"net/netip"
	"slices"
	"time"
)

// A State says how far a list is believed, and whether it is asked.
type State string

// The states.
const (
	Untested  State = "untested"  // asked; does not count before its test points were right
	Working   State = "working"   // asked, and counts
	Suspected State = "suspected" // asked; does not count until its test points were asked again
	Suspended State = "suspended" // its test points were wrong: not asked, counts for nothing
	Silent    State = "silent"    // does not answer: not asked, so that it costs no time
)

// States returns them all: the values of a metric label.
func States() []State { return []State{Untested, Working, Suspected, Suspended, Silent} }

// asked reports whether a list in this state is asked about peers.
func (s State) asked() bool { return s == Untested || s == Working || s == Suspected }

// A Reason says why a list does not work.
type Reason string

// The reasons.
const (
	ListsEverybody Reason = "lists-everybody" // the test point that must not be listed is
	ListsNobody    Reason = "lists-nobody"    // the test point that must be listed is not
	ListsGood      Reason = "lists-good"      // too many of the peers known to be good are listed
	Refuses        Reason = "refuses"         // it answers with errors in 127.255.255.0/24
	Astray         Reason = "astray"          // it answers outside 127.0.0.0/8
	NoAnswer       Reason = "no-answer"       // it does not answer
	Surge          Reason = "surge"           // peer after peer is listed as never before
)

// Reasons returns them all: the values of a metric label.
func Reasons() []Reason {
	return []Reason{ListsEverybody, ListsNobody, ListsGood, Refuses, Astray, NoAnswer, Surge}
}

const (
	silentAfter   = 5                // unanswered questions in a row
	firstPause    = 30 * time.Second // between probes of a list that does not work; doubles up to health.every
	quickPause    = 5 * time.Second  // between probes of a list that awaits its first right one
	suspectPause  = time.Minute      // between two suspicions
	backSilent    = 1                // right probes in a row that bring a silent list back
	backSuspended = 2                // and a suspended one
	backAtMost    = 8                // and one that keeps falling
	flapping      = time.Hour        // falling again within this doubles what it takes to come back
)

// health is what is known of how a list works. Its methods are the transitions;
// they know no clock and ask nobody.
type health struct {
	state  State
	since  time.Time     // of the state
	reason Reason        // "" while all is well
	why    string        // the same in words
	ipv6   bool          // it knows IPv6: its IPv6 test points were right
	every  time.Duration // between probes of a list that works
	pause  time.Duration // until the next probe

	fails   int          // unanswered questions in a row, those about one peer taken as one
	unheard []netip.Addr // the peers that they were about, silentAfter of them at most
	rights  int          // right probes in a row
	need    int          // of them it takes to come back
	right   time.Time    // the last right probe
	back    time.Time    // when it last came back
	doubted time.Time    // the last suspicion
}

func newHealth(every time.Duration, now time.Time) health {
	return health{state: Untested, since: now, every: every, pause: every}
}

func (h *health) become(s State, r Reason, why string, now time.Time) {
	if h.state != s {
		h.state, h.since = s, now
	}
	h.reason, h.why = r, why
}

// answered is any answer to a question about a peer.
func (h *health) answered() {
	if h.state != Silent {
		h.fails, h.unheard = 0, nil
	}
}

// unanswered is a question about a peer that nobody answered. That the same peer
// comes again says nothing new: resolvers remember a failure for a while, and one
// peer must not be able to take a list out of service.
func (h *health) unanswered(peer netip.Addr, now time.Time) {
	if slices.Contains(h.unheard, peer) {
		return
	}
	if len(h.unheard) < silentAfter {
		h.unheard = append(slices.Clip(h.unheard), peer)
	}
	h.failed(now)
}

// failed is a question that nobody answered.
func (h *health) failed(now time.Time) {
	h.fails++
	if h.fails >= silentAfter && h.state.asked() {
		h.fall(backSilent, now)
		h.become(Silent, NoAnswer, "it does not answer; see that the resolver reaches it", now)
	}
}

// fall sets what it takes to come back.
func (h *health) fall(need int, now time.Time) {
	if !h.back.IsZero() && now.Sub(h.back) < flapping {
		need = min(2*max(need, h.need), backAtMost)
	}
	h.need, h.rights, h.pause = need, 0, min(firstPause, h.every)
}

// suspect withholds the weight of a list that works, until it was probed. It
// reports whether it is to be probed now; a suspicion has to be a while after
// the last one, so that a spam run does not make a good list useless.
func (h *health) suspect(r Reason, why string, now time.Time) bool {
	if h.state != Working || !h.doubted.IsZero() && now.Sub(h.doubted) < suspectPause {
		return false
	}
	h.doubted = now
	h.become(Suspected, r, why, now)
	return true
}

// probed is what a probe of the test points led to.
func (h *health) probed(f finding, now time.Time) {
	switch {
	case f.unanswered:
		h.probedInVain(now)
	case f.reason != "":
		h.probedWrong(f, now)
	default:
		h.probedRight(f, now)
	}
}

func (h *health) probedInVain(now time.Time) {
	before := h.state
	h.rights = 0
	h.failed(now)
	switch {
	case h.state != before: // it has just fallen silent
	case h.state == Working:
		h.pause = min(firstPause, h.every)
	case h.state.asked():
		h.pause = min(quickPause, h.every)
	default:
		h.backOff()
	}
}

func (h *health) probedWrong(f finding, now time.Time) {
	if h.state == Suspended {
		h.backOff()
	} else {
		h.fall(backSuspended, now)
	}
	h.rights = 0
	h.become(Suspended, f.reason, f.why, now)
}

func (h *health) probedRight(f finding, now time.Time) {
	h.fails, h.unheard, h.right = 0, nil, now
	h.rights++
	if f.tested6 {
		h.ipv6 = f.ipv6
	}
	if !h.state.asked() {
		if h.rights < h.need {
			h.pause = min(firstPause, h.every)
			return
		}
		h.back = now
	}
	h.become(Working, "", "", now)
	h.pause = h.every
}

// backOff doubles the pause between the probes of a list that does not work.
func (h *health) backOff() { h.pause = min(2*max(h.pause, firstPause/2), h.every) }
