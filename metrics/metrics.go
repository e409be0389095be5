// Package metrics shows verdicts as numbers, and whether the house is well, to
// programs that ask over HTTP.
//
// It knows the series and that each of them is there, at 0, from the first
// second. All labels come from closed lists: the rules, actions, classes and
// outcomes of the packages that decide, and the names of the listeners and of
// the DNS lists. It does not know addresses, mailboxes or anything else that a
// peer says, decides nothing, and asks nobody: what is measured elsewhere is
// given to it as functions.
package metrics

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"moggy/dnsbl"
	"moggy/verdict"
	"moggy/whitelist"
)

// Options are what New needs.
type Options struct {
	Version   string
	Revision  string
	Listeners []string // their names in the configuration
	Lists     []string // the names under which the DNS lists are shown
	Blockers  []string // what else may block on this machine: "nft", "fail2ban" …
	Gauges    Gauges
}

// Gauges are numbers that are kept elsewhere. They are asked at each scrape,
// from any goroutine, and must answer from memory. One that is nil stands at its
// resting value.
type Gauges struct {
	Slots          func() float64        // connections of strangers that fit; at rest 0
	SlotsUsed      func() float64        // of them in use; at rest 0
	Triplets       func() float64        // that the greylist remembers; at rest 0
	JournalDropped func() float64        // records not written since the start; at rest 0
	StoreUp        func() bool           // the store answers; at rest true
	Entries        func() Entries        // at rest 0
	Lists          func() []dnsbl.Status // how the DNS lists do; at rest all is 0
	LastLogin      func() time.Time      // when the last login was reported; at rest 1970
	EntriesRefused func() float64        // learned entries that did not fit since the start; at rest 0
	HintsDropped   func() float64        // mails of our users of which nothing was learned; at rest 0
	ReportsRefused func() float64        // reports of logins that made no sense, or came without the key; at rest 0
	Exchanged      func() float64        // budgets told to the other doors, each time; at rest 0
	Unshared       func() float64        // connections and recipients that they were not told of, or perhaps not; at rest 0
}

// Entries are the numbers of rows of the allow and deny list.
type Entries struct {
	Allowed int // by a person
	Denied  int // by a person
	Local   int // own networks
	Passed  int // learned: came back through the greylist
	Trapped int // learned: named a trap

	Sessions int // learned: the operator's own
	Logins   int // learned: somebody logged in
	Crawlers int // learned: by name
	Wrote    int // learned: our users wrote there
	Guessing int // learned: tried many passwords
}

// Metrics are all series of one daemon. Its methods may be called from many
// goroutines; they wait for nobody.
type Metrics struct {
	registry  *prometheus.Registry
	listeners map[string]*listener
	other     func() *listener // for a name that New was not given

	harm     map[whitelist.Class]prometheus.Counter
	over     map[spent]prometheus.Counter
	queued   map[whitelist.Class]prometheus.Observer
	hints    map[bool]prometheus.Counter // of logins, by whether they succeeded
	foreign  map[string]prometheus.Gauge // known-good networks that are blocked elsewhere, by what blocks them
	degraded map[verdict.Dependency]prometheus.Counter
	open     map[string]prometheus.Gauge
	alarms   map[Alarm]prometheus.Gauge
	carried  struct{ in, out prometheus.Counter }

	stuttered, held            prometheus.Counter
	delay                      prometheus.Observer
	configOK, configLoadedTime prometheus.Gauge

	names names
}

// listener are the series of one listener.
type listener struct {
	connections map[arrival]prometheus.Counter
	verdicts    map[ruling]prometheus.Counter
	ended       map[string]prometheus.Counter // by outcome
	handovers   map[string]prometheus.Counter // by result

	backendUp                   prometheus.Gauge
	backendErrors, acceptErrors prometheus.Counter
	headerErrors                prometheus.Counter
}

// New makes all series, in a registry of their own.
func New(o Options) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), listeners: make(map[string]*listener)}
	m.registry.MustRegister(collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	v := newVectors(m.registry)
	for _, name := range o.Listeners {
		m.listeners[name] = v.listener(name)
	}
	m.other = sync.OnceValue(func() *listener { return v.listener(other) })
	m.countHouse(v.factory)
	m.countBudgets(v.factory, o.Blockers)
	m.countNames(v.factory, o.Lists)
	m.watch(v.factory, o.Gauges, o.Lists)
	v.gaugeVec("build_info", "What this is; always 1.", "version", "revision", "goversion").
		WithLabelValues(clean(o.Version), clean(o.Revision), goVersion()).Set(1)
	return m
}

// listener returns the series for a name of the configuration.
func (m *Metrics) listener(name string) *listener {
	if l, ok := m.listeners[name]; ok {
		return l
	}
	return m.other()
}

// clean makes s a possible label.
func clean(s string) string { return strings.ToValidUTF8(s, "?") }
