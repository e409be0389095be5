package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
	"moggy/whitelist/budget"
)

// A factory makes and registers series, all beginning with moggy_.
type factory struct{ reg *prometheus.Registry }

func (f factory) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "moggy", Name: name, Help: help}, labels)
	f.reg.MustRegister(c)
	return c
}

func (f factory) gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "moggy", Name: name, Help: help}, labels)
	f.reg.MustRegister(g)
	return g
}

func (f factory) histogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "moggy", Name: name, Help: help, Buckets: buckets}, labels)
	f.reg.MustRegister(h)
	return h
}

func (f factory) histogram(name, help string, buckets []float64) prometheus.Observer {
	return f.histogramVec(name, help, buckets).WithLabelValues()
}

func (f factory) counter(name, help string) prometheus.Counter {
	return f.counterVec(name, help).WithLabelValues()
}

func (f factory) gauge(name, help string) prometheus.Gauge {
	return f.gaugeVec(name, help).WithLabelValues()
}

// vectors are the series that each listener has.
type vectors struct {
	factory
	connections, verdicts, ended, handovers *prometheus.CounterVec
	backendErrors, acceptErrors             *prometheus.CounterVec
	headerErrors                            *prometheus.CounterVec
	backendUp                               *prometheus.GaugeVec
}

func newVectors(reg *prometheus.Registry) *vectors {
	f := factory{reg}
	return &vectors{factory: f,
		connections: f.counterVec("connections_total", "Connections accepted, by what was done with them at first.",
			"class", "action", "listener"),
		verdicts: f.counterVec("verdicts_total", "Decisions, by the rule that decided; connections have several.",
			"rule", "action", "listener"),
		ended:     f.counterVec("ended_total", "Connections that ended, by how.", "outcome", "listener"),
		handovers: f.counterVec("handover_total", "Strangers given to the backend, by its answer to the recipient.", "result", "listener"),
		backendErrors: f.counterVec("backend_errors_total", "Times the backend did not take a connection.",
			"listener"),
		acceptErrors: f.counterVec("accept_errors_total", "Times a connection could not be accepted, as without descriptors.", "listener"),
		headerErrors: f.counterVec("proxy_header_errors_total", "Connections closed for want of a PROXY header to believe, where one is required.", "listener"),
		backendUp:    f.gaugeVec("backend_up", "0 after the backend failed, 1 before and when it answers again.", "listener"),
	}
}

// listener makes all series of one listener.
func (v *vectors) listener(name string) *listener {
	name = clean(name)
	l := &listener{
		connections: make(map[arrival]prometheus.Counter),
		verdicts:    make(map[ruling]prometheus.Counter),
		ended:       make(map[string]prometheus.Counter),
		handovers:   make(map[string]prometheus.Counter),

		backendUp:     v.backendUp.WithLabelValues(name),
		backendErrors: v.backendErrors.WithLabelValues(name),
		acceptErrors:  v.acceptErrors.WithLabelValues(name),
		headerErrors:  v.headerErrors.WithLabelValues(name),
	}
	l.backendUp.Set(1)
	for _, a := range arrivals() {
		l.connections[a] = v.connections.WithLabelValues(string(a.class), act(a.action, a.observed), name)
	}
	for r, action := range rulings() {
		l.verdicts[r] = v.verdicts.WithLabelValues(r.rule, act(action, r.observed), name)
	}
	for _, o := range journal.Outcomes() {
		l.ended[string(o)] = v.ended.WithLabelValues(string(o), name)
	}
	for _, r := range results() {
		l.handovers[r] = v.handovers.WithLabelValues(r, name)
	}
	return l
}

// delayBuckets are the seconds of waits that tell one setting from another: a
// retry after a minute, five, fifteen, half an hour … two days.
var delayBuckets = []float64{60, 120, 300, 600, 900, 1800, 3600, 7200, 4 * 3600, 12 * 3600, 24 * 3600, 48 * 3600}

// countHouse makes the series that the house has once.
func (m *Metrics) countHouse(f factory) {
	m.harm = make(map[whitelist.Class]prometheus.Counter)
	harm := f.counterVec("harm_total", "Times a known peer was refused or made to wait: to be kept at 0.", "class")
	for _, c := range known() {
		m.harm[c] = harm.WithLabelValues(string(c))
	}
	m.degraded = make(map[verdict.Dependency]prometheus.Counter)
	degraded := f.counterVec("degraded_total", "Decisions taken without asking something that should have been asked.", "dependency")
	for _, d := range verdict.Dependencies() {
		m.degraded[d] = degraded.WithLabelValues(string(d))
	}
	m.open = make(map[string]prometheus.Gauge)
	open := f.gaugeVec("open", "Connections that are open now, by what is done with them.", "state")
	for _, s := range states() {
		m.open[s] = open.WithLabelValues(s)
	}
	m.alarms = make(map[Alarm]prometheus.Gauge)
	alarms := f.gaugeVec("alarms", "1 while something is wrong with the set-up.", "alarm")
	for _, a := range Alarms() {
		m.alarms[a] = alarms.WithLabelValues(string(a))
	}
	m.countTime(f)
}

// A spent budget: whose, and what of it.
type spent struct {
	class whitelist.Class
	over  budget.Over
}

// countBudgets makes the series of budgets and of what else keeps the known safe.
func (m *Metrics) countBudgets(f factory, blockers []string) {
	m.over = make(map[spent]prometheus.Counter)
	m.queued = make(map[whitelist.Class]prometheus.Observer)
	over := f.counterVec("budget_over_total", "Connections and recipients refused because a budget was used up.", "class", "budget")
	queued := f.histogramVec("connect_delay_seconds", "That a connection that is carried waited for its turn.", waitBuckets, "class")
	for _, c := range classes() {
		m.queued[c] = queued.WithLabelValues(string(c))
		for _, o := range overs() {
			m.over[spent{c, o}] = over.WithLabelValues(string(c), string(o))
		}
	}
	hints := f.counterVec("login_hints_total", "Logins that were reported, by what came of them.", "result")
	m.hints = map[bool]prometheus.Counter{true: hints.WithLabelValues("ok"), false: hints.WithLabelValues("failed")}
	m.foreign = make(map[string]prometheus.Gauge)
	foreign := f.gaugeVec("foreign_block_known_good", "Known-good networks that something else on this machine blocks.", "source")
	for _, name := range blockers {
		m.foreign[name] = foreign.WithLabelValues(clean(name))
	}
}

// waitBuckets are the seconds that tell a place in line from harm, and harm from
// what makes mail programs come again.
var waitBuckets = []float64{0, 0.5, 2, 5, 10, 30}

// countTime makes the series of times and bytes.
func (m *Metrics) countTime(f factory) {
	bytes := f.counterVec("carried_bytes_total", "Bytes carried for connections that have ended, from (in) and to (out) the peer.", "direction")
	m.carried.in, m.carried.out = bytes.WithLabelValues("in"), bytes.WithLabelValues("out")
	m.stuttered = f.counter("stuttered_bytes_total", "Bytes spoken slowly.")
	m.held = f.counter("held_seconds_total", "Time that strangers spent with moggy instead of the backend.")
	m.delay = f.histogram("mail_delay_seconds", "From the first try of greylisted mail until the backend took it.", delayBuckets)
	m.configOK = f.gauge("config_ok", "0 while an older configuration is in force because the file is wrong.")
	m.configLoadedTime = f.gauge("config_loaded_timestamp_seconds", "When the configuration in force was read.")
}
