package metrics

import "github.com/prometheus/client_golang/prometheus"

// watch makes the series whose numbers are kept elsewhere.
func (m *Metrics) watch(f factory, g Gauges) {
	f.reg.MustRegister(
		prometheus.NewGaugeFunc(gaugeOpts("slots", "Connections of strangers that fit at once."), orZero(g.Slots)),
		prometheus.NewGaugeFunc(gaugeOpts("slots_used", "Slots of strangers in use."), orZero(g.SlotsUsed)),
		prometheus.NewGaugeFunc(gaugeOpts("grey_triplets", "Triplets that the greylist remembers."), orZero(g.Triplets)),
		prometheus.NewGaugeFunc(gaugeOpts("store_up", "1 while the store answers."), zeroOrOne(g.StoreUp)),
		prometheus.NewCounterFunc(prometheus.CounterOpts(gaugeOpts("journal_dropped_total",
			"Records that were not written, because the queue was full or the disk.")), orZero(g.JournalDropped)),
		newEntriesCollector(g.Entries),
	)
}

func gaugeOpts(name, help string) prometheus.GaugeOpts {
	return prometheus.GaugeOpts{Namespace: "moggy", Name: name, Help: help}
}

func orZero(read func() float64) func() float64 {
	if read == nil {
		return func() float64 { return 0 }
	}
	return read
}

func zeroOrOne(read func() bool) func() float64 {
	return func() float64 {
		if read == nil || read() {
			return 1
		}
		return 0
	}
}

// entriesCollector asks once a scrape for the five numbers of the list.
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
	}{{"allow", e.Allowed}, {"deny", e.Denied}, {"local", e.Local}, {"passed", e.Passed}, {"trap", e.Trapped}} {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, float64(row.n), row.kind)
	}
}
