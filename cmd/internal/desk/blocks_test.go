package desk

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"moggy/verdict"
	"moggy/whitelist"
	"moggy/whitelist/foreign"
)

// wall is a firewall that blocks networks.
type wall struct {
	nets []netip.Prefix
	err  error
}

func fakeWall(nets ...string) *wall {
	w := &wall{}
	for _, n := range nets {
		w.nets = append(w.nets, network(n))
	}
	return w
}

func (w *wall) Name() string { return "nft" }

func (w *wall) Read(context.Context) (blocks []foreign.Block, err error) {
	for _, n := range w.nets {
		blocks = append(blocks, foreign.Block{Net: n, By: "nft", Where: "set inet guard abusers", Lift: []string{"nft", "x"}})
	}
	return blocks, w.err
}

func TestBlocked(t *testing.T) {
	h := newHouse(t)
	if s := must(h.Blocked(t.Context(), BlockFilter{})); !s.Time.IsZero() {
		t.Errorf("where nobody looks: %+v", s)
	}
	h.learned(t, "203.0.113.78", whitelist.User, whitelist.Login)
	h.now = time.Now
	w := fakeWall("203.0.113.78", "203.0.113.0/24", "192.0.2.1")
	h.Foreign = foreign.NewWatch(foreign.Options{Readers: []foreign.Reader{w}, List: func() *whitelist.List {
		return whitelist.NewList(slices.Values([]whitelist.Entry{{Net: network("203.0.113.78"), Class: whitelist.User, Source: whitelist.Login}}))
	}})
	s := must(h.Blocked(t.Context(), BlockFilter{Addr: netip.MustParseAddr("203.0.113.9")}))
	if len(s.Blocks) != 1 || s.Blocks[0].Net != network("203.0.113.0/24") || len(s.Hits) != 2 || s.Hits[0].Standing.Evidence != whitelist.Login {
		t.Errorf("%+v", s)
	}
	w.err = errors.New("no luck")
	s = must(h.Blocked(t.Context(), BlockFilter{}))
	if len(s.Blocks) != 0 || s.Unread["nft"] != "no luck" || s.Time.IsZero() {
		t.Errorf("%+v", s)
	}
	if st := must(h.Status(t.Context(), StatusFilter{})); len(st.Foreign.Hits) != 2 {
		t.Errorf("status: %+v", st.Foreign)
	}
}

func TestEvidence(t *testing.T) {
	h := newHouse(t)
	set := h.Settings()
	set.Listeners = append(set.Listeners, Listener{Name: "imaps", Service: whitelist.Client}, Listener{Name: "pop3s", Service: whitelist.Client})
	h.Settings = func() Settings { return set }
	h.passed(t, "203.0.113.77")
	h.learned(t, "203.0.113.77", whitelist.Guesser, whitelist.Guessing)
	h.use("203.0.113.77", whitelist.Guesser, 2)
	e := must(h.Evidence(t.Context(), EvidenceFilter{netip.MustParseAddr("203.0.113.77")}))
	if len(e.At) != 2 || !slices.Equal(e.At[1].Listeners, []string{"imaps", "pop3s"}) {
		t.Fatalf("%+v", e)
	}
	mail, client := e.At[0], e.At[1]
	if mail.Standing.Evidence != whitelist.Passed || mail.Budget.Used != 1 || mail.Budget.Limit.Burst != 120 {
		t.Errorf("at mail: %+v", mail)
	}
	if client.Standing.Evidence != whitelist.Guessing || client.Budget.Over != "open" {
		t.Errorf("at client: %+v", client)
	}
	h.Daemon = &fakeDaemon{ready: map[string]error{"pop3s": errors.New("refused")}}
	e = must(h.Evidence(t.Context(), EvidenceFilter{netip.MustParseAddr("203.0.113.77")}))
	if e.At[0].Faults != nil || e.At[1].Faults["pop3s"] != "refused" {
		t.Errorf("a backend that is down: %+v", e)
	}
	if _, err := h.Evidence(t.Context(), EvidenceFilter{}); KindOf(err) != Usage {
		t.Error(err)
	}
}

func TestTop(t *testing.T) {
	h := newHouse(t)
	h.learned(t, "203.0.113.78", whitelist.User, whitelist.Login)
	h.use("203.0.113.78", whitelist.User, 3)
	h.use("192.0.2.1", whitelist.Stranger, 5)
	rows := must(h.Top(t.Context(), TopFilter{})).Rows
	if len(rows) != 2 || rows[0].Class != whitelist.Stranger || rows[0].Evidence != whitelist.Nothing || rows[0].Usage.Open != 5 ||
		rows[1].Evidence != whitelist.Login || rows[1].Net != network("203.0.113.78") {
		t.Errorf("%+v", rows)
	}
	h.Daemon = nil
	if _, err := h.Top(t.Context(), TopFilter{}); KindOf(err) != Fault {
		t.Errorf("without a daemon: %v", err)
	}
}

func TestLearnedOfEveryKind(t *testing.T) {
	h := newHouse(t)
	for i, s := range whitelist.Sources() {
		if s.Learned() {
			class := map[whitelist.Source]whitelist.Class{whitelist.Trapped: whitelist.Listed, whitelist.Guessing: whitelist.Guesser}[s]
			if class == "" {
				class = whitelist.Peer
			}
			h.learned(t, fmt.Sprintf("203.0.113.%d", i), class, s)
		}
	}
	must(h.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.7"), Class: "peer"}))
	for _, c := range []struct {
		q    EntryFilter
		want int
	}{{EntryFilter{}, 2}, {EntryFilter{Learned: true}, 7}, {EntryFilter{Deny: true}, 0}, {EntryFilter{Deny: true, Learned: true}, 2}} {
		if n := must(h.Entries(t.Context(), c.q)).Total; n != c.want {
			t.Errorf("%+v: %d entries, want %d", c.q, n, c.want)
		}
	}
	if n := len(must(h.Pardon(t.Context(), Plea{Net: network("203.0.113.0/24")})).Forgot); n != 2 {
		t.Errorf("a pardon forgot %d entries", n)
	}
	want := []netip.Prefix{network("10.0.0.0/8"), network("192.0.2.7"), network("203.0.113.1"), network("203.0.113.3"), network("203.0.113.4"),
		network("203.0.113.5"), network("203.0.113.6")}
	nets := must(h.Good(t.Context(), GoodFilter{})).Nets
	slices.SortFunc(nets, netip.Prefix.Compare)
	if !slices.Equal(nets, want) {
		t.Errorf("good are %v", nets)
	}
}

// TestRemoveOneKind takes away what decided, and nothing else that was learned.
func TestRemoveOneKind(t *testing.T) {
	h := newHouse(t)
	for _, peer := range []string{"203.0.113.78", "2001:db8::7"} {
		h.learned(t, peer, whitelist.User, whitelist.Login)
		h.passed(t, peer)
		net := whitelist.Net(netip.MustParseAddr(peer))
		c := must(h.RemoveEntry(t.Context(), EntryKey{Net: net}))
		if c.Entry.Source != whitelist.Login || c.Now.Evidence != whitelist.Passed {
			t.Errorf("%s: %+v", peer, c)
		}
		if c = must(h.RemoveEntry(t.Context(), EntryKey{Net: net})); c.Entry.Source != whitelist.Passed || c.Now.Known {
			t.Errorf("%s: %+v", peer, c)
		}
	}
}

// TestTryAtStreams compares tries with what the proxy itself decides, where class and
// budget are all that is asked.
func TestTryAtStreams(t *testing.T) {
	h := newHouse(t)
	set := h.Settings()
	set.Listeners = append(set.Listeners, Listener{Name: "imaps", Address: "0.0.0.0:993", Service: whitelist.Client})
	h.Settings = func() Settings { return set }
	h.learned(t, "203.0.113.78", whitelist.User, whitelist.Login)
	h.learned(t, "203.0.113.79", whitelist.Guesser, whitelist.Guessing)
	must(h.PutEntry(t.Context(), EntryPut{Net: network("192.0.2.0/24"), Deny: true}))
	h.use("203.0.113.78", whitelist.User, 310)
	h.use("198.51.100.9", whitelist.MUA, 150)
	for _, c := range []struct {
		addr, rule string
		passes     bool
		do         string
	}{
		{"203.0.113.78", "in-line", true, "moggy allow add 203.0.113.78 --class own --note WHY"},
		{"203.0.113.79", "guesser", true, "moggy pardon 203.0.113.79"},
		{"198.51.100.1", "client", true, "moggy allow add 198.51.100.1 --note WHY"},
		{"198.51.100.9", "over-budget", false, "moggy allow add 198.51.100.9 --note WHY"},
		{"192.0.2.1", "denied-client", false, "moggy allow add 192.0.2.1 --note WHY"},
	} {
		r := must(h.Try(t.Context(), Question{Addr: netip.MustParseAddr(c.addr), Listener: "993"}))
		if r.Connect.Rule != c.rule || r.Passes != c.passes || r.Do != c.do || r.Service != whitelist.Client || len(r.Findings) == 0 || r.Grey != nil {
			t.Errorf("%s: %+v", c.addr, r)
		}
		if (r.Wait > 0) != (r.Connect.Action == verdict.Wait) {
			t.Errorf("%s waits %v", c.addr, r.Wait)
		}
	}
}
