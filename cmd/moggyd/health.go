package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"moggy/cmd/internal/desk"
	"moggy/dnsbl"
	"moggy/metrics"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// gauges are the numbers that the house keeps and the metrics show.
func (h *house) gauges() metrics.Gauges {
	return metrics.Gauges{
		Slots:          func() float64 { return float64(h.pit.Slots()) },
		SlotsUsed:      func() float64 { return float64(h.pit.Taken()) },
		Triplets:       func() float64 { return float64(h.store.Figures().Triplets) },
		JournalDropped: func() float64 { return float64(h.journal.Dropped()) },
		StoreUp:        func() bool { return h.store.Healthy() == nil },
		Entries:        h.entries,
		Lists:          h.lists,
		LastLogin:      h.lastLogin,
		EntriesRefused: func() float64 { return float64(h.book.Refused()) },
		HintsDropped:   h.ofFamily(func(f *family) float64 { return float64(f.hints.Dropped()) }),
		ReportsRefused: h.ofFamily(func(f *family) float64 { c := f.ears.Counts(); return float64(c.Malformed + c.Refused) }),
		Exchanged:      h.ofFleet(func(s budget.Sharing) int64 { return s.Told }),
		Unshared:       h.ofFleet(func(s budget.Sharing) int64 { return s.Lost }),
	}
}

// ofFleet reads a figure of what doors tell each other; nil if there is one door.
func (h *house) ofFleet(read func(budget.Sharing) int64) func() float64 {
	if h.fleet == nil {
		return nil
	}
	return func() float64 { return float64(read(h.fleet.Sharing())) }
}

// lists are how the DNS lists stand; nil if there are none.
func (h *house) lists() []dnsbl.Status {
	if h.names == nil || h.names.Lists == nil {
		return nil
	}
	return h.names.Lists.Lists()
}

// ofFamily reads a number of the family's, 0 before there is one.
func (h *house) ofFamily(read func(*family) float64) func() float64 {
	return func() float64 {
		if f := h.family.Load(); f != nil {
			return read(f)
		}
		return 0
	}
}

// lastLogin is when a login was last reported; zero: never.
func (h *house) lastLogin() time.Time {
	if f := h.family.Load(); f != nil {
		return f.hints.Last()
	}
	return time.Time{}
}

// local is the desk at which the operator's tool asks the running house.
func (h *house) local() *desk.Local {
	return desk.NewLocal(desk.Options{
		Judge: h.judge, Daemon: h.server, Figures: h.figures, Foreign: h.family.Load().watch, Health: h.selfReport, Store: h.store,
		Settings: func() desk.Settings { return *h.asked.Load() },
	})
}

func (h *house) figures() desk.Figures {
	f := desk.StoreFigures(h.store)
	f.Since, f.Version, f.JournalDropped = h.started, version(), h.journal.Dropped()
	f.Held, f.Slots = h.pit.Taken(), h.pit.Slots()
	return f
}

// entries counts the allow list by who made its rows. A list never changes, so it
// is counted once.
func (h *house) entries() metrics.Entries {
	list := h.book.List()
	if c := h.counted.Load(); c != nil && c.list == list {
		return c.entries
	}
	c := &count{list, metrics.Entries(list.Counts())}
	h.counted.Store(c)
	return c.entries
}

// A count is how many rows of which kind a list has.
type count struct {
	list    *whitelist.List
	entries metrics.Entries
}

// selfReport is what the parts say of themselves.
func (h *house) selfReport() desk.Health {
	f := h.family.Load()
	return desk.Health{Login: f.hints.Last(), HintFaults: faultTexts(f.ears.Faults()), GoodFaults: faultTexts(f.keeper.Faults()),
		Config: *h.loaded.Load()}
}

// faultTexts are faults as sentences, in the order of their names.
func faultTexts(faults map[string]string) (texts []string) {
	for _, name := range slices.Sorted(maps.Keys(faults)) {
		texts = append(texts, fmt.Sprintf("%s: %s", name, faults[name]))
	}
	return texts
}

// health says what keeps moggyd from its work, its backends, and that it goes on
// without its store. The page says it to people.
func (h *house) health() metrics.Health {
	hostname := func() string { return h.asked.Load().Policy.Hostname }
	return metrics.Health{Hostname: hostname, Page: h.page(), Ready: h.server.Ready,
		Degraded: func() map[string]error { return map[string]error{"store": h.store.Healthy()} }}
}
