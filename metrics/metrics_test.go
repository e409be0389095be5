package metrics

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"moggy/greylist"
	"moggy/verdict"
	"moggy/verdict/journal"
	"moggy/whitelist"
)

var update = flag.Bool("update", false, "write testdata/series.txt anew")

var policy = verdict.Policy{GreyCode: 451}

// series are all numbers of m that begin with moggy_, by name and labels.
func series(t testing.TB, m *Metrics) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "moggy_") {
			continue
		}
		for _, metric := range family.GetMetric() {
			var labels []string
			for _, l := range metric.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := family.GetName() + "{" + strings.Join(labels, ",") + "}"
			all[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// changed are the series that differ, with what was added to them.
func changed(before, after map[string]float64) map[string]float64 {
	diff := make(map[string]float64)
	for name, n := range after {
		if was, ok := before[name]; !ok || was != n {
			diff[name] = n - was
		}
	}
	return diff
}

func TestAllSeriesFromTheFirstSecond(t *testing.T) {
	m := New(Options{Version: "1.0", Revision: "abc", Listeners: []string{"smtp", "imaps"}, Lists: []string{"zen", "wl"}, Blockers: []string{"nft", "fail2ban"}})
	var lines []string
	for name, n := range series(t, m) {
		lines = append(lines, fmt.Sprintf("%s %v\n", strings.ReplaceAll(name, runtime.Version(), "GO"), n))
	}
	slices.Sort(lines)
	got := strings.Join(lines, "")
	if *update {
		if err := os.WriteFile("testdata/series.txt", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/series.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("series have changed; look at them, then: go test ./metrics -update\n%s", got)
	}
}

// TestRestingValues: only what says "all is well" is not 0.
func TestRestingValues(t *testing.T) {
	for name, n := range series(t, New(Options{Listeners: []string{"smtp"}, Lists: []string{"zen"}})) {
		well := strings.HasPrefix(name, "moggy_dnsbl_state") && strings.Contains(name, "untested") || strings.HasPrefix(name, "moggy_backend_up") || strings.HasPrefix(name, "moggy_store_up") || strings.HasPrefix(name, "moggy_build_info")
		if (n != 0) != well {
			t.Errorf("%s is %v", name, n)
		}
	}
}

func TestLint(t *testing.T) {
	families, err := New(Options{Listeners: []string{"smtp"}, Lists: []string{"zen"}}).registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "moggy_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestEveryRuleHasItsSeries(t *testing.T) {
	before := series(t, New(Options{Listeners: []string{"a", "b"}}))
	for _, r := range verdict.Rules() {
		for _, l := range []string{"a", "b"} {
			name := fmt.Sprintf(`moggy_verdicts_total{action=%q,listener=%q,rule=%q}`, r.Action, l, r.Name)
			if _, ok := before[name]; !ok {
				t.Errorf("no %s", name)
			}
		}
	}
}

// TestEveryDecisionIsCounted makes all decisions that can be, and looks that
// each is counted once, in a series that was there before.
func TestEveryDecisionIsCounted(t *testing.T) {
	m := New(Options{Listeners: []string{"smtp"}})
	for f := range manyFacts {
		for _, observe := range []bool{false, true} {
			p := policy
			p.Observe = observe
			v := verdict.Decide(&f, &p)
			before := series(t, m)
			m.Decided(&f, &v)
			after := series(t, m)
			want := 1.0
			if f.Stage == verdict.Connect {
				want = 2
			}
			sum := 0.0
			for name, n := range changed(before, after) {
				if strings.HasPrefix(name, "moggy_verdicts_total") || strings.HasPrefix(name, "moggy_connections_total") {
					sum += n
				}
			}
			if len(after) != len(before) || sum != want {
				t.Fatalf("%+v: %s: counted %v times", f, v.Rule, sum)
			}
		}
	}
}

// manyFacts yields facts of all stages, classes and outcomes.
func manyFacts(yield func(verdict.Facts) bool) {
	for _, stage := range verdict.Stages() {
		for _, class := range append(classes(), "made-up", "") {
			for _, grey := range []greylist.Outcome{greylist.FirstSeen, greylist.Returned} {
				f := verdict.Facts{Stage: stage, Listener: "smtp", Full: grey == greylist.Returned, Grey: greylist.Result{Outcome: grey}}
				f.Standing.Class, f.Standing.Deny = class, class == journal.Denied
				if !yield(f) {
					return
				}
			}
		}
	}
}

// TestStrangeWordsAreNoLabels gives words of a peer's where no closed list is
// checked before.
func TestStrangeWordsAreNoLabels(t *testing.T) {
	m := New(Options{Listeners: []string{"smtp"}, Version: "\xff", Revision: "evil\n"})
	before := series(t, m)
	const evil = "evil\"\n\xff{}"
	for _, stage := range verdict.Stages() {
		f := verdict.Facts{Stage: stage, Listener: "smtp", Ref: evil, Helo: evil, Sender: evil, Recipient: evil,
			Origin: greylist.Origin{Name: evil}, Degraded: []verdict.Dependency{evil}}
		f.Standing.Class, f.Standing.Evidence = evil, evil
		v := verdict.Decide(&f, &policy)
		m.Decided(&f, &v)
		v.Rule, v.Action = evil, evil
		m.Decided(&f, &v)
		m.Ended(journal.Ended(time.Now(), &f, &v, journal.End{Outcome: evil, In: -5}))
	}
	m.Open(evil, 1)
	m.Alarm(evil, true)
	m.HandedOver("smtp", -7)
	after := series(t, m)
	if len(after) != len(before) {
		t.Errorf("%d series became %d", len(before), len(after))
	}
	for name := range after {
		if strings.Contains(name, "evil") && !strings.HasPrefix(name, "moggy_build_info") {
			t.Errorf("%s", name)
		}
	}
}

func TestListenerNobodyNamed(t *testing.T) {
	m := New(Options{Listeners: []string{"smtp"}})
	before := series(t, m)
	m.BackendFailed("evil")
	m.AcceptFailed("evil again")
	after := series(t, m)
	if after[`moggy_backend_errors_total{listener="other"}`] != 1 || after[`moggy_accept_errors_total{listener="other"}`] != 1 {
		t.Error("not counted under other")
	}
	per := 0
	for name := range before {
		if strings.Contains(name, `listener="smtp"`) {
			per++
		}
	}
	if len(after) != len(before)+per {
		t.Errorf("%d series became %d; a listener has %d", len(before), len(after), per)
	}
}

func TestEvents(t *testing.T) {
	known := verdict.Facts{Stage: verdict.Backend, Listener: "smtp", Standing: whitelist.Standing{Class: whitelist.User}}
	made := known
	made.Standing.Class = "printers"
	denied := known
	denied.Standing.Deny = true
	down := verdict.Decide(&known, &policy)
	first := verdict.Facts{Stage: verdict.Connect, Listener: "smtp", Standing: whitelist.Standing{Class: whitelist.Stranger},
		Degraded: []verdict.Dependency{verdict.Store, verdict.DNS}}
	talk := verdict.Decide(&first, &policy)
	watched := verdict.Decide(&first, &verdict.Policy{Observe: true})
	const busy = `moggy_verdicts_total{action="busy",listener="smtp",rule="backend-down"}`
	for name, c := range map[string]struct {
		do   func(*Metrics)
		want map[string]float64
	}{
		"harm":          {func(m *Metrics) { m.Decided(&known, &down) }, map[string]float64{busy: 1, `moggy_harm_total{class="user"}`: 1}},
		"harm of other": {func(m *Metrics) { m.Decided(&made, &down) }, map[string]float64{busy: 1, `moggy_harm_total{class="other"}`: 1}},
		"no harm":       {func(m *Metrics) { m.Decided(&denied, &down) }, map[string]float64{busy: 1}},
		"stranger": {func(m *Metrics) { m.Decided(&first, &talk) }, map[string]float64{
			`moggy_verdicts_total{action="talk",listener="smtp",rule="stranger"}`:     1,
			`moggy_connections_total{action="talk",class="stranger",listener="smtp"}`: 1,
			`moggy_degraded_total{dependency="store"}`:                                1, `moggy_degraded_total{dependency="dns"}`: 1}},
		"observed": {func(m *Metrics) { m.Decided(&first, &watched) }, map[string]float64{
			`moggy_verdicts_total{action="observe:talk",listener="smtp",rule="stranger"}`:     1,
			`moggy_connections_total{action="observe:talk",class="stranger",listener="smtp"}`: 1,
			`moggy_degraded_total{dependency="store"}`:                                        1, `moggy_degraded_total{dependency="dns"}`: 1}},
		"carried": {func(m *Metrics) { m.Ended(journal.Record{Listener: "smtp", Outcome: journal.Carried, In: 7, Out: 9}) }, map[string]float64{
			`moggy_ended_total{listener="smtp",outcome="carried"}`: 1,
			`moggy_carried_bytes_total{direction="in"}`:            7, `moggy_carried_bytes_total{direction="out"}`: 9}},
		"let go": {func(m *Metrics) { m.Ended(journal.Record{Listener: "smtp", Outcome: journal.LetGo, In: 7, Out: 9}) }, map[string]float64{
			`moggy_ended_total{listener="smtp",outcome="let-go"}`: 1}},
		"open":       {func(m *Metrics) { m.Open(Talking, 1); m.Open(Talking, -1); m.Open(Carrying, 1) }, map[string]float64{`moggy_open{state="carry"}`: 1}},
		"stuttered":  {func(m *Metrics) { m.Stuttered(30, 90*time.Second) }, map[string]float64{`moggy_stuttered_bytes_total{}`: 30, `moggy_held_seconds_total{}`: 90}},
		"backwards":  {func(m *Metrics) { m.Stuttered(-1, -time.Second) }, nil},
		"accepted":   {func(m *Metrics) { m.HandedOver("smtp", 250) }, map[string]float64{`moggy_handover_total{listener="smtp",result="accepted"}`: 1}},
		"deferred":   {func(m *Metrics) { m.HandedOver("smtp", 451) }, map[string]float64{`moggy_handover_total{listener="smtp",result="deferred"}`: 1}},
		"refused":    {func(m *Metrics) { m.HandedOver("smtp", 550) }, map[string]float64{`moggy_handover_total{listener="smtp",result="refused"}`: 1}},
		"no answer":  {func(m *Metrics) { m.HandedOver("smtp", 0) }, map[string]float64{`moggy_handover_total{listener="smtp",result="failed"}`: 1}},
		"delayed":    {func(m *Metrics) { m.Delayed(15 * time.Minute) }, map[string]float64{`moggy_mail_delay_seconds{}`: 1}},
		"backend":    {func(m *Metrics) { m.Backend("smtp", false) }, map[string]float64{`moggy_backend_up{listener="smtp"}`: -1}},
		"back again": {func(m *Metrics) { m.Backend("smtp", false); m.Backend("smtp", true) }, nil},
		"failed":     {func(m *Metrics) { m.BackendFailed("smtp") }, map[string]float64{`moggy_backend_errors_total{listener="smtp"}`: 1}},
		"accept":     {func(m *Metrics) { m.AcceptFailed("smtp") }, map[string]float64{`moggy_accept_errors_total{listener="smtp"}`: 1}},
		"alarm":      {func(m *Metrics) { m.Alarm(OpenRelay, true) }, map[string]float64{`moggy_alarms{alarm="open_relay"}`: 1}},
		"false":      {func(m *Metrics) { m.Alarm(OpenRelay, true); m.Alarm(OpenRelay, false) }, nil},
		"loaded": {func(m *Metrics) { m.ConfigLoaded(time.UnixMilli(1500)) }, map[string]float64{
			`moggy_config_ok{}`: 1, `moggy_config_loaded_timestamp_seconds{}`: 1.5}},
		"wrong file": {func(m *Metrics) { m.ConfigLoaded(time.UnixMilli(1500)); m.ConfigRefused() }, map[string]float64{
			`moggy_config_loaded_timestamp_seconds{}`: 1.5}},
	} {
		m := New(Options{Listeners: []string{"smtp"}})
		before := series(t, m)
		c.do(m)
		if got := changed(before, series(t, m)); fmt.Sprint(got) != fmt.Sprint(c.want) && len(got)+len(c.want) > 0 {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestGauges(t *testing.T) {
	asked := 0
	got := series(t, New(Options{Gauges: Gauges{
		Slots: func() float64 { return 100 }, SlotsUsed: func() float64 { return 7 }, Triplets: func() float64 { return 1e6 },
		JournalDropped: func() float64 { return 3 }, StoreUp: func() bool { return false },
		Exchanged: func() float64 { return 8 }, Unshared: func() float64 { return 9 },
		Entries: func() Entries { asked++; return Entries{Allowed: 1, Denied: 2, Local: 3, Passed: 4, Trapped: 5} },
	}}))
	for name, want := range map[string]float64{"moggy_slots{}": 100, "moggy_slots_used{}": 7, "moggy_grey_triplets{}": 1e6,
		"moggy_journal_dropped_total{}": 3, "moggy_store_up{}": 0,
		"moggy_budget_exchanges_total{}": 8, "moggy_budget_unshared_total{}": 9, `moggy_allow_entries{kind="allow"}`: 1, `moggy_allow_entries{kind="deny"}`: 2,
		`moggy_allow_entries{kind="local"}`: 3, `moggy_allow_entries{kind="passed"}`: 4, `moggy_allow_entries{kind="trap"}`: 5} {
		if n, ok := got[name]; !ok || n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
	if asked != 1 {
		t.Errorf("the list was counted %d times for one scrape", asked)
	}
}

func TestManyAtOnce(t *testing.T) {
	m := New(Options{Listeners: []string{"smtp"}})
	f := verdict.Facts{Stage: verdict.Connect, Listener: "unheard of"}
	v := verdict.Decide(&f, &policy)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 100 {
				m.Decided(&f, &v)
				m.Open(Talking, 1)
			}
		})
	}
	_ = series(t, m)
	wait.Wait()
	if n := series(t, m)[`moggy_open{state="talk"}`]; n != 800 {
		t.Errorf("%v open", n)
	}
}

func TestDecidedAllocatesNothing(t *testing.T) {
	m := New(Options{Listeners: []string{"smtp"}})
	for f := range manyFacts {
		f.Degraded = verdict.Dependencies()
		v := verdict.Decide(&f, &policy)
		if n := testing.AllocsPerRun(10, func() { m.Decided(&f, &v) }); n != 0 {
			t.Errorf("%s: %v allocations", v.Rule, n)
		}
	}
}

func BenchmarkDecided(b *testing.B) {
	m := New(Options{Listeners: []string{"smtp", "submission", "imaps"}})
	f := verdict.Facts{Stage: verdict.Connect, Listener: "imaps", Standing: whitelist.Standing{Class: whitelist.User}}
	v := verdict.Decide(&f, &policy)
	b.ReportAllocs()
	for b.Loop() {
		m.Decided(&f, &v)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		_ = New(Options{Listeners: []string{"smtp"}})
	}
}
