package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"moggy/dnsbl"
	"moggy/dnsbl/resolver"
	"moggy/greylist"
	"moggy/greylist/origin"
)

// names are the series of what DNS is asked about strangers.
type names struct {
	lists map[string]*list // by shown name

	failing struct { // the lists that do not work
		sync.Mutex
		lists map[string]bool // as many as lists, at most
	}

	questions   map[question]prometheus.Counter
	questioning prometheus.Observer

	kinds    map[greylist.OriginKind]prometheus.Counter
	spf      map[origin.SPF]prometheus.Counter
	reverses map[origin.Reverse]prometheus.Counter
	finding  prometheus.Observer
}

// list are the series of one DNS list.
type list struct {
	answers   map[dnsbl.Answer]prometheus.Counter
	took      prometheus.Observer
	states    map[dnsbl.State]prometheus.Gauge
	suspended prometheus.Gauge
}

// A question is the type of a question to the name servers, and what came of it.
type question struct{ kind, outcome string }

var _ dnsbl.Events = (*Metrics)(nil)

// Answered implements dnsbl.Events: it counts the end of a question to a DNS
// list. It allocates nothing.
func (m *Metrics) Answered(name string, a dnsbl.Answer, took time.Duration) {
	l, ok := m.names.lists[name]
	if !ok {
		return
	}
	inc(l.answers, a)
	l.took.Observe(took.Seconds())
}

// Changed implements dnsbl.Events: it shows the state of a DNS list, and raises
// the alarm as long as any list does not work.
func (m *Metrics) Changed(c dnsbl.Change) {
	l, ok := m.names.lists[c.List]
	if !ok {
		return
	}
	for state, g := range l.states {
		set(g, state == c.To)
	}
	set(l.suspended, c.Alarm())
	f := &m.names.failing
	f.Lock()
	defer f.Unlock()
	delete(f.lists, c.List)
	if c.Alarm() {
		f.lists[c.List] = true
	}
	m.Alarm(ListSuspended, len(f.lists) > 0)
}

// Asked counts a question that went to the name servers; it is made for
// resolver.Options.Observe. It allocates nothing.
func (m *Metrics) Asked(kind, outcome string, took time.Duration) {
	inc(m.names.questions, question{kind, outcome})
	m.names.questioning.Observe(took.Seconds())
}

// OriginFound counts an origin, and how it was found; it is made for
// origin.Options.Observe. It allocates nothing.
func (m *Metrics) OriginFound(f origin.Found) {
	inc(m.names.kinds, f.Kind)
	inc(m.names.spf, f.SPF)
	inc(m.names.reverses, f.Reverse)
	m.names.finding.Observe(f.Took.Seconds())
}

// The seconds that tell one cause from another: an answer from a cache nearby,
// one from far away, one that was tried for again, none in time.
var (
	answerBuckets = []float64{0.005, 0.025, 0.1, 0.5, 2}
	findBuckets   = []float64{0.01, 0.1, 0.5, 2, 5}
)

// countNames makes the series of what DNS is asked.
func (m *Metrics) countNames(f factory, lists []string) {
	m.names.lists, m.names.failing.lists = make(map[string]*list), make(map[string]bool)
	m.countLists(f, lists)
	n := &m.names
	n.questions = make(map[question]prometheus.Counter)
	questions := f.counterVec("dns_questions_total", "Questions that went to the name servers, by type and by what came of them.", "type", "outcome")
	for _, kind := range resolver.Types() {
		for _, outcome := range resolver.Outcomes() {
			n.questions[question{kind, outcome}] = questions.WithLabelValues(kind, outcome)
		}
	}
	n.questioning = f.histogram("dns_seconds", "Until a question to the name servers was answered or given up.", answerBuckets)
	n.kinds = counters(f.counterVec("origin_total", "Origins that were looked for, by what was found.", "kind"),
		[]greylist.OriginKind{greylist.Domain, greylist.Name, greylist.Network})
	n.spf = counters(f.counterVec("origin_spf_total", "Origins that were looked for, by the result of SPF.", "result"), origin.SPFs())
	n.reverses = counters(f.counterVec("origin_reverse_total", "Origins that were looked for, by what came of the reverse name.", "result"), origin.Reverses())
	n.finding = f.histogram("origin_seconds", "Until an origin was found.", findBuckets)
}

// counters makes a counter of each value of a label.
func counters[K ~string](v *prometheus.CounterVec, values []K) map[K]prometheus.Counter {
	all := make(map[K]prometheus.Counter)
	for _, k := range values {
		all[k] = v.WithLabelValues(string(k))
	}
	return all
}

// countLists makes the series of the DNS lists.
func (m *Metrics) countLists(f factory, lists []string) {
	answers := f.counterVec("dnsbl_answers_total", "Questions about strangers to a DNS list, by what came of them.", "list", "answer")
	took := f.histogramVec("dnsbl_seconds", "Until a DNS list answered, or was not waited for any more.", answerBuckets, "list")
	states := f.gaugeVec("dnsbl_state", "1 for the state that a DNS list is in.", "list", "state")
	suspended := f.gaugeVec("dnsbl_suspended", "1 while a DNS list counts for nothing, because it is wrong or silent.", "list")
	for _, name := range lists {
		label := clean(name)
		l := &list{took: took.WithLabelValues(label), states: make(map[dnsbl.State]prometheus.Gauge), suspended: suspended.WithLabelValues(label),
			answers: counters(answers.MustCurryWith(prometheus.Labels{"list": label}), dnsbl.Answers())}
		for _, s := range dnsbl.States() {
			l.states[s] = states.WithLabelValues(label, string(s))
		}
		l.states[dnsbl.Untested].Set(1)
		m.names.lists[name] = l
	}
}
