package metrics

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"moggy/dnsbl"
)

// watch makes the series whose numbers are kept elsewhere.
func (m *Metrics) watch(f factory, g Gauges, lists []string) {
	f.reg.MustRegister(
		prometheus.NewGaugeFunc(gaugeOpts("slots", "Connections of strangers that fit at once."), orZero(g.Slots)),
		prometheus.NewGaugeFunc(gaugeOpts("slots_used", "Slots of strangers in use."), orZero(g.SlotsUsed)),
		prometheus.NewGaugeFunc(gaugeOpts("grey_triplets", "Triplets that the greylist remembers."), orZero(g.Triplets)),
		prometheus.NewGaugeFunc(gaugeOpts("store_up", "1 while the store answers."), zeroOrOne(g.StoreUp)),
		prometheus.NewCounterFunc(prometheus.CounterOpts(gaugeOpts("journal_dropped_total",
			"Records that were not written, because the queue was full or the disk.")), orZero(g.JournalDropped)),
		prometheus.NewGaugeFunc(gaugeOpts("last_login_hint_timestamp_seconds", "When the last login was reported; 0: never."), unixOrZero(g.LastLogin)),
		counterFunc("allow_refused_total", "Learned entries that were not remembered for want of room.", g.EntriesRefused),
		counterFunc("hints_dropped_total", "Mails of our users of whose domains nothing was learned, because too many waited for DNS.", g.HintsDropped),
		counterFunc("login_reports_refused_total", "Reports of logins that made no sense, or came without the key.", g.ReportsRefused),
		counterFunc("budget_exchanges_total", "Budgets that were exchanged with the doors that share the memory, each time.", g.Exchanged),
		counterFunc("budget_unshared_total", "Connections and recipients that those doors were not told of, or perhaps not.", g.Unshared),
		newEntriesCollector(g.Entries),
		newHitsCollector(lists, g.Lists),
	)
}

func gaugeOpts(name, help string) prometheus.GaugeOpts {
	return prometheus.GaugeOpts{Namespace: "moggy", Name: name, Help: help}
}

func counterFunc(name, help string, read func() float64) prometheus.CounterFunc {
	return prometheus.NewCounterFunc(prometheus.CounterOpts(gaugeOpts(name, help)), orZero(read))
}

func orZero(read func() float64) func() float64 {
	if read == nil {
		return func() float64 { return 0 }
	}
	return read
}

func unixOrZero(read func() time.Time) func() float64 {
	return func() float64 {
		if read == nil || read().IsZero() {
			return 0
		}
		return float64(read().UnixMilli()) / 1000
	}
}

func zeroOrOne(read func() bool) func() float64 {
	return func() float64 {
		if read == nil || read() {
			return 1
		}
		return 0
	}
}

// entriesCollector asks once a scrape for the numbers of the list.
type entriesCollector struct {
	desc *prometheus.Desc
	read func() Entries
}

func newEntriesCollector(read func() Entries) entriesCollector {
	if read == nil {
		read = func() Entries { return Entries{} }
	}
	desc := prometheus.NewDesc("moggy_allow_entries", "Rows of the allow and deny list, by who said so.", []string{"kind"}, nil)
	return entriesCollector{desc, read}
}

// Describe implements prometheus.Collector.
func (c entriesCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c entriesCollector) Collect(ch chan<- prometheus.Metric) {
	e := c.read()
	for _, row := range []struct {
		kind string
		n    int
	}{{"allow", e.Allowed}, {"deny", e.Denied}, {"local", e.Local}, {"passed", e.Passed}, {"trap", e.Trapped},
		{"ssh", e.Sessions}, {"login", e.Logins}, {"crawler", e.Crawlers}, {"wrote", e.Wrote}, {"guess", e.Guessing}} {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(row.n), row.kind)
	}
}

// hitsCollector asks once a scrape what the DNS lists are worth.
type hitsCollector struct {
	desc  *prometheus.Desc
	names []string // each once, as labels
	read  func() []dnsbl.Status
}

func newHitsCollector(names []string, read func() []dnsbl.Status) hitsCollector {
	if read == nil {
		read = func() []dnsbl.Status { return nil }
	}
	desc := prometheus.NewDesc("moggy_dnsbl_hits_total",
		"Listings that counted: all; those that no other list had; those without which the peer had fared otherwise; those on peers that are good.",
		[]string{"list", "kind"}, nil)
	labels := make([]string, len(names))
	for i, name := range names {
		labels[i] = clean(name)
	}
	slices.Sort(labels)
	return hitsCollector{desc, slices.Compact(labels), read}
}

// Describe implements prometheus.Collector.
func (c hitsCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector. A list has its series before it is
// there.
func (c hitsCollector) Collect(ch chan<- prometheus.Metric) {
	all := make(map[string]dnsbl.Status)
	for _, s := range c.read() {
		all[clean(s.Name)] = s
	}
	for _, name := range c.names {
		s := all[name]
		for _, row := range []struct {
			kind string
			n    uint64
		}{{"all", s.Hits}, {"only", s.Alone}, {"decisive", s.Decisive}, {"good", s.Passed}} {
			ch <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(row.n), name, row.kind)
		}
	}
}
