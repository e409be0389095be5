package metrics

import (
	"maps"
	"testing"
	"time"

	"moggy/dnsbl"
	"moggy/dnsbl/resolver"
	"moggy/greylist"
	"moggy/greylist/origin"
)

func TestNames(t *testing.T) {
	change := func(list string, from, to dnsbl.State) dnsbl.Change {
		return dnsbl.Change{List: list, From: from, To: to}
	}
	suspended, silent := change("zen", dnsbl.Working, dnsbl.Suspended), change("wl", dnsbl.Working, dnsbl.Silent)
	for name, c := range map[string]struct {
		do   func(*Metrics)
		want map[string]float64
	}{
		"answered": {func(m *Metrics) { m.Answered("zen", dnsbl.Listed, time.Second) }, map[string]float64{
			`moggy_dnsbl_answers_total{answer="listed",list="zen"}`: 1, `moggy_dnsbl_seconds{list="zen"}`: 1}},
		"who is that": {func(m *Metrics) {
			m.Answered("unheard of", dnsbl.Listed, time.Second)
			m.Changed(change("unheard of", dnsbl.Working, dnsbl.Suspended))
		}, nil},
		"working": {func(m *Metrics) { m.Changed(change("zen", dnsbl.Untested, dnsbl.Working)) }, map[string]float64{
			`moggy_dnsbl_state{list="zen",state="untested"}`: -1, `moggy_dnsbl_state{list="zen",state="working"}`: 1}},
		"suspected": {func(m *Metrics) { m.Changed(change("zen", dnsbl.Working, dnsbl.Suspected)) }, map[string]float64{
			`moggy_dnsbl_state{list="zen",state="untested"}`: -1, `moggy_dnsbl_state{list="zen",state="suspected"}`: 1}},
		"suspended": {func(m *Metrics) { m.Changed(suspended) }, map[string]float64{
			`moggy_dnsbl_state{list="zen",state="untested"}`: -1, `moggy_dnsbl_state{list="zen",state="suspended"}`: 1,
			`moggy_dnsbl_suspended{list="zen"}`: 1, `moggy_alarms{alarm="dnsbl_suspended"}`: 1}},
		"one of two is back": {func(m *Metrics) {
			m.Changed(suspended)
			m.Changed(silent)
			m.Changed(change("zen", dnsbl.Suspended, dnsbl.Working))
		}, map[string]float64{
			`moggy_dnsbl_state{list="zen",state="untested"}`: -1, `moggy_dnsbl_state{list="zen",state="working"}`: 1,
			`moggy_dnsbl_state{list="wl",state="untested"}`: -1, `moggy_dnsbl_state{list="wl",state="silent"}`: 1,
			`moggy_dnsbl_suspended{list="wl"}`: 1, `moggy_alarms{alarm="dnsbl_suspended"}`: 1}},
		"all is well again": {func(m *Metrics) {
			m.Changed(suspended)
			m.Changed(suspended)
			m.Changed(change("zen", dnsbl.Suspended, dnsbl.Untested))
		}, nil},
		"asked": {func(m *Metrics) { m.Asked("PTR", resolver.None, time.Millisecond) }, map[string]float64{
			`moggy_dns_questions_total{outcome="none",type="PTR"}`: 1, `moggy_dns_seconds{}`: 1}},
		"found": {func(m *Metrics) {
			m.OriginFound(origin.Found{Kind: greylist.Domain, SPF: origin.Pass, Reverse: origin.ReverseUnasked, Took: time.Second})
		}, map[string]float64{
			`moggy_origin_total{kind="spf"}`: 1, `moggy_origin_spf_total{result="pass"}`: 1,
			`moggy_origin_reverse_total{result="unasked"}`: 1, `moggy_origin_seconds{}`: 1}},
	} {
		m := New(Options{Lists: []string{"zen", "wl"}})
		before := series(t, m)
		c.do(m)
		if got := changed(before, series(t, m)); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

// TestHits: each list has its figures, and a list that came twice breaks nothing.
func TestHits(t *testing.T) {
	asked := 0
	got := series(t, New(Options{Lists: []string{"zen", "wl", "zen"}, Gauges: Gauges{Lists: func() []dnsbl.Status {
		asked++
		return []dnsbl.Status{{Name: "zen", Hits: 40, Alone: 30, Decisive: 20, Passed: 1}, {Name: "unheard of", Hits: 7}}
	}}}))
	for name, want := range map[string]float64{
		`moggy_dnsbl_hits_total{kind="all",list="zen"}`: 40, `moggy_dnsbl_hits_total{kind="only",list="zen"}`: 30,
		`moggy_dnsbl_hits_total{kind="decisive",list="zen"}`: 20, `moggy_dnsbl_hits_total{kind="good",list="zen"}`: 1,
		`moggy_dnsbl_hits_total{kind="all",list="wl"}`: 0,
	} {
		if n, ok := got[name]; !ok || n != want {
			t.Errorf("%s is %v, want %v", name, n, want)
		}
	}
	if _, ok := got[`moggy_dnsbl_hits_total{kind="all",list="unheard of"}`]; ok || asked != 1 {
		t.Errorf("a list that is not in the configuration is shown: %v; the lists were asked %d times", ok, asked)
	}
}

func TestNamesAllocateNothing(t *testing.T) {
	m := New(Options{Lists: []string{"zen"}})
	if n := testing.AllocsPerRun(10, func() { askAll(m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func askAll(m *Metrics) {
	m.Answered("zen", dnsbl.Clean, time.Millisecond)
	m.Asked("A", resolver.Found, time.Millisecond)
	m.OriginFound(origin.Found{Kind: greylist.Name, SPF: origin.None, Reverse: origin.ReverseConfirmed, Took: time.Millisecond})
}

func BenchmarkNames(b *testing.B) {
	m := New(Options{Lists: []string{"zen"}})
	b.ReportAllocs()
	for b.Loop() {
		askAll(m)
	}
}
