package tally

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"slices"
	"time"

	"moggy/verdict"
	"moggy/verdict/journal"
)

// harms are the lines that tell of harm, put together.
type harms struct {
	all   map[harmKey]*Harm
	order []*Harm // the latest first
	peers map[string]bool
	times int
}

// harmKey says what is one Harm, in the words of a line.
type harmKey struct{ peer, rule string }

func newHarms() harms { return harms{all: make(map[harmKey]*Harm), peers: make(map[string]bool)} }

// add notes a line. Of one Harm they come the latest first. Beyond MaxHarms they
// are only counted.
func (h *harms) add(line []byte) {
	h.times++
	peer, rest := value(line, peerKey)
	peer = peer[:max(0, bytes.LastIndexByte(peer, ':'))]
	rule, _ := value(rest, ruleKey)
	if len(h.peers) < maxPeers {
		h.peers[string(peer)] = true
	}
	at, _ := time.Parse(timeFormat, string(stampOf(line)))
	one := h.all[harmKey{string(peer), string(rule)}]
	if one == nil {
		if one = h.begin(line); one == nil {
			return
		}
		h.all[harmKey{string(peer), string(rule)}] = one
	}
	one.Times, one.First = one.Times+1, at
}

// begin makes a Harm of its latest line; nil: there is no room, or it is no record.
func (h *harms) begin(line []byte) *Harm {
	var r journal.Record
	if len(h.order) == MaxHarms || json.Unmarshal(line, &r) != nil {
		return nil
	}
	addr := r.Peer.Addr()
	one := &Harm{Peer: addr, Class: r.Class, Evidence: r.Evidence, Rule: r.Rule, Listener: r.Listener, Ref: r.Ref, Why: r.Why,
		Last: r.Time, Do: remedy(r.Rule, addr)}
	h.order = append(h.order, one)
	return one
}

func remedy(rule string, peer netip.Addr) string { return verdict.RemedyFor(rule, peer.String()) }

// listed are the harms, the latest first.
func (h *harms) listed() (all []Harm) {
	for _, one := range h.order {
		all = append(all, *one)
	}
	slices.SortStableFunc(all, func(a, b Harm) int { return b.Last.Compare(a.Last) })
	return all
}
