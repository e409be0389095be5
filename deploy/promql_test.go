package deploy_test

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// series are the names of moggy's series, each with the values that its labels have.
type series map[string]map[string][]string

var (
	seriesLine = regexp.MustCompile(`^(\w+)\{(.*)\} \S+$`)
	labelPair  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"`)
)

// known reads the series that the metrics package is tested to have.
func known(t testing.TB) series {
	t.Helper()
	all := make(series)
	for line := range strings.Lines(read(t, "../metrics/testdata/series.txt")) {
		m := seriesLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			t.Fatalf("series.txt: %q", line)
		}
		if all[m[1]] == nil {
			all[m[1]] = make(map[string][]string)
		}
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][pair[1]] = append(all[m[1]][pair[1]], pair[3])
		}
	}
	return all
}

// find returns the labels of a series. A histogram, which by its name is a time that is neither a moment nor a sum,
// has three series, none of which has its name.
func (s series) find(name string) (map[string][]string, bool) {
	base, part := name, ""
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if b, ok := strings.CutSuffix(name, suffix); ok {
			base, part = b, suffix
		}
	}
	labels, ok := s[base]
	histogram := strings.HasSuffix(base, "_seconds") && !strings.HasSuffix(base, "_timestamp_seconds")
	if !ok || histogram != (part != "") {
		return nil, false
	}
	labels = maps.Clone(labels)
	if part == "_bucket" {
		labels["le"] = nil
	}
	return labels, true
}

// A selector is a series as an expression names it.
type selector struct {
	name     string
	matchers []matcher
}

type matcher struct{ label, op, value string }

var (
	selectorText = regexp.MustCompile(`\b(moggy_\w+|up)\b(\{[^}]*\})?`)
	grouping     = regexp.MustCompile(`\b(?:by|on|without|ignoring)\s*\(([^)]*)\)`)
	word         = regexp.MustCompile(`\b[a-zA-Z_]\w*\b\s*\(?`)
)

// selectors finds every series in an expression, and every label that it groups by. What is neither is a function or
// an operator, which promtool knows better.
func selectors(t testing.TB, where, expr string) (all []selector, groups []string) {
	t.Helper()
	for _, m := range selectorText.FindAllStringSubmatch(expr, -1) {
		s := selector{name: m[1]}
		for _, pair := range labelPair.FindAllStringSubmatch(m[2], -1) {
			s.matchers = append(s.matchers, matcher{pair[1], pair[2], pair[3]})
		}
		all = append(all, s)
	}
	for _, m := range grouping.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(m[1], ",") {
			groups = append(groups, strings.TrimSpace(label))
		}
	}
	rest := grouping.ReplaceAllString(selectorText.ReplaceAllString(expr, " "), " ")
	for _, w := range word.FindAllString(rest, -1) {
		if !strings.HasSuffix(w, "(") && !slices.Contains([]string{"and", "or", "unless"}, strings.TrimSpace(w)) {
			t.Errorf("%s: %q is no series of moggy's", where, w)
		}
	}
	return all, groups
}

// scraped are the labels that Prometheus adds.
var scraped = []string{"job", "instance"}

// check fails the test if an expression names a series, a label or a value that is not there. It returns the labels
// that a sample may have.
func (s series) check(t testing.TB, where, expr string) []string {
	t.Helper()
	all, groups := selectors(t, where, expr)
	if len(all) == 0 {
		t.Errorf("%s: no series in %s", where, expr)
	}
	labels := slices.Clone(scraped)
	for _, sel := range all {
		have, ok := s.find(sel.name)
		if !ok && sel.name != "up" {
			t.Errorf("%s: there is no series %s", where, sel.name)
			continue
		}
		labels = slices.AppendSeq(labels, maps.Keys(have))
		for _, m := range sel.matchers {
			if !slices.Contains(scraped, m.label) {
				m.check(t, where+": "+sel.name, have)
			}
		}
	}
	for _, label := range groups {
		if !slices.Contains(labels, label) {
			t.Errorf("%s: nothing has a label %s", where, label)
		}
	}
	if strings.Contains(expr, "sum") && len(groups) > 0 && !strings.Contains(expr, " on ") {
		return groups
	}
	return labels
}

// check looks whether a label has the values that a matcher asks for; those of a regular expression are taken one by
// one, so that no alternative is dead.
func (m matcher) check(t testing.TB, where string, have map[string][]string) {
	t.Helper()
	values, ok := have[m.label]
	if !ok {
		t.Errorf("%s has no label %s", where, m.label)
		return
	}
	for v := range strings.SplitSeq(m.value, "|") {
		if !slices.Contains(values, v) {
			t.Errorf("%s: %s is never %q", where, m.label, v)
		}
	}
}

// TestCheckFinds shows what the checks are worth: each of these is wrong.
func TestCheckFinds(t *testing.T) {
	for _, expr := range []string{
		"moggy_harms_total", `moggy_harm_total{clas="user"}`, `moggy_harm_total{class="stranger"}`, `moggy_harm_total{class=~"user|usr"}`,
		"sum by (reason) (moggy_harm_total)", "rate(mogy_harm_total[5m])", "moggy_dns_seconds", "moggy_slots_bucket",
		"moggy_slots / process_open_fds", "1 + 1", "moggy_last_login_hint_timestamp_seconds_sum",
	} {
		var seen recorder
		if known(t).check(&seen, "x", expr); seen.errors == 0 {
			t.Errorf("%s: nothing was found", expr)
		}
	}
	for _, expr := range []string{
		`sum by (class) (rate(moggy_harm_total{class=~"user|own",instance=~"a.*"}[5m])) > 0 and on (job, instance) up{job="moggy"} == 1`,
		"histogram_quantile(0.9, sum by (le, list) (rate(moggy_dnsbl_seconds_bucket[5m])))",
	} {
		known(t).check(t, "right", expr)
	}
}

// recorder counts errors in place of failing.
type recorder struct {
	testing.TB
	errors int
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.errors++ }
