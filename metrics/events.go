package metrics

import (
	"cmp"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

// Decided counts a verdict. It allocates nothing.
func (m *Metrics) Decided(f *verdict.Facts, v *verdict.Verdict) {
	l := m.listener(f.Listener)
	inc(l.verdicts, ruling{v.Rule, v.Observed})
	if f.Stage == verdict.Connect {
		l.arrived(f, v)
		m.waited(f, v)
	}
	if f.Budget.Over != "" && (v.Action == verdict.Busy || v.Action == verdict.Defer) {
		inc(m.over, spent{classOf(f), f.Budget.Over})
	}
	for _, d := range f.Degraded {
		inc(m.degraded, d)
	}
	if v.Harms(f) {
		m.hurt(f.Standing.Class)
	}
}

// classOf is the class of a decision's peer, as a label.
func classOf(f *verdict.Facts) whitelist.Class {
	return cmp.Or(journal.ClassOf(f), whitelist.Stranger)
}

// waited notes how long a connection that is carried waits before.
func (m *Metrics) waited(f *verdict.Facts, v *verdict.Verdict) {
	if v.Action != verdict.Carry && v.Action != verdict.Wait {
		return
	}
	o, ok := m.queued[classOf(f)]
	if !ok {
		o = m.queued[other]
	}
	o.Observe(v.Wait.Seconds())
}

// LoggedIn counts a login that was reported.
func (m *Metrics) LoggedIn(ok bool) { m.hints[ok].Inc() }

// BlockedElsewhere says how many known-good networks each of New's Blockers keeps
// out; what is not named keeps out none.
func (m *Metrics) BlockedElsewhere(n map[string]int) {
	for name, g := range m.foreign {
		g.Set(float64(n[name]))
	}
}

// arrived counts what was decided of a connection at first.
func (l *listener) arrived(f *verdict.Facts, v *verdict.Verdict) {
	a := arrival{classOf(f), v.Action, v.Observed}
	c, ok := l.connections[a]
	if !ok {
		a.class = other
		c, ok = l.connections[a]
	}
	if ok {
		c.Inc()
	}
}

func (m *Metrics) hurt(class whitelist.Class) {
	c, ok := m.harm[class]
	if !ok {
		c = m.harm[other]
	}
	c.Inc()
}

// Ended counts the end of a connection, and what was carried for it.
func (m *Metrics) Ended(r journal.Record) {
	inc(m.listener(r.Listener).ended, string(r.Outcome))
	if r.Outcome.Relayed() {
		add(m.carried.in, float64(r.In))
		add(m.carried.out, float64(r.Out))
	}
}

// Open counts connections that are open: delta more, or fewer, are in state,
// which is Talking, Holding or Carrying.
func (m *Metrics) Open(state string, delta int) {
	if g, ok := m.open[state]; ok {
		g.Add(float64(delta))
	}
}

// Stuttered counts what one stranger cost and was given: bytes spoken slowly,
// and the time it was with us.
func (m *Metrics) Stuttered(bytes int64, held time.Duration) {
	add(m.stuttered, float64(bytes))
	add(m.held, held.Seconds())
}

// HandedOver counts a stranger that was given to the backend, which answered
// its recipient with code; 0: it did not answer.
func (m *Metrics) HandedOver(listener string, code int) {
	m.listener(listener).handovers[resultOf(code)].Inc()
}

// Delayed notes how long mail waited between its first try and the moment the
// backend took it.
func (m *Metrics) Delayed(d time.Duration) { m.delay.Observe(max(0, d).Seconds()) }

// Backend says whether the backend of a listener answers.
func (m *Metrics) Backend(listener string, up bool) { set(m.listener(listener).backendUp, up) }

// BackendFailed counts a connection that the backend did not take.
func (m *Metrics) BackendFailed(listener string) { m.listener(listener).backendErrors.Inc() }

// AcceptFailed counts a connection that could not be accepted.
func (m *Metrics) AcceptFailed(listener string) { m.listener(listener).acceptErrors.Inc() }

// HeaderRefused counts a connection that was closed because it did not begin with a
// PROXY header of somebody who is believed.
func (m *Metrics) HeaderRefused(listener string) { m.listener(listener).headerErrors.Inc() }

// Alarm raises an alarm or takes it back.
func (m *Metrics) Alarm(a Alarm, on bool) {
	if g, ok := m.alarms[a]; ok {
		set(g, on)
	}
}

// ConfigLoaded says that a configuration read at the time at is in force.
func (m *Metrics) ConfigLoaded(at time.Time) {
	m.configOK.Set(1)
	m.configLoadedTime.Set(float64(at.UnixMilli()) / 1000)
}

// ConfigRefused says that the file is wrong, and the old configuration in force.
func (m *Metrics) ConfigRefused() { m.configOK.Set(0) }

// inc counts what has a series.
func inc[K comparable](counters map[K]prometheus.Counter, k K) {
	if c, ok := counters[k]; ok {
		c.Inc()
	}
}

// add adds what is more than nothing: a counter panics at less.
func add(c prometheus.Counter, n float64) {
	if n > 0 {
		c.Add(n)
	}
}

func set(g prometheus.Gauge, on bool) {
	if on {
		g.Set(1)
		return
	}
	g.Set(0)
}
